"""Twelve styles that no recipe of ours has seen: pictures of scikit-image, and some that are drawn here."""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter
from restoring.pictures import Floats, floats
from skimage import data

SIDE_PX = 512


def all_of_them() -> dict[str, Floats]:
    """Name to picture, (H, W, 3), 0..1."""
    seen = {
        "stained cells": data.immunohistochemistry(),
        "Hubble deep field": data.hubble_deep_field(),
        "retina": data.retina()[300:1100, 300:1100],
        "grass": data.grass(),
        "gravel": data.gravel(),
        "brick": data.brick(),
    }
    drawn = {
        "strokes": _strokes,
        "hatching": _hatching,
        "dots": _dots,
        "mosaic": _mosaic,
        "washes": _washes,
        "woodcut": _woodcut,
    }
    pictures = {name: _reduced(Image.fromarray(pixels).convert("RGB")) for name, pixels in seen.items()}
    return pictures | {name: _drawn(draw, seed) for seed, (name, draw) in enumerate(drawn.items())}


def _reduced(picture: Image.Image) -> Floats:
    picture.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
    return floats(np.asarray(picture))


def _drawn(draw: Callable[[Image.Image, Generator], Image.Image], seed: int) -> Floats:
    return floats(np.asarray(draw(Image.new("RGB", (SIDE_PX, SIDE_PX)), np.random.default_rng(seed))))


def _field(rng: Generator, places: int) -> np.ndarray:
    """Smooth noise, (SIDE_PX, SIDE_PX), -1..1 or so."""
    small = Image.fromarray(rng.normal(size=(places, places)).astype(np.float32))
    return np.asarray(small.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC))


def _colour(rng: Generator, palette: list[tuple[int, int, int]], jitter: float) -> tuple[int, int, int]:
    red, green, blue = palette[int(rng.integers(len(palette)))] + rng.normal(0, jitter, 3)
    return int(red), int(green), int(blue)


def _strokes(picture: Image.Image, rng: Generator) -> Image.Image:
    """Broad ones that follow a field, in oil's colours."""
    palette = [(34, 62, 110), (60, 110, 150), (212, 170, 70), (150, 70, 40), (230, 214, 170)]
    angle, pen = 3 * _field(rng, 5), ImageDraw.Draw(picture)
    for _ in range(6000):
        x, y = (int(v) for v in rng.integers(0, SIDE_PX, 2))
        way = np.array([np.cos(angle[y, x]), np.sin(angle[y, x])]) * rng.uniform(8, 22)
        pen.line(
            [x - way[0], y - way[1], x + way[0], y + way[1]],
            _colour(rng, palette, 14),
            int(rng.integers(3, 8)),
        )
    return picture


def _hatching(picture: Image.Image, rng: Generator) -> Image.Image:
    """Ink on paper, denser where it is darker."""
    picture.paste((238, 228, 206), (0, 0, SIDE_PX, SIDE_PX))
    dark, pen = _field(rng, 6), ImageDraw.Draw(picture)
    for turn, threshold in ((0.8, -0.6), (-0.7, 0.0), (0.1, 0.6)):
        for _ in range(5000):
            x, y = (int(v) for v in rng.integers(0, SIDE_PX, 2))
            if dark[y, x] > threshold:
                a, half = turn + rng.normal(0, 0.06), rng.uniform(8, 16)
                step = np.array([np.cos(a), np.sin(a)]) * half
                pen.line([x - step[0], y - step[1], x + step[0], y + step[1]], (40, 34, 44), 1)
    return picture


def _dots(picture: Image.Image, rng: Generator) -> Image.Image:
    """Pure colours side by side."""
    picture.paste((226, 220, 196), (0, 0, SIDE_PX, SIDE_PX))
    warm, pen = _field(rng, 5), ImageDraw.Draw(picture)
    hot, cold = (
        [(214, 96, 48), (238, 190, 60), (190, 60, 90)],
        [(40, 80, 160), (60, 140, 120), (120, 90, 170)],
    )
    for _ in range(14000):
        x, y = (int(v) for v in rng.integers(0, SIDE_PX, 2))
        palette = hot if warm[y, x] + rng.normal(0, 0.4) > 0 else cold
        radius = rng.uniform(1.6, 3.4)
        pen.ellipse([x - radius, y - radius, x + radius, y + radius], _colour(rng, palette, 10))
    return picture


def _mosaic(picture: Image.Image, rng: Generator) -> Image.Image:
    """Stones of a colour each, with dark joints."""
    centres, hue = rng.uniform(0, SIDE_PX, (1500, 2)), _field(rng, 4)
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
    nearest = np.full((2, SIDE_PX, SIDE_PX), np.inf)
    stone = np.zeros((SIDE_PX, SIDE_PX), int)
    for number, (a, b) in enumerate(centres):
        apart = np.hypot(y - a, x - b)
        closer = apart < nearest[0]
        nearest[1] = np.where(closer, nearest[0], np.minimum(nearest[1], apart))
        nearest[0] = np.where(closer, apart, nearest[0])
        stone[closer] = number
    gold, blue = np.array([200, 158, 70]), np.array([46, 84, 120])
    mixed = 1 / (1 + np.exp(-4 * hue[tuple(centres.astype(int).T)]))[:, None]
    colours = gold * mixed + blue * (1 - mixed) + rng.normal(0, 22, (len(centres), 3))
    pixels = colours[stone].clip(0, 255)
    pixels[nearest[1] - nearest[0] < 1.6] = (42, 36, 34)
    return Image.fromarray(pixels.astype(np.uint8))


def _washes(picture: Image.Image, rng: Generator) -> Image.Image:
    """Watercolour: layers that darken at their edges."""
    pixels = np.full((SIDE_PX, SIDE_PX, 3), (246, 242, 232), float)
    for colour in ((90, 140, 170), (190, 120, 90), (120, 150, 90), (150, 110, 160)) * 3:
        shape = _field(rng, 7) + 0.25 * _field(rng, 40)
        inside = 1 / (1 + np.exp(-12 * (shape - 0.5)))
        edge = np.exp(-((shape - 0.5) ** 2) / 0.006)
        cover = (0.35 * inside + 0.25 * edge)[..., None]
        pixels = pixels * (1 - cover * (1 - np.array(colour) / 255))
    grain = rng.normal(0, 4, (SIDE_PX, SIDE_PX, 1))
    made = Image.fromarray((pixels + grain).clip(0, 255).astype(np.uint8))
    return made.filter(ImageFilter.GaussianBlur(0.6))


def _woodcut(picture: Image.Image, rng: Generator) -> Image.Image:
    """Lines that swell, black on white, with a red block."""
    field, y = _field(rng, 5), np.mgrid[:SIDE_PX, :SIDE_PX][0]
    lines = np.sin(y * 0.7 + 9 * field) > 0.9 * _field(rng, 4)
    pixels = np.where(lines[..., None], (242, 236, 222), (26, 24, 28))
    red = (_field(rng, 4) > 0.7)[..., None] & ~lines[..., None]
    return Image.fromarray(np.where(red, (176, 46, 38), pixels).astype(np.uint8))
