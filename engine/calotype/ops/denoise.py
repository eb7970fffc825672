"""Denoise: take grain, noise, JPEG blocks and blur out of a photo."""

from dataclasses import dataclass

import torch
from torch import Tensor

from calotype.community.running import added
from calotype.image.codec import Box
from calotype.image.tint import Tint, split
from calotype.models.restorer import BLIND, CONTRACT, between
from calotype.ops.declare import model, number, operation
from calotype.ops.task import Step, Task

FIDELITY = "At 100 nothing is invented; at less, texture that is likely to have been there."


@operation(
    "Denoise", "Takes grain, noise, JPEG blocks and blur out of a photo and keeps its detail.", generates=True
)
@dataclass(frozen=True)
class Denoise:
    strength: float = number(
        "Strength", "How much of the cleaning is applied; 0 leaves the photo as it is.", 100
    )
    noise: float | None = number("Noise", "How grainy the photo is. Automatic unless you set it.", None)
    jpeg: float | None = number(
        "JPEG blocks", "How hard the photo was compressed. Automatic unless you set it.", None
    )
    blur: float | None = number("Blur", "How soft the photo is. Automatic unless you set it.", None)
    fidelity: float = number("Fidelity", FIDELITY, 100)
    model: str = model("restorer", "; that one has no levels and no fidelity")

    def run(self, task: Task) -> None:
        if self.strength == 0:
            task.unchanged("Denoised")
            return
        if self.model == "calotype":
            step, contract = cleaner(task, self.noise, self.jpeg, self.blur, self.fidelity), CONTRACT
        else:
            network, contract = added(self.model, task.device)
            step = kept_grey(task, lambda picture, box: network(picture))
        task.retouch(blend(step, self.strength), contract, "Denoising", "Denoised")


def cleaner(task: Task, noise: float | None, jpeg: float | None, blur: float | None, fidelity: float) -> Step:
    """All in percent; None leaves a level to the network. What is grey stays grey."""
    restorer = between(1 - fidelity / 100, task.device)
    levels = torch.tensor([[BLIND if level is None else level / 100 for level in (noise, jpeg, blur)]])
    return kept_grey(task, lambda picture, box: restorer(picture, levels))


def kept_grey(task: Task, step: Step) -> Step:
    """step, whose result is grey wherever the whole photo is."""
    grey = task.tint is Tint.GREY

    def done(picture: Tensor, box: Box) -> Tensor:
        result = step(picture, box).clamp(0, 1)
        return split(result)[0].expand(3, -1, -1) if grey else result

    return done


def blend(step: Step, strength: float) -> Step:
    """step, applied to strength percent."""

    def blended(picture: Tensor, box: Box) -> Tensor:
        done = step(picture, box)
        return done if strength == 100 else torch.lerp(picture, done, strength / 100)

    return blended
