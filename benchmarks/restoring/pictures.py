"""Test pictures, what is scored of them, and the engine's own operations run on them in this process."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from calotype import ops
from calotype.image.codec import Canvas
from calotype.image.metrics import psnr, ssim
from calotype.models import device as devices
from calotype.ops import declare
from calotype.ops.task import Task
from calotype.train import degradations
from calotype_wire.protocol import Layer, PixelFormat

Floats = NDArray[np.float32]
"""Pictures (H, W, 3), sRGB-encoded, 0..1 where they have 8 bits."""
Method = Callable[[Floats], Floats]


@dataclass
class Score:
    psnr_db: list[float] = field(default_factory=list)
    ssim: list[float] = field(default_factory=list)
    seconds: float = 0.0
    megapixels: float = 0.0

    def add(self, clean: Floats, result: Floats, seconds: float) -> None:
        a, b = batched(clean), batched(result)
        self.psnr_db.append(psnr(a, b))
        self.ssim.append(ssim(a, b).item())
        self.seconds += seconds
        self.megapixels += clean.shape[0] * clean.shape[1] / 1e6

    def __str__(self) -> str:
        return f"{fmean(self.psnr_db):.2f} / {fmean(self.ssim):.3f}"

    @property
    def speed(self) -> str:
        """Seconds a megapixel."""
        return f"{self.seconds / self.megapixels:.2f}"


def tried(method: Method, clean: Floats, worn: Floats, score: Score) -> Floats:
    began = time.perf_counter()
    result = method(worn)
    seconds = time.perf_counter() - began
    result = degradations.to_8_bit(result)
    score.add(clean, result, seconds)
    return result


def of(data: Path, name: str, limit: int | None = None) -> list[Path]:
    """The pictures of a test set."""
    return sorted((data / "testsets" / name).glob("*.png"))[:limit]


def read(path: Path) -> Floats:
    with Image.open(path) as image:
        return floats(np.asarray(image.convert("RGB")))


def floats(pixels: NDArray[np.generic]) -> Floats:
    return np.divide(pixels, 255, dtype=np.float32)


def eight_bits(picture: Floats) -> NDArray[np.uint8]:
    return np.rint(picture.clip(0, 1) * 255).astype(np.uint8)


def batched(picture: Floats) -> Tensor:
    """(1, 3, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None]


def operate(
    name: str, picture: Floats, others: Sequence[NDArray[np.generic]] = (), **values: Any
) -> list[Canvas]:
    """The results of an operation. others: what its parameters may name, from 1: masks (H, W) of bools, or
    layers (H, W, 4) of bytes.
    """
    ops.discover()
    pixels = eight_bits(picture)
    further = (
        _layer(mask * np.uint8(255), "G") if mask.dtype == np.bool_ else _layer(mask, "RGBA")
        for mask in others
    )
    layers = [_layer(pixels, "RGB"), *further]
    task = Task(
        [Canvas.of(layer) for layer in layers],
        None,
        False,
        devices.choose(0),
        lambda _, size, content: memoryview(bytearray(content or size)),
        lambda fraction, stage: None,
    )
    declare.build(name, values).run(task)
    return task.results


def operation(name: str, **values: Any) -> Method:
    return lambda picture: floats(operate(name, picture, **values)[0].native)


def _layer(pixels: NDArray[np.uint8], channels: str) -> Layer:
    return Layer(pixels.shape[1], pixels.shape[0], PixelFormat(channels), pixels.tobytes())


def precision() -> str:
    return str(devices.choose(0).dtype).removeprefix("torch.")
