"""What an operation is given to work on, and where its results go."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from calotype.image import tiles
from calotype.image.codec import Box, Canvas, opaque_copy, with_alpha
from calotype.image.selection import Selection
from calotype.models import device as devices
from calotype.models import weights
from calotype.models.contract import Contract
from calotype.models.device import Device
from calotype_wire.errors import CalotypeError
from calotype_wire.protocol import Buffer, LayerShape, PixelFormat, Place

Run = Callable[[nn.Module, Tensor], Tensor]


class Task:
    """One run of an operation. layers[0] is the one to work on.

    allocate(name, size, content): memory for a result, filled with content where there is any.
    progress(fraction, stage): tells the user; raises where the user has cancelled.
    """

    def __init__(
        self,
        layers: list[Canvas],
        selection: Selection | None,
        into_alpha: bool,
        device: Device,
        allocate: Callable[[str, int, Buffer | None], memoryview],
        progress: Callable[[float, str], None],
    ) -> None:
        self.layers = layers
        self.selection = selection
        self.device = device
        self.progress = progress
        self.results: list[Canvas] = []
        self.facts: dict[str, Any] = {}
        self._into_alpha = into_alpha and selection is not None
        self._allocate = allocate

    def copy(self, source: Canvas, name: str, place: Place | None = None) -> Canvas:
        """A new result that starts as source's pixels. place: where the editor puts it."""
        format = with_alpha(source.format) if self._into_alpha else source.format
        shape = replace(source.shape, format=format, name=name, place=place or Place())
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

    def mask(self, mask: Tensor, name: str) -> None:
        """A result that becomes the transparency of the one before it. mask: (H, W), 0..1, as layers[0]."""
        kept = self.layers[0].shape
        format, place = PixelFormat("G"), Place("mask")
        shape = LayerShape(kept.width, kept.height, format, name, kept.x, kept.y, place=place)
        target = Canvas(shape, self._allocate(f"out-{len(self.results)}", shape.total_bytes, None))
        target.native[..., 0] = (mask * 255).round().to(torch.uint8).numpy()
        self.results.append(target)

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

    def retouch(self, network: nn.Module, contract: Contract, run: Run, stage: str, name: str) -> None:
        """Run network over the selected part of the first layer, in tiles, into a new result.

        run: turns the network and a picture (1, 3, H, W) into a picture of the same size.
        Raises CalotypeError OUT_OF_MEMORY, BAD_RESULT, UNCHANGED.
        """
        source = self.layers[0]
        target = self.copy(source, name)
        box = source.box if self.selection is None else self.selection.box
        around = _grown(box, contract.halo_px, contract.multiple, source.box)
        if self._into_alpha:
            _clear_alpha(target)
        changed = lit = False

        def on_tile(picture: Tensor) -> Tensor:
            with self.device.inference():
                restored = run(network, self.device.send(picture)).float().cpu()
                finite = bool(torch.isfinite(restored.sum()))  # NaN and infinity survive a sum
            if not finite:
                raise CalotypeError(
                    "BAD_RESULT",
                    "The model's result was not a number. Nothing was changed; please report it.",
                )
            return restored.clamp(0, 1)

        def needed(tile: Box) -> bool:
            return self.selection is None or bool(self.selection.mask(tile).any())

        def write(rows: Box, picture: Tensor) -> None:
            nonlocal changed, lit
            mask = None if self.selection is None else self.selection.mask(rows)
            row_changed, row_lit = target.write(rows, source, picture, mask, self._into_alpha)
            changed, lit = changed or row_changed, lit or row_lit

        def attempt(side: int) -> None:
            tiles.process(
                around,
                source.picture,
                on_tile,
                write,
                contract.halo_px,
                contract.multiple,
                side,
                needed,
                lambda fraction: self.progress(fraction, stage),
            )

        budget_bytes = devices.free_bytes(self.device) // 4  # the rest is for pictures and other programs
        side = tiles.side_within(budget_bytes, contract.bytes_a_pixel)
        self.facts["tile_px"] = tiles.with_less_memory(attempt, side)
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


@lru_cache(maxsize=8)
def network(build: Callable[[], nn.Module], contract: Contract, device: Device) -> nn.Module:
    """The network with its trained weights on device, loaded once. Raises CalotypeError BAD_WEIGHTS."""
    loaded = build()
    weights.load_into(loaded, contract)
    return device.place(loaded)


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
