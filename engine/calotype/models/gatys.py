"""A painting found by changing its pixels until content and style are right: slow, and nothing is foretold.

Source: Gatys, Ecker, Bethge 2016 ("Image Style Transfer Using Convolutional Neural Networks"), on our own
encoder, with Adam and with the distances that Dual is trained by.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from calotype.models import distances, encoder
from calotype.models.device import Device

RATE = 0.02
CONTENT = 0.8
"""Weight of the content beside the style's 1, as in Dual's training."""


def optimised(
    start: Tensor,
    photo: Tensor,
    moments: distances.Moments,
    steps: int,
    device: Device,
    progress: Callable[[float], None],
    plain: bool = False,
) -> Tensor:
    """The painting (1, 3, H, W), 0..1.

    start, photo: (1, 3, H, W), 0..1, sides multiples of 16. moments: of the style. progress: told the
    fraction after each step; may raise to stop. plain: of covariances only the diagonal counts, as in AdaIN
    (Huang and Belongie 2017).
    """
    judge = encoder.shipped(torch.device(device.name))
    painting = [(mean.to(device.name), around.to(device.name)) for mean, around in moments]
    if plain:
        painting = distances.uncorrelated(painting)
    with torch.no_grad(), device.precision():
        wanted = judge(device.send(photo))[distances.CONTENT_STAGES]
    picture = device.send(start).clone().requires_grad_(True)
    optimizer = torch.optim.Adam([picture], RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, RATE / 10)
    for step in range(steps):
        with device.precision():
            features = judge(picture)
        content = distances.content(features[distances.CONTENT_STAGES], wanted)
        seen = distances.moments(features[distances.STYLE_STAGES])
        if plain:
            seen = distances.uncorrelated(seen)
        style = distances.style_apart(seen, painting)
        optimizer.zero_grad()
        torch.autograd.backward(CONTENT * content + style)
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            picture.clamp_(0, 1)
        progress((step + 1) / steps)
    return picture.detach().float().cpu()
