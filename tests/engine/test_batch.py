"""calotype batch on real folders: pictures, report, what fails, and what was interrupted."""

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from skimage import data as photos
from test_cli import calotype, done, sentence

from calotype import asking, batch, batch_report, cli, ops
from calotype.image import files
from calotype.ops import declare
from calotype_wire.client import Request, Result
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
    done("batch", folder, tmp_path / "checked", "remove-scratches", "--check")
    assert float(rows(tmp_path / "checked")["plain.png"]["total"]) > 50


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
    (blend,) = batch.parsed(["stylize:blend=kiss:0.4,scream:0.6, refine=0"], declare.declared(), "off")
    assert blend.values == {"blend": "kiss:0.4,scream:0.6", "refine": 0}
    assert [Path(name).stem for name in blend.files] == ["kiss", "scream"]


def test_folders_that_make_no_sense_are_told_of(folder: Path, tmp_path: Path) -> None:
    assert "replace the old ones" in sentence("batch", folder, folder, "denoise")
    assert "no folder" in sentence("batch", tmp_path / "nowhere", tmp_path / "out", "denoise")
    (tmp_path / "empty").mkdir()
    assert "no JPEG" in sentence("batch", tmp_path / "empty", tmp_path / "out", "denoise")


def test_a_name_may_be_no_utf_8(tmp_path: Path) -> None:
    folder, out = tmp_path / "old", tmp_path / "out"
    folder.mkdir()
    name = os.fsdecode(b"caf\xe9.png")
    Image.fromarray(photos.coffee()[:96, :96]).save(folder / name)
    done("batch", folder, out, "denoise")
    assert (out / name).exists()
    assert "caf?.png" in rows(out)
    assert "caf%E9.png" in (out / "report.html").read_text("utf-8")
    assert "Nothing was left" in done("batch", folder, out, "denoise").stdout


