"""Large pictures in overlapping tiles, blended with cosine ramps, in bounded memory."""

import errno
import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

from calotype.image.codec import Box
from calotype_wire.errors import CalotypeError

SIDE_PX = 1024
SIDE_PX_MIN = 128


def starts(length: int, side: int, overlap: int) -> list[int]:
    """Where tiles begin along one axis; each overlaps the next by exactly overlap."""
    step = side - overlap
    return [step * i for i in range(max(1, math.ceil((length - overlap) / step)))]


def ramp(overlap: int) -> Tensor:
    """Weights (overlap,) of the later tile: half a cosine from 0 to 1."""
    positions = (torch.arange(overlap, dtype=torch.float32) + 0.5) / overlap
    return 0.5 - 0.5 * torch.cos(math.pi * positions)


def process(
    box: Box,
    read: Callable[[Box], Tensor],
    run: Callable[[Tensor, Box], Tensor],
    write: Callable[[Box, Tensor], None],
    overlap: int,
    multiple: int,
    side: int = SIDE_PX,
    done: Callable[[float], None] = lambda fraction: None,
    scale: int = 1,
) -> None:
    """run over every tile of box; write gets whole rows of it, top to bottom, each row once.

    read: a tile's picture (3, h, w). run: turns that and its box into (C, scale * h, scale * w). write: is
    told boxes of the scaled picture. done: told the fraction after each tile; may raise to stop. side and
    side - overlap must be multiples of multiple, so that strided networks see every tile on the same grid.
    """
    overlap = -(-overlap // multiple) * multiple
    columns = starts(box.width, side, overlap)
    rows = starts(box.height, side, overlap)
    shared = scale * overlap
    weights = ramp(shared)
    tail: Tensor | None = None  # the last rows of the strip above, still to be blended
    for row, top in enumerate(rows):
        height = min(side, box.height - top)
        strip: Tensor | None = None
        for column, left in enumerate(columns):
            width = min(side, box.width - left)
            x, y = box.x0 + left, box.y0 + top
            tile_box = Box(x, y, x + width, y + height)
            tile = run(read(tile_box), tile_box)
            if strip is None:
                strip = torch.empty(len(tile), scale * height, scale * box.width)
            start = scale * left
            if column:
                old, new = strip[:, :, start : start + shared], tile[:, :, :shared]
                tile[:, :, :shared] = torch.lerp(old, new, weights)
            strip[:, :, start : start + tile.shape[2]] = tile
            done((row * len(columns) + column + 1) / (len(rows) * len(columns)))
        assert strip is not None
        if tail is not None:
            strip[:, :shared] = torch.lerp(tail, strip[:, :shared], weights[:, None])
        finished = scale * height - (0 if row == len(rows) - 1 else shared)
        first = scale * (box.y0 + top)
        write(Box(scale * box.x0, first, scale * box.x1, first + finished), strip[:, :finished])
        tail = strip[:, finished:].clone()


def padded(run: Callable[[Tensor], Tensor], tile: Tensor, multiple: int, scale: int = 1) -> Tensor:
    """run, which takes (1, C, H, W) with sides that are multiples of multiple, on tile (C, h, w)."""
    height, width = tile.shape[1:]
    return run(mirrored(tile, multiple)[None])[0, :, : scale * height, : scale * width]


def mirrored(tile: Tensor, multiple: int) -> Tensor:
    """tile (C, h, w), continued to sides that are multiples of multiple."""
    height, width = tile.shape[1:]
    right, bottom = -width % multiple, -height % multiple
    mode = "reflect" if right < width and bottom < height else "replicate"
    return pad(tile[None], (0, right, 0, bottom), mode=mode)[0]


def side_within(budget_bytes: int, bytes_a_pixel: int) -> int:
    """The largest side, SIDE_PX or a half, a quarter, ... of it, whose tile fits the budget."""
    side = SIDE_PX
    while side > SIDE_PX_MIN and side * side * bytes_a_pixel > budget_bytes:
        side //= 2
    return side


def with_less_memory(attempt: Callable[[int], None], side: int = SIDE_PX) -> int:
    """attempt(side), again with half the side whenever memory runs out; the side that worked.

    Raises CalotypeError OUT_OF_MEMORY below SIDE_PX_MIN.
    """
    while side >= SIDE_PX_MIN:
        try:
            attempt(side)
        except (MemoryError, OSError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        else:
            return side
        # outside the except block: the traceback would keep the tensors alive (pytorch issue 18853)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        side //= 2
    raise out_of_memory()


def out_of_memory() -> CalotypeError:
    return CalotypeError(
        "OUT_OF_MEMORY",
        "There is not enough memory for this filter. Close other programs, or select a smaller part.",
    )


def is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:  # of a picture's file that is mapped
        return True
    text = str(error)  # torch on the CPU raises a plain RuntimeError; the last phrase is oneDNN's
    phrases = (
        "can't allocate memory",
        "not enough memory",
        "out of memory",
        "bad_alloc",
        "could not create a primitive",
    )
    return any(phrase in text for phrase in phrases)
