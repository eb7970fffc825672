"""Photos for training: found, decoded once, cropped and flipped by a seed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from calotype.train import fingerprints
from calotype.train.fingerprints import Fingerprint
from calotype_wire.errors import CalotypeError

T = TypeVar("T")

SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"}


def listed(source: Path) -> list[Path]:
    """The pictures directly in a folder, in name order, or those that a text file names, one a line.

    Raises CalotypeError where there is no such folder or list.
    """
    if source.suffix == ".txt" and source.is_file():
        return [Path(line) for line in source.read_text("utf-8").splitlines()]
    if not source.is_dir():
        raise CalotypeError("BAD_DATA", f"There is no folder {source}. Name a folder of photos with --data.")
    return sorted(path for path in source.iterdir() if path.suffix.lower() in SUFFIXES)


def photos(source: Path, side_px: int) -> list[Path]:
    """Those listed whose shorter side is at least side_px. Raises CalotypeError where there are none."""
    found = listed(source)
    usable = [path for path in found if min(_size(path)) >= side_px]
    if not usable:
        raise CalotypeError(
            "BAD_DATA",
            f"{source} holds {len(found)} pictures and none has sides of {side_px} pixels or more. "
            "Name a folder of larger ones.",
        )
    return usable


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as picture:
            yield picture
    except OSError as error:
        raise CalotypeError("BAD_DATA", f"{path} cannot be read. Take it out of the folder.") from error


def _size(path: Path) -> tuple[int, int]:
    with _opened(path) as picture:
        return picture.size


@lru_cache(maxsize=1500)  # a thousand 400 px photos, 0.7 GB; larger folders are decoded again
def pixels(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3), sRGB-encoded."""
    with _opened(path) as picture:
        return np.asarray(picture.convert("RGB"))


@cache
def fingerprint(path: Path) -> Fingerprint:
    return fingerprints.fingerprint(pixels(path))


def crop(
    picture: NDArray[np.uint8], side_px: int, rng: Generator, scale_min: float = 1.0
) -> NDArray[np.float32]:
    """A random square (side, side, 3), 0..1, flipped and transposed at random.

    scale_min: the square may be a larger part, reduced to as little as this, as far as the picture reaches.
    """
    height, width = picture.shape[:2]
    part_px = side_px
    if scale_min < 1:
        part_px = int(rng.integers(side_px, min(height, width, round(side_px / scale_min)) + 1))
    y = int(rng.integers(0, height - part_px + 1))
    x = int(rng.integers(0, width - part_px + 1))
    patch = picture[y : y + part_px, x : x + part_px]
    if part_px != side_px:
        reduced = Image.fromarray(patch).resize((side_px, side_px), Image.Resampling.BICUBIC)
        patch = np.asarray(reduced)
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

    make turns a crop (side, side, 3) and its Generator into one sample. Raises CalotypeError BAD_DATA where
    a photo is one of our test sets', or a copy of one: what was trained on measures nothing.
    """

    def __init__(
        self,
        folder: Path,
        side_px: int,
        seed: int,
        make: Callable[[NDArray[np.float32], Generator], T],
        scale_min: float = 1.0,
    ) -> None:
        self.paths = photos(folder, side_px)
        for index in fingerprints.of_tests([fingerprint(path) for path in self.paths]):
            raise CalotypeError(
                "BAD_DATA",
                f"{self.paths[index]} is a picture of the test sets that we measure on, so no model may be "
                "trained on it. Take it out of the folder.",
            )
        self.side_px = side_px
        self.seed = seed
        self.make = make
        self.scale_min = scale_min

    def __getitem__(self, index: int) -> T:
        rng = np.random.default_rng((self.seed, index))
        path = self.paths[int(rng.integers(len(self.paths)))]
        return self.make(crop(pixels(path), self.side_px, rng, self.scale_min), rng)


class Mixture(Dataset[T]):
    """Every so many samples one of the second set, the others of the first."""

    def __init__(self, first: Dataset[T], second: Dataset[T], every: int) -> None:
        self.first = first
        self.second = second
        self.every = every

    def __getitem__(self, index: int) -> T:
        return (self.second if index % self.every == self.every - 1 else self.first)[index]
