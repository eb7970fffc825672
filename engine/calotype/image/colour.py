"""Between a document's own colours and the sRGB-encoded Pictures that networks see."""

from typing import Any, Protocol

import numpy as np
import pyvips
import torch
from numpy.typing import NDArray
from torch import Tensor

from calotype_wire.errors import CalotypeError
from calotype_wire.protocol import PixelFormat

LUMA = torch.tensor([0.2126, 0.7152, 0.0722])
"""Rec. 709 weights, applied to encoded values as video does."""


class Space(Protocol):
    """Colour channels of a document, without alpha, as float32 where integers span 0..1."""

    def to_srgb(self, native: Tensor) -> Tensor:
        """native: (c, h, w). Returns (3, h, w), clipped to 0..1."""
        ...

    def from_srgb(self, srgb: Tensor) -> Tensor:
        """srgb: (3, h, w), 0..1. Returns (c, h, w)."""
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

    def to_srgb(self, native: Tensor) -> Tensor:
        srgb = native.clamp(0, 1)
        if self.linear:
            srgb = encode(srgb)
        if self.names == "G":
            return srgb.expand(3, -1, -1)
        return srgb.flip(0) if self.names == "BGR" else srgb

    def from_srgb(self, srgb: Tensor) -> Tensor:
        native = srgb
        if self.names == "G":
            native = torch.einsum("c,chw->hw", LUMA, srgb)[None]
        elif self.names == "BGR":
            native = srgb.flip(0)
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
            self.from_srgb(torch.zeros(3, 1, 1))
        except pyvips.Error as error:
            raise CalotypeError(
                "BAD_PROFILE",
                "The colour profile of this picture is damaged or does not fit it. Assign another profile "
                "(sRGB, for example) and try again.",
            ) from error

    def to_srgb(self, native: Tensor) -> Tensor:
        source = self._image(native.flip(0) if self.names == "BGR" else native, self.interpretation)
        if self.profile:
            source = _with_profile(source, self.profile)
            return _tensor(source.icc_transform("srgb", embedded=True, depth=16, **_INTENT))
        return _tensor(source.icc_transform("srgb", input_profile="cmyk", depth=16, **_INTENT))

    def from_srgb(self, srgb: Tensor) -> Tensor:
        imported = self._image(srgb, "rgb16").icc_import(input_profile="srgb", **_INTENT)
        if self.profile:
            native = _tensor(_with_profile(imported, self.profile).icc_export(depth=16, **_INTENT))
        else:
            native = _tensor(imported.icc_export(output_profile="cmyk", depth=16, **_INTENT))
        if len(native) != len(self.names):
            raise pyvips.Error("the profile has another number of channels")
        return native.flip(0) if self.names == "BGR" else native

    @staticmethod
    def _image(picture: Tensor, interpretation: str) -> pyvips.Image:
        integers = np.rint(picture.permute(1, 2, 0).clamp(0, 1).numpy() * 65535).astype(np.uint16)
        return pyvips.Image.new_from_array(np.ascontiguousarray(integers), interpretation=interpretation)


_INTENT = {"intent": "relative", "black_point_compensation": True}


def _with_profile(image: pyvips.Image, profile: bytes) -> pyvips.Image:
    image = image.copy()
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    return image


def _tensor(image: pyvips.Image) -> Tensor:
    pixels: NDArray[Any] = image.numpy().reshape(image.height, image.width, image.bands)
    return torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32) / np.float32(65535))


def encode(linear: Tensor) -> Tensor:
    """Linear light 0..1 to sRGB-encoded 0..1. Source: IEC 61966-2-1."""
    high = 1.055 * linear.clamp_min(0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, 12.92 * linear, high)


def decode(encoded: Tensor) -> Tensor:
    """sRGB-encoded 0..1 to linear light 0..1. Source: IEC 61966-2-1."""
    high = ((encoded.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4
    return torch.where(encoded <= 0.04045, encoded / 12.92, high)


_TO_XYZ = torch.tensor(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_D65 = torch.tensor([0.95047, 1.0, 1.08883])


def lab(srgb: Tensor) -> Tensor:
    """CIE L*a*b*, divided by 100. srgb: (B, 3, H, W), 0..1. Source: CIE 15:2004, IEC 61966-2-1, D65."""
    xyz = torch.einsum("ij,bjhw->bihw", (_TO_XYZ / _D65[:, None]).to(srgb), decode(srgb))
    curve = torch.where(xyz > 216 / 24389, xyz.clamp_min(1e-4) ** (1 / 3), xyz * (24389 / 3132) + 4 / 29)
    x, y, z = curve.unbind(1)
    return torch.stack([1.16 * y - 0.16, 5 * (x - y), 2 * (y - z)], dim=1)
