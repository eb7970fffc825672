"""Restore: everything that an old photo needs, in one go."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from calotype.image.codec import Box
from calotype.image.marks import marked
from calotype.models.restorer import CONTRACT
from calotype.ops import remove_scratches
from calotype.ops.declare import choice, number, operation, other_layer, toggle
from calotype.ops.denoise import FIDELITY, blend, cleaner
from calotype.ops.enhance import SEPIA, toner
from calotype.ops.task import Step, Task
from calotype_wire.errors import CalotypeError
from calotype_wire.protocol import Place


@dataclass(frozen=True)
class Preset:
    """In percent: how faint a scratch is found, how much of the cleaning and of the tone is applied."""

    sensitivity: float
    cleaning: float
    tone: float


PRESETS = {"gentle": Preset(6, 60, 50), "standard": Preset(15, 90, 80), "strong": Preset(40, 100, 100)}


@operation(
    "Restore",
    "Repairs an old photo: scratches filled, grain, noise and JPEG blocks out, faded tones recovered.",
    extra=(("mask_out", "where to write which scratches were filled, white on black"),),
    generates=True,
)
@dataclass(frozen=True)
class Restore:
    preset: str = choice(
        "Preset",
        "How much is done to the photo.",
        "standard",
        {"gentle": "Gentle", "standard": "Standard", "strong": "Strong"},
    )
    strength: float = number(
        "Strength", "How much of the result is applied; 0 leaves the photo as it is.", 100
    )
    scratches: bool = toggle("Fill scratches", "Find scratches, dust and folds, and fill them.", True)
    cleaning: bool = toggle("Clean", "Take out grain, noise, JPEG blocks and blur.", True)
    tone: bool = toggle("Recover tone", "Undo fading and colour casts.", True)
    noise: float | None = number("Noise", "How grainy the photo is. Automatic unless you set it.", None)
    jpeg: float | None = number(
        "JPEG blocks", "How hard the photo was compressed. Automatic unless you set it.", None
    )
    blur: float | None = number("Blur", "How soft the photo is. Automatic unless you set it.", None)
    fidelity: float = number("Fidelity", FIDELITY, 60)
    sepia: str = choice("Sepia", "What to do with the tone of a photo that has only one.", "keep", SEPIA)
    mask: int | None = other_layer(
        "Scratch layer", "A layer that marks the scratches, instead of looking for them."
    )

    def run(self, task: Task) -> None:
        if not (self.scratches or self.cleaning or self.tone):
            raise CalotypeError(
                "BAD_PARAMETER", "Nothing is left to do. Switch on at least one of the steps."
            )
        if self.strength == 0:
            task.unchanged("Restored")
            return
        found = None
        if self.scratches and self.mask is None:
            found = remove_scratches.find(task, PRESETS[self.preset].sensitivity, until=0.3)
        step = blend(_chain(self._steps(task, found)), self.strength)
        place = Place() if found is None else Place(group="Restoration")
        task.retouch(step, CONTRACT, "Restoring", "Restored", place, 0.0 if found is None else 0.3)
        if found is not None:
            remove_scratches.show(task, found, place)

    def _steps(self, task: Task, found: NDArray[np.bool_] | None) -> list[Step]:
        preset = PRESETS[self.preset]
        steps: list[Step] = []
        if self.scratches:
            mask = found if self.mask is None else marked(task.layers[0], task.layers[self.mask])
            assert mask is not None
            steps.append(remove_scratches.filler(mask))
        if self.cleaning:
            clean = cleaner(task, self.noise, self.jpeg, self.blur, self.fidelity)
            steps.append(blend(clean, preset.cleaning))
        if self.tone:
            steps.append(toner(task, preset.tone, preset.tone, sepia=self.sepia))
        return steps


def _chain(steps: list[Step]) -> Step:
    def run(picture: Tensor, box: Box) -> Tensor:
        for step in steps:
            picture = step(picture, box).clamp(0, 1)
        return picture

    return run
