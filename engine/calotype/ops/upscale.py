"""Upscale: enlarge a picture two or four times and add the detail that an enlargement lacks."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from calotype.community.running import added
from calotype.image.codec import Box
from calotype.models import loaded, upscaler
from calotype.ops.declare import choice, model, number, operation
from calotype.ops.denoise import kept_grey
from calotype.ops.task import Task

KNOWN = {"2": (upscaler.twice, upscaler.X2), "4": (upscaler.fourfold, upscaler.X4)}


@operation(
    "Upscale",
    "Enlarges the picture, or what is selected of it, with sharp detail, into a new document.",
    generates=True,
)
@dataclass(frozen=True)
class Upscale:
    scale: str = choice(
        "Scale", "How many times wider and higher; an added model has its own.", "2", {"2": "2 x", "4": "4 x"}
    )
    detail: float = number("Detail", "How much detail is added to a plain enlargement.", 100)
    model: str = model("upscaler")

    def run(self, task: Task) -> None:
        if self.model == "calotype":
            build, contract = KNOWN[self.scale]
            network: Callable[[Tensor], Tensor] = loaded.load(build, contract, task.device)
        else:
            network, contract = added(self.model, task.device)
        sharp = kept_grey(task, lambda picture, box: network(picture))

        def enlarge(picture: Tensor, box: Box) -> Tensor:
            larger = sharp(picture, box)
            if self.detail == 100:
                return larger
            plain = interpolate(picture[None], scale_factor=float(contract.scale), mode="bicubic")[0]
            return torch.lerp(plain.clamp(0, 1), larger, self.detail / 100)

        task.enlarge(enlarge, contract, "Enlarging", f"Enlarged {contract.scale} x")
