"""Between the bytes of a Layer and Pictures: float tensors (3, H, W), sRGB-encoded, 0..1.

Results are written as the difference that an operation made, added to the document's own samples. So
16-bit stays 16-bit, values outside 0..1 survive in float documents, and what did not change comes back
bit for bit.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from calotype.image import colour
from calotype_wire.protocol import Layer, LayerShape, PixelFormat

_DTYPES = {"u8": np.uint8, "u16": np.uint16, "f16": np.float16, "f32": np.float32}
BAND_ROWS = 64  # keeps temporary floats small however wide the document is


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
        self.data = data
        self.profile = bytes(data[shape.pixel_bytes : shape.total_bytes])
        self.native: NDArray[Any] = np.frombuffer(
            data, _DTYPES[self.format.depth], shape.width * shape.height * len(self.format.channels)
        ).reshape(shape.height, shape.width, len(self.format.channels))
        self.has_alpha = self.format.channels.endswith("A")
        self.colours = len(self.format.channels) - self.has_alpha
        self.space = colour.space(self.format, self.profile)

    @classmethod
    def of(cls, layer: Layer) -> "Canvas":
        return cls(layer.describe(), memoryview(bytearray(layer.pixels) + layer.profile))

    @property
    def box(self) -> Box:
        return Box(0, 0, self.shape.width, self.shape.height)

    def picture(self, box: Box) -> Tensor:
        """(3, box.height, box.width). Samples that are no numbers read as 0."""
        return self.space.to_srgb(self._colours(box)).contiguous()

    def opacity(self, box: Box) -> Tensor:
        """(1, box.height, box.width), 0..1."""
        if not self.has_alpha:
            return torch.ones(1, box.height, box.width)
        return _floats(_part(self.native, box)[..., -1:])

    @property
    def steps(self) -> int | None:
        """How many steps its samples have from 0 to 1; None where they are floats."""
        dtype = self.native.dtype
        return int(np.iinfo(dtype).max) if dtype.kind == "u" else None

    def thumbnail(self, height: int, width: int, veil: "Canvas | None" = None) -> Tensor:
        """(3, height, width): the mean of what each pixel stands for, or of all where nothing is opaque.

        veil: as large, whose transparency counts instead of its own.
        """
        colours, opacity = self.reduced(height, width, veil=veil)
        mean = (colours * opacity).sum((1, 2), keepdim=True) / opacity.sum().clamp_min(1e-6)
        return torch.where(opacity > 0, colours, mean)

    def reduced(
        self,
        height: int,
        width: int,
        tick: Callable[[], None] = lambda: None,
        veil: "Canvas | None" = None,
    ) -> tuple[Tensor, Tensor]:
        """The mean of what each pixel stands for, (3, height, width), and its opacity, (1, height, width).

        tick: called many times meanwhile; may raise to stop.
        """

        def seen(band: Box) -> Tensor:
            tick()
            alpha = (veil or self).opacity(band)
            return torch.cat([self.picture(band) * alpha, alpha])

        sums = pooled(seen, self.box, 4, height, width)
        return sums[:3] / sums[3:].clamp_min(1e-6), sums[3:]

    def cropped(self, box: Box) -> "Canvas":
        """A copy of a part, where it lies in the document."""
        part = np.ascontiguousarray(_part(self.native, box))
        x, y = self.shape.x + box.x0, self.shape.y + box.y0
        shape = replace(self.shape, width=box.width, height=box.height, x=x, y=y)
        return Canvas(shape, memoryview(bytearray(part.tobytes() + self.profile)))

    def beneath(self, layer: "Canvas") -> "Canvas | None":
        """What of this lies where layer does, as large as it and transparent beyond its own edges; None where
        nothing of it does.
        """
        x, y = layer.shape.x - self.shape.x, layer.shape.y - self.shape.y
        x1, y1 = min(self.box.x1, x + layer.box.width), min(self.box.y1, y + layer.box.height)
        lap = Box(max(0, x), max(0, y), x1, y1)
        if lap.width <= 0 or lap.height <= 0:
            return None
        shape = replace(layer.shape, format=with_alpha(self.format), name=self.shape.name)
        shape = replace(shape, profile_bytes=len(self.profile))
        data = memoryview(bytearray(shape.total_bytes))
        data[shape.pixel_bytes :] = self.profile
        made = Canvas(shape, data)
        there = _part(made.native, Box(lap.x0 - x, lap.y0 - y, lap.x1 - x, lap.y1 - y))
        there[..., -1] = np.iinfo(there.dtype).max if there.dtype.kind == "u" else 1
        there[..., : len(self.format.channels)] = _part(self.native, lap)
        return made

    def write(
        self, box: Box, source: "Canvas", picture: Tensor, selection: Tensor | None, into_alpha: bool
    ) -> tuple[bool, bool]:
        """Write what picture changes of source in box: (anything changed, anything not black).

        picture: (3, h, w), 0..1. selection: (h, w), 0..1, or None for all. into_alpha: the selection goes
        into the transparency instead of into the colours. source: of the same shape, alpha or not.
        """
        changed = lit = False
        for y in range(0, box.height, BAND_ROWS):
            rows = slice(y, min(y + BAND_ROWS, box.height))
            band = Box(box.x0, box.y0 + rows.start, box.x1, box.y0 + rows.stop)
            mask = None if selection is None else selection[rows]
            if mask is None or bool(mask.any()):
                band_changed = self._write_band(band, source, picture[:, rows], mask, into_alpha)
                changed = changed or band_changed
            seen = picture[:, rows] if mask is None else picture[:, rows] * (mask != 0)
            lit = lit or bool((seen > 1 / 255).any())
        return changed, lit

    def enlarge(self, box: Box, source: "Canvas", part: Box, scale: int) -> None:
        """Fill box from source, whose part is enlarged scale times by bicubic interpolation to fill self.

        box: whole rows, its top a multiple of scale.
        """
        top, bottom = part.y0 + box.y0 // scale, part.y0 + -(-box.y1 // scale)
        above, below = max(part.y0, top - 2), min(part.y1, bottom + 2)  # what the interpolation looks at
        small = _floats(_part(source.native, Box(part.x0, above, part.x1, below)))
        large = interpolate(small[None], scale_factor=float(scale), mode="bicubic")[0]
        first = scale * (top - above)
        rows = large[:, first : first + box.height]
        if self.has_alpha:
            rows[-1].clamp_(0, 1)
        _part(self.native, box)[...] = _samples(rows, self.native.dtype)

    def _write_band(
        self, box: Box, source: "Canvas", after: Tensor, mask: Tensor | None, into_alpha: bool
    ) -> bool:
        old = _part(source.native, box)
        before = source._colours(box)
        difference = self.space.from_srgb(after) - self.space.from_srgb(self.space.to_srgb(before))
        if mask is not None:
            difference *= (mask != 0) if into_alpha else mask
        if source.has_alpha:
            difference *= torch.from_numpy(old[..., -1] != 0)
        new = _samples(before + difference, self.native.dtype)
        if self.native.dtype.kind == "f":  # samples that are no numbers stay so where nothing is changed
            new = np.where((difference != 0).permute(1, 2, 0).numpy(), new, old[..., : self.colours])
        target = _part(self.native, box)
        target[..., : self.colours] = new
        if into_alpha and mask is not None:
            alpha = _floats(old[..., -1:]) if source.has_alpha else torch.ones(1)
            target[..., -1:] = _samples(alpha * mask[None], self.native.dtype)
        return not np.array_equal(new, old[..., : self.colours], equal_nan=self.native.dtype.kind == "f")

    def _colours(self, box: Box) -> Tensor:
        return _floats(_part(self.native, box)[..., : self.colours])


def bands(box: Box) -> Iterator[Box]:
    """Whole rows, from top to bottom."""
    for y in range(box.y0, box.y1, BAND_ROWS):
        yield Box(box.x0, y, box.x1, min(y + BAND_ROWS, box.y1))


def _part(native: NDArray[Any], box: Box) -> NDArray[Any]:
    return native[box.y0 : box.y1, box.x0 : box.x1]


def _floats(native: NDArray[Any]) -> Tensor:
    """native: (h, w, c). Returns (c, h, w): integers as 0..1; floats as they are, but no numbers as 0."""
    planes = torch.empty(native.shape[2], *native.shape[:2])
    for index, plane in enumerate(planes):  # much faster than to permute and convert
        plane.copy_(torch.from_numpy(native[..., index]))
    if native.dtype.kind == "u":
        return planes.div_(float(np.iinfo(native.dtype).max))
    return planes.nan_to_num_(nan=0.0, posinf=65504.0, neginf=0.0)


def _samples(planes: Tensor, dtype: np.dtype[Any]) -> NDArray[Any]:
    """planes: (c, h, w). Returns (h, w, c), integers rounded: they survive _floats and back exactly."""
    if dtype.kind == "u":
        top = np.iinfo(dtype).max
        planes = planes.mul(top).round_().clamp_(0, top)
    samples = np.empty((*planes.shape[1:], len(planes)), dtype)
    for index, plane in enumerate(planes.numpy()):
        samples[..., index] = plane
    return samples


def pooled(seen: Callable[[Box], Tensor], whole: Box, channels: int, height: int, width: int) -> Tensor:
    """The mean of what each pixel of height x width stands for of whole, read by seen() in bands of rows."""
    means = torch.empty(channels, height, width)
    row = 0
    while row < height:
        top = row * whole.height // height
        last = row
        while last + 1 < height and _bottom(last + 1, whole.height, height) - top <= BAND_ROWS:
            last += 1
        bottom = _bottom(last, whole.height, height)
        band = seen(Box(whole.x0, whole.y0 + top, whole.x1, whole.y0 + bottom))
        for each in range(row, last + 1):
            part = band[:, each * whole.height // height - top : _bottom(each, whole.height, height) - top]
            means[:, each] = adaptive_avg_pool2d(part, (1, width))[:, 0]
        row = last + 1
    return means


def _bottom(row: int, source: int, target: int) -> int:
    """Where the rows end of source rows that a row of target stands for."""
    return max(row * source // target + 1, -(-(row + 1) * source // target))


def reduced_size(height: int, width: int, side_px: int) -> tuple[int, int]:
    """Height and width with the longer side at most side_px."""
    factor = max(1.0, max(height, width) / side_px)
    return max(1, round(height / factor)), max(1, round(width / factor))


def with_alpha(format: PixelFormat) -> PixelFormat:
    """The same format with a transparency channel."""
    if format.channels.endswith("A"):
        return format
    return PixelFormat(format.channels + "A", format.depth, format.transfer)


def in_rgb(grey: Canvas) -> Canvas:
    """A grey layer in three equal colours, which sRGB describes where grey had a profile of its own."""
    format = PixelFormat("RGBA" if grey.has_alpha else "RGB", grey.format.depth, grey.format.transfer)
    shape = replace(grey.shape, format=format, profile_bytes=0)
    result = Canvas(shape, memoryview(bytearray(shape.total_bytes)))
    result.native[..., :3] = grey.native[..., :1]
    if grey.has_alpha:
        result.native[..., 3] = grey.native[..., 1]
    if grey.profile:
        for rows in bands(grey.box):
            colours = result.space.from_srgb(grey.picture(rows))
            _part(result.native, rows)[..., :3] = _samples(colours, result.native.dtype)
    return result


def opaque_copy(source: Canvas, target: Canvas) -> None:
    """Fill target, which has a transparency channel, from source, which has none."""
    target.native[..., : target.colours] = source.native
    target.native[..., -1] = np.iinfo(target.native.dtype).max if target.native.dtype.kind == "u" else 1
