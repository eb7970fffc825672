"""Set type on a picture: captions, watermarks, pages.

Our own rules on strokes that hang together, in the manner of connected-component text detectors (Epshtein,
Ofek, Wexler 2010, the grouping of letters into lines). Letters are told from painted marks by how often
a line across them meets ink, by their common base line, and by the flat ground that they stand on.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d

from calotype.image.codec import Box
from calotype.image.margins import lead

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

LONGEST_PX = 1024  # larger pictures are read reduced: type is set to be read at this size
PAGE_SHARE = 0.5  # of a picture in lines and their ground: a page, with nothing to see on it
NEAR_PX = 33  # the surroundings that ink is darker than; strokes of 40 px type are 4..8 px wide

BELOW = (
    (np.s_[:-1, :], np.s_[1:, :]),
    (np.s_[:-1, 1:], np.s_[1:, :-1]),
    (np.s_[:-1, :-1], np.s_[1:, 1:]),
)  # each pixel and its three neighbours in the next row


@dataclass(frozen=True)
class Marks:
    """Strokes that hang together: all (N,). The box ends before bottom and right. stroke: its width.
    crossings: how often a row or column of a square of the box meets ink, 1 for a dot or a dash."""

    top: Ints
    bottom: Ints
    left: Ints
    right: Ints
    tone: Floats
    contrast: Floats
    stroke: Floats
    crossings: Floats

    def only(self, which: Bools | Ints) -> "Marks":
        return Marks(**{name: values[which] for name, values in vars(self).items()})

    @property
    def height(self) -> Ints:
        return self.bottom - self.top

    @property
    def width(self) -> Ints:
        return self.right - self.left


def lettered(picture: Tensor) -> Tensor:
    """Where a picture carries lines of type, with the flat ground around them; all of a page of type.

    picture: (3, H, W), 0..1, sRGB-encoded. Returns (H, W), bool.
    """
    height, width = picture.shape[1:]
    luma = torch.tensordot(torch.tensor([0.299, 0.587, 0.114]), picture.detach().float().cpu(), 1)[None]
    times = -(-max(height, width) // LONGEST_PX)
    if times > 1:
        luma = avg_pool2d(luma, times, ceil_mode=True, count_include_pad=False)
    found = torch.zeros(luma.shape[1:], dtype=torch.bool)
    for box in lines(luma[0].numpy()):
        found[_inside(box)] = True
    if found.float().mean() > PAGE_SHARE:
        found.fill_(True)
    return found.repeat_interleave(times, 0).repeat_interleave(times, 1)[:height, :width]


def lines(tones: Floats) -> list[Box]:
    """Each line of type, dark or light, with the flat ground around it. tones: (H, W), luma 0..1."""
    around = _mean(tones)
    spread = np.sqrt(np.maximum(_mean(tones**2) - around**2, 0))
    edge = np.maximum(0.3 * spread, 0.06)
    return _dark_lines(tones, around - edge) + _dark_lines(1 - tones, 1 - around - edge)


def _dark_lines(tones: Floats, threshold: Floats) -> list[Box]:
    ink = tones < threshold
    clear = (~ink).astype(np.float32)
    ground = (_mean(tones * clear) / np.maximum(_mean(clear), 1e-3)).astype(np.float32)
    bare = ~_thickened(ink)
    letters = _letters(_marks(ink, tones, ground))
    found = []
    for line in _rows(letters):
        box = Box(*(int(n) for n in (line.left.min(), line.top.min(), line.right.max(), line.bottom.max())))
        if _stands_in_line(line, box) and _flat(line, box, tones - ground, tones, bare):
            found.append(_grown(line, box, tones, bare))
    return found


def _mean(plane: Floats) -> Floats:
    """Of the NEAR_PX around each pixel, as far as the plane reaches."""
    for axis in (0, 1):
        sums = np.insert(np.cumsum(plane, axis, np.float64), 0, 0, axis)
        places = np.arange(plane.shape[axis])
        last = np.minimum(places + NEAR_PX // 2 + 1, len(places))
        first = np.maximum(places - NEAR_PX // 2, 0)
        means = (sums.take(last, axis) - sums.take(first, axis)).swapaxes(axis, 1)
        plane = (means / (last - first)).swapaxes(axis, 1).astype(np.float32)
    return plane


def _thickened(ink: Bools) -> Bools:
    """By a pixel to all sides."""
    for axis in (0, 1):
        wide = ink.copy().swapaxes(0, axis)
        wide[1:] |= ink.swapaxes(0, axis)[:-1]
        wide[:-1] |= ink.swapaxes(0, axis)[1:]
        ink = wide.swapaxes(0, axis)
    return ink


def _stands_in_line(line: Marks, box: Box) -> bool:
    line = line.only(np.argsort(line.left))
    height = np.median(line.height)
    near = np.abs(np.diff(line.bottom)) <= max(1, 0.12 * height)
    return bool(
        near.sum() >= max(3, 0.5 * len(near))
        and box.width >= 3 * height
        and box.height <= 3 * height
        and 1.25 < np.average(line.crossings, weights=line.width) < 2.2
        and np.std(line.stroke) < 0.2 * np.mean(line.stroke)
        and np.std(line.width / line.height) > 0.08  # a row of windows or stamps is all alike
    )


def _flat(line: Marks, box: Box, residue: Floats, tones: Floats, bare: Bools) -> bool:
    part = _inside(box)
    if bare[part].mean() < 0.15:
        return False
    contrast = np.median(line.contrast)
    away = [np.median(np.abs(x - np.median(x))) for x in (tones[part][bare[part]], residue[part][bare[part]])]
    return bool(min(away) < 0.1 * contrast)


def _inside(box: Box) -> tuple[slice, slice]:
    return slice(box.y0, box.y1), slice(box.x0, box.x1)


def _grown(line: Marks, box: Box, tones: Floats, bare: Bools) -> Box:
    """As far as its ground goes on: over a caption bar, a margin of paper, the gap to the next line."""
    part = _inside(box)
    base, height = np.median(tones[part][bare[part]]), int(np.median(line.height))
    away, contrast = tones - base, np.median(line.contrast)
    flat = np.abs(away) < max(0.2 * contrast, 0.03)
    inky = (away < 0) & (away > -1.5 * contrast)
    free = max(2, height // 4)  # above and below letters that were missed
    band = slice(max(0, box.y0 - free), box.y1 + free)
    columns = ((flat | inky)[band].mean(0) > 0.9) & (flat[band].mean(0) > 0.15)
    x0 = box.x0 - max(lead(columns[: box.x0][::-1]), height // 2)
    x1 = box.x1 + max(lead(columns[box.x1 :]), height // 2)
    rows = flat[:, part[1]].mean(1) > 0.9
    y0 = box.y0 - min(max(lead(rows[: box.y0][::-1]), height // 2), 3 * height)
    y1 = box.y1 + min(max(lead(rows[box.y1 :]), height // 2), 3 * height)
    return Box(max(0, x0), max(0, y0), x1, y1)


def _joined(count: int, a: Ints, b: Ints) -> Ints:
    """Numbers from 0 of the groups that count things fall into, where a[i] and b[i] belong together."""
    root = np.arange(count)
    while True:
        before = root.copy()
        low = np.minimum(root[a], root[b])
        np.minimum.at(root, root[a], low)
        np.minimum.at(root, root[b], low)
        root = root[root]
        if np.array_equal(root, before):
            groups: Ints = np.unique(root, return_inverse=True)[1]
            return groups


def _marks(ink: Bools, tones: Floats, ground: Floats) -> Marks:
    edge = np.zeros((ink.shape[0], 1), np.bool_)
    begins = ink & ~np.hstack([edge, ink[:, :-1]])
    runs = np.cumsum(begins).reshape(ink.shape) - 1  # number of the run that an ink pixel lies in
    y, x = np.nonzero(begins)
    ends = np.nonzero(ink & ~np.hstack([ink[:, 1:], edge]))[1] + 1
    pairs = []
    for a, b in BELOW:
        both = ink[a] & ink[b]
        pairs.append(np.stack([runs[a][both], runs[b][both]]))
    of_run = _joined(len(y), *np.hstack(pairs))
    count = int(of_run.max(initial=-1)) + 1
    box = np.full((4, count), 1 << 30)
    for extreme, values in zip(box, (y, x, -y - 1, -ends), strict=True):
        np.minimum.at(extreme, of_run, values)
    top, left, bottom, right = box[0], box[1], -box[2], -box[3]
    of_pixel = of_run[runs[ink]]
    drops = of_run[runs[ink & ~np.vstack([np.zeros((1, ink.shape[1]), np.bool_), ink[:-1]])]]
    area, across, down = (np.bincount(of, minlength=count) for of in (of_pixel, of_run, drops))
    tone, base = (np.bincount(of_pixel, plane[ink], count) / area for plane in (tones, ground))
    letters = np.maximum(1, (right - left) / (bottom - top))  # that touch, in small type
    met = across / (bottom - top) / letters + down / (right - left)
    return Marks(
        *(top, bottom, left, right),
        tone=tone.astype(np.float32),
        contrast=(base - tone).astype(np.float32),
        stroke=(area / (across + down)).astype(np.float32),
        crossings=(met / 2).astype(np.float32),
    )


def _letters(marks: Marks) -> Marks:
    sized = (marks.height >= 5) & (marks.height <= 80) & (marks.width >= 2) & (marks.width < 8 * marks.height)
    return marks.only(sized & (marks.contrast > 0.1) & (marks.stroke < 0.4 * marks.height))


def _rows(letters: Marks) -> list[Marks]:
    """Those of like height, tone and stroke that stand side by side."""
    pairs = [np.zeros((2, 0), np.int64)]
    order = np.argsort(letters.top)
    letters = letters.only(order)
    for first in range(0, len(order), 512):
        one = letters.only(np.arange(first, min(first + 512, len(order))))
        a = Marks(**{name: values[:, None] for name, values in vars(one).items()})
        b = letters
        high, low = np.maximum(a.height, b.height), np.minimum(a.height, b.height)
        shared = np.minimum(a.bottom, b.bottom) - np.maximum(a.top, b.top)
        apart = np.maximum(a.left, b.left) - np.minimum(a.right, b.right)
        beside = (shared > 0.6 * low) & (high < 2.2 * low) & (apart < 1.4 * high) & (apart > -0.3 * low)
        alike = np.abs(a.tone - b.tone) < 0.4 * np.maximum(a.contrast, b.contrast)
        alike &= np.maximum(a.stroke, b.stroke) < 2 * np.minimum(a.stroke, b.stroke)
        i, j = np.nonzero(beside & alike)
        pairs.append(np.stack([i + first, j]))
    groups = _joined(len(order), *np.hstack(pairs))
    members = np.split(np.argsort(groups, kind="stable"), np.cumsum(np.bincount(groups))[:-1])
    return [letters.only(which) for which in members if len(which) >= 4]
