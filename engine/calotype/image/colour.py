"""Between a document's own colours and the sRGB-encoded Pictures that networks see."""

from typing import Protocol

import numpy as np
import pyvips
from numpy.typing import NDArray

from calotype_wire.errors import CalotypeError
from calotype_wire.protocol import PixelFormat

Floats = NDArray[np.float32]

LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Rec. 709 weights, applied to encoded values as video does."""


class Space(Protocol):
    """Colour channels of a document, without alpha, as float32 where integers span 0..1."""

    def to_srgb(self, native: Floats) -> Floats:
        """native: (h, w, c). Returns (h, w, 3), clipped to 0..1."""
        ...

    def from_srgb(self, srgb: Floats) -> Floats:
        """srgb: (h, w, 3), 0..1. Returns (h, w, c)."""
        ...


def space(format: PixelFormat, profile: bytes) -> Space:
    """The Space of a layer's colour channels. Raises CalotypeError BAD_PROFILE."""
    names = format.channels.rstrip("A")
    if profile or names == "CMYK":
        return ProfileSpace(names, profile)
    return PlainSpace(names, format.transfer == "linear")


class PlainSpace:
    """RGB, BGR or grey with sRGB primaries, encoded or linear."""

    def __init__(self, names: str, linear: bool) -> None:
        self.names = names
        self.linear = linear

    def to_srgb(self, native: Floats) -> Floats:
        rgb = native.clip(0, 1)
        if self.linear:
            rgb = encode(rgb)
        if self.names == "G":
            return np.repeat(rgb, 3, axis=2)
        return rgb[..., ::-1] if self.names == "BGR" else rgb

    def from_srgb(self, srgb: Floats) -> Floats:
        native = srgb
        if self.names == "G":
            native = (srgb @ LUMA)[..., None]
        elif self.names == "BGR":
            native = srgb[..., ::-1]
        return decode(native) if self.linear else native


class ProfileSpace:
    """Any RGB, grey or CMYK space that an ICC profile describes; the system's CMYK where there is none.

    LittleCMS, through libvips, at 16 bits, relative colorimetric with black point compensation.
    """

    def __init__(self, names: str, profile: bytes) -> None:
        self.names = names
        self.interpretation = {"G": "grey16", "CMYK": "cmyk"}.get(names, "rgb16")
        self.profile = profile
        try:
            self.from_srgb(np.zeros((1, 1, 3), np.float32))
        except pyvips.Error as error:
            raise CalotypeError(
                "BAD_PROFILE",
                "The colour profile of this picture is damaged or does not fit it. Assign another profile "
                "(sRGB, for example) and try again.",
            ) from error

    def to_srgb(self, native: Floats) -> Floats:
        source = self._image(native[..., ::-1] if self.names == "BGR" else native, self.interpretation)
        if self.profile:
            source = _with_profile(source, self.profile)
            srgb = source.icc_transform("srgb", embedded=True, depth=16, **_INTENT)
        else:
            srgb = source.icc_transform("srgb", input_profile="cmyk", depth=16, **_INTENT)
        return _floats(srgb)

    def from_srgb(self, srgb: Floats) -> Floats:
        imported = self._image(srgb, "rgb16").icc_import(input_profile="srgb", **_INTENT)
        if self.profile:
            native = _floats(_with_profile(imported, self.profile).icc_export(depth=16, **_INTENT))
        else:
            native = _floats(imported.icc_export(output_profile="cmyk", depth=16, **_INTENT))
        if native.shape[2] != len(self.names):
            raise pyvips.Error("the profile has another number of channels")
        return native[..., ::-1] if self.names == "BGR" else native

    @staticmethod
    def _image(floats: Floats, interpretation: str) -> pyvips.Image:
        integers = np.rint(np.ascontiguousarray(floats).clip(0, 1) * 65535).astype(np.uint16)
        return pyvips.Image.new_from_array(integers, interpretation=interpretation)


_INTENT = {"intent": "relative", "black_point_compensation": True}


def _with_profile(image: pyvips.Image, profile: bytes) -> pyvips.Image:
    image = image.copy()
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    return image


def _floats(image: pyvips.Image) -> Floats:
    pixels: NDArray[np.uint16] = image.numpy()
    return (pixels.reshape(image.height, image.width, image.bands) / np.float32(65535)).astype(np.float32)


def encode(linear: Floats) -> Floats:
    """Linear light 0..1 to sRGB-encoded 0..1. Source: IEC 61966-2-1."""
    high = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, 12.92 * linear, high).astype(np.float32)


def decode(encoded: Floats) -> Floats:
    """sRGB-encoded 0..1 to linear light 0..1. Source: IEC 61966-2-1."""
    high = ((np.maximum(encoded, 0.04045) + 0.055) / 1.055) ** 2.4
    return np.where(encoded <= 0.04045, encoded / 12.92, high).astype(np.float32)
