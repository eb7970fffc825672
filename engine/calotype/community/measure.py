"""What a model does to a small picture: its scale, its channels, its range, how far it looks, its memory."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import psutil

from calotype.community.cards import RANGES
from calotype.community.refusal import refused
from calotype.community.session import Array
from calotype_wire.errors import CalotypeError

MULTIPLES = (1, 2, 4, 8, 16, 32, 64)
SCALE_MAX = 4
HALO_PX = (16, 64)
"""At least, because a probe may miss weak neighbours; at most, because global ones reach everywhere."""

Run = Callable[[Array], Array]


@dataclass(frozen=True)
class Measured:
    channels: int
    scale: int
    multiple: int
    values: str
    halo_px: int
    bytes_a_pixel: int


def measure(run: Run, channels: int, side_px: tuple[int, int], values: str = "") -> Measured:
    """run: float32 (1, C, H, W) to the same. channels: 0 where unknown. side_px: (0, 0) where free.
    values: the range, where known.

    Raises CalotypeError BAD_MODEL where it is no model from picture to picture.
    """
    before_bytes = psutil.Process().memory_info().rss
    channels, multiple, scale = _size(run, channels, side_px)
    height, width = side_px if side_px[0] else (64 + multiple, 128 + multiple)
    picture = _picture(channels, height, width)
    values = values or _range(run, picture, scale)
    halo_px = -(-_reach(_in_range(run, values), picture, scale) // multiple) * multiple
    io_bytes = 4 * channels * (1 + 3 * scale**2)
    bytes_a_pixel = io_bytes + (0 if side_px[0] else _bytes_a_pixel(run, picture, before_bytes))
    return Measured(channels, scale, multiple, values, halo_px, bytes_a_pixel)


def _size(run: Run, channels: int, side_px: tuple[int, int]) -> tuple[int, int, int]:
    """channels, multiple, scale: the first that work."""
    failure: CalotypeError | None = None
    for count in [channels] if channels else [3, 1]:
        for multiple in MULTIPLES if not side_px[0] else [1]:
            # 64 + m is an odd multiple of m, so that a coarser grid than m is found out
            height, width = side_px if side_px[0] else (64 + multiple, 128 + multiple)
            try:
                return count, multiple, _scale(run(_picture(count, height, width)), count, height, width)
            except CalotypeError as error:
                failure = error
                if error.code == "NO_PICTURE":
                    raise refused(error.sentence) from error
    assert failure is not None
    raise failure


def _scale(result: Array, channels: int, height: int, width: int) -> int:
    shape = " x ".join(map(str, result.shape))
    if result.ndim != 4 or result.shape[0] != 1 or result.shape[1] != channels:
        raise CalotypeError(
            "NO_PICTURE",
            f"The model answers a picture of {channels} channels with {shape} numbers, which is no picture "
            "of the same channels: it may classify, segment or measure. Calotype runs models from picture to "
            "picture.",
        )
    scale = result.shape[2] // height
    if result.shape[2:] != (scale * height, scale * width) or not 1 <= scale <= SCALE_MAX:
        raise refused(
            f"The model turns {width} x {height} pixels into {result.shape[3]} x {result.shape[2]}; Calotype "
            f"runs models that keep the size or multiply it by 2, 3 or {SCALE_MAX}."
        )
    return scale


def _picture(channels: int, height: int, width: int) -> Array:
    """Slopes, waves, an edge and some noise, 0..1."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    waves = [np.sin(x / (5 + channel)) * np.cos(y / 7) for channel in range(channels)]
    picture = 0.4 + 0.2 * np.stack(waves) + 0.2 * x / width + 0.1 * ((x + y) % 48 > 24)
    picture += np.random.default_rng(1840).normal(0, 0.02, picture.shape)
    return np.ascontiguousarray(picture[None].clip(0, 1), np.float32)


def _in_range(run: Run, values: str) -> Run:
    factor, offset = RANGES[values]
    return lambda picture: (run(picture * np.float32(factor) + np.float32(offset)) - offset) / factor


def _range(run: Run, picture: Array, scale: int) -> str:
    """0..255 where that makes the result like the picture, and 0..1 does not."""
    small = _difference(_in_range(run, "0..1")(picture), picture, scale)
    large = _difference(_in_range(run, "0..255")(picture), picture, scale)
    return "0..255" if small > max(0.05, 2 * large) else "0..1"


def _difference(result: Array, picture: Array, scale: int) -> float:
    _, channels, height, width = picture.shape
    small = result.reshape(channels, height, scale, width, scale).mean((2, 4))
    difference = float(np.abs(small - picture[0]).mean())
    return difference if np.isfinite(difference) else np.inf


def _reach(run: Run, picture: Array, scale: int) -> int:
    """How far from a change, in pixels, the result changes visibly."""
    half = picture.shape[3] // 2
    changed = picture.copy()
    changed[..., half:] = 1 - changed[..., half:]
    difference = np.abs(run(changed) - run(picture)).max((0, 1, 2))
    if not np.isfinite(difference).all():
        raise refused("The model answers an ordinary picture with what is no number. It is damaged.")
    if not difference.any():
        raise refused("The model answers the same whatever the picture is. It is no filter.")
    touched = np.flatnonzero(difference > 1 / 512)
    reach = half - int(touched[0]) // scale if len(touched) else 0
    return int(np.clip(reach, *HALO_PX))


def _bytes_a_pixel(run: Run, picture: Array, before_bytes: int) -> int:
    """From two sizes, so that what does not depend on the size falls out; half more for what was missed."""
    seconds, held = _watched(run, picture)
    while seconds < 0.05 and picture.size < 500_000:
        picture = np.tile(picture, (1, 1, 2, 1) if picture.shape[2] < picture.shape[3] else (1, 1, 1, 2))
        seconds, held = _watched(run, picture)
    pixels = picture.shape[2] * picture.shape[3]
    if seconds > 5:  # four times that is too long to wait
        return max(0, held - before_bytes) // pixels
    _, held_more = _watched(run, np.tile(picture, (1, 1, 2, 2)))
    return max(0, held_more - held) // (2 * pixels)


def _watched(run: Run, picture: Array) -> tuple[float, int]:
    """How many seconds a run takes, and how many bytes this process holds at most meanwhile."""
    process, ended, most, began = psutil.Process(), threading.Event(), [0], time.monotonic()

    def watch() -> None:
        while not ended.wait(0.001):
            most[0] = max(most[0], process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        run(picture)
    finally:
        ended.set()
        watcher.join()
    return time.monotonic() - began, most[0]
