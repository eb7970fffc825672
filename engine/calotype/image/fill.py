"""Fill thin defects from what lies around them.

Source: push-pull over a pyramid, Gortler et al. 1996 ("The Lumigraph"), as the start of a relaxation of
Laplace's equation, so that what is filled is as smooth as a membrane spanned over the hole.
"""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad

RELAXATIONS = 40
"""On each level; more changes no filled pixel by 2/255 (test_pictures.py)."""


def membrane(picture: Tensor, mask: Tensor) -> Tensor:
    """picture with the masked pixels replaced by the solution of Laplace's equation between the others.

    picture: (C, H, W). mask: (H, W), bool. Pixels outside of the mask come back as they are, and so does a
    picture that is masked all over.
    """
    if not mask.any() or mask.all():
        return picture
    known = (~mask).to(picture.dtype)[None, None]
    filled = _pull(torch.where(mask, 0.0, picture)[None], known)[0]
    return torch.where(mask, filled, picture)


def _pull(colours: Tensor, weights: Tensor) -> Tensor:
    """colours: (1, C, h, w), already times weights. weights: (1, 1, h, w), 0..1, how well each is known."""
    height, width = colours.shape[-2:]
    if min(height, width) < 2 or bool((weights == 1).all()):
        return colours / weights.clamp_min(1e-6)
    even = (0, width % 2, 0, height % 2)
    coarse = _pull(avg_pool2d(pad(colours, even), 2), avg_pool2d(pad(weights, even), 2))
    guess = interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)[..., :height, :width]
    known = colours / weights.clamp_min(1e-6)
    x = torch.lerp(guess, known, weights)
    for _ in range(RELAXATIONS):
        edged = pad(x, (1, 1, 1, 1), mode="replicate")
        around = edged[..., :-2, 1:-1] + edged[..., 2:, 1:-1] + edged[..., 1:-1, :-2] + edged[..., 1:-1, 2:]
        x = torch.lerp(around / 4, known, weights)
    return x
