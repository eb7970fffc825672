"""calotype train-style and calotype styles, as typed."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from skimage import data as photos
from test_cli import done, sentence

import styles
from calotype.portfolio import shelf, stylefile, trainings
from conftest import wait_for

pytestmark = pytest.mark.usefixtures("one_home")


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    path = tmp_path / "cells.png"
    Image.fromarray(photos.immunohistochemistry()[:256, :256]).save(path)
    return path


def test_a_style_is_trained_listed_used_moved_and_deleted(cells: Path, tmp_path: Path) -> None:
    told = json.loads(done("train-style", cells, "--name", "Cells", "--seconds", "8", "--json").stdout)
    assert told["style"] == "Cells"
    assert "'cells 2' is among" in done("train-style", cells, "--level", "instant").stdout
    listed = json.loads(done("styles", "list", "--json").stdout)
    assert [style["name"] for style in listed["styles"]] == ["Cells", "cells 2"]
    assert "distance" in done("styles", "list", "--search", "CELLS 2").stdout
    assert done("styles", "list", "--search", "nothing").stdout.startswith("None of your styles")
    folder = _folder(tmp_path / "photos")
    Image.fromarray(photos.rocket()).save(folder / "rocket.png")
    figures = json.loads(done("evaluate", "style", "--name", "Cells", "--data", folder, "--json").stdout)
    catalogue = json.loads(done("evaluate", "style", "--name", "scream", "--data", folder, "--json").stdout)
    assert figures["style"] != catalogue["style"]
    assert 0 < figures["content"] < 2
    photo = tmp_path / "photo.png"
    Image.fromarray(photos.astronaut()[:128, :128]).save(photo)
    done("stylize", photo, tmp_path / "new.png", "--style", "Cells", "--refine", "0")
    done("stylize", photo, tmp_path / "again.png", "--style", "Cells", "--refine", "0")
    assert (tmp_path / "new.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    done("styles", "rename", "Cells", "Hand")
    done("styles", "favourite", "Hand")
    assert "* Hand" in done("styles", "list").stdout
    out = tmp_path / "out.calostyle"
    done("styles", "export", "Hand", out)
    assert stylefile.read(out).card.sources == ("cells",)
    assert "Third" in done("styles", "import", out, "--name", "Third").stdout
    assert "Hand 2" in done("styles", "duplicate", "Hand").stdout
    assert "agrees" in done("styles", "export", "Hand", tmp_path / "style.onnx").stdout
    assert "could not be written" in sentence("styles", "export", "Hand", tmp_path / "none" / "style.onnx")
    for name in ("Hand", "Hand 2", "Third", "cells 2"):
        done("styles", "delete", name)
    assert json.loads(done("styles", "list", "--json").stdout) == {
        "styles": [],
        "unfinished": [],
        "damaged": {},
    }
    assert "no style 'Hand'" in sentence("styles", "delete", "Hand")


def test_a_folder_of_pictures_is_one_style(cells: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for k in range(3):
        Image.fromarray(photos.coffee()[:, 100 * k : 100 * k + 256]).save(folder / f"{k}.png")
    done("train-style", cells, folder, "--level", "instant", "--name", "Both")
    assert shelf.get("Both").card.sources == ("cells", "0", "1", "2")
    shelf.delete("Both")


def test_wrong_input_is_said(cells: Path, tmp_path: Path) -> None:
    assert "nothing to learn from" in sentence("train-style")
    assert "There is no file" in sentence("train-style", tmp_path / "none.png")
    assert "1 to 100" in sentence("train-style", _folder(tmp_path / "empty"))
    assert "one folder" in sentence("train-style", _folder(tmp_path / "a"), _folder(tmp_path / "b"))
    assert "belongs to a picture" in sentence("train-style", "--name", "x", "--selection", cells)
    (tmp_path / "bad.calostyle").write_bytes(styles.file()[:-1])
    assert "no style that Calotype can use" in sentence("styles", "import", tmp_path / "bad.calostyle")


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_ctrl_c_pauses_and_the_name_alone_goes_on(cells: Path) -> None:
    command = [sys.executable, "-m", "calotype", "train-style", str(cells), "--name", "Paused"]
    running = subprocess.Popen([*command, "--seconds", "100"], stderr=subprocess.PIPE, text=True)
    checkpoint = trainings.run_folder("Paused") / "checkpoint.safetensors"
    wait_for(checkpoint.exists, 60)
    first = checkpoint.stat().st_mtime_ns
    wait_for(lambda: checkpoint.stat().st_mtime_ns != first, 60)
    running.send_signal(signal.SIGINT)
    complaints = running.communicate(timeout=60)[1]
    assert running.returncode == 130
    assert "Paused" in complaints
    assert "Traceback" not in complaints
    assert "unfinished" in done("styles", "list").stdout
    plan = trainings.run_folder("Paused") / "plan.json"
    styles.hurry(plan, 8)
    assert "'Paused' is among" in done("train-style", "--name", "Paused").stdout
    shelf.delete("Paused")


def test_a_damaged_file_is_told_of_and_can_be_deleted() -> None:
    shelf.folder().mkdir(parents=True, exist_ok=True)
    shelf.file_of("Torn").write_bytes(b"torn")
    assert "Torn: This is no style" in done("styles", "list").stdout
    assert "Torn" in json.loads(done("styles", "list", "--json").stdout)["damaged"]
    done("styles", "delete", "Torn")
    assert "Torn" not in done("styles", "list").stdout
