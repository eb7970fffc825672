"""The parts of pictures that a style is learnt from."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import skimage
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from calotype.image import lettering, margins
from calotype.models.encoder import Encoder
from calotype.train import windows
from calotype.train.windows import Subject, Window
from calotype_wire.errors import CalotypeError

PAINTED = ["astronaut.png", "coffee.png", "chelsea.png", "brick.png", "grass.png", "gravel.png", "ihc.png"]
WORDS = "Camille Pissarro, 1897"


def _tensor(picture: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1).float() / 255


def _photo(name: str) -> Image.Image:
    with Image.open(Path(skimage.__file__).parent / "data" / name) as picture:
        return picture.convert("RGB")


def _saved(picture: Image.Image, quality: int = 85) -> Image.Image:
    stream = BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    return Image.open(stream)


def _captioned(picture: Image.Image, size_px: int, light: bool) -> tuple[Tensor, int]:
    """picture with a caption in a bar below, and how many rows the bar has."""
    rows = int(size_px * 1.8)
    whole = Image.new("RGB", (picture.width, picture.height + rows), "#141414" if light else "#f0eee6")
    whole.paste(picture)
    pen, ink = ImageDraw.Draw(whole), "#f5f5f5" if light else "#141414"
    pen.text((12, picture.height + size_px // 4), WORDS, ink, ImageFont.load_default(size_px))
    return _tensor(_saved(whole)), rows


def _whole(picture: Tensor) -> Subject:
    return Subject(picture, torch.ones(picture.shape[1:]), "layer")


def _cells(kinds: list[int], side: int = 128) -> Tensor:
    """A row of squares, each of one of three textures."""
    rng = np.random.default_rng(0)
    grain = torch.from_numpy(rng.random((3, side, side * len(kinds)))).float()
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    textures = [n.float() % 2 for n in (x // 8 + y // 8, x // 3 + y // 3, (x + y) // 5)]
    colours = [torch.tensor(c)[:, None, None] for c in ([0.9, 0.2, 0.1], [0.1, 0.3, 0.9], [0.2, 0.9, 0.2])]
    return torch.cat([colours[k] * textures[k] for k in kinds], 2) * 0.8 + 0.2 * grain


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    torch.manual_seed(0)
    return Encoder((4, 6, 8, 8, 8)).eval()


@pytest.mark.parametrize("light", [False, True])
@pytest.mark.parametrize("size_px", [12, 16, 24, 40])
def test_a_caption_below_a_picture_is_left_out_and_the_picture_is_not(size_px: int, light: bool) -> None:
    for name in ("astronaut.png", "coffee.png", "chelsea.png"):
        picture, rows = _captioned(_photo(name), size_px, light)
        found = lettering.lettered(picture)
        text = slice(12, min(picture.shape[2], 12 + round(ImageFont.load_default(size_px).getlength(WORDS))))
        assert found[-rows + size_px // 3 : -size_px // 3, text].float().mean() > 0.9
        assert found[:-rows].float().mean() < 0.02


@pytest.mark.parametrize("size_px", [12, 18, 30])
@pytest.mark.parametrize("paper", ["#ece6d7", "#1e2028"])
def test_a_page_of_type_is_left_out(size_px: int, paper: str) -> None:
    page = Image.new("RGB", (480, size_px * 16), paper)
    ink = "#201c18" if paper == "#ece6d7" else "#f0f0e6"
    text = "\n".join(["The quick brown fox", "jumps over the lazy", "dog and is painted"] * 3)
    ImageDraw.Draw(page).multiline_text(
        (20, 20), text, ink, ImageFont.load_default(size_px), spacing=size_px // 3
    )
    assert lettering.lettered(_tensor(_saved(page, 75))).all()


def test_a_photographed_page_is_left_out() -> None:
    assert lettering.lettered(_tensor(_photo("page.png"))).all()


@pytest.mark.parametrize("name", [*PAINTED, "hubble_deep_field.jpg", "chessboard_RGB.png", "coins.png"])
def test_texture_is_not_taken_for_type(name: str) -> None:
    assert not lettering.lettered(_tensor(_photo(name))).any()


def _marks_by_hand(kind: str, seed: int) -> Tensor:
    rng = np.random.default_rng(seed)
    paper = Image.new("RGB", (320, 320), "#efe9dc")
    pen = ImageDraw.Draw(paper)
    for row in range(12, 310, 22):
        for column in range(8, 310, 9):
            x, y = column + rng.integers(-1, 2), row + rng.integers(-1, 2)
            if kind == "dots":
                pen.ellipse((x, y, x + 5, y + 5), "#29406e")
            elif kind == "hatching":
                pen.line((x, y, x + 4, y + 15), "#292019", 2)
            else:
                pen.line((x, y, x + 14, y + rng.integers(-6, 7)), tuple(rng.integers(0, 120, 3)), 4)
    return _tensor(paper)


@pytest.mark.parametrize("kind", ["dots", "hatching", "strokes"])
def test_marks_by_hand_in_rows_on_flat_paper_are_not_taken_for_type(kind: str) -> None:
    assert not any(lettering.lettered(_marks_by_hand(kind, seed)).any() for seed in range(4))


def test_type_on_a_large_scan_is_found_where_it_lies() -> None:
    picture, rows = _captioned(_photo("astronaut.png"), 24, light=False)
    large = torch.nn.functional.interpolate(picture[None], scale_factor=3, mode="bilinear")[0]
    found = lettering.lettered(large)
    assert found.shape == large.shape[1:]
    assert found[-3 * rows + 30 : -30, 60:600].float().mean() > 0.9
    assert found[: -3 * rows].float().mean() < 0.02


@pytest.mark.parametrize("name", ["coffee.png", "astronaut.png", "ihc.png"])
@pytest.mark.parametrize(
    ("colour", "grain", "sides"),
    [
        ((0.93, 0.9, 0.84), 0.02, (60, 60, 80, 80)),  # top, bottom, left, right: a paper mount
        ((0.0, 0.0, 0.0), 0.0, (50, 50, 0, 0)),  # bars of a film
        ((0.5, 0.5, 0.5), 0.03, (110, 120, 130, 150)),  # the bed of a scanner
        ((0.97, 0.97, 0.97), 0.0, (0, 90, 0, 0)),
    ],
)
def test_margins_are_left_out_to_the_pixel(
    name: str, colour: tuple[float, ...], grain: float, sides: tuple[int, ...]
) -> None:
    photo = np.array(_photo(name)) / 255
    top, bottom, left, right = sides
    height, width = photo.shape[:2]
    whole = np.full((height + top + bottom, width + left + right, 3), colour)
    whole[top : top + height, left : left + width] = photo
    whole += grain * np.random.default_rng(0).standard_normal(whole.shape)
    saved = _saved(Image.fromarray((whole.clip(0, 1) * 255).astype(np.uint8)))
    box = margins.proper(_tensor(saved))
    wanted = (left, top, left + width, top + height)
    assert np.abs(np.subtract((box.x0, box.y0, box.x1, box.y1), wanted)).max() <= 1


def test_frames_within_frames_and_captions_on_the_paper_are_left_out() -> None:
    mount = Image.new("RGB", (680, 720))
    pen = ImageDraw.Draw(mount)
    pen.rectangle((20, 20, 659, 699), "#efe9dc")
    pen.rectangle((70, 60, 609, 599), "#7a2a22")
    mount.paste(_photo("astronaut.png"), (84, 74))
    pen.text((90, 640), WORDS, "#141414", ImageFont.load_default(20))
    share = windows.learnable(_whole(_tensor(_saved(mount))))
    assert share[74:586, 84:596].mean() > 0.99
    share[73:587, 83:597] = 0
    assert share.sum() == 0


@pytest.mark.parametrize("name", PAINTED)
def test_a_picture_without_margins_is_kept(name: str) -> None:
    picture = _tensor(_photo(name))
    box = margins.proper(picture)
    assert (box.height, box.width) == picture.shape[1:]


def test_stripes_are_the_picture_and_no_margins() -> None:
    stripes = (torch.arange(240) // 12 % 2).float()[None, :, None].expand(3, 240, 200)
    assert margins.proper(stripes).height == 240


def test_a_flat_picture_and_a_plain_sky_are_kept() -> None:
    flat = torch.full((3, 90, 120), 0.4)
    assert margins.proper(flat).width * margins.proper(flat).height == 90 * 120
    rng = np.random.default_rng(0)
    sky = 0.6 + 0.3 * torch.linspace(0, 1, 200)[None, :, None].expand(3, 200, 300)
    land = torch.from_numpy(rng.random((3, 100, 300))).float()
    noise = 0.01 * torch.from_numpy(rng.standard_normal((3, 300, 300))).float()
    assert margins.proper((torch.cat([sky, land], 1) + noise).clamp(0, 1)).y0 < 15


def test_what_is_excluded_is_not_learnt_from(encoder: Encoder) -> None:
    picture = _cells([0, 1, 2, 0])
    share = torch.zeros(picture.shape[1:])
    share[:, 128:256] = 0.5
    found = windows.chosen([Subject(picture, share, "layer")], encoder, side_px=64)
    assert all(128 <= window.x0 <= 192 and window.share.max() == 0.5 for window in found)
    share[:, 128:256] = 0
    with pytest.raises(CalotypeError, match="Select a larger part") as refused:
        windows.chosen([Subject(picture, share, "layer")], encoder)
    assert refused.value.code == "BAD_PARAMETER"


def test_windows_lie_within_their_pictures_and_weigh_one(encoder: Encoder) -> None:
    subjects = [_whole(_tensor(_photo(name))) for name in ("coffee.png", "chelsea.png", "ihc.png")]
    found = windows.chosen(subjects, encoder)
    assert 8 <= len(found) <= 16
    assert {window.subject for window in found} == {0, 1, 2}
    assert sum(window.weight for window in found) == pytest.approx(1)
    for window in found:
        height, width = window.share.shape
        assert window.picture.shape == (3, height, width)
        assert height % 16 == width % 16 == 0
        whole = subjects[window.subject].picture
        inside = whole[:, window.y0 : window.y0 + height, window.x0 : window.x0 + width]
        assert torch.equal(window.picture, inside)


def _kind(window: Window) -> int:
    return int(window.picture.mean((1, 2)).argmax())  # red, blue, green of _cells


def test_unlike_parts_are_chosen_first_and_weigh_what_they_cover(encoder: Encoder) -> None:
    kinds = [0, 0, 0, 0, 1, 0, 0, 2]
    parts = [_whole(_cells([kind])) for kind in kinds]
    found = windows.chosen(parts, encoder, count=3)
    assert sorted(_kind(window) for window in found) == [0, 1, 2]
    weights = {_kind(window): window.weight for window in found}
    assert weights == pytest.approx({0: 6 / 8, 1: 1 / 8, 2: 1 / 8})
    assert len(windows.chosen(parts, encoder, count=2)) == 2


def test_one_picture_twice_brings_no_more_windows(encoder: Encoder) -> None:
    once = windows.chosen([_whole(_cells([0, 1, 2]))], encoder, side_px=128)
    twice = windows.chosen([_whole(_cells([0, 1, 2]))] * 2, encoder, side_px=128)
    assert [window.x0 for window in once] == [window.x0 for window in twice]
    assert [window.weight for window in once] == pytest.approx([window.weight for window in twice])


@pytest.mark.parametrize(("height", "width"), [(5, 9), (40, 300), (64, 64), (70, 81), (1, 1)])
def test_small_pictures_are_mirrored_on(encoder: Encoder, height: int, width: int) -> None:
    picture = torch.from_numpy(np.random.default_rng(0).random((3, height, width))).float()
    for window in windows.chosen([_whole(picture)], encoder):
        sides = window.share.shape
        assert min(sides) >= 64
        assert all(n % 16 == 0 for n in sides)
        assert set(window.picture.unique().tolist()) <= set(picture.unique().tolist())


def test_at_most_64_windows_are_looked_at_and_the_choice_repeats() -> None:
    torch.manual_seed(0)
    tiny, looks = Encoder((2, 2, 2, 2, 2)), []
    tiny.register_forward_hook(lambda *_: looks.append(1))
    large = _whole(torch.from_numpy(np.random.default_rng(0).random((3, 1000, 1100))).float())
    found = windows.chosen([large], tiny, side_px=128)
    assert len(looks) == 64
    again = windows.chosen([large], tiny, side_px=128)
    places = [[(window.y0, window.x0, window.weight) for window in them] for them in (found, again)]
    assert places[0] == places[1]


def test_a_call_that_cannot_be_meant_is_refused(encoder: Encoder) -> None:
    picture = torch.zeros(3, 80, 80)
    with pytest.raises(ValueError, match="0 windows"):
        windows.chosen([_whole(picture)], encoder, count=0)
    with pytest.raises(ValueError, match="a share"):
        windows.chosen([Subject(picture, torch.ones(80, 81), "layer")], encoder)
