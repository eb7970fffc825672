"""What a picture shows, as numbers that know it and its copies again.

The SHA-256 of its decoded pixels knows the picture itself; a difference hash of 256 bits knows copies that
were resized, saved again or slightly retouched (not those that were cropped, turned or mirrored).
Source: the difference hash, Krawetz 2013.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

TEST_SETS = Path(__file__).parent / "testset_hashes.json"
"""Hashes alone, of pictures that we measure on. Made by benchmarks/testset_hashes.py."""

SIDE = 16

ALIKE_BITS = 32
"""Of 1,265 copies at 256 px and JPEG quality 82 one differs in 33 bits, all others in fewer; of our training
photos the one nearest to a test picture in 63. What else is so near: nearly plain pictures, and portraits of
one series before one wall."""


@dataclass(frozen=True)
class Fingerprint:
    """pixels: SHA-256, hexadecimal. look: 256 bits, hexadecimal."""

    pixels: str
    look: str


def fingerprint(picture: NDArray[np.uint8]) -> Fingerprint:
    """picture: (H, W, 3), sRGB-encoded."""
    shape = f"{picture.shape[1]}x{picture.shape[0]}:".encode()
    small = Image.fromarray(picture).convert("L").resize((SIDE + 1, SIDE), Image.Resampling.BOX)
    grey = np.asarray(small, np.int16)
    look = np.packbits(grey[:, 1:] > grey[:, :-1]).tobytes().hex()
    return Fingerprint(hashlib.sha256(shape + picture.tobytes()).hexdigest(), look)


def pairs(first: list[Fingerprint], second: list[Fingerprint]) -> Iterator[tuple[int, int]]:
    """Indexes of those that show the same, copies included."""
    left, right = _signs(first), _signs(second)
    for start in range(0, len(first), 1024):  # 16 MB a thousand photos of the second
        differing = (SIDE**2 - left[start : start + 1024] @ right.T) / 2
        for i, j in np.argwhere(differing <= ALIKE_BITS):
            yield start + int(i), int(j)


def of_tests(prints: list[Fingerprint]) -> list[int]:
    """Indexes of those that show what a picture of our test sets shows."""
    exactly = {known.pixels for known in tests()}
    return sorted(
        {i for i, f in enumerate(prints) if f.pixels in exactly} | {i for i, _ in pairs(prints, tests())}
    )


def _signs(prints: list[Fingerprint]) -> NDArray[np.float32]:
    """(photos, 256): 1 or -1 for each bit."""
    looks = np.frombuffer(b"".join(bytes.fromhex(f.look) for f in prints), np.uint8)
    return np.unpackbits(looks).reshape(-1, SIDE**2).astype(np.float32) * 2 - 1


@cache
def tests() -> list[Fingerprint]:
    return [Fingerprint(**entry) for entry in json.loads(TEST_SETS.read_text())]
