"""Luma and chroma of sRGB-encoded pictures, and chroma brought from a small picture to a large one.

Sources: luma and colour differences, ITU-R BT.709-6, 3.3; guided filter, He, Sun, Tang 2013, on a small
picture whose linear coefficients are enlarged, He and Sun 2015 ("Fast Guided Filter").
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from calotype.image.codec import Box
from calotype.image.colour import LUMA
from calotype.image.enlarged import enlarged

_RED, _BLUE = (2 * (1 - float(LUMA[i])) for i in (0, 2))


def split(picture: Tensor) -> tuple[Tensor, Tensor]:
    """picture: (B, 3, H, W), 0..1. Returns luma (B, 1, H, W), 0..1, and chroma (B, 2, H, W), -0.5..0.5."""
    luma = torch.einsum("c,bchw->bhw", LUMA.to(picture), picture)[:, None]
    chroma = torch.cat([(picture[:, 2:] - luma) / _BLUE, (picture[:, :1] - luma) / _RED], dim=1)
    return luma, chroma


def join(luma: Tensor, chroma: Tensor) -> Tensor:
    """The picture (B, 3, H, W) of this luma, 0..1. Chroma that no sRGB colour of it has is weakened."""
    blue, red = _BLUE * chroma[:, :1], _RED * chroma[:, 1:]
    green = -(LUMA[0].item() * red + LUMA[2].item() * blue) / LUMA[1].item()
    away = torch.cat([red, green, blue], dim=1)
    above = (1 - luma) / away.amax(1, keepdim=True).clamp_min(1e-6)
    below = luma / (-away.amin(1, keepdim=True)).clamp_min(1e-6)
    return luma + away * torch.minimum(above, below).clamp_max(1)


def rounded(luma: Tensor, chroma: Tensor, steps: int | None) -> Tensor:
    """As join, in whole steps of so many from 0 to 1, so that luma which is in whole steps stays the same.

    Green is most of luma: rounded last, it takes up what red and blue were rounded by.
    """
    picture = join(luma, chroma)
    if steps is None:
        return picture
    red, _, blue = torch.split((picture * steps).round(), 1, dim=1)
    rest = luma * steps - LUMA[0].item() * red - LUMA[2].item() * blue
    green = (rest / LUMA[1].item()).round().clamp(0, steps)
    return torch.cat([red, green, blue], dim=1) / steps


@dataclass(frozen=True)
class Guided:
    """Chroma of a small picture as a linear function of its luma, place by place.

    slope, offset: (1, 2, h, w). width, height: of the large picture.
    """

    slope: Tensor
    offset: Tensor
    width: int
    height: int

    @classmethod
    def of(
        cls, luma: Tensor, chroma: Tensor, width: int, height: int, radius_px: int = 1, edge: float = 0.01
    ) -> "Guided":
        """luma: (1, 1, h, w). chroma: (1, 2, h, w). edge: a step of luma below which all is one surface."""
        mean, of_chroma = _mean(luma, radius_px), _mean(chroma, radius_px)
        variance = _mean(luma * luma, radius_px) - mean * mean
        covariance = _mean(luma * chroma, radius_px) - mean * of_chroma
        slope = _mean(covariance / (variance + edge**2), radius_px)
        return cls(slope, chroma - slope * luma, width, height)  # so that the small picture is kept

    def at(self, luma: Tensor, box: Box) -> Tensor:
        """The chroma (1, 2, h, w) of a part of the large picture. luma: (1, 1, h, w), of that part."""
        both = torch.cat([self.slope, self.offset], dim=1)
        slope, offset = enlarged(both, box, self.width, self.height).chunk(2, 1)
        return slope * luma + offset


def _mean(x: Tensor, radius_px: int) -> Tensor:
    return avg_pool2d(x, 2 * radius_px + 1, 1, radius_px, count_include_pad=False)
