"""Other ways to say where a picture is wrong: maps on cells of 8 px, higher is worse."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, interpolate

from calotype.image.colour import LUMA
from calotype.models import encoder
from calotype.models.anomaly import CELL_PX

DIMENSIONS = 100
"""Of PaDiM's features, drawn at random as in the paper."""


def laplacian_variance(picture: Tensor) -> Tensor:
    """How far the variance of the Laplacian in a cell and its neighbours is from the picture's usual.

    Pech-Pacheco et al. 2000 use it to measure focus; here both less and more than usual is odd.
    """
    kernel = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])[None, None]
    bends = conv2d(_luma(picture), kernel, padding=1)
    energy = avg_pool2d(bends.square(), 3 * CELL_PX, CELL_PX, CELL_PX, count_include_pad=False)
    log = (energy[0, 0] + 1e-5).log()
    return (log - log.median()).abs()


def blockiness(picture: Tensor) -> Tensor:
    """Steps at the borders of JPEG's blocks beyond those inside. Wang, Sheikh, Bovik 2002, here by cells."""
    luma = _luma(picture)
    found = torch.zeros(picture.shape[1] // CELL_PX, picture.shape[2] // CELL_PX)
    for dim in (2, 3):
        steps = luma.diff(dim=dim, append=luma.narrow(dim, luma.shape[dim] - 1, 1)).abs()
        edge = torch.zeros(CELL_PX)
        edge[-1] = 1.0
        where = edge.repeat(luma.shape[dim] // CELL_PX)
        where = where[:, None] if dim == 2 else where[None]
        border = avg_pool2d(steps * where, CELL_PX)[0, 0] * CELL_PX
        inside = avg_pool2d(steps * (1 - where), CELL_PX)[0, 0] * CELL_PX / (CELL_PX - 1)
        found = found + border - inside
    return avg_pool2d(found[None], 3, 1, 1, count_include_pad=False)[0]


class Padim:
    """Defard et al. 2021: Mahalanobis distance of an encoder's features from those of faultless pictures.

    Pictures of all things have no places of their own, so one Gaussian serves for all places.
    """

    def __init__(self, clean: list[Tensor]) -> None:
        widths = sum(encoder.WIDTHS[1:4])
        self.chosen = torch.from_numpy(np.random.default_rng(0).permutation(widths)[:DIMENSIONS])
        seen = torch.cat([self._seen(picture).flatten(1)[:, ::4] for picture in clean], dim=1)
        self.mean = seen.mean(1)
        self.inverse = torch.linalg.inv(torch.cov(seen) + 0.01 * torch.eye(DIMENSIONS))

    def __call__(self, picture: Tensor) -> Tensor:
        seen = self._seen(picture)
        away = seen.flatten(1) - self.mean[:, None]
        return (away * (self.inverse @ away)).sum(0).clamp_min(0).sqrt().view(seen.shape[1:])

    @torch.no_grad()
    def _seen(self, picture: Tensor) -> Tensor:
        stages = encoder.shipped(torch.device("cpu"))(picture[None])[1:4]
        size = picture.shape[1] // CELL_PX, picture.shape[2] // CELL_PX
        joined = torch.cat([interpolate(stage, size, mode="area") for stage in stages], dim=1)
        return joined[0, self.chosen]


def _luma(picture: Tensor) -> Tensor:
    return torch.einsum("c,chw->hw", LUMA, picture)[None, None]
