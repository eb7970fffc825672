"""How close two pictures are."""

import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d


def psnr(a: Tensor, b: Tensor) -> float:
    """Peak signal-to-noise ratio in dB over all elements, peak 1.

    a, b: same shape, 0..1. Returns inf where they are equal. Raises ValueError on unequal shapes.
    """
    _same_shape(a, b)
    mse = torch.mean((a.double() - b.double()) ** 2).item()
    return float("inf") if mse == 0 else float(-10 * torch.log10(torch.tensor(mse)).item())


def luma_psnr(a: Tensor, b: Tensor, rim_px: int) -> float:
    """PSNR in dB of the luma, rounded to 8 bits, without rim_px pixels on each side.

    a, b: (3, H, W), 0..1. The figure of super-resolution papers: luma as of ITU-R BT.601, 16..235, peak 255.
    """
    weights = torch.tensor([65.481, 128.553, 24.966])
    rim = slice(rim_px, -rim_px or None)
    a, b = (
        torch.einsum("c,chw->hw", weights, (x.clamp(0, 1) * 255).round() / 255)[rim, rim] / 255
        for x in (a, b)
    )
    return psnr(a, b)


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Mean structural similarity, -1..1, per channel, valid windows only; differentiable.

    a, b: (B, C, H, W), 0..1, sides >= 11. Source: Wang et al. 2004, Gaussian window 11, sigma 1.5,
    K = (0.01, 0.03). Raises ValueError on unequal shapes or sides below 11.
    """
    _same_shape(a, b)
    if a.ndim != 4 or min(a.shape[-2:]) < 11:
        raise ValueError("ssim needs (B, C, H, W) with sides of at least 11 pixels")
    offsets = torch.arange(11, dtype=torch.float32, device=a.device) - 5
    window = torch.exp(-(offsets**2) / (2 * 1.5**2))
    window = (window / window.sum()).expand(a.shape[1], 1, 1, 11)

    def blur(x: Tensor) -> Tensor:
        return conv2d(conv2d(x, window, groups=len(window)), window.mT, groups=len(window))

    a, b = a.float(), b.float()
    with torch.autocast(a.device.type, enabled=False):  # the variances are small differences
        mean_a, mean_b = blur(a), blur(b)
        var_a, var_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
        covariance = blur(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    alike = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return (alike / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))).mean()


def colourfulness(picture: Tensor) -> float:
    """0 for grey, about 0.15 for an ordinary photo. picture: (B, 3, H, W), 0..1.

    Source: Hasler and Suesstrunk 2003, on 0..1 instead of 0..255.
    """
    red, green, blue = picture.unbind(1)
    axes = torch.stack([red - green, (red + green) / 2 - blue]).flatten(1)
    return float(axes.std(1).norm() + 0.3 * axes.mean(1).norm())


def f1(found: Tensor, truth: Tensor, tolerance_px: int) -> float:
    """Harmonic mean of precision and recall, 0..1, a pixel counting as met within tolerance_px.

    found, truth: (H, W), bool. 1 where both are empty. Raises ValueError on unequal shapes.
    Source: the boundary measure of Martin, Fowlkes, Malik 2004, with a square neighbourhood.
    """
    _same_shape(found, truth)
    if not found.any() and not truth.any():
        return 1.0
    side = 2 * tolerance_px + 1

    def near(mask: Tensor) -> Tensor:
        return max_pool2d(mask[None, None].float(), side, 1, tolerance_px)[0, 0] > 0

    precision = float((found & near(truth)).sum()) / max(1, int(found.sum()))
    recall = float((truth & near(found)).sum()) / max(1, int(truth.sum()))
    return 2 * precision * recall / max(1e-9, precision + recall)


def auroc(scores: Tensor, truths: Tensor) -> float:
    """How often one that is wrong scores above one that is right; equal scores count half. truths: bool."""
    ranks = _ranks(scores)
    wrong = int(truths.sum())
    right = len(truths) - wrong
    if not wrong or not right:
        return float("nan")
    return (float(ranks[truths].sum(dtype=torch.float64)) - wrong * (wrong + 1) / 2) / (wrong * right)


def spearman(a: Tensor, b: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([_ranks(a), _ranks(b)]))[0, 1])


def _ranks(values: Tensor) -> Tensor:
    """From 1, equal values at the middle of their places; float64."""
    ordered, place = torch.unique(values, return_inverse=True)
    count = torch.bincount(place, minlength=len(ordered)).double()
    return (count.cumsum(0) - (count - 1) / 2)[place]


def _same_shape(a: Tensor, b: Tensor) -> None:
    if a.shape != b.shape:
        raise ValueError(f"shapes differ: {tuple(a.shape)} and {tuple(b.shape)}")
