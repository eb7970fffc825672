"""calotype check and calotype correct, as typed."""

import json
from pathlib import Path

import pytest
from PIL import Image
from test_anomalies import bytes_of, photo, spoilt
from test_cli import done, sentence

pytestmark = pytest.mark.usefixtures("one_home")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """With a checkerboard and noise."""
    path = tmp_path / "spoilt.png"
    Image.fromarray(bytes_of(spoilt())).save(path)
    return path


def test_a_picture_is_checked_and_the_map_is_as_large_as_it(old: Path, tmp_path: Path) -> None:
    heat = tmp_path / "heat.png"
    told = json.loads(done("check", old, "--source", old, "--map", heat, "--json").stdout)
    assert "output" not in told
    assert 0 <= told["check"]["scores"]["total"] <= 100
    assert isinstance(told["check"]["regions"], list)
    with Image.open(old) as picture, Image.open(heat) as map:
        assert map.mode == "L"
        assert map.size == picture.size
    assert "of 100" in done("check", old).stdout
    assert "There is no style 'nobody'" in sentence("check", old, "--style", "nobody")
    assert "is a folder" in sentence("check", tmp_path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_the_score_is_in_the_metadata_of_what_was_checked(old: Path, tmp_path: Path, suffix: str) -> None:
    plain, checked = tmp_path / f"plain{suffix}", tmp_path / f"checked{suffix}"
    told = json.loads(done("denoise", old, checked, "--check", "check", "--json").stdout)
    done("denoise", old, plain)
    score = f'"total": {told["check"]["scores"]["total"]}'
    assert score in _remark(checked)
    assert "total" not in _remark(plain)


def _remark(path: Path) -> str:
    with Image.open(path) as picture:
        comment = picture.getexif().get_ifd(0x8769).get(0x9286, b"")
        description = picture.tag_v2.get(270, "") if path.suffix == ".tif" else ""
    return comment.decode("latin-1") + description


def test_a_picture_is_corrected_and_says_by_how_much(old: Path, tmp_path: Path) -> None:
    source, new = tmp_path / "source.png", tmp_path / "new.png"
    Image.fromarray(bytes_of(photo())).save(source)
    told = json.loads(done("correct", old, new, "--source", source, "--json").stdout)
    assert told["check"]["repairs"]
    assert told["check"]["scores"]["total"] > told["check"]["before"]["total"]
    assert new.exists()


def test_a_picture_with_nothing_to_correct_is_its_own_result(tmp_path: Path) -> None:
    plain, new = tmp_path / "plain.tif", tmp_path / "new.tif"
    Image.new("RGB", (96, 96), "grey").save(plain, description="Grandma, Oslo 1931")
    ended = done("correct", plain, new)
    assert "Nothing looks wrong" in ended.stdout
    assert " of 100" in ended.stdout
    with Image.open(plain) as before, Image.open(new) as after:
        assert before.tobytes() == after.tobytes()
        assert after.tag_v2[270] == "Grandma, Oslo 1931"


def test_a_map_of_scratches_is_not_one_of_anomalies(old: Path, tmp_path: Path) -> None:
    mask = tmp_path / "mask.png"
    ended = done(
        "restore", old, tmp_path / "new.png", "--no-scratches", "--check", "check", "--mask-out", mask
    )
    assert "was not written" in ended.stderr
    assert not mask.exists()


def test_words_of_the_users_own_stay_in_the_metadata_and_old_scores_do_not(old: Path, tmp_path: Path) -> None:
    own, checked, new = (tmp_path / f"{name}.jpg" for name in ("own", "checked", "new"))
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\x00\x00\x00My comment"
    with Image.open(old) as picture:
        picture.save(own, exif=exif)
    done("denoise", own, checked, "--check", "check")
    assert "My comment" in _remark(checked)
    assert "total" not in _remark(checked)
    done("denoise", old, checked, "--check", "check")
    assert "total" in _remark(checked)
    done("denoise", checked, new)
    assert "total" not in _remark(new), "it is another picture now"
