"""calotype batch on real folders: pictures, report, what fails, and what was interrupted."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from skimage import data as photos
from test_cli import calotype, done, sentence

from calotype import batch, batch_report, ops
from calotype.ops import declare
from calotype_wire.errors import CalotypeError
from conftest import noise, wait_for

ops.discover()


pytestmark = pytest.mark.usefixtures("one_home")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two photos, one of them deeper, and one that is none."""
    made = tmp_path / "alte Fotos é"
    (made / "1912").mkdir(parents=True)
    Image.fromarray(photos.astronaut()[:128, 128:288]).save(made / "a b.png")
    Image.fromarray(photos.coffee()[:128, :128]).save(made / "1912" / "c&d.jpg")
    (made / "broken.png").write_bytes(b"no picture")
    (made / "notes.txt").write_text("left alone")
    return made


def rows(out: Path) -> dict[str, dict[str, str]]:
    with (out / "report.csv").open(newline="") as table:
        return {row["picture"]: row for row in csv.DictReader(table)}


def test_a_folder_is_worked_through_and_what_fails_is_listed(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    said = sentence("batch", folder, out, "denoise", "enhance:fading=50,sepia=remove", "--check")
    assert "1 of 3 pictures failed" in said
    with Image.open(out / "1912" / "c&d.jpg") as picture:
        assert picture.size == (128, 128)
    found = rows(out)
    assert set(found) == {"a b.png", "1912/c&d.jpg", "broken.png"}
    assert "broken.png" in found["broken.png"]["error"]
    assert 0 <= float(found["a b.png"]["total"]) <= 100
    assert not found["a b.png"]["error"]
    page = (out / "report.html").read_text("utf-8")
    assert "3 of 3 pictures, 1 failed" in page
    assert "c&amp;d.jpg" in page
    assert page.index("broken.png") < page.index("a b.png"), "the worst first"
    with Image.open(out / "report" / "a b.png.jpg") as thumbnail:
        assert max(thumbnail.size) <= 360


def test_it_goes_on_where_it_was_and_does_anew_what_is_asked_anew(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (folder / "broken.png").unlink()
    done("batch", folder, out, "denoise")
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    said = done("batch", folder, out, "denoise").stdout
    assert "1 of 2" not in said
    assert "Nothing was left to do" in said
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.png")} == times
    Image.fromarray(photos.coffee()[:96, :96]).save(folder / "new.png")
    said = done("batch", folder, out, "denoise").stdout
    assert "new.png" in said
    assert "a b.png" not in said
    assert "a b.png" in done("batch", folder, out, "denoise:strength=50").stdout
    assert len((out / batch.JOURNAL).read_text().splitlines()) == 6


def test_a_picture_that_a_step_leaves_alone_goes_on_to_the_next(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    Image.new("RGB", (96, 96), "grey").save(folder / "plain.png")
    done("batch", folder, out, "remove-scratches", "correct")
    with Image.open(out / "plain.png") as picture:
        assert picture.getcolors() == [(96 * 96, (128, 128, 128))]
    assert "Nothing looks wrong" in (out / "report.html").read_text("utf-8")


def test_after_a_kill_the_rest_is_done(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (folder / "broken.png").unlink()
    command = [sys.executable, "-m", "calotype", "batch", str(folder), str(out), "denoise"]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal = out / batch.JOURNAL
    wait_for(lambda: journal.exists() and journal.read_text().count("\n") >= 1, 60)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    with journal.open("a") as lines:
        lines.write('{"name": "torn')
    done("batch", folder, out, "denoise")
    assert set(rows(out)) == {"a b.png", "1912/c&d.jpg"}


def test_ctrl_c_says_how_much_is_done_and_the_rest_is_done_later(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (folder / "broken.png").unlink()
    Image.fromarray(noise(3000, 3000)).save(folder / "z.png", compress_level=0)
    command = [sys.executable, "-m", "calotype", "batch", str(folder), str(out), "denoise"]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    journal = out / batch.JOURNAL
    wait_for(lambda: journal.exists() and journal.read_text().count("\n") == 2, 60)
    running.send_signal(signal.SIGINT)
    complaints = running.communicate(timeout=60)[1]
    assert running.returncode == 130
    assert complaints == "Stopped: 2 of 3 are done. Type it again to go on.\n"
    Image.fromarray(noise(64, 64)).save(folder / "z.png")
    done("batch", folder, out, "denoise")
    assert set(rows(out)) == {"a b.png", "1912/c&d.jpg", "z.png"}


def test_lines_of_json_are_for_programs(folder: Path, tmp_path: Path) -> None:
    ended = calotype(
        "batch", folder, tmp_path / "out", "stylize:refine=0,style=scream", "--correct", "--json"
    )
    assert ended.returncode == 1
    lines = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith('{"name"')]
    assert len(lines) == 3
    told = next(line for line in lines if line["name"] == "a b.png")
    assert told["facts"]["check"]["scores"]["style"] > 0


@pytest.mark.parametrize(
    ("operations", "said"),
    [
        (["nothing"], "no operation"),
        (["check"], "makes no pictures"),
        (["train-style"], "makes no pictures"),
        (["denoise:strong=1"], "no parameter"),
        (["denoise:strength"], "no parameter"),
        (["denoise:strength=much"], "must be a number"),
        (["restore:tone=perhaps"], "yes or no"),
        (["denoise:strength=400"], "Strength"),
        (["restore:mask=1"], "whole folder"),
        (["denoise", "correct"], "ends without a check"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_done(operations: list[str], said: str) -> None:
    with pytest.raises(CalotypeError, match=said):
        batch.parsed(operations, declare.declared(), "check")


def test_values_are_of_their_kind() -> None:
    steps = batch.parsed(["restore:preset=gentle,tone=no,noise=12.5", "upscale"], declare.declared(), "off")
    assert steps[0].values == {"preset": "gentle", "tone": False, "noise": 12.5}
    assert steps[1].values == {}


def test_folders_that_make_no_sense_are_told_of(folder: Path, tmp_path: Path) -> None:
    assert "replace the old ones" in sentence("batch", folder, folder, "denoise")
    assert "no folder" in sentence("batch", tmp_path / "nowhere", tmp_path / "out", "denoise")
    (tmp_path / "empty").mkdir()
    assert "no JPEG" in sentence("batch", tmp_path / "empty", tmp_path / "out", "denoise")


def test_names_are_no_markup(tmp_path: Path) -> None:
    evil = batch.Done("<script>alert(1)</script>.png", "", error="<b>broken</b>")
    batch_report.write(tmp_path, "<i>title</i>", [evil], 1)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "<script>" not in page
    assert "<b>broken" not in page
    assert "<i>title" not in page
