"""What noise, blur, JPEG blocks and fading leave in the luminance of a photo, as numbers.

Sources:
- Mittal, Soundararajan, Bovik 2013, "Making a Completely Blind Image Quality Analyzer" (NIQE): locally
  normalised luminance (MSCN), generalized Gaussians fitted to it and to the products of neighbours.
- Lasmar, Stitou, Berthoumieu 2009: those fits by moments.
- Wang, Sheikh, Bovik 2002: blockiness and zero crossings of JPEG; here for any place of the grid.
- Immerkær 1996: the mask that sees noise and hardly edges.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d

from calotype.image.codec import Box
from calotype.image.colour import LUMA

PATCH_PX = 96
PATCHES_MAX = 64
"""0.6 megapixels in all, however large the picture is."""

SIDE_PX_MIN = 64
"""At a quarter of it the statistics still have a hundred pixels."""

SCALES = 3

_FAINT = 0.3  # grey levels of 255: below, rounding to 8 bits is all there is
_JPEG_PX = 8


@dataclass(frozen=True)
class Patches:
    """luma: (N, h, w), 0..255. corners: x and y of each in its layer, for JPEG's grid."""

    luma: Tensor
    corners: Tensor


def look(read: Callable[[Box], Tensor], box: Box) -> Patches | None:
    """Patches of box at full resolution, evenly spread: the same before and after a filter, whatever it did.

    read: a part of the picture (3, h, w), 0..1. None where a side is below SIDE_PX_MIN.
    """
    if min(box.width, box.height) < SIDE_PX_MIN:
        return None
    columns, rows = -(-box.width // PATCH_PX), -(-box.height // PATCH_PX)
    if columns * rows > PATCHES_MAX:
        shrink = math.sqrt(PATCHES_MAX / (columns * rows))
        columns = min(PATCHES_MAX, max(1, int(columns * shrink)))
        rows = min(PATCHES_MAX // columns, max(1, int(rows * shrink)))
    width, height = min(PATCH_PX, box.width), min(PATCH_PX, box.height)
    corners = [
        (box.x0 + x, box.y0 + y)
        for y in _spread(rows, box.height - height)
        for x in _spread(columns, box.width - width)
    ]
    parts = (read(Box(x, y, x + width, y + height)).float() for x, y in corners)
    luma = torch.stack([torch.einsum("c,chw->hw", LUMA, part) for part in parts])
    return Patches(luma * 255, torch.tensor(corners))


def _spread(count: int, room_px: int) -> list[int]:
    """count numbers from 0 to room_px, as far apart as they go; the same seen from the other end."""
    if count == 1:
        return [room_px // 2]
    return [round(room_px * i / (count - 1)) for i in range(count)]


def features(patches: Patches) -> Tensor:
    """(F,), finite for every picture: means over the patches, and tenth and ninetieth percentiles of some."""
    x = patches.luma
    shapes, strengths = [], []
    for scale in range(SCALES):
        if scale:
            x = avg_pool2d(x[:, None], 2)[:, 0]  # N h/2 w/2
        mscn, deviation = normalised(x)
        shapes.append(_shapes(mscn))
        strengths.append(_strengths(x, deviation))
    strength = torch.cat(strengths, 1)
    spread = torch.quantile(strength, torch.tensor([0.1, 0.9]), dim=0).flatten()
    shape = torch.cat(shapes, 1).mean(0)
    return torch.cat([shape, strength.mean(0), spread, _blocks(patches), _tones(x)])


def normalised(luma: Tensor) -> tuple[Tensor, Tensor]:
    """MSCN, which is luminance less its local mean over its local deviation plus 1; and that deviation.

    luma: (N, h, w), 0..255. Returns twice (N, h - 6, w - 6).
    """
    offsets = torch.arange(7, dtype=torch.float32) - 3
    gauss = torch.exp(-(offsets**2) / (2 * (7 / 6) ** 2))
    gauss /= gauss.sum()

    def blur(x: Tensor) -> Tensor:
        return conv2d(conv2d(x[:, None], gauss.view(1, 1, 1, 7)), gauss.view(1, 1, 7, 1))[:, 0]

    mean = blur(luma)
    deviation = (blur(luma * luma) - mean * mean).clamp_min(0).sqrt()
    return (luma[:, 3:-3, 3:-3] - mean) / (deviation + 1), deviation


def _shapes(mscn: Tensor) -> Tensor:
    """(N, 10): the fit of mscn, and those of neighbours' products, straight and diagonal.

    NIQE keeps all four directions apart; their means serve as well here and do not change with a flip.
    """
    x = mscn
    shape, _, left, right = asymmetric_gaussian(x)
    across = asymmetric_gaussian(x[:, :, 1:] * x[:, :, :-1])
    down = asymmetric_gaussian(x[:, 1:] * x[:, :-1])
    falling = asymmetric_gaussian(x[:, 1:, 1:] * x[:, :-1, :-1])
    rising = asymmetric_gaussian(x[:, 1:, :-1] * x[:, :-1, 1:])
    fit = torch.stack([shape, (left + right) / 2], 1)
    return torch.cat([fit, (across + down).T / 2, (falling + rising).T / 2], 1)


def asymmetric_gaussian(x: Tensor) -> Tensor:
    """Shape, mean, left and right scale of the asymmetric generalized Gaussian nearest to each of x.

    x: (N, h, w). Returns (4, N).
    """
    below, above = x.clamp_max(0), x.clamp_min(0)
    below_2, above_2 = below.square().sum((1, 2)), above.square().sum((1, 2))
    left = torch.sqrt(below_2 / (x < 0).sum((1, 2)).clamp_min(1) + 1e-6)
    right = torch.sqrt(above_2 / (x > 0).sum((1, 2)).clamp_min(1) + 1e-6)
    count = x[0].numel()
    mean_1 = (above.sum((1, 2)) - below.sum((1, 2))) / count
    mean_2 = (below_2 + above_2) / count
    ratio = (mean_1**2 + 1e-4 * 2 / math.pi) / (mean_2 + 1e-4)  # nothing at all reads as a Gaussian
    skew = left / right
    ratio = ratio * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    shapes, ratios, scales, means = _gaussians()
    index = torch.searchsorted(ratios, ratio.double()).clamp_max(len(shapes) - 1)
    left, right = left * scales[index], right * scales[index]
    return torch.stack([shapes[index], (right - left) * means[index], left, right])


@lru_cache(maxsize=1)
def _gaussians() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """By shape: itself, E|x|^2 / E x^2, scale over standard deviation, E|x| over scale."""
    shape = torch.arange(0.2, 10.001, 0.001, dtype=torch.float64)
    one, two, three = (torch.lgamma(n / shape) for n in (1, 2, 3))
    ratio = torch.exp(2 * two - one - three)
    return shape.float(), ratio, torch.exp((one - three) / 2).float(), torch.exp(two - one).float()


def _strengths(luma: Tensor, deviation: Tensor) -> Tensor:
    """(N, 8): how strong detail, edges and noise are, mostly as logarithms."""
    log = (deviation + _FAINT).log()
    steps = _mean(luma.diff(dim=1).abs()) + _mean(luma.diff(dim=2).abs())
    bends = _mean(luma.diff(2, dim=1).abs()) + _mean(luma.diff(2, dim=2).abs())
    grain = luma.diff(2, dim=1).diff(2, dim=2).abs()
    return torch.stack(
        [
            (_mean(deviation) + _FAINT).log(),
            _mean(log),
            (_mean(log * log) - _mean(log) ** 2).clamp_min(0).sqrt(),
            _mean((deviation < 0.5).float()),
            (steps + _FAINT).log(),
            (bends + _FAINT).log(),
            (_mean(grain) + _FAINT).log(),
            _mean((grain + _FAINT).log()),
        ],
        1,
    )


def _mean(x: Tensor) -> Tensor:
    return x.mean((1, 2))


def _blocks(patches: Patches) -> Tensor:
    """(3,): how far steps at one column or row in eight exceed the others; share of pixels without a step."""
    x = patches.luma
    excess = (_seam(x, patches.corners[:, 0]) + _seam(x.transpose(1, 2), patches.corners[:, 1])) / 2
    still = ((x.diff(dim=1).abs() < 0.5).float().mean() + (x.diff(dim=2).abs() < 0.5).float().mean()) / 2
    return torch.stack([excess.clamp(0, 2), (excess.clamp_min(0) + 0.01).log(), still])


def _seam(luma: Tensor, left: Tensor) -> Tensor:
    steps = luma.diff(dim=2).abs()
    lonely = (steps[:, :, 1:-1] - (steps[:, :, 2:] + steps[:, :, :-2]) / 2).mean(1)  # N w-3
    phase = (torch.arange(lonely.shape[1]) + left[:, None]) % _JPEG_PX
    sums = torch.zeros(_JPEG_PX).index_add(0, phase.flatten(), lonely.flatten())
    counts = torch.zeros(_JPEG_PX).index_add(0, phase.flatten(), torch.ones(lonely.numel()))
    by_phase = (sums / counts).sort().values
    return (by_phase[-1] - by_phase[:-1].mean()) / (steps.mean() + 0.5)


def _tones(luma: Tensor) -> Tensor:
    """(6,): contrast, black and white of the whole, which fading moves."""
    black, dark, middle, light, white = torch.quantile(luma, torch.tensor([0.01, 0.05, 0.5, 0.95, 0.99]))
    spreads = [(luma.std(correction=0) + 1).log(), (white - black + 5).log(), (light - dark + 5).log()]
    return torch.stack([*spreads, black / 255, white / 255, middle / 255])
