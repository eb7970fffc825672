"""Train Style: a painter's own hand, learnt from the document that is open or from any pictures."""

import io
import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import interpolate

from calotype import names
from calotype.image import chroma as chromas
from calotype.image import face as faces
from calotype.image import files
from calotype.image.codec import Box, Canvas
from calotype.image.marks import marked, painted
from calotype.models import dual, encoder, painter
from calotype.models.manner import Manner
from calotype.ops.declare import choice, file, number, operation, other_layer, pictures, text
from calotype.ops.task import Cancelled, Task
from calotype.portfolio import shelf, trainings
from calotype.portfolio.stylefile import SOURCES_MAX, Card
from calotype.train import data, loop, style, windows
from calotype.train.windows import Subject
from calotype.version import VERSION
from calotype_wire import atomic
from calotype_wire.errors import CalotypeError

PICTURE_PX = 512
"""Longer side of what is learnt from, as in Stylize."""

SIDE_PX_MIN = 32

PICTURES_MAX = 100
SAMPLE_S = 3.0
"""Between two samples: each takes a tenth of a second."""

CALM = 0.8
"""Of the curve: batches of four photos differ more than one step learns."""

THUMBNAIL_PX = 112
RESERVE_S = 6.0
"""Of the time, for looking at the pictures, judging and keeping."""


@operation(
    "Train Style",
    "Learns a style from the document that is open, so that Stylize can paint any photo in it.",
    background=True,
    layers_min=0,
)
@dataclass(frozen=True)
class TrainStyle:
    name: str = text("Name", "What the new style is called; left empty, as the layer or file.")
    pictures: str = pictures(
        "Learn from", "What the style is learnt from; a selection limits it.", "document"
    )
    level: str = choice(
        "Level",
        "How well it is learnt: at once, by a minute's training, or by longer ones that change more of the "
        "network and make larger files.",
        "standard",
        {name: level.label for name, level in style.LEVELS.items()},
    )
    seconds: float | None = number(
        "Time", "Seconds to train, instead of the level's own; instant takes none.", None, 1, 7200, "s"
    )
    exclude_layer: int | None = other_layer(
        "Leave out",
        "A layer: nothing is learnt from what lies below its paint; of one that covers all, below its white.",
        none="Nothing",
    )
    more: str | None = file(
        "More pictures", "A picture file, or a folder of them, that the style is learnt from as well.", True
    )

    def run(self, task: Task) -> None:
        with _writing():
            if task.layers or self.more is not None:
                wanted = self.name.strip() and shelf.check_free(self.name.strip(), learnt=True)
                lesson = self._lesson(task)
                name = self._free_name(wanted, task, lesson)
            else:
                lesson, name = None, _unfinished(self.name)
            with trainings.training(name):
                try:
                    self._learn(task, name, lesson or _resumed(name, task))
                except Cancelled as stop:
                    if not stop.pause:
                        trainings.clear(name)
                    raise Cancelled(stop.pause and trainings.is_unfinished(name)) from stop

    def _lesson(self, task: Task) -> style.Lesson:
        """Raises Cancelled; CalotypeError BAD_PARAMETER, BAD_FILE."""
        try:
            subjects = list(self._subjects(task))
            if max((min(subject.share.shape) for subject in subjects), default=0) < SIDE_PX_MIN:
                raise CalotypeError(
                    "BAD_FILE",
                    f"There is too little to learn from. Choose or select {SIDE_PX_MIN} px or more a side.",
                )
            found = windows.chosen(subjects, encoder.shipped(torch.device("cpu")), tick=partial(_look, task))
        except Cancelled as stop:
            raise Cancelled(pause=False) from stop  # nothing is learnt yet
        return style.Lesson.of(
            found, tuple(s.name for s in subjects if s.share.any()), dual.shipped(task.device)
        )

    def _free_name(self, wanted: str, task: Task, lesson: style.Lesson) -> str:
        """A free one, or that of an unfinished training of the same. Raises CalotypeError BAD_PARAMETER."""
        source = task.layers[0].shape.name if task.layers else Path(self.more or "").stem
        for name in [wanted] if wanted else shelf.free_names(source):
            if not trainings.is_unfinished(name) or self._goes_on(name, lesson, task):
                return name
        raise trainings.unfinished_already(wanted)

    def _goes_on(self, name: str, lesson: style.Lesson, task: Task) -> bool:
        """Whether what is unfinished of that name, if anything, is the same as what is asked for."""
        try:
            plan = trainings.plan(name)
            same = plan["level"] == self.level and plan["network"] == _network_of(task)
            return same and style.Lesson.load(trainings.run_folder(name) / trainings.LESSON).same(lesson)
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def _subjects(self, task: Task) -> Iterator[Subject]:
        left_out = None if self.exclude_layer is None else task.layers[self.exclude_layer]
        layers = [layer for layer in task.layers if layer is not left_out]
        for index, layer in enumerate(layers):
            _look(task)
            limited = index == 0 or self.pictures == "layers"  # else they are documents of their own
            share = _share(layer, task if limited else None, left_out if limited else None)
            yield Subject(layer.thumbnail(*share.shape), share, layer.shape.name or f"Layer {index + 1}")
        for path in _pictures_at(self.more):
            _look(task)
            canvas = Canvas.of(files.read(path).layer)
            share = _share(canvas)
            yield Subject(canvas.thumbnail(*share.shape), share, path.stem)

    def _plan(self, task: Task, name: str, lesson: style.Lesson) -> tuple[str, float]:
        """Level and seconds, in the run's folder with the lesson; what it has learnt already stays there."""
        run = trainings.run_folder(name)
        if trainings.is_unfinished(name):
            plan = trainings.plan(name)
        else:
            trainings.clear(name)
            run.mkdir(parents=True)
            lesson.save(run / trainings.LESSON)
            plan = {"level": self.level, "seconds": None, "network": _network_of(task)}
        seconds = self.seconds or plan["seconds"] or style.LEVELS[self.level].seconds
        if seconds != plan["seconds"]:
            atomic.write(run / trainings.PLAN, json.dumps({**plan, "seconds": seconds}).encode(), 0o644)
        return plan["level"], seconds

    def _learn(self, task: Task, name: str, lesson: style.Lesson) -> None:
        level, seconds = self._plan(task, name, lesson)
        recipe = style.StyleRecipe(lesson, level, learning_rate=style.LEVELS[level].learning_rate)
        watch = _Watch(task, trainings.run_folder(name))
        weights = recipe.network().state_dict()
        if level != "instant":
            weights = _trained(recipe, watch, max(1.0, seconds - RESERVE_S))
        task.progress(0.97, "Keeping the style")
        network, manner = dual.shipped(task.device), style.changed(lesson, weights, level)
        figures = style.judged(manner, style.HELD_OUT, task.device.name)
        card = Card(
            level=level,
            sources=lesson.sources[:SOURCES_MAX],
            made=shelf.today(),
            seconds=watch.elapsed_s,
            steps=watch.steps,
            content=figures["content"],
            style=figures["style"],
            network=painter.fingerprint(network),
            engine=VERSION,
        )
        task.progress(0.99, "Keeping the style")
        kept = shelf.add(name, manner.to_file(lesson.last, card, thumbnail(manner, network)), learnt=True)
        trainings.finish(name)
        if watch.rollbacks:
            times = "once" if watch.rollbacks == 1 else f"{watch.rollbacks} times"
            task.report(f"The training went astray {times}, and went on from where it was good.")
        self._tell(task, kept, card)

    def _tell(self, task: Task, name: str, card: Card) -> None:
        task.facts |= {"style": name, "level": card.level, "steps": card.steps, "learnt_s": card.seconds}
        task.facts |= {"content": card.content, "style_distance": card.style}
        task.report(f"'{name}' is among the styles now: choose it in Stylize.")
        learnt = f" after {card.steps} steps" if card.steps else ""
        task.report(f"Style distance {card.style:.2f}, content distance {card.content:.2f}{learnt}.")


