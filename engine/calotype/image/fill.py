"""Fill thin defects from what lies around them.

Source: push-pull over a pyramid, Gortler et al. 1996 ("The Lumigraph"), as the start of a relaxation of
Laplace's equation, so that what is filled is as smooth as a membrane spanned over the hole.
"""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad

RELAXATIONS = 40
"""On each level; more changes no filled pixel by 2/255 (test_fill.py)."""


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
    if min(height, width) < 2 or bool((weights > 0).all()):
        return colours / weights.clamp_min(1e-6)
    even = (0, width % 2, 0, height % 2)
    coarse = _pull(avg_pool2d(pad(colours, even), 2), avg_pool2d(pad(weights, even), 2))
    guess = interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)[..., :height, :width]
    known = colours / weights.clamp_min(1e-6)
    return _relaxed(torch.lerp(guess, known, weights)[0], known[0], weights[0, 0])[None]


def _relaxed(x: Tensor, known: Tensor, weights: Tensor) -> Tensor:
    """x (C, h, w) with each pixel nearer to the mean of its neighbours, the less it is known.

    Only pixels that are not wholly known are touched: of a scratched picture those are few.
    """
    height, width = x.shape[1:]
    y, x0 = torch.nonzero(weights < 1, as_tuple=True)
    here = y * width + x0
    around = torch.cat(
        [
            (y - 1).clamp_min(0) * width + x0,
            (y + 1).clamp_max(height - 1) * width + x0,
            y * width + (x0 - 1).clamp_min(0),
            y * width + (x0 + 1).clamp_max(width - 1),
        ]
    )
    flat = x.flatten(1).T.contiguous()  # hw C: neighbours are gathered as rows
    fixed, weight = known.flatten(1).T[here], weights.flatten()[here, None]
    for _ in range(RELAXATIONS):
        mean = flat.index_select(0, around).view(4, -1, flat.shape[1]).mean(dim=0)
        flat.index_copy_(0, here, torch.lerp(mean, fixed, weight))
    return flat.T.reshape(x.shape)
