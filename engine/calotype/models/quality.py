"""How good a picture looks, without the original beside it: 0 to 100, higher is better.

Ridge regression from natural-scene statistics to what full-reference measures said of pictures that were
damaged and restored on purpose (train/quality.py). The statistics pass cosines of random projections
first, so that a closed form stands in for a kernel machine.

Sources: Mittal, Moorthy, Bovik 2012 (BRISQUE: regression on such statistics); Ye, Kumar, Doermann 2014
(BLISS: learning from full-reference measures instead of opinions); Rahimi, Recht 2007 (random features).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from calotype.image import quality
from calotype.image.codec import Box
from calotype.models import weights
from calotype.models.contract import Contract

CONTRACT = Contract(name="quality", multiple=1, halo_px=0, bytes_a_pixel=0)

_FARTHEST = 4.0  # deviations from the mean: what lies farther is as strange


@dataclass(frozen=True)
class Judge:
    """centre, spread: (F,), of the statistics. projection: (F, D). phase: (D,).

    weight: (D + F,). bias: (1,).
    """

    centre: Tensor
    spread: Tensor
    projection: Tensor
    phase: Tensor
    weight: Tensor
    bias: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """features: (N, F). Returns (N,), 0..100."""
        raised = raise_features(features, self.centre, self.spread, self.projection, self.phase)
        return 100 * torch.sigmoid(raised @ self.weight + self.bias)


def raise_features(
    features: Tensor, centre: Tensor, spread: Tensor, projection: Tensor, phase: Tensor
) -> Tensor:
    """features: (N, F). Returns (N, D + F): cosines of random projections, and what they are of."""
    standard = ((features - centre) / spread).clamp(-_FARTHEST, _FARTHEST)
    waves = torch.cos(standard @ projection + phase) * math.sqrt(2 / len(phase))
    return torch.cat([waves, standard / math.sqrt(len(centre))], 1)


def score(picture: Tensor) -> float | None:
    """picture: (3, H, W), 0..1, sRGB-encoded. As score_of."""
    box = Box(0, 0, picture.shape[2], picture.shape[1])
    return score_of(lambda part: picture[:, part.y0 : part.y1, part.x0 : part.x1], box)


def score_of(read: Callable[[Box], Tensor], box: Box) -> float | None:
    """How good box looks: 0..100, the median clean photo 90, at noise of sigma 50 8, at JPEG quality 5 18.

    read: a part of the picture (3, h, w), 0..1, sRGB-encoded, on the CPU; asked for at most 0.6 megapixels
    in all, at places that depend on box alone. None where a side is below 64 px: too little to judge by.
    One colour, black too, gets 99: nothing wrong is to be seen.
    """
    with torch.inference_mode():
        patches = quality.look(read, box)
        if patches is None:
            return None
        return float(_judge()(quality.features(patches)[None]))


@lru_cache(maxsize=1)
def _judge() -> Judge:
    return Judge(**weights.load(CONTRACT.name))