def _unfinished(name: str) -> str:
    """Raises CalotypeError NO_STYLE."""
    known = [each["name"] for each in trainings.unfinished()]
    found = next((each for each in known if names.same(each, name)), None)
    if found is None:
        raise CalotypeError(
            "NO_STYLE",
            "There is nothing to learn from: give a picture, or the name of an unfinished training "
            f"({', '.join(known) or 'there is none'}).",
        )
    return found


def _resumed(name: str, task: Task) -> style.Lesson:
    """What an unfinished training is to learn. Raises CalotypeError BAD_STYLE."""
    try:
        if trainings.plan(name)["network"] != _network_of(task):
            raise ValueError("of another network")
        return style.Lesson.load(trainings.run_folder(name) / trainings.LESSON)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(name) from error


def _damaged(name: str) -> CalotypeError:
    return CalotypeError(
        "BAD_STYLE",
        f"What '{name}' has learnt so far is damaged, or of an earlier Calotype. Discard it, then train it "
        "again.",
    )


def _look(task: Task) -> None:
    """Raises Cancelled."""
    task.progress(0.01, "Looking at the pictures")


def _network_of(task: Task) -> str:
    return painter.fingerprint(dual.shipped(task.device))


def _trained(recipe: style.StyleRecipe, watch: "_Watch", seconds: float) -> dict[str, Tensor]:
    """The best weights of the run in watch's folder.

    Raises Cancelled; CalotypeError TRAINING_DIVERGED, BAD_STYLE.
    """
    schedule = loop.Schedule(None, seconds / 60, 10, checkpoint_s=5, evaluate_s=max(10.0, seconds / 4))
    device = watch.task.device.name
    try:
        best = loop.train(
            recipe, style.TRAIN, style.HELD_OUT, watch.run, schedule, device=device, watch=watch
        )
    except CalotypeError as error:
        if error.code == "BAD_WEIGHTS":  # its checkpoint's
            raise _damaged(watch.run.name) from error
        if error.code != "TRAINING_DIVERGED":
            raise
        raise CalotypeError(
            "TRAINING_DIVERGED",
            "The training went astray several times and was stopped; what was good is kept. Resume it, or "
            "train from other pictures.",
        ) from error
    if watch.stopped:
        raise watch.stopped
    try:
        return load_file(best)
    except (OSError, SafetensorError) as error:
        raise _damaged(watch.run.name) from error


