"""Make the pictures of README.md, restoration.md, colour.md, style.md and anomaly.md again.

    python docs/pictures.py [--anomalies] [--styles WORK]

With --anomalies, those of anomaly.md alone. With --styles WORK, that of train-style.md, from what
benchmarks/train_style.py --work WORK has left. They show scikit-image's public-domain photos and what our own
code makes of them, nothing else.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from skimage import data, transform

from calotype import asking, demo
from calotype.models import manner
from calotype.models.anomaly import KINDS
from calotype.portfolio import shelf
from calotype.train import ageing, degradations, faults, planted
from calotype.train.degradations import Array
from calotype_wire.client import Request
from calotype_wire.errors import CalotypeError
from calotype_wire.protocol import Layer, PixelFormat

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from learning.held_out import all_of_them

FOLDER = Path(__file__).parent / "pictures"
SEED = 7


def made(operation: str, picture: Array, *others: Array, **values: Any) -> list[Array]:
    """What the engine makes of picture, (H, W, 3), 0..1: each result's samples, 0..1. others: (H, W, 4)."""
    layers = []
    for samples in (picture, *others):
        pixels = np.rint(samples.clip(0, 1) * 255).astype(np.uint8)
        format = PixelFormat("RGBA" if pixels.shape[2] == 4 else "RGB")
        layers.append(Layer(pixels.shape[1], pixels.shape[0], format, pixels.tobytes()))
    result = asking.answer(Request(operation, layers, values), quiet=True)
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


def trained(work: Path) -> None:
    """Of each style that was learnt: a part of its source, and a photo after a second and a minute, and after
    ten minutes where that was done.
    """
    rocket = transform.resize(data.rocket()[60:400, 240:520], (192, 160), anti_aliasing=True).astype(
        np.float32
    )
    folders = {work / name.replace(" ", "-"): source for name, source in all_of_them().items()}
    done = {
        folder: source for folder, source in folders.items() if (folder / "standard-60.calostyle").exists()
    }
    levels = ["instant-0", "standard-60"]
    levels += ["best-600"] if any((folder / "best-600.calostyle").exists() for folder in done) else []
    tiles = []
    for folder, source in done.items():
        shown = [_painted(rocket, folder / f"{level}.calostyle") for level in levels]
        part = transform.resize(source[:384, :320], rocket.shape[:2], anti_aliasing=True).astype(np.float32)
        tiles.append(np.hstack([part, *shown]))
    tiles += [np.ones_like(tiles[0])] * (len(tiles) % 2)
    rows = [np.hstack(tiles[k : k + 2]) for k in range(0, len(tiles), 2)]
    pixels = np.rint(np.vstack(rows).clip(0, 1) * 255).astype(np.uint8)
    Image.fromarray(pixels).save(FOLDER / "train-style.jpg", quality=85)


def _painted(picture: Array, file: Path) -> Array:
    if not file.exists():
        return np.ones_like(picture)
    name = shelf.import_file(file)
    made_ = made("stylize", picture, style=name, refine=0)[0]
    shelf.delete(name)
    return made_


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--styles", type=Path, metavar="WORK")
    parser.add_argument("--anomalies", action="store_true", help="only those of anomaly.md")
    options = parser.parse_args()
    work = options.styles
    if options.anomalies:
        anomalies()
        return
    if work is not None:
        trained(work)
        return
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
    colours()
    styles()
    anomalies()


