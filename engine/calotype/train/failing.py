"""Our own models, failing on purpose: what they make of a photo where something in them is wrong.

Pictures are (3, H, W), 0..1, sides multiples of 16. Randomness comes only from the Generator that the caller
passes.
"""

from functools import lru_cache
from itertools import pairwise

import torch
from numpy.random import Generator
from torch import Tensor

from calotype import stylebook
from calotype.image import chroma as chromas
from calotype.image import tiles
from calotype.models import device as devices
from calotype.models import dual, gatys, manner, restorer
from calotype.models.manner import Manner
from calotype.models.painter import Painter, framed


@lru_cache(maxsize=1)
def _painter() -> Painter:
    return Painter(dual.shipped(devices.named("cpu")))


def style(rng: Generator) -> Manner:
    """A style of the catalogue, or two mixed."""
    names = [style.name for style in stylebook.catalogue()]
    one, other = (manner.of_catalogue(names[int(rng.integers(len(names)))]) for _ in range(2))
    share = float(rng.choice((0.0, 0.0, rng.random())))
    return Manner.blended([(one, 1 - share), (other, share)])


@torch.no_grad()
def painted(photo: Tensor, row: Tensor, painter: Painter | None = None) -> Tensor:
    """As Stylize does without refining: nothing wrong, unless painter is."""
    brush = painter or _painter()
    return framed(lambda seen: brush(*chromas.split(seen), row)[0], photo[None])[0].clamp(0, 1)


def refined(photo: Tensor, painting: Tensor, manner: Manner, steps: int) -> Tensor:
    """As Stylize does: nothing wrong."""
    with torch.inference_mode(False), torch.enable_grad():  # whoever asks
        start, content = painting.clone()[None], photo.clone()[None]
        moments = [(mean.clone(), around.clone()) for mean, around in manner.moments]
        device = devices.named("cpu")
        return gatys.optimised(start, content, [(moments, None)], steps, device, lambda *_: None)[0]


def painted_in_tiles(photo: Tensor, row: Tensor, side_px: int, phase: tuple[int, int]) -> Tensor:
    """Each tile by its own statistics, so that tones do not agree. phase: y and x of a tile's corner."""
    made = torch.empty_like(photo)
    for y0, y1 in _cuts(photo.shape[1], side_px, phase[0]):
        for x0, x1 in _cuts(photo.shape[2], side_px, phase[1]):
            part = photo[:, y0:y1, x0:x1]
            made[:, y0:y1, x0:x1] = tiles.padded(lambda x: painted(x[0], row)[None], part, 16)
    return made


def _cuts(length: int, side_px: int, phase: int) -> list[tuple[int, int]]:
    edges = [0, *range(phase or side_px, length, side_px), length]
    return list(pairwise(edges))


def painted_otherwise(photo: Tensor, row: Tensor, strength: float, rng: Generator) -> Tensor:
    """By a row whose scales and shifts are off by so many of their deviations."""
    noise = torch.from_numpy(rng.standard_normal(row.shape).astype("float32"))
    return painted(photo, row + strength * row.std() * noise)


def rough(bits: int, learnt: float, rng: Generator) -> Painter:
    """A painter whose weights are rounded to so many bits, or part of the way back to an untrained start.

    learnt: 1 for all that it has learnt, 0 for nothing: an early checkpoint. bits: 0 does not round.
    """
    weights = {key: value.clone() for key, value in _painter().state_dict().items()}
    for key, value in weights.items():
        if key.endswith("weight") and value.ndim == 4:
            start = torch.from_numpy(rng.standard_normal(value.shape).astype("float32")) * value.std()
            weights[key] = _rounded(torch.lerp(start, value, learnt), bits)
    return _painter().changed(weights)


def _rounded(value: Tensor, bits: int) -> Tensor:
    if not bits:
        return value
    step = value.abs().amax() / (2 ** (bits - 1) - 0.5)
    return (value / step).round() * step


def checkered(unevenness: float, rng: Generator) -> Painter:
    """A painter whose steps up are uneven, so that they lay a checkerboard over what they enlarge.

    Source: why, Odena, Dumoulin, Olah 2016 ("Deconvolution and Checkerboard Artifacts").
    """
    weights = {key: value.clone() for key, value in _painter().state_dict().items()}
    for key in ("decoder.grow.weight", "decoder.tail.weight"):
        uneven = torch.from_numpy(rng.standard_normal((len(weights[key]), 1, 1, 1)).astype("float32"))
        weights[key] = weights[key] * (1 + unevenness * uneven)
    return _painter().changed(weights)


@torch.no_grad()
def restored(photo: Tensor, levels: tuple[float, float, float], bits: int = 0) -> Tensor:
    """levels: noise, JPEG and blur as the restorer is told, 0..1 or restorer.BLIND; right or wrong."""
    network = restorer.between(0.0, devices.named("cpu")).network if not bits else _rounded_restorer(bits)
    return network(photo[None], torch.tensor([levels]))[0].clamp(0, 1)


@lru_cache(maxsize=4)
def _rounded_restorer(bits: int) -> torch.nn.Module:
    network = restorer.Restorer()
    values = restorer.between(0.0, devices.named("cpu")).network.state_dict()
    network.load_state_dict(
        {key: _rounded(value, bits) if value.ndim == 4 else value for key, value in values.items()}
    )
    return network.eval()
