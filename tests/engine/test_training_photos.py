"""No picture is trained on that a model is judged or measured by: neither itself nor a copy of it."""

import io
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data as photos
from skimage import transform

from calotype.train import data, fingerprints, split
from calotype.train.data import Crops, Mixture, crop
from calotype.train.fingerprints import ALIKE_BITS, Fingerprint, fingerprint, of_tests, pairs
from calotype_wire.errors import CalotypeError
from conftest import noise


def photo(name: str) -> np.ndarray:
    return getattr(photos, name)()


def copied(picture: np.ndarray, width: int, quality: int) -> np.ndarray:
    """Smaller, and once through JPEG."""
    small = Image.fromarray(picture).resize((width, width * picture.shape[0] // picture.shape[1]))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def bits_apart(a: np.ndarray, b: np.ndarray) -> int:
    return (int(fingerprint(a).look, 16) ^ int(fingerprint(b).look, 16)).bit_count()


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea", "rocket"])
def test_a_copy_is_known_and_another_photo_is_not(name: str) -> None:
    original = photo(name)
    for copy in (copied(original, 256, 80), copied(original, 200, 40)):
        assert fingerprint(copy).pixels != fingerprint(original).pixels
        assert bits_apart(copy, original) <= ALIKE_BITS
    others = {"astronaut", "coffee", "chelsea", "rocket", "immunohistochemistry"} - {name}
    assert all(bits_apart(photo(other), original) > 2 * ALIKE_BITS for other in others)


def test_pairs_are_those_within_the_limit() -> None:
    rng = np.random.default_rng(0)
    prints = [Fingerprint("", rng.bytes(32).hex()) for _ in range(1500)]
    near = int(prints[1400].look, 16) ^ (2**ALIKE_BITS - 1)
    far = int(prints[1400].look, 16) ^ (2 ** (ALIKE_BITS + 1) - 1)
    second = [Fingerprint("", f"{bits:064x}") for bits in (near, far)]
    assert list(pairs(prints, second)) == [(1400, 0)]


def test_the_same_size_and_bytes_are_needed_for_the_same_pixels() -> None:
    picture = noise(20, 30)
    assert fingerprint(picture).pixels == fingerprint(picture.copy()).pixels
    assert fingerprint(picture).pixels != fingerprint(picture.reshape(30, 20, 3)).pixels
    changed = picture.copy()
    changed[3, 4, 1] ^= 1
    assert fingerprint(picture).pixels != fingerprint(changed).pixels


def test_the_committed_list_holds_every_test_picture_and_nothing_but_hashes() -> None:
    entries = json.loads(fingerprints.TEST_SETS.read_text())
    assert len(entries) == 24 + 68 + 14  # Kodak24, CBSD68, Set14
    assert all(set(entry) == {"pixels", "look"} for entry in entries)
    values = [value for entry in entries for value in entry.values()]
    assert all(len(value) == 64 and int(value, 16) >= 0 for value in values)
    assert len({entry["pixels"] for entry in entries}) == len(entries)


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """A picture that is, for this test, one of the test sets'."""
    picture = transform.resize(photo("rocket"), (280, 400), anti_aliasing=True)
    picture = (picture * 255).astype(np.uint8)
    listed = tmp_path / "hashes.json"
    listed.write_text(json.dumps([asdict(fingerprint(picture))]))
    monkeypatch.setattr(fingerprints, "TEST_SETS", listed)
    fingerprints.tests.cache_clear()
    yield picture
    fingerprints.tests.cache_clear()


def folder_of(folder: Path, **pictures: np.ndarray) -> Path:
    folder.mkdir()
    for name, picture in pictures.items():
        Image.fromarray(picture).save(folder / f"{name}.png")
    return folder


@pytest.mark.parametrize("copy", [False, True], ids=["itself", "a copy"])
def test_a_test_picture_is_never_trained_on(tmp_path: Path, measured: np.ndarray, copy: bool) -> None:
    met = copied(measured, 300, 60) if copy else measured
    assert of_tests([fingerprint(met), fingerprint(photo("coffee"))]) == [0]
    folder = folder_of(tmp_path / "all", coffee=photo("coffee"), met=met, cat=photo("chelsea"))
    with pytest.raises(CalotypeError, match=r"met\.png is a picture of the test sets"):
        Crops(folder, 64, 0, lambda picture, rng: picture)
    notes = split.prepare(folder, None, tmp_path / "run")
    assert notes == ["1 pictures are left out because they are of the test sets that we measure on: met.png."]
    kept = [
        path
        for name in (split.TRAIN, split.HELD_OUT, split.TEST)
        for path in data.listed(tmp_path / "run" / name)
    ]
    assert sorted(path.name for path in kept) == ["cat.png", "coffee.png"]


def test_a_photo_to_judge_by_is_not_trained_on_nor_is_a_copy_of_it(tmp_path: Path) -> None:
    photos_ = {name: photo(name) for name in ("coffee", "chelsea", "astronaut")}
    folder = folder_of(tmp_path / "train", **photos_, copy=copied(photo("rocket"), 300, 70))
    held_out = folder_of(tmp_path / "held", rocket=photo("rocket"), twin=photo("coffee"))
    notes = split.prepare(folder, held_out, tmp_path / "run")
    trained = [path.stem for path in data.photos(tmp_path / "run" / split.TRAIN, 64)]
    assert trained == ["astronaut", "chelsea"]
    assert len(data.photos(tmp_path / "run" / split.HELD_OUT, 64)) == 2
    assert "coffee.png" in notes[0]
    assert "copy.png" in notes[0]
    with pytest.raises(CalotypeError, match="none are left to train on"):
        split.prepare(folder, folder, tmp_path / "run")


def test_a_copy_stays_with_its_original(tmp_path: Path) -> None:
    for index, name in enumerate(("coffee", "chelsea", "astronaut", "rocket")):
        folder = folder_of(
            tmp_path / name,
            a=photo(name),
            b=copied(photo(name), 220, 50),
            other=photo("immunohistochemistry"),
            plain=noise(300, 300, seed=index),
        )
        split.prepare(folder, None, tmp_path / "run")
        lists = [
            {p.stem for p in data.listed(tmp_path / "run" / part)} for part in (split.TRAIN, split.HELD_OUT)
        ]
        assert sum({"a", "b"} <= part for part in lists) == 1


def drawn(count: int, seed: int, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Paths of photos that are as unlike as random bits."""
    rng = np.random.default_rng(seed)
    known = {
        Path(f"/{index}.png"): Fingerprint(rng.bytes(32).hex(), rng.bytes(32).hex()) for index in range(count)
    }
    monkeypatch.setattr(data, "fingerprint", known.__getitem__)
    return list(known)


def test_of_a_hundred_photos_ninety_are_trained_on_and_who_is_does_not_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paths = drawn(3000, 0, monkeypatch)
    train, judged, test = split._shares(paths)
    assert len(train) + len(judged) + len(test) == 3000
    assert 0.88 < len(train) / 3000 < 0.92
    assert 0.035 < len(judged) / 3000 < 0.065
    assert 0.035 < len(test) / 3000 < 0.065
    fewer, _, _ = split._shares(paths[::-2])  # half of them, in another order
    assert set(fewer) == set(train) & set(paths[::-2])


@pytest.mark.parametrize("count", [2, 3, 7])
def test_of_a_few_photos_at_least_one_judges(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(30):
        train, judged, test = split._shares(drawn(count, seed, monkeypatch))
        assert train
        assert judged
        assert len(train) + len(judged) + len(test) == count


def test_one_photo_cannot_both_teach_and_judge(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "one", coffee=photo("coffee"))
    with pytest.raises(CalotypeError, match="--held-out"):
        split.prepare(folder, None, tmp_path / "run")


def test_folders_without_usable_photos_are_explained(tmp_path: Path) -> None:
    with pytest.raises(CalotypeError, match="no folder"):
        data.photos(tmp_path / "none", 64)
    Image.fromarray(noise(20, 20)).save(tmp_path / "tiny.png")
    with pytest.raises(CalotypeError, match="holds 1 pictures and none"):
        data.photos(tmp_path, 64)
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(CalotypeError, match=r"broken\.jpg cannot be read"):
        data.photos(tmp_path, 64)


def test_a_mixture_takes_every_so_many_from_the_second() -> None:
    mixed = Mixture([f"a{i}" for i in range(8)], [f"b{i}" for i in range(8)], every=4)  # type: ignore[arg-type]
    assert [mixed[i] for i in range(8)] == ["a0", "a1", "a2", "b3", "a4", "a5", "a6", "b7"]


def test_a_crop_may_be_a_larger_part_reduced_as_far_as_the_photo_reaches() -> None:
    ramp = np.repeat(np.arange(200, dtype=np.uint8)[None, :, None], 100, axis=0).repeat(3, axis=2)
    spans = set()
    for seed in range(60):
        part = crop(ramp, 50, np.random.default_rng(seed), scale_min=0.25)
        assert part.shape == (50, 50, 3)
        spans.add(round(float(np.ptp(part)) * 255))
    assert min(spans) in range(47, 52)  # as it is
    assert max(spans) in range(95, 101)  # all of the shorter side, not 200
    assert len(spans) > 10
