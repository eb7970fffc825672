"""Whether a photo is grey, of one tone (sepia, cyanotype, yellowed) or in colours."""

from enum import Enum

import torch
from torch import Tensor

from calotype.image.colour import LUMA

GREY_MAX = 1.5 / 255
"""Mean chroma below which a photo is grey: JPEG alone adds up to about 1/255."""

TONED_MAX = 3.0 / 255
"""How far, on average, the chroma of a toned photo lies from a curve over the luminance."""


class Tint(Enum):
    GREY = "grey"
    TONED = "toned"
    COLOUR = "colour"


def split(picture: Tensor) -> tuple[Tensor, Tensor]:
    """Luma (1, H, W) and chroma (3, H, W), whose sum is the picture (3, H, W)."""
    luma = torch.einsum("c,chw->hw", LUMA, picture)[None]
    return luma, picture - luma


def tint_of(thumbnail: Tensor) -> Tint:
    """thumbnail: (3, h, w), 0..1, small enough that noise has been averaged out.

    Toned: the chroma is a smooth function (a cubic) of the luminance, wherever in the picture it is.
    """
    luma, chroma = split(thumbnail)
    if float(chroma.abs().mean()) < GREY_MAX:
        return Tint.GREY
    y = luma.flatten()
    powers = torch.stack([torch.ones_like(y), y, y**2, y**3], dim=1)
    values = chroma.flatten(1).T
    curve = torch.linalg.lstsq(powers, values).solution
    off = (values - powers @ curve).abs().mean()
    return Tint.TONED if float(off) < TONED_MAX else Tint.COLOUR
