"""Faults laid into clean pictures, with the truth of where they can be seen and how badly.

Pictures are (H, W, 3) float32, 0..1; truths (H, W). Randomness comes only from the Generator that the caller
passes.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch.nn.functional import avg_pool2d

from calotype.models.anomaly import KINDS
from calotype.train import degradations
from calotype.train.degradations import Array
from calotype.train.faults import clouds

SEEN = 0.04
"""Root mean square difference around a place, ten grey levels of 255, below which nothing strikes the eye."""

SEVERE = 0.12
"""At this difference the severity is 0.63."""


@dataclass(frozen=True)
class Planted:
    """severity: (H, W), 0..1, 0 where nothing can be seen. kind: (H, W), by its place in KINDS; -1: none."""

    picture: Array
    severity: Array
    kind: NDArray[np.int64]


def planted(clean: Array, faulty: list[tuple[int, Array]], rng: Generator) -> Planted:
    """faulty: kinds, and the picture with that fault all over; each is laid into a part of its own."""
    height, width = clean.shape[:2]
    made = clean
    kinds = np.full((height, width), -1, np.int64)
    whole = len(faulty) == 1 and rng.random() < 0.15
    for kind, picture in faulty:
        share = np.ones((height, width), np.float32) if whole else patch(height, width, rng)
        share = share * np.float32(rng.uniform(0.7, 1))
        made = made + (picture - made) * share[..., None]
        kinds[share > 0.25] = kind
    made = degradations.to_8_bit(made)
    severity = how_severe(made - clean)
    seam = kinds == KINDS.index("seam")  # where tones jump: inside its tile all looks right
    if seam.any():
        severity = np.where(seam, how_severe(_jumps(made - clean)), severity)
    kinds[severity == 0] = -1
    severity[kinds < 0] = 0
    return Planted(made, severity, kinds)


def _jumps(difference: Array) -> Array:
    return difference - degradations.smoothed(difference, 4.0)


def how_severe(difference: Array) -> Array:
    """(H, W), from the difference (H, W, 3) in the 9 x 9 px around each pixel: 0 where it cannot be seen."""
    square = torch.from_numpy(np.square(difference).mean(axis=2))[None, None]
    for size, rim in (((9, 1), (4, 0)), ((1, 9), (0, 4))):
        square = avg_pool2d(square, size, 1, rim, count_include_pad=False)
    around = square[0, 0].sqrt().numpy()
    severity: Array = np.where(around > SEEN, 1 - np.exp(-around / SEVERE), 0).astype(np.float32)
    return severity


def patch(height: int, width: int, rng: Generator) -> Array:
    """Where a fault lies, (H, W), 0..1: a cloud, an ellipse, a rectangle or a side; its rim hard or soft."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    kind = rng.random()
    centre_y, centre_x = rng.uniform(0, height), rng.uniform(0, width)
    half_y, half_x = rng.uniform(0.08, 0.35) * height, rng.uniform(0.08, 0.35) * width
    if kind < 0.4:
        cloud = clouds(height, width, int(rng.integers(2, 7)), rng)
        inside = cloud > np.quantile(cloud, rng.uniform(0.6, 0.95))
    elif kind < 0.7:
        inside = ((y - centre_y) / half_y) ** 2 + ((x - centre_x) / half_x) ** 2 < 1
    elif kind < 0.92:
        inside = (abs(y - centre_y) < half_y) & (abs(x - centre_x) < half_x)
    else:
        angle = rng.uniform(0, 2 * np.pi)
        inside = np.cos(angle) * (x - centre_x) + np.sin(angle) * (y - centre_y) > 0
    share = inside.astype(np.float32)
    if rng.random() < 0.7:
        share = degradations.smoothed(share[..., None], rng.uniform(1, 5))[..., 0]
    return share
