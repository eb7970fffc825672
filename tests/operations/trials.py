"""Operations that exist for tests alone: they do nothing useful, slowly, or fail in every known way."""

import os
import signal
import time
from dataclasses import dataclass

import torch

from calotype.models.contract import Contract
from calotype.ops.declare import choice, file, number, operation, other_layer, palette, style, text, toggle
from calotype.ops.task import Task
from calotype_wire.errors import CalotypeError
from calotype_wire.protocol import Place

CONTRACT = Contract("none", multiple=16, halo_px=32, bytes_a_pixel=20)


@operation("Identity", "Returns the layer as it is.")
@dataclass(frozen=True)
class Identity:
    amount: float = number("Amount", "Does nothing.", 50)
    count: int = number("Count", "Does nothing.", 3, 1, 9, unit="", whole=True)
    flag: bool = toggle("Flag", "Does nothing.", False)
    kind: str = choice("Kind", "Does nothing.", "a", {"a": "A", "b": "B"})
    words: str = text("Words", "Does nothing.")

    def run(self, task: Task) -> None:
        task.copy(task.layers[0], "Identity")
        task.facts["parameters"] = [self.amount, self.count, self.flag, self.kind, self.words]


@operation("Slow", "Takes many short steps.")
@dataclass(frozen=True)
class Slow:
    steps: int = number("Steps", "How many.", 10, 1, 10000, unit="", whole=True)
    step_ms: float = number("Step", "How long each.", 10, 0, 10000, unit="ms")

    def run(self, task: Task) -> None:
        target = task.copy(task.layers[0], "Slow")
        for step in range(self.steps):
            time.sleep(self.step_ms / 1000)
            task.progress(step / self.steps, "Stepping")
            task.show(lambda: torch.full((3, 60, 1200), 0.5))
        task.facts["pixels"] = target.shape.width


@operation("Heedless", "In the background, done before it hears that it should stop.", background=True)
@dataclass(frozen=True)
class Heedless:
    def run(self, task: Task) -> None:
        task.progress(0.5, "Almost")
        time.sleep(1)
        task.facts["kept"] = True


@operation("Resumed", "Goes on at 80 % with what it learns.")
@dataclass(frozen=True)
class Resumed:
    def run(self, task: Task) -> None:
        for step in range(6):
            task.progress(0.8 + 0.03 * step, "Learning", [1.0] * (step + 1))
            time.sleep(0.3)
        task.copy(task.layers[0], "Resumed")


@operation("Fail", "Fails in the way that is asked for.")
@dataclass(frozen=True)
class Fail:
    how: str = choice(
        "How",
        "The way.",
        "bug",
        {k: k for k in ("bug", "sentence", "kill", "exit", "stuck", "nan", "black", "unchanged", "memory")},
    )

    def run(self, task: Task) -> None:
        if self.how == "bug":
            raise ZeroDivisionError("as the test wanted")
        if self.how == "sentence":
            raise CalotypeError("EXPECTED", "This was expected. " + "Very long. " * 200)
        if self.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "exit":
            os._exit(3)
        if self.how == "stuck":
            time.sleep(1000)
        if self.how == "memory":
            torch.empty(1 << 48, dtype=torch.uint8)
        factor = {"nan": float("nan"), "black": 0.0, "unchanged": 1.0}[self.how]
        task.retouch(lambda picture, box: picture * factor, CONTRACT, "Failing", "Failed")


@operation("Invert", "Turns the picture's colours around, tile by tile.")
@dataclass(frozen=True)
class Invert:
    def run(self, task: Task) -> None:
        task.retouch(lambda picture, box: 1 - picture, CONTRACT, "Inverting", "Inverted")


@operation("Parts", "Gives back results of every kind: layers in a group, a mask, a document.")
@dataclass(frozen=True)
class Parts:
    other: int | None = other_layer("Other layer", "Comes back as the second layer.")
    colours: list[str] | None = palette("Colours", "Comes back in the report.")  # noqa: RUF009
    path: str | None = file("File", "Comes back in the report.")
    look: str = style("Style", "Comes back in the report.")

    def run(self, task: Task) -> None:
        first = task.layers[0]
        task.copy(first, "First", Place(group="Parts", blend="multiply", opacity=0.5))
        task.mask(torch.linspace(0, 1, first.shape.width).expand(first.shape.height, -1), "First's mask")
        task.copy(task.layers[self.other or 0], "Second", Place(group="Parts", visible=False))
        task.copy(first, "Of its own", Place("document"))
        task.facts["report"] = [f"Colours: {self.colours}", f"File: {self.path}", f"Style: {self.look}"]
