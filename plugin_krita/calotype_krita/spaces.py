"""Krita's colour spaces in the words of the wire."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from krita import Krita

from calotype_wire.protocol import PixelFormat

_TRANSFERS = {
    "sRGB-elle-V2-srgbtrc.icc": "srgb",
    "sRGB-elle-V2-g10.icc": "linear",
    "Gray-D50-elle-V2-srgbtrc.icc": "srgb",
    "Gray-D50-elle-V2-g10.icc": "linear",
}
"""Krita's own profiles that the wire has words for; all others travel with their ICC bytes."""


@dataclass(frozen=True)
class Space:
    """model, depth, profile: as Krita's API names them."""

    model: str
    depth: str
    profile: str

    @staticmethod
    def of(thing: Any) -> Space:
        """thing: a Node or a Document."""
        return Space(thing.colorModel(), thing.colorDepth(), thing.colorProfile())

    @staticmethod
    def srgb(depth: str, linear: bool = False) -> Space:
        return Space("RGBA", depth, "sRGB-elle-V2-g10.icc" if linear else "sRGB-elle-V2-srgbtrc.icc")

    @property
    def travelling(self) -> Space:
        """The nearest one that the engine takes: RGB and grey of any depth, CMYK of whole numbers."""
        floating = self.depth.startswith("F")
        if self.model in ("RGBA", "GRAYA") or (self.model == "CMYKA" and not floating):
            return self
        if self.model == "CMYKA":
            return Space("CMYKA", "U16", self.profile)
        return Space.srgb(self.depth, linear=floating)

    @property
    def bytes_a_pixel(self) -> int:
        channels = {"GRAYA": 2, "CMYKA": 5}.get(self.model, 4)
        return channels * {"U8": 1, "U16": 2, "F16": 2, "F32": 4}[self.depth]

    @property
    def format(self) -> PixelFormat:
        """Of a travelling space. Krita's whole numbers lie blue first, its floats red first."""
        rgb = "RGBA" if self.depth.startswith("F") else "BGRA"
        channels = {"RGBA": rgb, "GRAYA": "GA", "CMYKA": "CMYKA"}[self.model]
        return PixelFormat(channels, self.depth.lower(), _TRANSFERS.get(self.profile, "srgb"))

    @property
    def icc(self) -> bytes:
        """Empty for the profiles that the format already tells."""
        return b"" if self.profile in _TRANSFERS else _icc(self)


@contextmanager
def scratch(space: Space) -> Iterator[Any]:
    """A document that nobody sees. What is done to its nodes leaves no undo steps in the user's."""
    document = Krita.instance().createDocument(1, 1, "profile", space.model, space.depth, space.profile, 72.0)
    document.setBatchmode(True)
    try:
        yield document
    finally:
        document.setModified(False)
        document.close()


@lru_cache(maxsize=16)
def _icc(space: Space) -> bytes:
    """Krita's API gives a profile's name only; a saved document holds its bytes."""
    with scratch(space) as document, tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "profile.kra")
        document.saveAs(os.fsencode(path).decode())  # Python may name files in ASCII here, Krita never does
        with zipfile.ZipFile(path) as archive:
            return archive.read("profile/annotations/icc")


def space_of(format: PixelFormat, profile: bytes, sent: Space) -> Space:
    """Where a result belongs: the space that was sent, or sRGB of the result's depth."""
    if (format, profile) == (sent.format, sent.icc):
        return sent
    if format.channels in ("G", "GA"):
        trc = "g10" if format.transfer == "linear" else "srgbtrc"
        return Space("GRAYA", format.depth.upper(), f"Gray-D50-elle-V2-{trc}.icc")
    return Space.srgb(format.depth.upper(), format.transfer == "linear")
