"""Remove scratches: find scratches, dust, hairs and folds, and fill them from what lies around them."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from calotype.image import fill
from calotype.image.codec import Box
from calotype.image.marks import marked
from calotype.models import loaded
from calotype.models.detector import CONTRACT, Detector
from calotype.ops.declare import choice, number, operation, other_layer
from calotype.ops.denoise import blend
from calotype.ops.task import Step, Task
from calotype_wire.errors import CalotypeError
from calotype_wire.protocol import Place

SEEN_PX = 2000
"""Longer sides are also looked at so small: scratches of a larger scan are wider than those trained on."""

WHERE = {"found": "Scratches that are found", "selection": "All that is selected"}


@operation(
    "Remove Scratches",
    "Finds scratches, dust, hairs and folds and fills them. What was found comes as a layer: paint on it, "
    "or erase, and run again with it.",
    extra=(("mask_out", "where to write what was filled, white on black"),),
    generates=True,
)
@dataclass(frozen=True)
class RemoveScratches:
    strength: float = number(
        "Strength", "How much of the repair is applied; 0 leaves the photo as it is.", 100
    )
    sensitivity: float = number("Sensitivity", "How faint a scratch may be to be found.", 50)
    where: str = choice("What is filled", "Found by itself, or selected by you.", "found", WHERE)
    mask: int | None = other_layer(
        "Scratch layer", "A layer that marks what to fill, instead of looking for it."
    )

    def run(self, task: Task) -> None:
        if self.strength == 0:
            task.unchanged("Scratches removed")
            return
        given = self.mask is not None or self.where == "selection"
        mask = self._given(task) if given else find(task, self.sensitivity, until=0.8)
        if not mask.any():
            raise CalotypeError(
                "UNCHANGED",
                "Nothing is marked on the scratch layer. Paint on it what is to be filled."
                if given
                else "No scratches were found. Raise the sensitivity, or select a scratch and choose "
                f"'{WHERE['selection']}'.",
            )
        place = Place() if given else Place(group="Scratch repair")
        step = blend(filler(mask), self.strength)
        task.retouch(step, CONTRACT, "Filling", "Scratches removed", place, 0.0 if given else 0.8)
        if not given:
            show(task, mask, place)

    def _given(self, task: Task) -> NDArray[np.bool_]:
        if self.mask is not None:
            return marked(task.layers[0], task.layers[self.mask])
        if task.selection is None:
            raise CalotypeError(
                "EMPTY_SELECTION", "Nothing is selected. Select the scratch that is to be filled."
            )
        return task.selection.mask(task.layers[0].box).numpy() > 0


def find(task: Task, sensitivity: float, until: float) -> NDArray[np.bool_]:
    """Where the first layer is damaged, (H, W). until: the progress that this takes."""
    threshold = min(max(1 - sensitivity / 100, 0.02), 0.98)
    detector = loaded.load(Detector, CONTRACT, task.device)
    whole = task.layers[0].box
    factor = max(1, round(max(whole.width, whole.height) / SEEN_PX))

    def look(picture: Tensor, box: Box) -> Tensor:
        height, width = picture.shape[1:]
        if not task.touches(box):
            return torch.full((1, height, width), -1.0)
        found = torch.sigmoid(detector(picture))
        if factor > 1:
            small = adaptive_avg_pool2d(picture, (-(-height // factor), -(-width // factor)))
            again = torch.sigmoid(detector(small))
            found = torch.maximum(found, interpolate(again[None], (height, width), mode="bilinear")[0])
        return found - threshold

    found = task.survey(look, CONTRACT, "Looking for scratches", until)
    for _ in range(factor):  # their soft edges, too
        found = _wider(found)
    return found


def filler(mask: NDArray[np.bool_]) -> Step:
    """mask: (H, W), of the whole layer."""

    def filled(picture: Tensor, box: Box) -> Tensor:
        return fill.membrane(picture, torch.from_numpy(mask[box.y0 : box.y1, box.x0 : box.x1]))

    return filled


def show(task: Task, mask: NDArray[np.bool_], place: Place) -> None:
    """A hidden layer that marks what was filled, beside the result."""
    share = 100 * float(mask.mean())
    task.marks(mask, "Scratches", Place(group=place.group, visible=False))
    task.report(f"{share:.1f} % of the picture was filled. The layer 'Scratches' marks it.")


def _wider(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """By a pixel to each side."""
    wide = mask.copy()
    wide[1:] |= mask[:-1]
    wide[:-1] |= mask[1:]
    tall = wide.copy()
    wide[:, 1:] |= tall[:, :-1]
    wide[:, :-1] |= tall[:, 1:]
    return wide
