"""Selections: how much of each pixel an operation may change."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calotype.image.codec import Box
from calotype_wire.errors import CalotypeError
from calotype_wire.protocol import LayerShape


class Selection:
    """A mask in document coordinates, seen from a layer."""

    def __init__(self, shape: LayerShape, data: memoryview, layer: LayerShape) -> None:
        """Raises CalotypeError EMPTY_SELECTION where nothing of the layer is selected."""
        top = {"u8": 255, "u16": 65535}.get(shape.format.depth, 1)
        dtype = {"u8": np.uint8, "u16": np.uint16, "f16": np.float16, "f32": np.float32}[shape.format.depth]
        count = shape.width * shape.height
        self._mask: NDArray[Any] = np.frombuffer(data, dtype, count).reshape(shape.height, shape.width)
        self._top = top
        self._x, self._y = shape.x - layer.x, shape.y - layer.y
        self.box = self._bounds(layer)

    def mask(self, box: Box) -> Tensor:
        """(box.height, box.width), 0..1, box in layer coordinates."""
        out = np.zeros((box.height, box.width), np.float32)
        x0, y0 = max(box.x0, self._x), max(box.y0, self._y)
        x1 = min(box.x1, self._x + self._mask.shape[1])
        y1 = min(box.y1, self._y + self._mask.shape[0])
        if x0 < x1 and y0 < y1:
            part = self._mask[y0 - self._y : y1 - self._y, x0 - self._x : x1 - self._x]
            values = np.nan_to_num(part.astype(np.float32) / self._top).clip(0, 1)
            out[y0 - box.y0 : y1 - box.y0, x0 - box.x0 : x1 - box.x0] = values
        return torch.from_numpy(out)

    def _bounds(self, layer: LayerShape) -> Box:
        """The smallest box of the layer that holds all that is selected."""
        height, width = self._mask.shape
        x0, y0 = max(0, -self._x), max(0, -self._y)
        x1, y1 = min(width, layer.width - self._x), min(height, layer.height - self._y)
        part = self._mask[y0:y1, x0:x1] if x0 < x1 and y0 < y1 else self._mask[:0, :0]
        columns = np.flatnonzero(part.any(axis=0))
        rows = np.flatnonzero(part.any(axis=1))
        if not len(rows):
            empty = not self._mask.any()
            raise CalotypeError(
                "EMPTY_SELECTION",
                "Nothing is selected. Select a part of the picture, or nothing at all for the whole of it."
                if empty
                else "The selection lies outside of the layer. Choose the layer that you want to change.",
            )
        x, y = x0 + self._x, y0 + self._y
        return Box(x + int(columns[0]), y + int(rows[0]), x + int(columns[-1]) + 1, y + int(rows[-1]) + 1)
