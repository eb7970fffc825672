"""View: layers as an editor's live preview shows them, small and in 8-bit sRGB whatever the document is."""

from dataclasses import dataclass

import torch
from torch import Tensor

from calotype.image.codec import Box, Canvas, pooled, reduced_size
from calotype.image.marks import painted
from calotype.ops.declare import number, operation, text, toggle
from calotype.ops.task import Task


@operation("View", "Layers as a live preview shows them.", offered=False)
@dataclass(frozen=True)
class View:
    """Returns the layer that is worked on and all others, at (0, 0), and the selection at last.

    They are RGBA where they have transparency, and RGB where they have none.
    """

    side: int = number("Side", "Longer side of the view.", 512, 16, 1024, "px", whole=True)
    actual: bool = toggle("Actual pixels", "A part in its own pixels instead of all of it, reduced.", False)
    x: float = number("X", "Where that part's middle lies.", 50)
    y: float = number("Y", "The same, from the top.", 50)
    alone: str = text("Alone", "Numbers, from 1, of the other layers that are pictures of their own.")

    def run(self, task: Task) -> None:
        source = task.layers[0]
        box = self._box(source.box)
        seen = source if box == source.box else source.cropped(box)
        height, width = reduced_size(box.height, box.width, self.side)

        def tick() -> None:
            task.progress(0.5, "Looking")

        _add(task, source, seen.reduced(height, width, tick))
        alone = {int(word) for word in self.alone.split(",") if word.strip().isdecimal()}
        for index, other in enumerate(task.layers[1:], 1):
            if index in alone:
                made = other.reduced(*reduced_size(other.box.height, other.box.width, self.side), tick)
            else:
                made = painted(seen, other, height, width, tick)
            _add(task, other, made)
        selection = task.selection
        if selection is not None:
            task.view(pooled(lambda band: selection.mask(band)[None], box, 1, height, width), "Selection")

    def _box(self, whole: Box) -> Box:
        """What is seen of the layer."""
        if not self.actual:
            return whole
        width, height = min(self.side, whole.width), min(self.side, whole.height)
        x = round(min(max(0, whole.width * self.x / 100 - width / 2), whole.width - width))
        y = round(min(max(0, whole.height * self.y / 100 - height / 2), whole.height - height))
        return Box(x, y, x + width, y + height)


def _add(task: Task, layer: Canvas, seen: tuple[Tensor, Tensor]) -> None:
    """seen: colours and opacity."""
    colours, opacity = seen
    task.view(torch.cat(seen) if layer.has_alpha else colours * opacity, layer.shape.name)
