"""The quality score falls with every damage, stays put where nothing happened, and reads little."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data as photos
from torch import Tensor

from calotype.image import quality as statistics
from calotype.image.codec import Box
from calotype.models import quality
from calotype.models.quality import score, score_of
from calotype.train import data, degradations
from calotype.train import quality as fitting

PHOTOS = {name: getattr(photos, name)() for name in ("astronaut", "coffee", "chelsea")}


def photo(name: str) -> np.ndarray:
    """(H, W, 3), 0..1, at a half, where it is sharp."""
    pixels = Image.fromarray(PHOTOS[name])
    small = pixels.resize((pixels.width // 2, pixels.height // 2), Image.Resampling.BOX)
    return np.asarray(small, np.float32) / np.float32(255)


def judged(picture: np.ndarray) -> float:
    found = score(data.tensor(degradations.to_8_bit(picture)))
    assert found is not None
    return found


def blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    return degradations.convolve(picture, degradations.gaussian_kernel(sigma, sigma, 0.0))


def noisy(picture: np.ndarray, sigma: float) -> np.ndarray:
    return degradations.gaussian_noise(picture, sigma, np.random.default_rng(0))


def faded(picture: np.ndarray, contrast: float) -> np.ndarray:
    return fitting.fade(picture, contrast, 0.5)


@pytest.mark.parametrize(
    ("damage", "amounts"),
    [
        (noisy, [5, 12, 25, 50]),
        (degradations.jpeg, [40, 20, 10, 5]),
        (blurred, [0.8, 1.3, 2, 3]),
        (faded, [0.6, 0.4, 0.2]),  # a contrasty photo may lose a fifth unnoticed
    ],
    ids=["noise", "jpeg", "blur", "fading"],
)
@pytest.mark.parametrize("name", PHOTOS)
def test_more_damage_scores_less(
    name: str, damage: Callable[[np.ndarray, float], np.ndarray], amounts: list[float]
) -> None:
    clean = photo(name)
    scores = [judged(clean), *(judged(damage(clean, amount)) for amount in amounts)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] - scores[-1] > 30


@pytest.mark.parametrize("name", PHOTOS)
def test_a_clean_photo_is_near_ninety_and_a_ruined_one_below_thirty(name: str) -> None:
    clean = photo(name)
    assert 75 < judged(clean) < 98
    assert judged(noisy(clean, 50)) < 30
    assert judged(degradations.jpeg(clean, 5)) < 30


@pytest.mark.parametrize("name", PHOTOS)
def test_restoring_a_damaged_photo_raises_its_score(name: str) -> None:
    clean = photo(name)
    for worn in (noisy(clean, 25), noisy(clean, 50), degradations.jpeg(clean, 5)):
        worn = degradations.to_8_bit(worn)
        blind = fitting.restored(worn, (-1.0, -1.0, -1.0))
        assert judged(blind) > judged(worn) + 5


@pytest.mark.parametrize("axes", [[1], [2], [1, 2]])
@pytest.mark.parametrize("name", PHOTOS)
def test_a_mirror_changes_next_to_nothing(name: str, axes: list[int]) -> None:
    height, width = (side // 8 * 8 for side in photo(name).shape[:2])  # else other pixels are looked at
    for picture in (photo(name), degradations.jpeg(photo(name), 20)):
        x = data.tensor(picture)[:, :height, :width]
        assert score(x.flip(axes)) == pytest.approx(score(x), abs=1.0)


def test_the_same_picture_scores_the_same_on_any_number_of_threads() -> None:
    x = data.tensor(photo("astronaut"))
    threads = torch.get_num_threads()
    try:
        scores = []
        for count in (1, 2, 1):
            torch.set_num_threads(count)
            scores.append(score(x))
    finally:
        torch.set_num_threads(threads)
    assert scores[0] == scores[2]
    assert scores[1] == pytest.approx(scores[0], abs=0.01)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (63, 500), (500, 63), (0, 10)])
def test_a_picture_that_is_too_small_has_no_score(height: int, width: int) -> None:
    assert score(torch.rand(3, height, width)) is None


@pytest.mark.parametrize(("height", "width"), [(64, 64), (65, 97), (64, 5000), (300, 191)])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_one_colour_has_a_score(height: int, width: int, value: float) -> None:
    found = score(torch.full((3, height, width), value))
    assert found is not None
    assert 0 <= found <= 100


def test_pictures_without_nature_have_a_score() -> None:
    stripes = torch.zeros(3, 128, 128)
    stripes[:, :, ::2] = 1
    ramp = torch.linspace(0, 1, 200).expand(3, 100, 200)
    dot = torch.zeros(3, 128, 128)
    dot[:, 60, 60] = 1
    for picture in (stripes, ramp, dot, torch.rand(3, 128, 128)):
        found = score(picture)
        assert found is not None
        assert 0 <= found <= 100


class Reader:
    """A huge picture that is made where it is read, and counts what was."""

    def __init__(self) -> None:
        self.boxes: list[Box] = []

    def __call__(self, box: Box) -> Tensor:
        self.boxes.append(box)
        generator = torch.Generator().manual_seed(box.x0 + box.y0)
        return torch.rand(3, box.height, box.width, generator=generator)


@pytest.mark.parametrize(("width", "height"), [(12_000, 8_500), (300_000, 100), (100, 300_000), (1000, 700)])
def test_a_large_layer_is_read_in_few_small_boxes_inside_of_it(width: int, height: int) -> None:
    read = Reader()
    box = Box(1000, 50, 1000 + width, 50 + height)
    assert score_of(read, box) is not None
    assert sum(part.width * part.height for part in read.boxes) <= 1_000_000
    for part in read.boxes:
        assert box.x0 <= part.x0 < part.x1 <= box.x1
        assert box.y0 <= part.y0 < part.y1 <= box.y1
        assert (part.width, part.height) == (statistics.PATCH_PX, statistics.PATCH_PX)
    assert len(read.boxes) == len(set(read.boxes))
    assert max(part.x1 for part in read.boxes) - min(part.x0 for part in read.boxes) > width // 2
    assert max(part.y1 for part in read.boxes) - min(part.y0 for part in read.boxes) > height // 2


def test_the_places_do_not_depend_on_what_is_there() -> None:
    first, second = Reader(), Reader()
    score_of(first, Box(0, 0, 5000, 3000))
    score_of(lambda box: second(box) * 0.1, Box(0, 0, 5000, 3000))
    assert first.boxes == second.boxes


def test_a_small_picture_is_seen_whole() -> None:
    seen = torch.zeros(260, 333)

    def read(box: Box) -> Tensor:
        seen[box.y0 : box.y1, box.x0 : box.x1] = 1
        return torch.rand(3, box.height, box.width)

    score_of(read, Box(0, 0, 333, 260))
    assert seen.all()


def test_a_picture_of_100_megapixels_costs_no_more_than_a_small_one() -> None:
    part = data.tensor(photo("coffee"))[:, :96, :96].contiguous()
    score_of(lambda box: part, Box(0, 0, 12_000, 8_500))
    began = time.process_time()
    score_of(lambda box: part, Box(0, 0, 12_000, 8_500))
    assert time.process_time() - began < 1.0  # 0.07 s on a quiet core; the goal is 0.3


def test_blocks_are_found_wherever_their_grid_lies() -> None:
    clean = photo("astronaut")
    blocky = degradations.jpeg(clean, 8)
    for y, x in ((0, 0), (5, 3), (4, 4), (1, 0)):
        assert judged(blocky[y : y + 248, x : x + 248]) < judged(clean) - 30


# The fit


def test_equal_pictures_get_the_best_of_all_measures() -> None:
    clean = photo("coffee")
    same = fitting.measures(clean, clean)
    worse = fitting.measures(clean, noisy(clean, 5))
    worst = fitting.measures(clean, noisy(clean, 40))
    assert same[2] == 0
    ranks = fitting.qualities(torch.tensor([worst, same, worse]))
    assert ranks.argsort().tolist() == [0, 2, 1]


def test_a_fit_repeats_and_ranks_the_pictures_it_was_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in PHOTOS:
        Image.fromarray((photo(name) * 255).astype(np.uint8)).save(tmp_path / f"{name}.png")
    monkeypatch.setattr(fitting, "WAVES", 50)
    monkeypatch.setattr(fitting, "SIDES_PX", (128,))
    made = fitting.fit(tmp_path)
    again = fitting.fit(tmp_path)
    assert all(torch.equal(made[key], again[key]) for key in made)
    judge = quality.Judge(**made)
    clean = photo("astronaut")
    before, after = (fitting.statistics(picture) for picture in (clean, noisy(clean, 60)))
    good, bad = judge(torch.stack([before, after]))
    assert good > bad


def test_the_shipped_halves_judge_as_the_fit_did() -> None:
    shipped = quality._judge()
    halves = quality.Judge(**{key: value.half().float() for key, value in vars(shipped).items()})
    features = torch.stack([fitting.statistics(photo(name)) for name in PHOTOS])
    assert torch.allclose(shipped(features), halves(features), atol=0.01)
