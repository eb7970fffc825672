"""A style is learnt: better by training, from what may be learnt from, resumable, beside everything else."""

import csv
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from skimage import data as photos
from test_operations import task_of

import styles
from calotype import ops
from calotype.image.codec import Canvas
from calotype.models import exported, manner
from calotype.models.dual import shipped
from calotype.ops import declare
from calotype.ops.task import Cancelled, Task
from calotype.portfolio import shelf, trainings
from calotype.train import loop, style
from calotype_wire.errors import CalotypeError
from conftest import layer

ops.discover()

CELLS = photos.immunohistochemistry()[:256, :256]
PHOTO = photos.astronaut()[:128:, 100:292]


def learn(task: Task, **values: Any) -> str:
    """The new style's name."""
    declare.build("train_style", {"level": "instant", **values}).run(task)
    return task.facts["style"]


def painted(name: str, photo: np.ndarray = PHOTO, **values: Any) -> np.ndarray:
    task = task_of(photo)
    declare.build("stylize", {"refine": 0, "style": name, **values}).run(task)
    return task.results[0].native.astype(float)


def moments_of(name: str) -> list[torch.Tensor]:
    known = manner.named(name, shipped(styles.CPU)).moments
    return [mean[0] for mean, _ in known]


def apart(one: list[torch.Tensor], other: list[torch.Tensor]) -> float:
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(one, other, strict=True))


@pytest.fixture
def _home(home: Path) -> None:
    home.mkdir(parents=True)


