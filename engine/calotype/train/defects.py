"""Scratches, dust, hairs, folds and lost emulsion, drawn onto clean photos with the mask of what they hid.

Pictures here are (H, W, 3) float32, 0..1, sRGB-encoded; opacities and masks are (H, W) float32, 0..1.
Randomness comes only from the Generator that the caller passes.

Sources: kinds of damage, Wan et al. 2020 ("Bringing Old Photos Back to Life"); overlays of real film
damage, Ivanova et al. 2023 ("Simulating analogue film damage").
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from calotype.train import degradations
from calotype.train.degradations import Array

VISIBLE = 16 / 255
"""A defect that changes a pixel by less is lost in the grain, and is none."""

WIDE = ("dots", "smut", "sprinkles", "stain")
"""Folders of real damage that is not thin: it hides so much that a fill from around it means nothing."""

_FINE = 4
"""Lines are drawn so many times larger, for soft edges."""


def damage(
    picture: Array, rng: Generator, overlays: list[Path], faintest: float = 0.5
) -> tuple[Array, Array]:
    """picture with one to six defects, and the mask of the pixels that they visibly changed, 0 or 1.

    overlays: pictures of real damage, its opacity in their last channel; may be empty. faintest: a defect's
    least opacity at its middle, 0..1.
    """
    height, width = picture.shape[:2]
    result = picture
    for _ in range(int(rng.integers(1, 7))):
        if overlays and rng.random() < 0.35:
            opacity = _overlay(overlays[int(rng.integers(len(overlays)))], height, width, rng)
        else:
            draw = _KINDS[int(rng.choice(len(_KINDS), p=_SHARES))]
            opacity = draw(height, width, rng)
        result = _lay(result, opacity * rng.uniform(faintest, 1.0), _colour(rng))
    changed = np.abs(result - picture).max(axis=2)
    return result, (changed > VISIBLE).astype(np.float32)


def structures(picture: Array, rng: Generator) -> Array:
    """picture with thin things of the scene that are no damage: wires, struts, spokes, ropes, bricks.

    They come in numbers and in order, take their colours from the picture, and are as soft as a lens
    makes them; by that a detector can tell them from scratches.
    """
    height, width = picture.shape[:2]
    drawn = _SCENES[int(rng.integers(len(_SCENES)))](height, width, rng)
    sigma = rng.uniform(0.3, 1.0)
    soft = degradations.convolve(drawn[..., None], degradations.gaussian_kernel(sigma, sigma, 0.0))[..., 0]
    luma = picture.mean(axis=2)
    part = luma < np.quantile(luma, 0.15) if rng.random() < 0.65 else luma > np.quantile(luma, 0.85)
    return _lay(
        picture, soft * rng.uniform(0.4, 1.0), picture[part].mean(axis=0) if part.any() else picture[0, 0]
    )


def _wires(height: int, width: int, rng: Generator) -> Array:
    """Two to ten lines of about one direction, evenly spaced or not: wires, ropes, boards, hatching."""
    count, angle = int(rng.integers(2, 11)), rng.uniform(0, np.pi)
    along = np.array([np.cos(angle), np.sin(angle)]) * max(height, width)
    across = np.array([-along[1], along[0]]) / np.hypot(*along)
    gap, first = rng.uniform(5, 40), rng.uniform((0, 0), (width, height))
    spread = rng.choice([0.0, 0.3])
    lines = []
    for index in range(count):
        middle = first + across * gap * (index + spread * rng.normal())
        ends = [middle - along + spread * rng.normal(0, 20, 2), middle + along]
        sag = across * rng.uniform(0, 8)
        t = np.linspace(0, 1, 16)[:, None]
        lines.append(ends[0] * (1 - t) + ends[1] * t + sag * 4 * t * (1 - t))
    return _strokes(height, width, lines, rng.uniform(0.6, 4.0))


def _spokes(height: int, width: int, rng: Generator) -> Array:
    """Lines that meet: struts, spokes, rigging, twigs."""
    hub, count = rng.uniform((0, 0), (width, height)), int(rng.integers(3, 13))
    angles = rng.uniform(0, 2 * np.pi) + np.arange(count) * rng.uniform(0.2, 1.2)
    reach = rng.uniform(0.2, 1.0) * max(height, width)
    lines = [np.stack([hub, hub + reach * np.array([np.cos(a), np.sin(a)])]) for a in angles]
    if rng.random() < 0.5:  # a rim
        t = np.linspace(0, 2 * np.pi, 48)
        lines.append(hub + 0.8 * reach * np.stack([np.cos(t), np.sin(t)], axis=1))
    return _strokes(height, width, lines, rng.uniform(0.6, 4.0))


def _bricks(height: int, width: int, rng: Generator) -> Array:
    """The joints of a wall, a pavement, tiles or a lattice, seen at a slant."""
    tall = rng.uniform(5, 18)
    wide = tall * rng.uniform(1.0, 3.0)
    slant, lines = rng.uniform(-0.4, 0.4), []
    shift = wide / 2 if rng.random() < 0.6 else 0.0
    box = np.sort(rng.uniform(-0.2, 1.2, (2, 2)), axis=0) * (width, height)
    for row, y in enumerate(np.arange(box[0, 1], box[1, 1], tall)):
        lines.append(np.array([[box[0, 0], y + slant * box[0, 0]], [box[1, 0], y + slant * box[1, 0]]]))
        for x in np.arange(box[0, 0] + shift * (row % 2), box[1, 0], wide):
            lines.append(np.array([[x, y + slant * x], [x, y + tall + slant * x]]))
    return _strokes(height, width, lines, rng.uniform(0.6, 2.5))


_SCENES: list[Callable[[int, int, Generator], Array]] = [_wires, _spokes, _bricks]


def _lay(picture: Array, opacity: Array, colour: Array) -> Array:
    return (picture + (colour - picture) * opacity[..., None]).astype(np.float32)


def _colour(rng: Generator) -> Array:
    """White where emulsion is gone or a print was scratched, black where a negative was; brown for stains."""
    kind = rng.random()
    if kind < 0.6:
        base = rng.uniform(0.8, 1.0)
    elif kind < 0.9:
        base = rng.uniform(0.0, 0.2)
    else:
        return rng.uniform((0.35, 0.25, 0.1), (0.75, 0.6, 0.45)).astype(np.float32)
    return np.clip(base + rng.normal(0, 0.03, 3), 0, 1).astype(np.float32)


def _strokes(height: int, width: int, lines: list[NDArray[np.float64]], wide_px: float) -> Array:
    """Polylines of (x, y) points, wide_px thick, with soft edges."""
    canvas = Image.new("L", (_FINE * width, _FINE * height))
    pen = ImageDraw.Draw(canvas)
    for line in lines:
        points = [(float(x) * _FINE, float(y) * _FINE) for x, y in line]
        pen.line(points, fill=255, width=max(1, round(wide_px * _FINE)), joint="curve")
    small = canvas.resize((width, height), Image.Resampling.BOX)
    return np.asarray(small, np.float32) / np.float32(255)


def film_scratch(height: int, width: int, rng: Generator) -> Array:
    """Long, thin, nearly straight; along the film or across it; broken here and there."""
    count = 24
    along = np.linspace(-0.1, 1.1, count) * max(height, width)
    across = rng.uniform(0, min(height, width)) + np.cumsum(rng.normal(0, 0.25, count))
    across += rng.uniform(-0.15, 0.15) * along
    line = np.stack([across, along] if rng.random() < 0.7 else [along, across], axis=1)
    opacity = _strokes(height, width, [line], rng.uniform(0.5, 4.0))
    if rng.random() < 0.5:
        worn = degradations.resize(rng.random((6, 6, 1), np.float32), height, width, "bicubic")[..., 0]
        opacity = opacity * np.clip(4 * worn - 1, 0, 1)
    return opacity


def hair(height: int, width: int, rng: Generator) -> Array:
    """A curve: hair, lint, a crack."""
    t = np.linspace(0, 1, 32)[:, None]
    start = rng.uniform((0, 0), (width, height))
    length = rng.uniform(0.1, 0.6) * min(height, width)
    bends = start + rng.normal(0, length, (3, 2))
    line = (1 - t) ** 3 * start + 3 * (1 - t) ** 2 * t * bends[0]
    line = line + 3 * (1 - t) * t**2 * bends[1] + t**3 * bends[2]
    return _strokes(height, width, [line], rng.uniform(0.6, 3.0))


def dust(height: int, width: int, rng: Generator) -> Array:
    """Some specks, round or long."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    opacity = np.zeros((height, width), np.float32)
    for _ in range(int(rng.integers(1, 14))):
        cy, cx, angle = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(0, np.pi)
        radius = rng.exponential(1.2) + 0.6
        u = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
        v = (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
        distance = np.hypot(u, v * rng.uniform(1.0, 2.5))
        opacity = np.maximum(opacity, np.clip(radius + 0.5 - distance, 0, 1))
    return opacity


def fold(height: int, width: int, rng: Generator) -> Array:
    """A crease from edge to edge, crumbled at its sides."""
    ends = rng.uniform((-0.1, -0.1), (1.1, 1.1), (2, 2)) * (width, height)
    middle = ends.mean(axis=0) + rng.normal(0, 2, 2)
    line = np.stack([2 * ends[0] - middle, middle, 2 * ends[1] - middle])
    core = _strokes(height, width, [line], rng.uniform(1.0, 5.0))
    crumbs = degradations.convolve(rng.random((height, width, 1), np.float32), _SOFT)[..., 0]
    return np.clip(core * (0.4 + 1.6 * crumbs), 0, 1).astype(np.float32)


def lost_emulsion(height: int, width: int, rng: Generator) -> Array:
    """A blotch with a ragged, sharp edge."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    radius = rng.uniform(2, 8)
    distance = np.hypot(y - rng.uniform(0, height), x - rng.uniform(0, width))
    cells = max(2, round(height / radius * 2))
    rough = degradations.resize(rng.random((cells, cells, 1), np.float32), height, width, "bicubic")[..., 0]
    return np.clip(radius * (0.5 + rough) - distance, 0, 1).astype(np.float32)


_SOFT = degradations.gaussian_kernel(0.8, 0.8, 0.0)
_KINDS: list[Callable[[int, int, Generator], Array]] = [film_scratch, hair, dust, fold, lost_emulsion]
_SHARES = (0.37, 0.23, 0.23, 0.1, 0.07)


def _overlay(path: Path, height: int, width: int, rng: Generator) -> Array:
    """A crop of a picture of real damage, turned at random and up to half again as large."""
    real = _opacity(path)
    scale = rng.uniform(0.7, 1.5)
    side_y, side_x = min(real.shape[0], round(height / scale)), min(real.shape[1], round(width / scale))
    y = int(rng.integers(0, real.shape[0] - side_y + 1))
    x = int(rng.integers(0, real.shape[1] - side_x + 1))
    part = np.rot90(real[y : y + side_y, x : x + side_x], int(rng.integers(4)))
    return degradations.resize(part[..., None].copy(), height, width, "bilinear")[..., 0].clip(0, 1)


@lru_cache(maxsize=1000)
def _opacity(path: Path) -> Array:
    with Image.open(path) as picture:
        bands = np.asarray(picture, np.float32) / np.float32(255)
    return bands if bands.ndim == 2 else bands[..., -1]
