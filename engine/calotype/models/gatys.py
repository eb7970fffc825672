"""A painting found by changing its pixels until content and style are right: slow, and nothing is foretold.

Source: Gatys, Ecker, Bethge 2016 ("Image Style Transfer Using Convolutional Neural Networks"), on our own
encoder, with Adam and with the distances that Dual is trained by.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from calotype.models import distances, encoder
from calotype.models.device import Device

RATE = 0.02
CONTENT = 0.8
"""Weight of the content beside the style's 1, as in Dual's training."""


Painted = tuple[distances.Moments, Tensor | None]
"""Moments of a style, and how much of each place it paints, (1, 1, H, W), or None for all."""


def optimised(
    start: Tensor,
    photo: Tensor,
    painted: Sequence[Painted],
    steps: int,
    device: Device,
    progress: Callable[[float, Tensor], None],
    plain: bool = False,
) -> Tensor:
    """The painting (1, 3, H, W), 0..1.

    start, photo: (1, 3, H, W), 0..1, sides multiples of 16. painted: the styles, with their places as in
    Gatys et al. 2017 ("Controlling Perceptual Factors in Neural Style Transfer"). progress: told the fraction
    after each step, and the painting so far; may raise to stop. plain: of covariances only the diagonal
    counts, as in AdaIN (Huang and Belongie 2017).
    """
    judge = encoder.shipped(torch.device(device.name))
    taken = distances.uncorrelated if plain else list
    wanted = [
        (
            taken([(mean.to(device.name), around.to(device.name)) for mean, around in moments]),
            None if share is None else device.send(share),
        )
        for moments, share in painted
    ]
    with torch.no_grad(), device.precision():
        content_of_photo = judge(device.send(photo))[distances.CONTENT_STAGES]
    picture = device.send(start).clone().requires_grad_(True)
    optimizer = torch.optim.Adam([picture], RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, RATE / 10)
    for step in range(steps):
        with device.precision():
            features = judge(picture)
        loss = CONTENT * distances.content(features[distances.CONTENT_STAGES], content_of_photo)
        for moments, share in wanted:
            seen = taken(distances.moments(features[distances.STYLE_STAGES], share))
            part = 1.0 if share is None else share.mean()
            loss = loss + part * distances.style_apart(seen, moments)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            picture.clamp_(0, 1)
        progress((step + 1) / steps, picture.detach())
    return picture.detach().float().cpu()
