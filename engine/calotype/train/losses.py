"""What training lowers. Pictures are (B, 3, H, W), 0..1; every loss is a scalar, 0 or more, float32.

Nothing here knows a network but the perceptual loss, which is handed one.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, normalize, softplus


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
    """1 - SSIM: 0 where both are equal, at most 2. Sides of 11 pixels or more.

    Source: Wang et al. 2004, Gaussian window 11, sigma 1.5, K = (0.01, 0.03), valid windows only.
    """
    channels = made.shape[1]
    offsets = torch.arange(11, dtype=torch.float32, device=made.device) - 5
    window = torch.exp(-(offsets**2) / (2 * 1.5**2))
    window = (window / window.sum()).expand(channels, 1, 1, 11)

    def blur(x: Tensor) -> Tensor:
        return conv2d(conv2d(x, window, groups=channels), window.mT, groups=channels)

    a, b = made.float(), truth.float()
    with torch.autocast(a.device.type, enabled=False):  # the variances are small differences
        mean_a, mean_b = blur(a), blur(b)
        var_a, var_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
        covariance = blur(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    alike = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return 1 - (alike / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))).mean()


def soft_histogram(picture: Tensor, bins: int = 64) -> Tensor:
    """Share of each channel's values in bins that are evenly spread over 0..1, each value split between two.

    Returns (B, C, bins), sums 1; differentiable in the picture. Values outside 0..1 count as 0 or 1.
    Source: linear binning; Avi-Aharon et al. 2020 (DeepHist) for histograms that learn.
    """
    places = picture.float().clamp(0, 1).flatten(2) * (bins - 1)  # B C N
    shares = [torch.relu(1 - (places - k).abs()).mean(2) for k in range(bins)]
    return torch.stack(shares, dim=2)


def histogram_distance(made: Tensor, truth: Tensor, bins: int = 64) -> Tensor:
    """Earth mover's distance of the soft histograms, 0..1: how far the mean value must move.

    In one dimension it is the area between the cumulative sums (Werman, Peleg, Rosenfeld 1985).
    """
    apart = soft_histogram(made, bins) - soft_histogram(truth, bins)
    return apart.cumsum(2).abs().sum(2).mean() / (bins - 1)
