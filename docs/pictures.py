"""Make the pictures of README.md and docs/restoration.md again: python docs/pictures.py

They show scikit-image's public-domain photos and what our own code makes of them, nothing else.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from skimage import data, transform

from calotype import cli, demo
from calotype.train import ageing, degradations
from calotype.train.degradations import Array
from calotype_wire.client import Request
from calotype_wire.protocol import Layer, PixelFormat

FOLDER = Path(__file__).parent / "pictures"
SEED = 7


def made(operation: str, picture: Array, **values: Any) -> list[Array]:
    """What the engine makes of picture, (H, W, 3), 0..1: each result's samples, 0..1."""
    pixels = np.rint(picture.clip(0, 1) * 255).astype(np.uint8)
    layer = Layer(pixels.shape[1], pixels.shape[0], PixelFormat("RGB"), pixels.tobytes())
    result = cli.run(Request(operation, [layer], values), quiet=True)
    return [
        (np.frombuffer(x.pixels, np.uint8).reshape(x.height, x.width, -1) / 255).astype(np.float32)
        for x in result.layers
    ]


def row(name: str, *pictures: Array, double: bool = False) -> None:
    """Pictures of one height, side by side."""
    gap = np.ones((pictures[0].shape[0], 8, 3), np.float32)
    parts = [part for picture in pictures for part in (picture, gap)][:-1]
    pixels = np.rint(np.hstack(parts).clip(0, 1) * 255).astype(np.uint8)
    image = Image.fromarray(pixels)
    if double:  # so that a browser cannot smooth pixels away
        image = image.resize((2 * image.width, 2 * image.height), Image.Resampling.NEAREST)
    image.save(FOLDER / f"{name}.png", optimize=True)


def grey(picture: Array) -> Array:
    return np.repeat(picture[..., None] if picture.ndim == 2 else picture.mean(2, keepdims=True), 3, axis=2)


def red(mask: Array, picture: Array) -> Array:
    """picture with what the mask layer marks on it, as an editor shows both."""
    return picture + (mask[..., :3] - picture) * mask[..., 3:]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        demo.run(None, Path(folder))
        before, after = (_read(Path(folder) / f"{name}.png") for name in ("before", "after"))
    row("astronaut", before, after)
    face = slice(20, 200), slice(130, 310)
    certain, likely = (made("restore", before, fidelity=value)[0] for value in (100.0, 0.0))
    row("portrait", before[face], certain[face], likely[face], double=True)

    rng = np.random.default_rng(SEED)
    cat, _ = ageing.old_photo(data.chelsea()[:, 20:] / np.float32(255), rng, [])
    restored, marks = made("restore", cat)
    row("steps", cat, red(marks, cat), restored)

    camera = transform.resize(data.camera(), (320, 320), anti_aliasing=True).astype(np.float32)
    print_ = ageing.tint(0.25 + 0.5 * grey(camera), rng)
    print_ = degradations.to_8_bit(degradations.film_grain(print_, 9, 0.7, rng))
    row("sepia", print_, made("restore", print_)[0], made("restore", print_, sepia="remove")[0])

    coffee = transform.resize(data.coffee(), (200, 300), anti_aliasing=True).astype(np.float32)
    part = coffee[40:140, 60:180]
    plain, sharp = (made("upscale", part, scale="4", detail=detail)[0] for detail in (0.0, 100.0))
    row("upscale", plain, sharp)


def _read(path: Path) -> Array:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"), np.float32) / np.float32(255)


if __name__ == "__main__":
    main()
