"""What goes wrong in generated pictures, made on purpose: ten kinds, each in several ways.

A fault turns a clean picture into the same picture with that fault all over; train.planted lays it into a
part. Pictures are (H, W, 3) float32, 0..1, sRGB-encoded. Randomness comes only from the Generator that the
caller passes.

Sources: faults laid into clean pictures to learn from, Zavrtanik, Kristan, Skočaj 2021 (DRAEM); patches
from elsewhere, Li et al. 2021 (CutPaste).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from torch.nn.functional import conv_transpose2d, grid_sample, interpolate

from calotype.image import chroma as chromas
from calotype.models import restorer
from calotype.models.anomaly import KINDS
from calotype.models.manner import Manner
from calotype.train import data, degradations, failing
from calotype.train.degradations import Array

SOFT = 0.25
PLAIN = 0.04
REFINED, ENLARGED = 0.5, 0.5
"""Shares of paintings: Stylize refines if not told otherwise, at 512 px, and enlarges what it has painted."""

ENLARGED_MAX = 4.0


@dataclass(frozen=True)
class Base:
    """A picture with nothing wrong. photo: what it shows. source: what it was made from, if it was made.
    manner: the style it was painted in, if any. small, enlarged: what it was enlarged from, if so, and how.
    """

    picture: Array
    photo: Array
    source: Array | None = None
    manner: Manner | None = None
    small: "Base | None" = None
    enlarged: Callable[[Array], Array] = lambda picture: picture

    def row(self, rng: Generator) -> Tensor:
        return (self.manner or failing.style(rng)).row


Maker = Callable[[Base, Generator], Array]


def spoilt(base: Base, kind: str, rng: Generator) -> Array:
    """The picture of base with a fault of this one of KINDS, from before it was enlarged or after."""
    if base.small is not None and rng.random() < 0.5:
        return base.enlarged(MAKERS[kind](base.small, rng))
    return MAKERS[kind](base, rng)


def base(photo: Array, rng: Generator) -> Base:
    """A photo, one that was worn and restored, or a painting: what our operations return when all is well.

    Some are soft all over, as what was enlarged is: that is no fault of a part. A few show nothing at all.
    """
    height, width = photo.shape[:2]
    if rng.random() < PLAIN:
        photo = _plain(height, width, rng)
        return Base(photo, photo)
    found = _base(photo, rng)
    if found.manner is not None and rng.random() < ENLARGED:
        return _enlarged(found, rng)
    if rng.random() >= SOFT:
        return found
    factor = rng.uniform(1.3, 3)
    small = degradations.resize(found.picture, round(height / factor), round(width / factor), "area")
    return replace(found, picture=degradations.resize(small, height, width, "bicubic"))


def _enlarged(small: Base, rng: Generator) -> Base:
    """A part of it, as large as it was."""
    height, width = small.picture.shape[:2]
    factor = float(np.exp(rng.uniform(0, np.log(ENLARGED_MAX))))
    rows, columns = round(factor * height), round(factor * width)
    y, x = (int(rng.integers(0, n + 1)) for n in (rows - height, columns - width))

    def enlarged(picture: Array) -> Array:
        return degradations.resize(picture, rows, columns, "bicubic")[y : y + height, x : x + width]

    source = None if small.source is None else enlarged(small.source)
    return Base(enlarged(small.picture), enlarged(small.photo), source, small.manner, small, enlarged)


def _base(photo: Array, rng: Generator) -> Base:
    kind = rng.random()
    if kind < 0.35:
        return Base(photo, photo)
    if kind < 0.5:
        worn = degradations.to_8_bit(degradations.gaussian_noise(photo, rng.uniform(3, 15), rng))
        made = failing.restored(data.tensor(worn), (restorer.BLIND,) * 3)
        return Base(_array(made), photo, worn)
    manner = failing.style(rng)
    made = failing.painted(data.tensor(photo), manner.row)
    if rng.random() < REFINED:
        made = failing.refined(data.tensor(photo), made, manner, int(rng.integers(10, 41)))
    share = float(rng.choice((1.0, 1.0, rng.uniform(0.5, 1))))  # some at less than full strength
    return Base(photo + np.float32(share) * (_array(made) - photo), photo, photo, manner)


def _plain(height: int, width: int, rng: Generator) -> Array:
    """One colour, or one that turns into another."""
    ends = rng.random((2, 1, 1, 3)).astype(np.float32)
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j].astype(np.float32)[..., None]
    slope = rng.uniform(0, 1, 2).astype(np.float32) * np.float32(rng.random() < 0.7)
    return degradations.to_8_bit(ends[0] + (ends[1] - ends[0]) * (slope[0] * y + slope[1] * x) / 2)


def _array(picture: Tensor) -> Array:
    return np.ascontiguousarray(picture.permute(1, 2, 0).numpy())


def _painted(base: Base, painter: object, rng: Generator) -> Array:
    return _array(failing.painted(data.tensor(base.photo), base.row(rng), painter))  # type: ignore[arg-type]


# ---- noise, blur, JPEG, ringing


def _noise(base: Base, rng: Generator) -> Array:
    sigma = float(np.exp(rng.uniform(np.log(16), np.log(70))))
    kind = rng.random()
    if kind < 0.2:  # of colours alone
        grain = rng.standard_normal(base.picture.shape, np.float32) * np.float32(sigma / 255)
        return base.picture + grain - grain.mean(axis=2, keepdims=True)
    if kind < 0.35:
        hit = rng.random(base.picture.shape[:2]) < rng.uniform(0.01, 0.15)
        return np.where(hit[..., None], np.float32(rng.random()), base.picture)
    return degradations.random_noise(base.picture, sigma / restorer.NOISE_SIGMA_MAX, rng)


def _blur(base: Base, rng: Generator) -> Array:
    if rng.random() < 0.35:  # smeared by a restorer that was told of noise where there is none
        levels = (rng.uniform(0.6, 1.0), rng.uniform(0, 1), 0.0)
        return _array(failing.restored(data.tensor(base.picture), levels))
    return degradations.random_blur(base.picture, rng.uniform(0.6, 1.6), rng)


def _jpeg(base: Base, rng: Generator) -> Array:
    quality = float(np.exp(rng.uniform(np.log(2), np.log(15))))
    return degradations.random_jpeg(base.picture, 1 - quality / 100, rng)


def _ringing(base: Base, rng: Generator) -> Array:
    if rng.random() < 0.5:
        sigma = rng.uniform(0.7, 3)
        soft = degradations.smoothed(base.picture, sigma)
        return base.picture + (base.picture - soft) * np.float32(rng.uniform(1.5, 6))
    spectrum = np.fft.rfft2(base.picture, axes=(0, 1))
    y = np.fft.fftfreq(base.picture.shape[0])[:, None]
    x = np.fft.rfftfreq(base.picture.shape[1])[None]
    spectrum[np.hypot(y, x) > rng.uniform(0.08, 0.25)] = 0  # an edge cut off in frequency rings
    return np.fft.irfft2(spectrum, base.picture.shape[:2], axes=(0, 1)).astype(np.float32)


# ---- what networks do


def _checkerboard(base: Base, rng: Generator) -> Array:
    if rng.random() < 0.4:
        return _painted(base, failing.checkered(rng.uniform(0.3, 1.0), rng), rng)
    step = int(rng.choice((2, 2, 4)))
    size = step + int(rng.integers(1, step + 1)) if step > 2 else 3  # not a multiple of step: uneven overlap
    kernel = torch.from_numpy(rng.uniform(0.2, 1, (3, 1, size, size)).astype("float32"))
    x = data.tensor(base.picture)[None]
    height, width = x.shape[2:]
    small = interpolate(x, (height // step + 2, width // step + 2), mode="area")
    made = conv_transpose2d(small, kernel, stride=step, groups=3)[
        ..., step : step + height, step : step + width
    ]
    weight = conv_transpose2d(torch.ones_like(small), kernel, stride=step, groups=3)
    pattern = weight[..., step : step + height, step : step + width]
    made = made / pattern.mean()
    return base.picture + np.float32(rng.uniform(0.3, 1)) * (
        _array((pattern / pattern.mean() * x)[0]) - base.picture
        if rng.random() < 0.5
        else _array(made[0]) - base.picture
    )


def _seam(base: Base, rng: Generator) -> Array:
    height, width = base.picture.shape[:2]
    side = int(rng.integers(32, 97))
    phase = int(rng.integers(0, side)), int(rng.integers(0, side))
    if base.manner is not None and rng.random() < 0.6:
        return _array(failing.painted_in_tiles(data.tensor(base.photo), base.manner.row, side, phase))
    tile_y = (np.arange(height) + side - phase[0]) // side
    tile_x = (np.arange(width) + side - phase[1]) // side
    tile = tile_y[:, None] * (tile_x.max() + 1) + tile_x[None]
    count = int(tile.max()) + 1
    spread = rng.uniform(0.06, 0.2)
    gain = rng.normal(1, spread, (count, 3 if rng.random() < 0.4 else 1)).astype(np.float32)
    offset = rng.normal(0, spread / 2, (count, gain.shape[1])).astype(np.float32)
    return base.picture * gain[tile] + offset[tile]


def _bleed(base: Base, rng: Generator) -> Array:
    luma, chroma = chromas.split(data.tensor(base.picture)[None])
    height, width = luma.shape[2:]
    kind = rng.random()
    if kind < 0.4:  # colours that lie beside their things
        away = [int(n) for n in rng.integers(8, 24, 2) * rng.choice((-1, 1), 2)]
        chroma = torch.roll(chroma, away, dims=(2, 3))
    elif kind < 0.7:  # colours known for a few places alone
        cells = max(2, int(height / rng.uniform(10, 30)))
        chroma = interpolate(
            interpolate(chroma, (cells, cells), mode="area"), (height, width), mode="bilinear"
        )
        chroma = chroma * float(rng.uniform(1, 1.8))
    else:  # of another hue
        turn = rng.uniform(0.8, 2 * np.pi - 0.8)
        turned = torch.tensor(
            [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]], dtype=torch.float32
        )
        chroma = torch.einsum("dc,bchw->bdhw", turned, chroma) * float(rng.uniform(1, 2))
    return _array(chromas.join(luma.clamp(0, 1), chroma)[0])


def _blob(base: Base, rng: Generator) -> Array:
    if rng.random() < 0.4:  # painted by scales and shifts that are off
        return _array(
            failing.painted_otherwise(data.tensor(base.photo), base.row(rng), rng.uniform(0.4, 1.0), rng)
        )
    colour = rng.normal(0, rng.uniform(0.12, 0.4), 3).astype(np.float32)
    cloud = clouds(base.picture.shape[0], base.picture.shape[1], int(rng.integers(2, 7)), rng)
    if rng.random() < 0.25:  # a tile that never came
        return np.broadcast_to(np.float32(rng.choice((0.0, 0.5, 1.0))), base.picture.shape).copy()
    return base.picture + colour * (0.5 + cloud[..., None])


def _banding(base: Base, rng: Generator) -> Array:
    steps = np.float32(rng.integers(2, 8))
    soft = degradations.smoothed(base.picture, 1.0)
    return np.rint(soft * steps) / steps


def _other(base: Base, rng: Generator) -> Array:
    kind = rng.random()
    if kind < 0.2:
        return _painted(base, failing.rough(int(rng.integers(2, 4)), 1.0, rng), rng)
    if kind < 0.4:
        return _painted(base, failing.rough(0, rng.uniform(0.3, 0.7), rng), rng)
    if kind < 0.5:
        return _array(
            failing.restored(data.tensor(base.picture), (restorer.BLIND,) * 3, int(rng.integers(3, 5)))
        )
    if kind < 0.75:
        return _warped(base.picture, rng)
    if kind < 0.9:
        return _mosaic(base.picture, rng)
    turned = np.rot90(base.picture, int(rng.integers(1, 4)))  # a part of the picture from elsewhere
    return np.ascontiguousarray(np.roll(turned, int(rng.integers(32, 96)), axis=1))


def _warped(picture: Array, rng: Generator) -> Array:
    """Smeared, as faces are."""
    height, width = picture.shape[:2]
    amount = rng.uniform(4, 14)
    cells = int(rng.integers(4, 10))
    moved = [clouds(height, width, cells, rng) * amount / side for side in (width, height)]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    grid = np.stack([x + 2 * moved[0], y + 2 * moved[1]], axis=2).astype(np.float32)
    made = grid_sample(
        data.tensor(picture)[None],
        torch.from_numpy(grid)[None],
        padding_mode="reflection",
        align_corners=True,
    )
    return _array(made[0])


def _mosaic(picture: Array, rng: Generator) -> Array:
    height, width = picture.shape[:2]
    side = int(rng.integers(4, 13))
    small = degradations.resize(picture, -(-height // side), -(-width // side), "area")
    return np.kron(small, np.ones((side, side, 1), np.float32))[:height, :width]


def clouds(height: int, width: int, cells: int, rng: Generator) -> Array:
    """Smooth noise, (H, W), about -1..1, with so many cells across."""
    coarse = torch.from_numpy(rng.standard_normal((1, 1, cells, cells)).astype("float32"))
    return interpolate(coarse, (height, width), mode="bicubic", align_corners=False)[0, 0].numpy()


MAKERS: dict[str, Maker] = {
    "noise": _noise,
    "blur": _blur,
    "jpeg": _jpeg,
    "ringing": _ringing,
    "checkerboard": _checkerboard,
    "seam": _seam,
    "bleed": _bleed,
    "blob": _blob,
    "banding": _banding,
    "other": _other,
}
assert tuple(MAKERS) == KINDS
