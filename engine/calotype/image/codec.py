"""Between the bytes of a Layer and Pictures: float tensors (3, H, W), sRGB-encoded, 0..1.

Results are written as the difference that an operation made, added to the document's own samples. So
16-bit stays 16-bit, values outside 0..1 survive in float documents, and what did not change comes back
bit for bit.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calotype.image import colour
from calotype_wire.protocol import Buffer, Layer, LayerShape, PixelFormat

_DTYPES = {"u8": np.uint8, "u16": np.uint16, "f16": np.float16, "f32": np.float32}
_BAND_ROWS = 64  # keeps temporary floats small however wide the document is


@dataclass(frozen=True)
class Box:
    """Pixels x0 <= x < x1, y0 <= y < y1 of a layer."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        return self.y1 - self.y0


class Canvas:
    """A layer's pixels in place: read as Pictures, written as differences."""

    def __init__(self, shape: LayerShape, data: memoryview) -> None:
        """data: shape.total_bytes of them, pixels then profile. Raises CalotypeError BAD_PROFILE."""
        self.shape = shape
        self.format = shape.format
        self.profile = bytes(data[shape.pixel_bytes : shape.total_bytes])
        self.native: NDArray[np.generic] = np.frombuffer(
            data, _DTYPES[self.format.depth], shape.width * shape.height * len(self.format.channels)
        ).reshape(shape.height, shape.width, len(self.format.channels))
        self.has_alpha = self.format.channels.endswith("A")
        self.colours = len(self.format.channels) - self.has_alpha
        self.space = colour.space(self.format, self.profile)

    @classmethod
    def of(cls, layer: Layer) -> "Canvas":
        return cls(layer.describe(), memoryview(bytes(layer.pixels) + layer.profile))

    @property
    def box(self) -> Box:
        return Box(0, 0, self.shape.width, self.shape.height)

    @property
    def is_grey(self) -> bool:
        return self.format.channels.startswith("G")

    def picture(self, box: Box) -> Tensor:
        """(3, box.height, box.width). Samples that are no numbers read as 0."""
        srgb = self.space.to_srgb(self._colours(box))
        return torch.from_numpy(np.ascontiguousarray(srgb.transpose(2, 0, 1)))

    def write(
        self, box: Box, source: "Canvas", picture: Tensor, selection: Tensor | None, into_alpha: bool
    ) -> tuple[bool, bool]:
        """Write what picture changes of source in box: (anything changed, anything not black).

        picture: (3, h, w), 0..1. selection: (h, w), 0..1, or None for all. into_alpha: the selection goes
        into the transparency instead of into the colours. source: of the same shape, alpha or not.
        """
        changed = lit = False
        for y in range(0, box.height, _BAND_ROWS):
            rows = slice(y, min(y + _BAND_ROWS, box.height))
            band = Box(box.x0, box.y0 + rows.start, box.x1, box.y0 + rows.stop)
            mask = None if selection is None else selection[rows].numpy()
            after = picture[:, rows].permute(1, 2, 0).numpy()
            band_changed, band_lit = self._write_band(band, source, after, mask, into_alpha)
            changed, lit = changed or band_changed, lit or band_lit
        return changed, lit

    def _write_band(
        self, box: Box, source: "Canvas", after: colour.Floats, mask: colour.Floats | None, into_alpha: bool
    ) -> tuple[bool, bool]:
        old = source.native[box.y0 : box.y1, box.x0 : box.x1]
        before = source._colours(box)
        difference = self.space.from_srgb(after) - self.space.from_srgb(self.space.to_srgb(before))
        if mask is not None and not into_alpha:
            difference *= mask[..., None]
        if source.has_alpha:
            difference *= old[..., -1:] != 0
        if mask is not None:
            difference *= mask[..., None] != 0
        old_colours = old[..., : self.colours]
        touched = difference != 0
        mixed = np.where(touched, _quantised(before + difference, self.native.dtype), old_colours)
        target = self.native[box.y0 : box.y1, box.x0 : box.x1]
        target[..., : self.colours] = mixed
        if into_alpha and mask is not None:
            alpha = _floats(old[..., -1]) if source.has_alpha else np.float32(1)
            target[..., -1] = _quantised(alpha * mask, self.native.dtype)
        return bool((mixed != old_colours).any()), bool(after.max() > 1 / 255)

    def _colours(self, box: Box) -> colour.Floats:
        return _floats(self.native[box.y0 : box.y1, box.x0 : box.x1, : self.colours])


def _floats(native: NDArray[np.generic]) -> colour.Floats:
    """Integers to 0..1; floats as they are, but what is no number as 0."""
    if np.issubdtype(native.dtype, np.integer):
        return native.astype(np.float32) / np.float32(np.iinfo(native.dtype).max)  # type: ignore[type-var]
    return np.nan_to_num(native.astype(np.float32), nan=0.0, posinf=65504.0, neginf=0.0)


def _quantised(floats: colour.Floats, dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    if np.issubdtype(dtype, np.integer):
        top = np.iinfo(dtype).max  # type: ignore[type-var]
        return np.rint(floats.clip(0, 1) * np.float32(top)).astype(dtype)
    return floats.astype(dtype)


def with_alpha(format: PixelFormat) -> PixelFormat:
    """The same format with a transparency channel."""
    if format.channels.endswith("A"):
        return format
    return PixelFormat(format.channels + "A", format.depth, format.transfer)


def copy_of(source: Canvas, shape: LayerShape, data: memoryview) -> Canvas:
    """source's pixels in fresh memory; fully opaque where shape has an alpha channel and source has none."""
    data[shape.pixel_bytes : shape.total_bytes] = source.profile
    copy = Canvas(shape, data)
    if copy.native.shape == source.native.shape:
        copy.native[...] = source.native
    else:
        copy.native[..., : copy.colours] = source.native
        integer = np.issubdtype(copy.native.dtype, np.integer)
        copy.native[..., -1] = np.iinfo(copy.native.dtype).max if integer else 1  # type: ignore[type-var]
    return copy


def layer_of(canvas: Canvas, data: Buffer) -> Layer:
    """The Layer whose bytes lie in data."""
    return canvas.shape.with_bytes(memoryview(data))
