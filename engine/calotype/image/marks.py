"""What a user has marked on a layer of its own."""

import numpy as np
from numpy.typing import NDArray

from calotype.image.codec import Box, Canvas


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


def _opaque(layer: Canvas) -> NDArray[np.bool_]:
    """(H, W): less than half transparent."""
    alpha = layer.native[..., -1]
    opaque: NDArray[np.bool_] = alpha > (np.iinfo(alpha.dtype).max if alpha.dtype.kind == "u" else 1) / 2
    return opaque


def _bright(layer: Canvas) -> NDArray[np.bool_]:
    """(H, W): brighter than a mid grey."""
    bright = np.empty((layer.box.height, layer.box.width), np.bool_)
    for y in range(0, layer.box.height, 256):
        rows = Box(0, y, layer.box.width, min(y + 256, layer.box.height))
        bright[rows.y0 : rows.y1] = layer.picture(rows).mean(dim=0) > 0.5
    return bright
