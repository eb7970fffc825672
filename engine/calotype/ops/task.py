"""What an operation is given to work on, and where its results go."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calotype.image import tiles
from calotype.image.codec import Box, Canvas, in_rgb, opaque_copy, with_alpha
from calotype.image.selection import Selection
from calotype.image.tint import Tint, tint_of
from calotype.models import device as devices
from calotype.models import quality
from calotype.models.contract import Contract
from calotype.models.device import Device
from calotype_wire.errors import CalotypeError
from calotype_wire.protocol import PIXELS_MAX, SIDE_PX_MAX, Buffer, LayerShape, PixelFormat, Place

Step = Callable[[Tensor, Box], Tensor]
"""From a part of a layer, (3, h, w), 0..1, and the box where it lies, to what becomes of it."""


SAME_QUALITY = 5.0
"""Points of the score that say nothing: the truth then goes either way (weights/quality.md)."""


class Cancelled(Exception):  # noqa: N818 not an error
    """The user wants this job no longer. pause: what it has learnt is to be kept."""

    def __init__(self, pause: bool = False) -> None:
        super().__init__()
        self.pause = pause


class Progress(Protocol):
    """Tells the user how far a job is. curve: of one that learns, its losses so far. Raises Cancelled."""

    def __call__(self, fraction: float, stage: str, curve: Sequence[float] = ()) -> None: ...


class Task:
    """One run of an operation. layers[0] is the one to work on.

    allocate(name, size, content): memory for a result, filled with content where there is any. show(make):
    now and then calls make() for what there is so far of layers[0], (3, h, w), 0..1, of any size.
    """

    def __init__(
        self,
        layers: list[Canvas],
        selection: Selection | None,
        into_alpha: bool,
        device: Device,
        allocate: Callable[[str, int, Buffer | None], memoryview],
        progress: Progress,
        show: Callable[[Callable[[], Tensor]], None] = lambda picture: None,
    ) -> None:
        self.layers = layers
        self.selection = selection
        self.device = device
        self.progress = progress
        self.show = show
        self.results: list[Canvas] = []
        self.facts: dict[str, Any] = {}
        self._into_alpha = into_alpha and selection is not None
        self._enlarged = False
        self._allocate = allocate

    def copy(self, source: Canvas, name: str, place: Place | None = None) -> Canvas:
        """A new result that starts as source's pixels. place: where the editor puts it."""
        format = with_alpha(source.format) if self._into_alpha else source.format
        place = place or Place()
        shape = replace(source.shape, format=format, name=name, place=place)
        if place.kind == "document":
            shape = replace(shape, x=0, y=0)
        file = f"out-{len(self.results)}"
        if format == source.format:
            target = Canvas(shape, self._allocate(file, shape.total_bytes, source.data))
        else:
            data = self._allocate(file, shape.total_bytes, None)
            data[shape.pixel_bytes : shape.total_bytes] = source.profile
            target = Canvas(shape, data)
            opaque_copy(source, target)
        self.results.append(target)
        return target

    def leave_grey(self) -> Place:
        """Where the result goes that has colours. A grey document cannot show them: the first layer goes on
        as RGB, and into a new document, in which a selection limits the change and hides nothing.
        """
        if not self.layers[0].format.channels.startswith("G"):
            return Place()
        self.layers[0] = in_rgb(self.layers[0])
        self._into_alpha = False
        return Place("document")

    def mask(self, mask: Tensor, name: str) -> None:
        """A result that becomes the transparency of the one before it. mask: (H, W), 0..1, as layers[0]."""
        target = self._blank(PixelFormat("G"), name, Place("mask"))
        target.native[..., 0] = (mask * 255).round().to(torch.uint8).numpy()

    def marks(self, mask: NDArray[np.bool_], name: str, place: Place) -> None:
        """A result that shows mask, (H, W) as layers[0]: red (white in a grey document) where it is True."""
        target = self.overlay(name, place)
        target.native[..., 0] = 255
        target.native[..., -1] = mask * np.uint8(255)

    def overlay(self, name: str, place: Place) -> Canvas:
        """A transparent result of 8 bits to lie over layers[0], in colours unless the document is grey."""
        grey = self.layers[0].format.channels.startswith("G")
        return self._blank(PixelFormat("GA" if grey else "RGBA"), name, place)

    def aside(self, layers: list[Canvas]) -> "Task":
        """Another run within this one, on other layers and with results of its own."""
        return Task(
            layers, None, False, self.device, self._allocate, lambda *_: self.progress(0.5, "Painting")
        )

    def view(self, values: Tensor, name: str) -> None:
        """A result of its own size, at (0, 0). values: (C, H, W), grey, RGB or RGBA, 0..1."""
        channels, height, width = values.shape
        shape = LayerShape(width, height, PixelFormat({1: "G", 3: "RGB", 4: "RGBA"}[channels]), name)
        self._result(shape).native[...] = (values * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()

    def _blank(self, format: PixelFormat, name: str, place: Place) -> Canvas:
        """A new result as large as layers[0], all zero."""
        kept = self.layers[0].shape
        return self._result(LayerShape(kept.width, kept.height, format, name, kept.x, kept.y, place=place))

    def _result(self, shape: LayerShape) -> Canvas:
        target = Canvas(shape, self._allocate(f"out-{len(self.results)}", shape.total_bytes, None))
        self.results.append(target)
        return target

    def unchanged(self, name: str) -> None:
        """A result that looks like the first layer, and is it, bit for bit, where the selection reaches."""
        source = self.layers[0]
        target = self.copy(source, name)
        if self.selection is None or not self._into_alpha:
            return
        _clear_alpha(target)
        for y in range(0, source.box.height, 256):
            rows = Box(0, y, source.box.width, min(y + 256, source.box.height))
            target.write(rows, source, source.picture(rows), self.selection.mask(rows), True)

    @cached_property
    def thumbnail(self) -> Tensor:
        """The first layer, (3, 256, 256), sRGB-encoded, each pixel the mean of what it stands for."""
        return self.layers[0].thumbnail(256, 256)

    @cached_property
    def tint(self) -> Tint:
        return tint_of(self.thumbnail)

    def report(self, sentence: str) -> None:
        """What the user should be told about the result."""
        self.facts.setdefault("report", []).append(sentence)

    def survey(self, step: Step, contract: Contract, stage: str, until: float) -> NDArray[np.bool_]:
        """Where in the selected part of the first layer step, which returns one channel, is above 0; (H, W).

        until: the progress that this takes.
        """
        source = self.layers[0]
        found = np.zeros((source.box.height, source.box.width), np.bool_)
        box = source.box if self.selection is None else self.selection.box
        around = _grown(box, contract.halo_px, contract.multiple, source.box)

        def write(rows: Box, values: Tensor) -> None:
            found[rows.y0 : rows.y1, rows.x0 : rows.x1] = values[0] > 0

        self._in_tiles(
            around, source.picture, step, write, contract, lambda f: self.progress(until * f, stage)
        )
        return found

    def retouch(
        self,
        step: Step,
        contract: Contract,
        stage: str,
        name: str,
        place: Place | None = None,
        since: float = 0.0,
        judged: bool = True,
    ) -> None:
        """Put the selected part of the first layer through step, in tiles, into a new result.

        since: the progress that there was before. judged: its quality is that of a photo. Raises
        CalotypeError OUT_OF_MEMORY, BAD_RESULT, UNCHANGED.
        """
        source = self.layers[0]
        target = self.copy(source, name, place)
        box = source.box if self.selection is None else self.selection.box
        around = _grown(box, contract.halo_px, contract.multiple, source.box)
        if self._into_alpha:
            _clear_alpha(target)
        changed = lit = False

        def run(picture: Tensor, tile: Box) -> Tensor:
            if not self.touches(tile):
                return picture
            return _checked(step(picture, tile))

        def write(rows: Box, picture: Tensor) -> None:
            nonlocal changed, lit
            mask = None if self.selection is None else self.selection.mask(rows)
            row_changed, row_lit = target.write(rows, source, picture, mask, self._into_alpha)
            changed, lit = changed or row_changed, lit or row_lit

        self._in_tiles(
            around,
            source.picture,
            run,
            write,
            contract,
            lambda fraction: self.progress(since + (1 - since) * fraction, stage),
        )
        if not changed:
            raise CalotypeError(
                "UNCHANGED",
                "The picture came back unchanged: there is nothing in it for this filter to improve. "
                "Raise the strength, or choose another filter.",
            )
        if not lit and _lit(source, box):
            raise CalotypeError(
                "BAD_RESULT", "The model's result was black and was thrown away. Please report it."
            )
        if judged:
            self._judge(target, box)

    def _judge(self, result: Canvas, box: Box) -> None:
        """How good box of the first layer looked, and looks in result; too small a box is not judged."""
        before, after = (quality.score_of(canvas.picture, box) for canvas in (self.layers[0], result))
        if before is not None and after is not None:
            self.facts["quality"] = {"before": round(before, 1), "after": round(after, 1)}
            if abs(after - before) < SAME_QUALITY:
                self.report(f"Quality about {after:.0f} of 100, before and after.")
            else:
                self.report(f"Quality {before:.0f} before, {after:.0f} after, of 100.")

    def enlarge(self, step: Step, contract: Contract, stage: str, name: str) -> None:
        """Put the first layer, or the part of it that is selected, through step into a larger document.

        step: returns a picture contract.scale times larger. Raises CalotypeError TOO_LARGE, BAD_RESULT.
        """
        source, scale = self.layers[0], contract.scale
        self._enlarged = True
        box = source.box if self.selection is None else self.selection.box
        width, height = scale * box.width, scale * box.height
        if max(width, height) > SIDE_PX_MAX or width * height > PIXELS_MAX:
            raise CalotypeError(
                "TOO_LARGE",
                f"The result would have {width} x {height} pixels, more than Calotype makes in one go "
                f"({PIXELS_MAX // 1_000_000} megapixels). Choose a smaller scale, or select a part.",
            )
        size = len(source.profile)
        shape = LayerShape(width, height, source.format, name, 0, 0, size, Place("document"))
        target = Canvas(shape, self._allocate(f"out-{len(self.results)}", shape.total_bytes, None))
        target.data[shape.pixel_bytes : shape.total_bytes] = source.profile
        self.results.append(target)

        def write(rows: Box, picture: Tensor) -> None:
            band = Box(0, rows.y0 - scale * box.y0, width, rows.y1 - scale * box.y0)
            target.enlarge(band, source, box, scale)
            target.write(band, target, picture, None, False)

        self._in_tiles(
            box,
            source.picture,
            lambda picture, tile: _checked(step(picture, tile)),
            write,
            contract,
            lambda fraction: self.progress(fraction, stage),
        )

    def selection_of(self, layer: Canvas) -> Selection | None:
        """What is selected of layer, which may be a result, but not one that was enlarged."""
        return self.selection if self.lies_on_first(layer) else None

    def lies_on_first(self, layer: Canvas) -> bool:
        """Whether each pixel of layer, which may be a result, stands for the first layer's."""
        return layer is self.layers[0] or (not self._enlarged and layer.box == self.layers[0].box)

    def share(self, rows: Box) -> Tensor | None:
        """How much of a change of a result is to be written into its pixels, (h, w), 0..1; None for all."""
        if self.selection is None:
            return None
        mask = self.selection.mask(rows)
        return (mask > 0).float() if self._into_alpha else mask

    def touches(self, box: Box) -> bool:
        """Whether anything in box is to be changed."""
        return self.selection is None or bool(self.selection.mask(box).any())

    def _in_tiles(
        self,
        box: Box,
        read: Callable[[Box], Tensor],
        run: Step,
        write: Callable[[Box, Tensor], None],
        contract: Contract,
        done: Callable[[float], None],
    ) -> None:
        def attempt(side: int) -> None:
            tiles.process(
                box, read, run, write, contract.halo_px, contract.multiple, side, done, contract.scale
            )

        budget_bytes = devices.free_bytes(self.device) // 4  # the rest is for pictures and other programs
        side = tiles.side_within(budget_bytes, contract.bytes_a_pixel)
        self.facts["tile_px"] = tiles.with_less_memory(attempt, side)


def _checked(picture: Tensor) -> Tensor:
    if not bool(torch.isfinite(picture.sum())):  # NaN and infinity survive a sum
        raise CalotypeError(
            "BAD_RESULT", "The model's result was not a number. Nothing was changed; please report it."
        )
    return picture.clamp(0, 1)


def _grown(box: Box, halo: int, multiple: int, limits: Box) -> Box:
    """box with what the network must see around it, its corner on the network's grid."""
    x0, y0 = (max(0, n - halo) // multiple * multiple for n in (box.x0, box.y0))
    return Box(x0, y0, min(box.x1 + halo, limits.x1), min(box.y1 + halo, limits.y1))


def _clear_alpha(canvas: Canvas) -> None:
    canvas.native[..., -1] = 0


def _lit(canvas: Canvas, box: Box) -> bool:
    step = 256
    return any(
        bool((canvas.picture(Box(box.x0, y, box.x1, min(y + step, box.y1))) > 2 / 255).any())
        for y in range(box.y0, box.y1, step)
    )
