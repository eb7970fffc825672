"""Whether a picture was mirrored or turned while an engine worked on it: a result would lie the wrong way."""

from operator import sub
from typing import List, Sequence

THUMBNAIL_PX = 32
"""Longer side of what is compared."""

MUCH = 0.5
"""A view is the picture's that differs by less than so much of what the old one differs by."""


def turned(before: Sequence[int], now: Sequence[int], width: int, height: int) -> bool:
    """before, now: grey pixels, row by row. What is painted meanwhile makes no view of it fit better."""
    as_it_was = _apart(before, now)
    return any(_apart(view, now) < MUCH * as_it_was for view in _views(before, width, height))


def _apart(a: Sequence[int], b: Sequence[int]) -> int:
    return sum(map(abs, map(sub, a, b)))


def _views(grey: Sequence[int], width: int, height: int) -> List[List[int]]:
    """Mirrored, turned by 180 degrees, and of a square one by 90."""
    rows = [list(grey[y * width : (y + 1) * width]) for y in range(height)]
    upright = [[row[::-1] for row in rows], rows[::-1], [row[::-1] for row in rows[::-1]]]
    if width == height:
        columns = [[row[x] for row in rows] for x in range(width)]
        upright += [columns, [row[::-1] for row in columns], columns[::-1]]
        upright.append([row[::-1] for row in columns[::-1]])
    return [[pixel for row in view for pixel in row] for view in upright]
