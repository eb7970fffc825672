"""What a user may say about the colours of a grey photo, drawn at random from the photo's true ones.

Chroma is (2, H, W), hints are chroma where known (1, H, W) is 1 and 0 elsewhere. Source: points whose number
is geometric, Zhang et al. 2017; strokes and palettes are ours.
"""

import numpy as np
import torch
from numpy.random import Generator
from PIL import Image, ImageDraw
from torch import Tensor

from calotype.image import spread as spreading
from calotype.models.dual import PALETTE, palette_of

Hints = tuple[Tensor, Tensor]


def points(chroma: Tensor, count: int, rng: Generator, side_px: int = 5) -> Hints:
    """Squares of the colour that is there on average."""
    height, width = chroma.shape[1:]
    hints, known = torch.zeros_like(chroma), torch.zeros(1, height, width)
    for _ in range(count):
        y, x = (int(rng.integers(0, max(1, side - side_px + 1))) for side in (height, width))
        box = (slice(None), slice(y, y + side_px), slice(x, x + side_px))
        hints[box] = chroma[box].mean((1, 2), keepdim=True)
        known[box] = 1
    return hints, known


def strokes(chroma: Tensor, count: int, rng: Generator) -> Hints:
    """Lines of one colour, the middle one of what lies under them, as a user would paint."""
    height, width = chroma.shape[1:]
    hints, known = torch.zeros_like(chroma), torch.zeros(1, height, width)
    for _ in range(count):
        canvas = Image.new("1", (width, height))
        start = rng.uniform((0, 0), (width, height))
        path = np.cumsum([start, *rng.normal(0, 0.08 * width, (int(rng.integers(1, 4)), 2))], axis=0)
        ImageDraw.Draw(canvas).line([(x, y) for x, y in path], fill=1, width=int(rng.integers(2, 8)))
        under = torch.from_numpy(np.array(canvas))
        if not under.any():
            continue
        colour = chroma[:, under].median(dim=1).values
        if (chroma[:, under] - colour[:, None]).abs().mean() > 0.03:
            continue  # over an edge: nobody paints so
        hints[:, under] = colour[:, None]
        known[:, under] = 1
    return hints, known


def palette(chroma: Tensor, count: int, rng: Generator) -> Tensor:
    """The vector of count colours that stand for the photo's: its k-means, from random pixels."""
    values = chroma.flatten(1).T
    values = values[torch.from_numpy(rng.integers(0, len(values), 1024))]
    centres = values[torch.from_numpy(rng.choice(len(values), count, replace=False))]
    for _ in range(3):
        nearest = torch.cdist(values, centres).argmin(1)
        for k in set(nearest.tolist()):
            centres[k] = values[nearest == k].mean(0)
    return palette_of(centres)


def reference(chroma: Tensor) -> Tensor:
    """The vector of a picture that has the same colours."""
    return palette_of(chroma.flatten(1).T[::7])


def spread(luma: Tensor, hints: Tensor, known: Tensor) -> Hints:
    """As image.spread, of one picture."""
    chroma, trust = spreading.spread(luma[None], hints[None], known[None])
    return chroma[0], trust[0]


def none(height: int, width: int) -> Hints:
    return torch.zeros(2, height, width), torch.zeros(1, height, width)


NO_PALETTE = torch.zeros(PALETTE)


def drawn(luma: Tensor, chroma: Tensor, rng: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Hints that are spread, trust and palette as users give them; one time in four nothing at all."""
    kind = rng.random()
    hints, known = none(*chroma.shape[1:])
    if kind > 0.6:
        hints, known = points(chroma, int(rng.geometric(1 / 20)), rng, int(rng.integers(2, 10)))
    elif kind > 0.45:
        hints, known = strokes(chroma, int(rng.integers(1, 9)), rng)
    vector = NO_PALETTE
    mood = rng.random()
    if mood > 0.8:
        vector = reference(chroma)
    elif mood > 0.6:
        vector = palette(chroma, int(rng.integers(2, 9)), rng)
    return *spread(luma, hints, known), vector