@pytest.mark.usefixtures("_home")
class TestLessons:
    def test_a_style_is_there_at_once_and_is_named_after_its_layer(self) -> None:
        task = task_of(CELLS)
        assert learn(task) == "Style"
        assert learn(task_of(CELLS), name=" My hand ") == "My hand"
        assert not task.results
        assert np.abs(painted("Style") - PHOTO).mean() > 5
        assert "choose it in Stylize" in task.facts["report"][0]

    def test_the_same_style_paints_the_same_to_the_last_bit(self) -> None:
        learn(task_of(CELLS), name="Hand")
        one = painted("Hand")
        shelf.duplicate("Hand")
        assert np.array_equal(one, painted("Hand"))
        assert np.array_equal(one, painted("Hand 2"))

    def test_a_trained_style_has_learnt_something_and_says_how_much(self) -> None:
        learn(task_of(CELLS), name="At once")
        learn(task_of(CELLS), name="Trained", level="standard", seconds=10)
        card = shelf.get("Trained").card
        assert card.steps > 0
        assert card.style != shelf.get("At once").card.style
        assert np.abs(painted("At once") - painted("Trained")).mean() > 0.1

    def test_only_what_is_selected_is_learnt_from(self) -> None:
        halves = np.concatenate([CELLS, photos.coffee()[:256, :256]], axis=1)
        mask = np.zeros(halves.shape[:2], np.uint8)
        mask[:, :256] = 255
        learn(task_of(CELLS), name="Cells")
        learn(task_of(halves, mask=mask), name="Selected")
        learn(task_of(halves), name="Both")
        cells = moments_of("Cells")
        assert apart(moments_of("Selected"), cells) < 0.1 < apart(moments_of("Both"), cells)

    def test_what_lies_below_the_left_out_layers_paint_is_not_learnt_from(self) -> None:
        halves = np.concatenate([CELLS, photos.coffee()[:256, :256]], axis=1)
        paint = np.zeros((256, 512, 4), np.uint8)
        paint[:, 256:] = 255
        learn(task_of(CELLS), name="Cells")
        learn(task_of(halves, paint), name="Painted over", exclude_layer=1)
        assert apart(moments_of("Painted over"), moments_of("Cells")) < 0.1

    def test_a_black_and_white_picture_leaves_out_its_white(self) -> None:
        halves = np.concatenate([CELLS, photos.coffee()[:256, :256]], axis=1)
        mask = np.zeros((256, 512, 4), np.uint8)
        mask[:, 256:, :3] = 255
        mask[..., 3] = 255
        learn(task_of(CELLS), name="Cells")
        learn(task_of(halves, mask), name="Masked", exclude_layer=1)
        assert apart(moments_of("Masked"), moments_of("Cells")) < 0.1

    def test_an_opaque_patch_leaves_out_what_it_covers(self) -> None:
        halves = np.concatenate([CELLS, photos.coffee()[:256, :256]], axis=1)
        patch = np.zeros((256, 256, 4), np.uint8)  # dark
        patch[..., 3] = 255
        task = task_of(halves)
        task.layers.append(Canvas.of(layer(patch, "RGBA", x=256)))
        learn(task_of(CELLS), name="Cells")
        learn(task, name="Patched", exclude_layer=1)
        assert apart(moments_of("Patched"), moments_of("Cells")) < 0.1

    def test_of_selected_layers_all_are_limited_by_selection_and_paint(self) -> None:
        halves = np.concatenate([CELLS, photos.coffee()[:256, :256]], axis=1)
        solid = np.dstack([halves, np.full(halves.shape[:2], 255, np.uint8)])
        mask = np.zeros(halves.shape[:2], np.uint8)
        mask[:, :256] = 255
        paint = np.zeros((256, 512, 4), np.uint8)
        paint[:, 256:] = 255
        learn(task_of(CELLS), name="Cells")
        learn(task_of(halves, solid, mask=mask), name="Selected", pictures="layers")
        learn(task_of(halves, paint, solid), name="Painted over", pictures="layers", exclude_layer=1)
        for name in ("Selected", "Painted over"):
            assert apart(moments_of(name), moments_of("Cells")) < 0.1

    def test_what_is_transparent_is_not_learnt_from(self) -> None:
        halves = np.concatenate([CELLS, photos.coffee()[:256, :256]], axis=1)
        clear = np.dstack([halves, np.full(halves.shape[:2], 255, np.uint8)])
        clear[:, 256:, 3] = 0
        learn(task_of(CELLS), name="Cells")
        learn(task_of(clear, channels="RGBA"), name="Clear")
        assert apart(moments_of("Clear"), moments_of("Cells")) < 0.1

    def test_several_layers_and_a_folder_make_one_style(self, tmp_path: Path) -> None:
        coffee = photos.coffee()[:256, :256]
        solid = np.dstack([coffee, np.full(coffee.shape[:2], 255, np.uint8)])
        learn(task_of(CELLS), name="Cells")
        learn(task_of(CELLS, solid), name="Layers")
        Image.fromarray(coffee).save(tmp_path / "coffee.png")
        learn(task_of(CELLS), name="Folder", more=str(tmp_path))
        layers, folder, cells = map(moments_of, ("Layers", "Folder", "Cells"))
        assert apart(layers, folder) < 0.02 < apart(layers, cells)
        assert shelf.get("Folder").card.sources == ("Layer 1", "coffee")

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ({"name": "a/b"}, "cannot be a style's name"),
            ({"name": "scream"}, "already"),
            ({"more": "/nowhere/at-all.png"}, "no file"),
        ],
    )
    def test_what_cannot_be_is_said_before_anything_is_learnt(
        self, values: dict[str, str], words: str
    ) -> None:
        with pytest.raises(CalotypeError, match=words):
            learn(task_of(CELLS), **values)
        assert shelf.kept() == []
        assert trainings.unfinished() == []

    def test_where_nothing_may_be_learnt_from_it_says_so(self) -> None:
        clear = np.zeros((64, 64, 4), np.uint8)
        with pytest.raises(CalotypeError, match="learn"):
            learn(task_of(clear, channels="RGBA"))

    def test_blends_take_own_styles_by_weights_and_by_paint(self) -> None:
        learn(task_of(CELLS), name="Hand")
        shelf.add("Trained", styles.file())
        one, other = painted("Trained"), painted("kiss")
        both = painted("kiss", blend="Trained:1, kiss:1")
        assert np.abs(both - (one + other) / 2).mean() < 1
        paint = np.zeros((*PHOTO.shape[:2], 4), np.uint8)
        paint[:, 96:] = (255, 0, 0, 255)
        task = task_of(PHOTO, paint)
        declare.build("stylize", {"refine": 0, "blend": "Trained, kiss", "blend_layer": 1}).run(task)
        made = task.results[0].native.astype(float)
        assert np.abs(made[:, :80] - one[:, :80]).max() < 2
        assert np.abs(made[:, 112:] - other[:, 112:]).max() < 2

    @pytest.mark.parametrize("level", ["standard", "fine", "best"])
    def test_a_frozen_style_runs_in_onnx_runtime_as_in_torch(self, level: str, tmp_path: Path) -> None:
        shelf.add("Trained", styles.file(level))
        assert exported.style("Trained", tmp_path / "style.onnx") < 1e-3
        assert (tmp_path / "style.onnx").stat().st_size < 5 << 20

    def test_an_own_style_paints_large_pictures_in_tiles_that_agree(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shelf.add("Trained", styles.file())
        large = np.repeat(np.repeat(photos.astronaut()[:256, :256], 5, 0), 5, 1)
        whole = painted("Trained", large)
        monkeypatch.setattr("calotype.image.tiles.SIDE_PX", 512)
        error = np.square(painted("Trained", large) - whole).mean()
        assert 10 * np.log10(255**2 / max(error, 1e-9)) > 40

    def test_a_style_of_an_earlier_network_says_so_and_paints(self) -> None:
        shelf.add("Old", styles.file("standard", network="0123456789abcdef"))
        task = task_of(PHOTO)
        declare.build("stylize", {"refine": 0, "style": "Old"}).run(task)
        assert "train it again" in task.facts["report"][0]

    def test_a_grey_photo_is_coloured_and_painted_by_an_own_style(self) -> None:
        shelf.add("Trained", styles.file())
        grey = np.repeat(PHOTO.mean(2, keepdims=True), 3, 2).astype(np.uint8)
        assert np.abs(painted("Trained", grey, colourise=True) - painted("Trained", grey)).mean() > 0.5


def stopping(pause: bool, after: int, at: str = "Learning") -> Task:
    """A task whose user stops it after so many reports of this stage."""
    task, count = task_of(CELLS), 0

    def progress(fraction: float, stage: str, curve: Any = ()) -> None:
        nonlocal count
        count += stage == at
        if count == after:
            raise Cancelled(pause)

    task.progress = progress
    return task


def spoil(patch: pytest.MonkeyPatch, nth: int) -> None:
    """Let the nth judgement of a training be no number."""
    judged, count = style.StyleRecipe.judged, 0

    def spoilt(self: Any, network: Any, photo: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        nonlocal count
        count += 1
        content, far = judged(self, network, photo)
        return content, far * (float("nan") if count == nth else 1)

    patch.setattr(style.StyleRecipe, "judged", spoilt)


@pytest.mark.usefixtures("_home")
class TestStopping:
    def test_a_pause_keeps_what_was_learnt_and_it_goes_on_from_there(self) -> None:
        with pytest.raises(Cancelled):
            learn(stopping(True, 3), name="Hand", level="standard", seconds=30)
        assert [(each["name"], each["running"]) for each in trainings.unfinished()] == [("Hand", False)]
        curve = json.loads((trainings.run_folder("Hand") / "curve.json").read_text())
        assert len(curve) == 3
        plan = trainings.run_folder("Hand") / "plan.json"
        styles.hurry(plan, 15)
        seen: list[int] = []
        task = Task(
            [], None, False, styles.CPU, lambda *_: memoryview(b""), lambda f, s, c=(): seen.append(len(c))
        )
        assert learn(task, name="Hand") == "Hand"
        assert 4 in seen, "the curve goes on"
        assert max(seen) >= 4
        assert shelf.get("Hand").card.steps >= 4
        assert trainings.unfinished() == []

    def test_the_same_pictures_go_on_and_others_leave_what_is_unfinished_alone(self) -> None:
        for _ in range(2):
            with pytest.raises(Cancelled):
                learn(stopping(True, 2), level="standard", seconds=30)
        curve = trainings.run_folder("Style") / "curve.json"
        assert len(json.loads(curve.read_text())) == 4
        with pytest.raises(CalotypeError, match="unfinished"):
            learn(task_of(CELLS), name="Style", level="fine")
        with pytest.raises(Cancelled):
            learn(stopping(False, 1, "Looking at the pictures"), level="fine", seconds=30)
        with pytest.raises(Cancelled):
            learn(stopping(True, 2), level="fine", seconds=30)
        assert [each["name"] for each in trainings.unfinished()] == ["Style", "Style 2"]
        assert len(json.loads(curve.read_text())) == 4

    def test_a_pause_before_anything_is_learnt_is_a_cancel(self) -> None:
        with pytest.raises(Cancelled) as stopped:
            learn(stopping(True, 1, "Looking at the pictures"), name="Hand", level="standard")
        assert not stopped.value.pause
        with pytest.raises(Cancelled) as stopped:
            learn(stopping(True, 1), name="Hand", level="standard")
        assert stopped.value.pause

    def test_the_time_may_be_another_when_it_goes_on(self) -> None:
        with pytest.raises(Cancelled):
            learn(stopping(True, 2), name="Hand", level="standard", seconds=600)
        task = Task([], None, False, styles.CPU, lambda *_: memoryview(b""), lambda f, s, c=(): None)
        with pytest.raises(Cancelled):
            learn(stopping(True, 1), name="Hand", level="standard", seconds=7)
        assert learn(task, name="hand") == "Hand"

    @pytest.mark.parametrize(
        ("after", "at", "level"), [(2, "Learning", "standard"), (2, "Keeping the style", "instant")]
    )
    def test_a_cancel_leaves_nothing(self, after: int, at: str, level: str) -> None:
        with pytest.raises(Cancelled):
            learn(stopping(False, after, at), name="Hand", level=level, seconds=30)
        assert trainings.unfinished() == []
        assert shelf.kept() == []

    def test_what_was_told_stays_with_the_style_and_goes_with_it(self) -> None:
        learn(task_of(CELLS), name="Hand", level="standard", seconds=9)
        logs = trainings.logs_folder() / "Hand"
        with (logs / "log.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert {"step", "loss", "content", "style", "score"} <= set(rows[-1])
        assert list((logs / "samples").glob("*.png"))
        assert list(logs.glob("events.out.tfevents.*")), "TensorBoard's"
        assert not list(logs.glob("*.safetensors"))
        shelf.rename("Hand", "Arm")
        assert (trainings.logs_folder() / "Arm" / "log.csv").exists()
        shelf.delete("Arm")
        assert not (trainings.logs_folder() / "Arm").exists()

    def test_damage_to_what_is_unfinished_is_said(self) -> None:
        with pytest.raises(Cancelled):
            learn(stopping(True, 2), name="Hand", level="standard", seconds=30)
        for part in ("checkpoint", "lesson"):
            (trainings.run_folder("Hand") / f"{part}.safetensors").write_bytes(b"torn")
            task = task_of(CELLS)
            task.layers.clear()
            with pytest.raises(CalotypeError, match="Discard it"):
                learn(task, name="Hand")

    def test_a_training_that_went_astray_says_so_when_it_is_done(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        spoil(monkeypatch, 2)
        task = task_of(CELLS)
        learn(task, name="Hand", level="standard", seconds=15)
        assert "astray once" in task.facts["report"][0]

    def test_a_training_that_goes_astray_goes_back_and_says_so(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        spoil(monkeypatch, 3)
        recipe = style.StyleRecipe(styles.lesson())
        loop.train(recipe, style.TRAIN, style.HELD_OUT, tmp_path, loop.Schedule(4, None, 1, checkpoint_s=0))
        assert "Back to step 2" in (tmp_path / "notes.txt").read_text()


@pytest.mark.parametrize("level", ["instant", "standard", "fine", "best"])
def test_training_comes_nearer_to_the_style_at_every_level(level: str, tmp_path: Path) -> None:
    recipe = style.StyleRecipe(
        styles.lesson(), level, learning_rate=style.LEVELS[level].learning_rate or 4e-3
    )
    best = loop.train(recipe, style.TRAIN, style.HELD_OUT, tmp_path, loop.Schedule(12, None, 4))
    trained = style.changed(styles.lesson(), load_file(best), level)
    before, after = (style.judged(m, style.HELD_OUT, "cpu") for m in (styles.lesson().manner, trained))
    assert after["style"] < 0.95 * before["style"]
    assert np.isfinite(after["content"])


def test_canvases_of_any_depth_are_learnt_from(home: Path) -> None:
    home.mkdir(parents=True)
    deep = CELLS.astype(np.uint16) * 257
    task = task_of(deep, depth="u16")
    assert isinstance(task.layers[0], Canvas)
    learn(task, name="Deep")
    learn(task_of(CELLS), name="Plain")
    assert apart(moments_of("Deep"), moments_of("Plain")) < 0.01
    assert os.path.getsize(shelf.file_of("Deep")) < 110_000