def test_what_is_in_the_way_is_told_of(folder: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    assert "could not be written" in sentence("batch", folder, blocked, "denoise")
    out = tmp_path / "out"
    out.mkdir()
    (out / "1912").write_text("in the way")
    assert "2 of 3 pictures failed" in sentence("batch", folder, out, "denoise")
    assert "could not be written" in rows(out)["1912/c&d.jpg"]["error"]
    assert not rows(out)["a b.png"]["error"]


def work_through(folder: Path, out: Path, *operations: str) -> list[batch.Done]:
    """In this process, with a step that leaves every picture as it is."""
    pictures, failed = batch._pictures(folder, out)
    out.mkdir(exist_ok=True)
    options = argparse.Namespace(folder=folder, out=out, json=True)
    steps = batch.parsed(list(operations), declare.declared(), "off")
    return failed + list(batch._worked_through(pictures, steps, options))


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """What was asked for; nothing is done."""
    asked: list[Request] = []

    def answer(request: Request, quiet: bool) -> Result:
        asked.append(request)
        return Result("", list(request.layers), {"report": ["Left alone."]})

    monkeypatch.setattr(asking, "answer", answer)
    return asked


def test_a_picture_that_goes_meanwhile_is_a_failure_of_its_own(
    folder: Path, tmp_path: Path, idle: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = files.read

    def reading(path: Path) -> files.Document:
        (folder / "a b.png").unlink(missing_ok=True)
        return read(path)

    monkeypatch.setattr(files, "read", reading)
    found = {each.name: bool(each.error) for each in work_through(folder, tmp_path / "out", "denoise")}
    assert found == {"1912/c&d.jpg": False, "a b.png": True, "broken.png": True}


def test_a_folder_that_cannot_be_looked_into_is_listed(
    folder: Path, tmp_path: Path, idle: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = os.scandir

    def refused(path: str) -> Any:
        if str(path).endswith("1912"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refused)
    found = {each.name: each.error for each in work_through(folder, tmp_path / "out", "denoise")}
    assert set(found) == {"1912", "a b.png", "broken.png"}
    assert "Permission denied" in found["1912"]


def test_a_folder_beside_or_above_takes_the_pictures(folder: Path, idle: list[Request]) -> None:
    assert len(batch._pictures(folder / "1912", folder)[0]) == 1
    work_through(folder, folder / "new", "denoise")
    assert sorted(path.name for path in batch._pictures(folder, folder / "new")[0]) == [
        "a b.png",
        "broken.png",
        "c&d.jpg",
    ]


def test_what_a_file_holds_besides_its_first_page_is_told(tmp_path: Path, idle: list[Request]) -> None:
    pages = [Image.fromarray(photos.coffee()[:64, :64])] * 3
    (tmp_path / "scans").mkdir()
    pages[0].save(tmp_path / "scans" / "pages.tif", save_all=True, append_images=pages[1:])
    (found,) = work_through(tmp_path / "scans", tmp_path / "out", "denoise")
    assert "3" in found.facts["report"][0]
    assert found.facts["report"][1] == "Left alone."


def test_without_an_engine_the_rest_is_not_tried(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Request] = []

    def answer(request: Request, quiet: bool) -> Result:
        asked.append(request)
        raise CalotypeError("NOT_STARTED", "The engine did not start.")

    monkeypatch.setattr(asking, "answer", answer)
    with pytest.raises(CalotypeError, match="did not start"):
        work_through(folder, tmp_path / "out", "denoise")
    assert len(asked) == 1
    report = tmp_path / "out" / "report.html"
    report.write_text("of an earlier run")
    with pytest.raises(SystemExit):
        cli.main(["batch", str(folder), str(tmp_path / "out"), "denoise"])
    assert report.read_text() == "of an earlier run"


def test_a_torn_line_costs_its_own_picture_alone(folder: Path, tmp_path: Path, idle: list[Request]) -> None:
    out = tmp_path / "out"
    (folder / "broken.png").unlink()
    work_through(folder, out, "denoise")
    lines = (out / batch.JOURNAL).read_text().splitlines()
    (out / batch.JOURNAL).write_text(lines[0] + "\n" + lines[1][:20])
    idle.clear()
    for left in (1, 0):
        work_through(folder, out, "denoise")
        assert len(idle) == left
        idle.clear()


def test_files_and_styles_count_that_the_parameters_name(
    folder: Path, tmp_path: Path, idle: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "broken.png").unlink()
    monkeypatch.chdir(tmp_path)
    Image.fromarray(photos.coffee()[:64, :64]).save(tmp_path / "monet.png")
    for _ in range(2):
        work_through(folder, tmp_path / "out", "stylize:style_image=monet.png")
    assert [request.parameters["style_image"] for request in idle] == [str(tmp_path / "monet.png")] * 2
    Image.fromarray(photos.coffee()[64:128, :64]).save(tmp_path / "monet.png")
    work_through(folder, tmp_path / "out", "stylize:style_image=monet.png")
    assert len(idle) == 4


def test_the_report_is_not_written_anew_for_every_picture(
    folder: Path, tmp_path: Path, idle: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrote: list[int] = []
    monkeypatch.setattr(batch_report, "write", lambda out, title, done, count: wrote.append(len(done)))
    for number in range(20):
        Image.fromarray(noise(8, 8)).save(folder / f"{number}.png")
    (folder / "broken.png").unlink()
    cli.main(["batch", str(folder), str(tmp_path / "out"), "denoise"])
    assert wrote[-1] == 22
    assert len(wrote) <= 3


def test_names_are_no_formulas(tmp_path: Path) -> None:
    evil = batch.Done('=HYPERLINK("http://example.org").png', "", error="-1")
    batch_report.write(tmp_path, "", [evil], 1)
    ((picture, row),) = rows(tmp_path).items()
    assert picture.startswith("'=")
    assert row["error"] == "'-1"


def test_names_are_no_markup(tmp_path: Path) -> None:
    evil = batch.Done("<script>alert(1)</script>.png", "", error="<b>broken</b>")
    batch_report.write(tmp_path, "<i>title</i>", [evil], 1)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "<script>" not in page
    assert "<b>broken" not in page
    assert "<i>title" not in page
