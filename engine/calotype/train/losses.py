"""What training lowers. Pictures are (B, 3, H, W), 0..1; every loss is a scalar, 0 or more, float32.

Nothing here knows a network but the perceptual loss, which is handed one.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, softplus

from calotype.image.metrics import ssim


def charbonnier(made: Tensor, truth: Tensor, epsilon: float = 1e-3) -> Tensor:
    """Mean absolute difference, smooth where it is below epsilon. epsilon where both are equal.

    Source: Charbonnier et al. 1994; Lai et al. 2017 (LapSRN).
    """
    return torch.sqrt((made.float() - truth.float()) ** 2 + epsilon**2).mean()


def perceptual(encoder: nn.Module, made: Tensor, truth: Tensor) -> Tensor:
    """How differently the two look to an encoder: 0 where they are equal, at most 2.

    At each position of each stage the features are brought to length 1, so that no channel and no bright
    place outweighs the others; then the mean squared distance, the mean over the stages. truth takes part
    without a gradient. Source: Zhang et al. 2018 (LPIPS), with all channels' weights equal.
    """
    with torch.no_grad():
        wanted = encoder(truth)
    distances = [
        (normalize(a.float(), dim=1, eps=1e-6) - normalize(b.float(), dim=1, eps=1e-6)).square().sum(1).mean()
        for a, b in zip(encoder(made), wanted, strict=True)
    ]
    return torch.stack(distances).mean()


def hinge_critic(real: Tensor, made: Tensor) -> Tensor:
    """Of a critic's opinions: 0 where each real one is above 1 and each made one below -1.

    Source: Lim and Ye 2017; Miyato et al. 2018.
    """
    return torch.relu(1 - real.float()).mean() + torch.relu(1 + made.float()).mean()


def hinge_maker(made: Tensor) -> Tensor:
    """The negative mean of the critic's opinion of what was made: the one loss here that may be below 0."""
    return -made.float().mean()


def relativistic(better: Tensor, worse: Tensor) -> Tensor:
    """Of opinions, small where better's are above the mean of worse's and worse's below the mean of better's.

    A critic lowers relativistic(real, made), its opponent relativistic(made, real); ln 2 where nobody leads.
    Source: Jolicoeur-Martineau 2018 (relativistic average); Wang et al. 2018 (ESRGAN).
    """
    better, worse = better.float(), worse.float()
    return (softplus(worse.mean() - better).mean() + softplus(worse - better.mean()).mean()) / 2


def structural(made: Tensor, truth: Tensor) -> Tensor:
    """1 - SSIM: 0 where both are equal, at most 2. Sides of 11 pixels or more."""
    return 1 - ssim(made, truth)


def histogram_distance(made: Tensor, truth: Tensor) -> Tensor:
    """Earth mover's distance of each channel's histogram, 0..1: how far the mean value must move.

    In one dimension it is the distance of the sorted values (Werman, Peleg, Rosenfeld 1985).
    """
    return (made.float().flatten(2).sort().values - truth.float().flatten(2).sort().values).abs().mean()
