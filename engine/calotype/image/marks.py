"""What a user has marked on a layer of its own."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calotype.image.codec import BAND_ROWS, Box, Canvas


def marked(layer: Canvas, marks: Canvas) -> NDArray[np.bool_]:
    """Which pixels of layer, (H, W), are marked on marks: those that were painted there.

    The two may lie at different places of the document. Marks that hide all of layer, or that have no
    transparency, are a mask in black and white.
    """
    under, over = layer.shape, marks.shape
    painted = _opaque(marks) if marks.has_alpha else _bright(marks)
    if painted.all() and over.width >= under.width and over.height >= under.height:
        painted = _bright(marks)
    y, x = over.y - under.y, over.x - under.x
    top, left = max(0, y), max(0, x)
    part = painted[top - y : max(0, under.height - y), left - x : max(0, under.width - x)]
    mask = np.zeros((under.height, under.width), np.bool_)
    mask[top : top + part.shape[0], left : left + part.shape[1]] = part
    return mask


def painted(
    layer: Canvas, strokes: Canvas, height: int, width: int, tick: Callable[[], None] = lambda: None
) -> tuple[Tensor, Tensor]:
    """layer, made as small as height x width: the mean colour of the strokes that lie over each pixel,
    (3, height, width), and the share of it that they cover, (1, height, width).

    The two may lie at different places of the document. tick: called many times meanwhile; may raise to stop.
    """
    under, over = layer.shape, strokes.shape
    sums = torch.zeros(height * width, 4)
    x = (torch.arange(over.width) + over.x - under.x) * width // under.width
    inside = (x >= 0) & (x < width)
    last = min(over.height, under.y + under.height - over.y)
    for top in range(max(0, under.y - over.y), last, BAND_ROWS):
        tick()
        rows = Box(0, top, over.width, min(top + BAND_ROWS, last))
        alpha = strokes.opacity(rows)
        if alpha.any():
            paint = torch.cat([strokes.picture(rows) * alpha, alpha])[:, :, inside]  # 4 h n
            y = (torch.arange(rows.y0, rows.y1) + over.y - under.y) * height // under.height
            places = y[:, None] * width + x[inside]
            sums.index_add_(0, places.flatten(), paint.flatten(1).T)
    colours, share = torch.split(sums.T.reshape(4, height, width), [3, 1])
    pixels = under.width * under.height / (width * height)
    return colours / share.clamp_min(1e-6), (share / pixels).clamp(0, 1)


def _opaque(layer: Canvas) -> NDArray[np.bool_]:
    """(H, W): less than half transparent."""
    alpha = layer.native[..., -1]
    opaque: NDArray[np.bool_] = alpha > (np.iinfo(alpha.dtype).max if alpha.dtype.kind == "u" else 1) / 2
    return opaque


def _bright(layer: Canvas) -> NDArray[np.bool_]:
    """(H, W): brighter than a mid grey, or as bright in a colour."""
    bright = np.empty((layer.box.height, layer.box.width), np.bool_)
    for y in range(0, layer.box.height, 256):
        rows = Box(0, y, layer.box.width, min(y + 256, layer.box.height))
        bright[rows.y0 : rows.y1] = layer.picture(rows).amax(dim=0) > 0.5
    return bright
