"""How differently two pictures are composed and painted, to the eyes of our encoder.

Pictures' features are (B, C, h, w) of each stage; distances are scalars, 0 or more, float32.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

CONTENT_STAGES, STYLE_STAGES = slice(2, 4), slice(0, 4)
"""Of the encoder's five; the last sees a crop at too few places for a covariance."""


def content(seen: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """How differently two pictures' features, (B, C, h, w) of each stage, are spread; 0 where alike.

    Squared differences after instance norm, so that a style's scales and shifts cost nothing (Huang and
    Belongie 2017, AdaIN).
    """
    apart = [(normed(a) - normed(b)).square().mean() for a, b in zip(seen, wanted, strict=True)]
    return torch.stack(apart).mean()


Moments = list[tuple[Tensor, Tensor]]
"""Mean (B, C) and covariance (B, C, C) of the features of each stage, over all places."""


def style(seen: Sequence[Tensor], painting: Sequence[Tensor]) -> Tensor:
    """How differently two pictures are painted, from the features (B, C, h, w) of each stage."""
    return style_apart(moments(seen), moments(painting))


def style_apart(seen: Moments, painting: Moments) -> Tensor:
    """As style, where the moments are known: of as many paintings as pictures seen, or of one for all.

    Distance of the features' means under the painting's covariance, by the number of channels, and of the
    covariances relative to the painting's; the mean over stages. The covariance is held away from
    singular by a tenth of its mean variance. Source: Gatys et al. 2016; means under the covariance as in the
    Mahalanobis distance.
    """
    apart = []
    for (mean_a, around_a), (mean_b, around_b) in zip(seen, painting, strict=True):
        ridge = 0.1 * around_b.diagonal(dim1=1, dim2=2).mean(1) + 1e-6
        held = around_b + ridge[:, None, None] * torch.eye(len(around_b[0]), device=around_b.device)
        away = mean_a - mean_b
        means = (away * torch.linalg.solve(held, away[:, :, None])[:, :, 0]).sum(1) / away.shape[1]
        size = around_b.norm(dim=(1, 2)).clamp_min(1e-6)
        apart.append((means + (around_a - around_b).norm(dim=(1, 2)) / size).mean())
    return torch.stack(apart).mean()


def normed(x: Tensor) -> Tensor:
    """Instance norm, (B, C, h, w)."""
    x = x.float()
    return (x - x.mean((2, 3), keepdim=True)) / (x.std((2, 3), keepdim=True) + 1e-3)


def moments(features: Sequence[Tensor], share: Tensor | None = None) -> Moments:
    """share: (B, 1, H, W), 0..1, how much each place counts; otherwise all alike."""
    return [_moments(stage, share) for stage in features]


def uncorrelated(moments: Moments) -> Moments:
    """With the variances alone."""
    return [(mean, torch.diag_embed(around.diagonal(dim1=1, dim2=2))) for mean, around in moments]


def _moments(x: Tensor, share: Tensor | None) -> tuple[Tensor, Tensor]:
    values = x.float().flatten(2)
    if share is None:
        weights = values.new_full((1, 1, values.shape[2]), 1 / values.shape[2])
    else:
        weights = adaptive_avg_pool2d(share, (x.shape[2], x.shape[3])).flatten(2)
        weights = weights / weights.sum(2, keepdim=True).clamp_min(1e-6)
    mean = (values * weights).sum(2)
    around = values - mean[:, :, None]
    return mean, (around * weights) @ around.mT
