"""Photos for training: found, decoded once, cropped and flipped by a seed."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from calotype_wire.errors import CalotypeError

T = TypeVar("T")

SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"}


def photos(folder: Path, side_px: int) -> list[Path]:
    """The pictures directly in folder, in name order, whose shorter side is at least side_px.

    Raises CalotypeError where there are none.
    """
    if not folder.is_dir():
        raise CalotypeError("BAD_DATA", f"There is no folder {folder}. Name a folder of photos with --data.")
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    usable = [p for p in found if min(_size(p)) >= side_px]
    if not usable:
        raise CalotypeError(
            "BAD_DATA",
            f"{folder} holds {len(found)} pictures and none has sides of {side_px} pixels or more. "
            "Name a folder of larger photos with --data.",
        )
    return usable


def _size(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


@lru_cache(maxsize=1500)  # a thousand 400 px photos, 0.7 GB; larger folders are decoded again
def pixels(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3), sRGB-encoded."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def crop(picture: NDArray[np.uint8], side_px: int, rng: Generator) -> NDArray[np.float32]:
    """A random square (side, side, 3), 0..1, flipped and transposed at random."""
    height, width = picture.shape[:2]
    y = int(rng.integers(0, height - side_px + 1))
    x = int(rng.integers(0, width - side_px + 1))
    patch = picture[y : y + side_px, x : x + side_px]
    if rng.random() < 0.5:
        patch = patch[:, ::-1]
    if rng.random() < 0.5:
        patch = patch[::-1]
    if rng.random() < 0.5:
        patch = patch.transpose(1, 0, 2)
    return np.ascontiguousarray(patch, np.float32) / np.float32(255)


def centre(picture: NDArray[np.uint8], side_px: int) -> NDArray[np.float32]:
    """(side, side, 3), 0..1."""
    y, x = ((n - side_px) // 2 for n in picture.shape[:2])
    return picture[y : y + side_px, x : x + side_px].astype(np.float32) / np.float32(255)


def tensor(picture: NDArray[np.float32]) -> Tensor:
    """(3, H, W) of a picture (H, W, 3)."""
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))


class Crops(Dataset[T]):
    """An endless map-style set: sample i is the same for the same seed, whatever came before it.

    make turns a crop (side, side, 3) and its Generator into one sample.
    """

    def __init__(
        self, folder: Path, side_px: int, seed: int, make: Callable[[NDArray[np.float32], Generator], T]
    ) -> None:
        self.paths = photos(folder, side_px)
        self.side_px = side_px
        self.seed = seed
        self.make = make

    def __getitem__(self, index: int) -> T:
        rng = np.random.default_rng((self.seed, index))
        path = self.paths[int(rng.integers(len(self.paths)))]
        return self.make(crop(pixels(path), self.side_px, rng), rng)
