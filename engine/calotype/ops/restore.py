"""Restore: take grain, noise, JPEG blocks and blur out of a photo."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from calotype.models.restorer import BLIND, CONTRACT, Restorer
from calotype.ops import task as tasks
from calotype.ops.declare import number, operation


@operation("Restore", "Takes grain, noise, JPEG blocks and blur out of a photo and keeps its detail.")
@dataclass(frozen=True)
class Restore:
    strength: float = number(
        "Strength", "How much of the restoration is applied; 0 leaves the photo as it is.", 100
    )
    noise: float | None = number("Noise", "How grainy the photo is. Automatic unless you set it.", None)
    jpeg: float | None = number(
        "JPEG blocks", "How hard the photo was compressed. Automatic unless you set it.", None
    )
    blur: float | None = number("Blur", "How soft the photo is. Automatic unless you set it.", None)

    def run(self, task: tasks.Task) -> None:
        if self.strength == 0:
            task.unchanged("Restored")
            return
        levels = [BLIND if level is None else level / 100 for level in (self.noise, self.jpeg, self.blur)]
        strength = self.strength / 100

        def restore(network: nn.Module, picture: Tensor) -> Tensor:
            planes = torch.tensor([levels], device=picture.device)
            restored = network(picture, planes).float()
            return restored if strength == 1 else torch.lerp(picture, restored, strength)

        network = tasks.network(Restorer, CONTRACT, task.device)
        task.retouch(network, CONTRACT, restore, "Restoring", "Restored")