class _Watch:
    """Tells the user of a training, and learns whether it is wanted still."""

    def __init__(self, task: Task, run: Path) -> None:
        self.task = task
        self.run = run
        self.file = run / "curve.json"
        self.stopped: Cancelled | None = None
        self.steps, self.rollbacks, self.elapsed_s = 0, 0, 0.0
        self.curve: list[float] = []
        self.face = faces.face(192)
        self._showed_at = self._saved_at = time.monotonic()

    def __call__(self, moment: loop.Moment) -> bool:
        step = self.steps = moment.state.step
        self.elapsed_s, self.rollbacks = moment.state.elapsed_s, moment.state.rollbacks
        if not self.curve and step > 1 and self.file.exists():
            with suppress(OSError, ValueError, TypeError):
                self.curve = [float(loss) for loss in json.loads(self.file.read_text("utf-8"))]
        if math.isfinite(moment.loss):
            before = self.curve[: step - 1]
            self.curve = [*before, moment.loss + CALM * (before[-1] - moment.loss) if before else moment.loss]
        now = time.monotonic()
        if now - self._showed_at > SAMPLE_S:
            self._showed_at = now
            self.task.show(lambda: style.painted(moment.network, self.face)[0])
        if now - self._saved_at > 5 * SAMPLE_S:
            self._saved_at = now
            self._save()
        try:
            stage = "Learning" if not self.rollbacks else "Learning, from where it was good"
            self.task.progress(0.02 + 0.94 * moment.progress, stage, self.curve)
        except Cancelled as stop:
            self.stopped = stop
            self._save()
        return self.stopped is None

    def _save(self) -> None:
        atomic.write(self.file, json.dumps(self.curve).encode(), 0o644)


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CalotypeError(
            "NOT_WRITTEN",
            f"The style could not be kept ({error.strerror or error}). Free some disk space and train again: "
            "it goes on where it was. Your other styles are as they were.",
        ) from error


def _share(layer: Canvas, task: Task | None = None, excluded: Canvas | None = None) -> Tensor:
    """How far each place of the layer, reduced, may be learnt from, (h, w). task: its selection counts."""
    box = layer.box
    factor = max(1.0, max(box.width, box.height) / PICTURE_PX)
    height, width = (max(1, round(side / factor)) for side in (box.height, box.width))
    share = torch.ones(height, width)
    if layer.has_alpha:
        share = layer.reduced(height, width, lambda: None)[1][0]
    if task is not None and task.selection is not None:
        first = task.layers[0].shape
        x, y = layer.shape.x - first.x, layer.shape.y - first.y
        mask = task.selection.mask(Box(x, y, x + box.width, y + box.height))
        share = share * interpolate(mask[None, None], (height, width), mode="area")[0, 0]
    if excluded is not None:
        share = share * (1 - _left_out(layer, excluded, height, width))
    return share


def _left_out(layer: Canvas, excluded: Canvas, height: int, width: int) -> Tensor:
    """How far the layer, reduced, lies below paint, or below white where all of it is covered, (h, w)."""
    covered = painted(layer, excluded, height, width)[1][0]
    if covered.min() < 0.999:
        return covered
    white = torch.from_numpy(marked(layer, excluded)).float()
    return interpolate(white[None, None], (height, width), mode="area")[0, 0]


def _pictures_at(path: str | None) -> list[Path]:
    """The file, or those of the folder. Raises CalotypeError BAD_FILE."""
    if path is None:
        return []
    place = Path(path)
    if not place.is_dir():
        return [place]
    found = data.listed(place)
    if not found or len(found) > PICTURES_MAX:
        raise CalotypeError(
            "BAD_FILE",
            f"The folder {place.name} holds {len(found)} pictures. Choose one with 1 to {PICTURES_MAX}.",
        )
    return found


def thumbnail(manner: Manner, network: dual.Dual) -> bytes:
    """What the style makes of the demo's face, as a JPEG."""
    face = faces.face(THUMBNAIL_PX)
    device = next(network.parameters()).device
    with torch.no_grad():
        changes = {name: value.to(device) for name, value in manner.changes.items()}
        brush, row = painter.Painter(network).changed(changes), manner.row.to(device)
        made = painter.framed(lambda picture: brush(*chromas.split(picture), row)[0], face.to(device))
    pixels = (made[0].float().cpu().clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    kept = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(kept, "JPEG", quality=80)
    return kept.getvalue()
