"""Where a picture begins: inside of paper, passe-partouts, black bars and the bed of a scanner."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from calotype.image.codec import Box

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

BLOCK_PX = 8  # means of so many pixels along an edge: the grain of paper and scanners falls to a third
ALIKE = 0.05  # of a row around its middle colour, and of a margin around that of its first row
STEP = 0.04  # from a margin to a picture; a sky that fades in changes by less over STEP_PX rows
STEP_PX = 3
STEPPED_MIN = 0.4  # of the edge: a picture within a wide passe-partout, but no head before a dark wall
CONSTANT = 1.5 / 255  # what JPEG leaves of a plain colour, after the means
NESTED_MAX = 16  # bar, paper, mount, fillet, each with the ripples of JPEG; more are stripes of the picture
REST_MIN = 0.2  # of the height and width; less is no picture in margins, but stripes
SIDE_MAX = 0.45  # of the height or width, on one side


def proper(picture: Tensor, left_out: Tensor | None = None) -> Box:
    """The part of a picture inside of its margins; all of it where there are none, or nothing else.

    Rows and columns of one colour at an edge are a margin where the picture begins at a step along most of
    the edge, or where they do not vary at all. Margins may lie in one another.
    picture: (3, H, W), 0..1, sRGB-encoded. left_out: (H, W), bool, what is not looked at, such as captions.
    """
    height, width = picture.shape[1:]
    planes = picture.detach().float().cpu().permute(1, 2, 0).numpy()  # H W 3
    seen = np.ones((height, width), np.bool_) if left_out is None else ~left_out.cpu().numpy()
    y0, x0, y1, x1 = 0, 0, height, width
    for _ in range(NESTED_MAX + 1):
        part, looked = planes[y0:y1, x0:x1], seen[y0:y1, x0:x1]
        top, bottom = (_margin(part[::way], looked[::way]) for way in (1, -1))
        across, at = part.swapaxes(0, 1), looked.swapaxes(0, 1)
        left, right = (_margin(across[::way], at[::way]) for way in (1, -1))
        if top + bottom + left + right == 0:
            return Box(x0, y0, x1, y1)
        y0, x0, y1, x1 = y0 + top, x0 + left, y1 - bottom, x1 - right
        if y1 - y0 < REST_MIN * height or x1 - x0 < REST_MIN * width:
            break
    return Box(0, 0, width, height)


def _margin(rows: Floats, seen: Bools) -> int:
    """How many rows at the beginning are margin. rows: (n, m, 3). seen: (n, m)."""
    means, counted = _blocks(rows, seen)  # n b 3, n b
    blank = np.asarray(~counted.any(1))
    middle = _middles(means, counted)
    first = int(np.argmin(blank))
    plain = _share(np.abs(means - middle[:, None]).max(2) < ALIKE, counted) >= 0.95
    alike = np.abs(middle - middle[first]).max(1) < ALIKE
    depth = lead(blank | (plain & alike))
    if depth == len(rows):
        return 0
    if depth > 0:
        after = min(depth + STEP_PX, len(rows)) - 1
        inside = middle[first] if blank[depth - 1] else middle[max(first, depth - 2)]
        stepped = np.abs(means[after] - inside).max(1) > STEP
        if _share(stepped, counted[after]) < STEPPED_MIN:
            constant = np.abs(means - middle[first]).max(2) < CONSTANT
            depth = lead(blank | (_share(constant, counted) >= 0.99))
    return depth if depth <= SIDE_MAX * len(rows) else 0


def _blocks(rows: Floats, seen: Bools) -> tuple[Floats, Bools]:
    """Means over BLOCK_PX along each row, (n, b, 3), and whether at least half of a block is seen, (n, b)."""
    count = max(1, rows.shape[1] // BLOCK_PX)
    ends = np.linspace(0, rows.shape[1], count + 1).astype(np.int64)
    weights = np.add.reduceat(seen.astype(np.float32), ends[:-1], 1)
    sums = np.add.reduceat(rows * seen[..., None], ends[:-1], 1)
    means = (sums / np.maximum(weights, 1)[..., None]).astype(np.float32)
    return means, weights >= 0.5 * np.diff(ends)


def _middles(means: Floats, counted: Bools) -> Floats:
    """The median colour of each row's counted blocks, (n, 3); 0 where there are none."""
    known = np.where(counted[..., None], means, np.nan)
    known[~counted.any(1)] = 0
    middles: Floats = np.nanmedian(known, axis=1)
    return middles


def _share(flags: Bools, counted: Bools) -> Floats:
    """Of the counted blocks, along the last axis."""
    share: Floats = (flags & counted).sum(-1) / np.maximum(counted.sum(-1), 1)
    return share


def lead(flags: Bools) -> int:
    """How many at the beginning are set."""
    return int(np.logical_and.accumulate(flags).sum())
