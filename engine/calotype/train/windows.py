"""The parts of one or several pictures that a painting style is learnt from.

Margins and set type are left out, and of what remains the most unlike parts are chosen, each with the share
of the whole that it stands for: greedy farthest points (Gonzalez 1985, "Clustering to minimize the maximum
intercluster distance") between the encoder's statistics (Gatys et al. 2016; Huang and Belongie 2017).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from calotype.image import lettering, margins
from calotype_wire.errors import CalotypeError

MULTIPLE = 16
SIDE_MIN_PX = 64  # smaller pictures are mirrored on: the encoder's last stage then sees 4 x 4 places
SHARE_MIN = 0.25  # of a window
LOOKED_AT_MAX = 64  # windows of 256 px are encoded in 4 s on one core
ALIKE = 0.15  # of the first distance: what is left is then no more than another stroke of the same hand
SAME = 0.1  # stages have a norm of 1 each; windows of one photo of gravel lie 0.08 apart, of paintings 0.2


@dataclass(frozen=True)
class Subject:
    """picture: (3, H, W), 0..1, sRGB-encoded. share: (H, W), 0..1, how far each place may be learnt from;
    0 where it is outside of the selection, transparent or excluded. name: of the layer or file."""

    picture: Tensor
    share: Tensor
    name: str


@dataclass(frozen=True)
class Window:
    """A part that is learnt from.

    picture: (3, h, w), 0..1, sides multiples of 16. share: (h, w), 0..1. weight: how much of all that may be
    learnt from it stands for; the weights of all add up to 1. subject: the number of the picture that it is
    from, with its corner at y0, x0; a part below 64 pixels is mirrored on to the right and below.
    """

    picture: Tensor
    share: Tensor
    weight: float
    subject: int
    y0: int
    x0: int


def chosen(
    subjects: Sequence[Subject],
    encoder: nn.Module,
    count: int = 16,
    side_px: int = 256,
    tick: Callable[[], None] = lambda: None,
) -> list[Window]:
    """Up to count windows, fewer where the pictures are alike everywhere; the most usual part first.

    encoder: gives stages (B, C, h, w) of pictures (B, 3, H, W). side_px: of a window, or less where a picture
    is smaller. tick: called many times meanwhile; may raise to stop.
    Raises CalotypeError BAD_PARAMETER where nothing may be learnt from; ValueError where count is below 1,
    side_px below 64, or a share's sides are not its picture's.
    """
    if count < 1 or side_px < SIDE_MIN_PX:
        raise ValueError(f"{count} windows of {side_px} px: at least 1 of {SIDE_MIN_PX} px")
    laid = []
    for number, subject in enumerate(subjects):
        tick()
        laid += _laid(number, subject, side_px)
    looked_at = _spread(_learnable(laid), LOOKED_AT_MAX)
    areas = torch.stack([window.share.double().sum() for window in looked_at])
    with torch.inference_mode():
        centres, nearest = _farthest(_described(looked_at, encoder, tick), count)
    parts = torch.zeros(len(centres), dtype=torch.float64).index_add_(0, nearest, areas) / areas.sum()
    return [replace(looked_at[i], weight=float(part)) for i, part in zip(centres, parts, strict=True)]


def learnable(subject: Subject) -> Tensor:
    """The share, (H, W), with margins and set type left out.

    Raises ValueError where the share's sides are not the picture's.
    """
    if subject.share.shape != subject.picture.shape[1:]:
        raise ValueError(
            f"{subject.name}: a share {tuple(subject.share.shape)} of {tuple(subject.picture.shape)}"
        )
    type_set = lettering.lettered(subject.picture)
    share = subject.share.float().cpu().masked_fill(type_set, 0)
    box = margins.proper(subject.picture, share == 0)
    inside = torch.zeros_like(share)
    inside[box.y0 : box.y1, box.x0 : box.x1] = share[box.y0 : box.y1, box.x0 : box.x1]
    return inside


def _laid(number: int, subject: Subject, side_px: int) -> list[Window]:
    """On a grid over the rectangle that may be learnt from, each over half of the last."""
    share = learnable(subject)
    rows, columns = (share.amax(axis).nonzero()[:, 0] for axis in (1, 0))
    if not len(rows):
        return []
    top, left = int(rows[0]), int(columns[0])
    part = share[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1]
    picture = subject.picture[:, top : top + part.shape[0], left : left + part.shape[1]].float().cpu()
    for axis in (-2, -1):
        picture, part = _mirrored(picture, axis), _mirrored(part, axis)
    height, width = (min(side_px, n) // MULTIPLE * MULTIPLE for n in part.shape)
    windows = []
    for y in _corners(part.shape[0], height):
        for x in _corners(part.shape[1], width):
            seen = picture[:, y : y + height, x : x + width]
            free = part[y : y + height, x : x + width]
            windows.append(Window(seen, free, 0.0, number, top + y, left + x))
    return windows


def _mirrored(plane: Tensor, axis: int) -> Tensor:
    """To and fro along axis until it is SIDE_MIN_PX long."""
    size = plane.shape[axis]
    if size >= SIDE_MIN_PX:
        return plane
    places = torch.arange(SIDE_MIN_PX) % (2 * size)
    return plane.index_select(axis, torch.minimum(places, 2 * size - 1 - places))


def _corners(size: int, side: int) -> list[int]:
    """Of windows that together reach from 0 to size, at most half of side apart, evenly.

    Where less than MULTIPLE is left over, one in the middle.
    """
    left_over = size - side
    if left_over < MULTIPLE:
        return [left_over // 2]
    steps = -(-2 * left_over // side)
    return [left_over * step // steps for step in range(steps + 1)]


def _learnable(windows: list[Window]) -> list[Window]:
    """Those of which enough may be learnt from, or the best one. Raises CalotypeError where there is none."""
    enough = [window for window in windows if window.share.mean() >= SHARE_MIN]
    best = max(windows, key=lambda window: float(window.share.mean()), default=None)
    if best is None or not best.share.any():
        raise CalotypeError(
            "BAD_PARAMETER",
            "Outside of margins, lettering and what is excluded, nothing is left to learn from. "
            "Select a larger part, or exclude less.",
        )
    return enough or [best]


def _spread(windows: list[Window], count: int) -> list[Window]:
    """At most count of them, evenly from first to last."""
    if len(windows) <= count:
        return windows
    return [windows[i * (len(windows) - 1) // (count - 1)] for i in range(count)]


def _described(windows: list[Window], encoder: nn.Module, tick: Callable[[], None]) -> Tensor:
    """Means and deviations of each stage where may be learnt from, (N, D), each stage counting alike."""
    found = []
    for window in windows:
        tick()
        found.append([_moments(x, window.share) for x in encoder(window.picture[None])])
    stages = [torch.stack(stage) for stage in zip(*found, strict=True)]
    return torch.cat([x / x.norm(dim=1).mean().clamp_min(1e-6) for x in stages], 1)


def _moments(x: Tensor, share: Tensor) -> Tensor:
    """(2 * C) of features (1, C, h, w)."""
    weights = adaptive_avg_pool2d(share[None], (x.shape[2], x.shape[3])).flatten()
    weights = weights / weights.sum().clamp_min(1e-6)
    values = x[0].float().permute(1, 2, 0).flatten(0, 1)  # hw C
    mean = weights @ values
    return torch.cat([mean, (weights @ (values - mean).square()).sqrt()])


def _farthest(points: Tensor, count: int) -> tuple[list[int], Tensor]:
    """At most count centres among points (N, D), by number, and which of them is nearest to each, (N)."""
    apart = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")  # alike is 0 exactly
    centres = [int((points - points.mean(0)).norm(dim=1).argmin())]
    reach = apart[centres[0]]
    enough = max(ALIKE * float(reach.max()), SAME)
    while len(centres) < count and reach.max() > enough:
        centres.append(int(reach.argmax()))
        reach = torch.minimum(reach, apart[centres[-1]])
    return centres, apart[centres].argmin(0)
