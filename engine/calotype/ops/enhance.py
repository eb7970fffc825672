"""Enhance: recover what fading took, remove a colour cast, and adjust contrast and saturation."""

from dataclasses import dataclass

import torch
from torch import Tensor

from calotype.image.codec import Box
from calotype.image.tint import Tint, split
from calotype.models import loaded, tone
from calotype.ops.declare import choice, number, operation
from calotype.ops.denoise import blend
from calotype.ops.task import Step, Task

SEPIA = {"keep": "Keep it", "remove": "Make it grey"}


@operation(
    "Enhance", "Gives a faded, yellowed or badly exposed photo its contrast and colours back.", generates=True
)
@dataclass(frozen=True)
class Enhance:
    strength: float = number(
        "Strength", "How much of all of it is applied; 0 leaves the photo as it is.", 100
    )
    fading: float = number("Fading", "How much of the contrast that was lost is recovered.", 100)
    cast: float = number(
        "Colour cast", "How much of a colour cast is taken out and of faded colour put back.", 100
    )
    contrast: float = number("Contrast", "More or less contrast than that.", 0, -100)
    saturation: float = number("Saturation", "More or less colour than that.", 0, -100)
    sepia: str = choice("Sepia", "What to do with the tone of a photo that has only one.", "keep", SEPIA)

    def run(self, task: Task) -> None:
        if self.strength == 0:
            task.unchanged("Enhanced")
            return
        step = toner(task, self.fading, self.cast, self.contrast, self.saturation, self.sepia)
        task.retouch(blend(step, self.strength), tone.CONTRACT, "Enhancing", "Enhanced")


def toner(
    task: Task, fading: float, cast: float, contrast: float = 0, saturation: float = 0, sepia: str = "keep"
) -> Step:
    """All in percent. What is grey stays grey."""
    network = loaded.load(tone.Tone, tone.CONTRACT, task.device)
    grid = network(tone.thumbnail(task.thumbnail[None])[0])[None]
    whole, tint = task.layers[0].box, task.tint

    def enhance(picture: Tensor, box: Box) -> Tensor:
        left, right = box.x0 / whole.width, box.x1 / whole.width
        top, bottom = box.y0 / whole.height, box.y1 / whole.height
        toned = tone.apply(grid, picture[None], left, top, right, bottom)[0].clamp(0, 1)
        luma, chroma = split(picture)
        new_luma, new_chroma = split(toned)
        if tint is Tint.GREY or (tint is Tint.TONED and sepia == "remove"):
            chroma = new_chroma = torch.zeros_like(chroma)
        elif tint is Tint.TONED:
            new_chroma = chroma
        y = torch.lerp(luma, new_luma, fading / 100).clamp(0, 1)
        y = y + contrast / 100 * y * (1 - y) * (2 * y - 1)  # steeper in the middle, black and white stay
        return y + torch.lerp(chroma, new_chroma, cast / 100) * (1 + saturation / 100)

    return enhance