def anomalies() -> None:
    """Faults of several kinds, each planted into a photo or a painting of it."""
    rows = []
    for seed, (photo, style, kinds) in enumerate(
        (
            (data.astronaut()[:320, 60:380], "", ("noise", "checkerboard")),
            (data.coffee()[40:360, 100:420], "wheat-field", ("seam", "bleed")),
            (data.chelsea()[:300, 80:380], "", ("jpeg", "blob")),
        )
    ):
        pixels = transform.resize(photo, (256, 256), anti_aliasing=True).astype(np.float32)
        source = degradations.to_8_bit(pixels)
        clean = made("stylize", source, style=style, refine=0)[0] if style else source
        rng = np.random.default_rng((SEED, seed))
        base = faults.Base(clean, source, source, manner.of_catalogue(style) if style else None)
        parts = [(KINDS.index(kind), faults.MAKERS[kind](base, rng)) for kind in kinds]
        spoilt = planted.planted(clean, parts, rng).picture
        over = np.dstack([source, np.ones(source.shape[:2], np.float32)])
        heat = made("check", spoilt)[0]
        seen = spoilt + heat[..., 3:] * (heat[..., :3] - spoilt)
        known = {"source": 1, "style": style}
        results = [_corrected(spoilt), _corrected(spoilt, over, **known)]
        parts_of_row = [spoilt, seen, *results, clean]
        gap = np.ones((256, 6, 3), np.float32)
        rows.append(np.hstack([part for each in parts_of_row for part in (each, gap)][:-1]))
    pixels = np.rint(np.vstack(rows).clip(0, 1) * 255).astype(np.uint8)
    Image.fromarray(pixels).save(FOLDER / "anomaly.jpg", quality=88)


def _corrected(picture: Array, *others: Array, **values: Any) -> Array:
    try:
        return made("correct", picture, *others, **values)[0]
    except CalotypeError as left:
        if left.code != "UNCHANGED":
            raise
        return picture


def colours() -> None:
    portrait = transform.resize(data.astronaut()[:400, 60:460], (300, 300), anti_aliasing=True)
    told = grey(portrait.astype(np.float32) @ np.array([0.2126, 0.7152, 0.0722], np.float32))
    paint = np.zeros((300, 300, 4), np.float32)
    for y, x, colour in (
        (70, 150, "#c8966e"),
        (100, 120, "#d2a07d"),
        (45, 118, "#8c5a32"),
        (210, 90, "#d2501e"),
        (250, 150, "#d2501e"),
        (160, 60, "#d2501e"),
        (40, 30, "#b9b9c3"),
        (60, 210, "#b9b9c3"),
        (130, 10, "#aa2828"),
        (110, 50, "#b9b4aa"),
    ):
        value = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        paint[y - 4 : y + 4, x - 4 : x + 4] = *value, 1
    shown = told + (paint[..., :3] - told) * paint[..., 3:]
    row("colour-hints", told, made("colorize", told)[0], shown, made("colorize", told, paint, hints=1)[0])

    cup = transform.resize(data.coffee(), (220, 330), anti_aliasing=True).astype(np.float32)
    plain = grey(cup @ np.array([0.2126, 0.7152, 0.0722], np.float32))
    warm = made("colorize", plain, palette=["#7a4a2a", "#c8782a", "#e8d8c0", "#2a1a10"])[0]
    cold = made("colorize", plain, palette=["#203050", "#4878a8", "#c0d0e0", "#101820"])[0]
    row("colour-palette", plain, warm, cold)


def styles() -> None:
    cat = transform.resize(data.chelsea()[:, 40:400], (250, 300), anti_aliasing=True).astype(np.float32)
    names = ("starry-night", "great-wave", "scream", "irises")
    row("style", cat, *(made("stylize", cat, style=name)[0] for name in names[:2]))
    row("style-more", *(made("stylize", cat, style=name)[0] for name in names[2:]), cat)
    steps = [made("stylize", cat, style="starry-night", refine=count)[0] for count in (0, 10, 100)]
    row("style-refine", *steps)
    where = np.zeros((250, 300, 4), np.float32)
    where[:, 150:] = 1, 0, 0, 1
    both = made("stylize", cat, where, blend="starry-night, scream", blend_layer=1)[0]
    kept = made("stylize", cat, style="starry-night", keep_colours=True)[0]
    row("style-blend", cat + 0.5 * (where[..., :3] - cat) * where[..., 3:], both, kept)


def _read(path: Path) -> Array:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"), np.float32) / np.float32(255)


if __name__ == "__main__":
    main()
