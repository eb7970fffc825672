"""What is wrong in a picture, place by place: the parts of a map that touch, cleaned of specks and holes."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, pad

from calotype.models.anomaly import CELL_PX
from calotype.ops.inspection import LABELS, Map

THRESHOLD = 0.8
EXTENT = 0.375
"""Of the threshold: a region, whose worst place passes all of it, reaches as far as this share is passed.

Source: Canny 1986, hysteresis.
"""

CELLS_MIN = 6
"""A region of fewer is chance."""


@dataclass(frozen=True)
class Region:
    """shares: of each of LABELS. severity: 0..100. cells: (h, w), bool, of the map. bounds: x0, y0, x1, y1,
    of the picture that was looked at, in px.
    """

    shares: Mapping[str, float]
    severity: float
    cells: Tensor
    bounds: tuple[int, int, int, int]

    @property
    def kind(self) -> str:
        return max(self.shares, key=lambda kind: self.shares[kind])


def of(found: Map, threshold: float, width: int, height: int, cells_min: int = CELLS_MIN) -> list[Region]:
    """What is as likely wrong as threshold somewhere, with what is around it, by parts(); the worst first.

    width, height: of the picture.
    """
    made = []
    for cells in parts(found.wrong, threshold, cells_min):
        weight = (found.wrong * found.severity)[cells]
        shared = (found.kinds[:, cells] * weight).sum(1) / weight.sum().clamp_min(1e-6)
        shares = dict(zip(LABELS, shared.tolist(), strict=True))
        y, x = torch.nonzero(cells, as_tuple=True)
        x0, y0 = CELL_PX * int(x.min()), CELL_PX * int(y.min())
        x1, y1 = min(width, CELL_PX * (int(x.max()) + 1)), min(height, CELL_PX * (int(y.max()) + 1))
        made.append(Region(shares, 100 * float(found.severity[cells].mean()), cells, (x0, y0, x1, y1)))
    return sorted(made, key=lambda region: -region.severity * float(region.cells.sum()))


def parts(
    wrong: Tensor, threshold: float, cells_min: int = CELLS_MIN, extent: float = EXTENT
) -> list[Tensor]:
    """Cells, (h, w), bool, that touch: of likelihoods wrong, (h, w), those above extent times threshold,
    small holes closed; without parts that nowhere pass the threshold, and without those of fewer cells.
    """
    found = connected(_closed(wrong > extent * threshold))
    return [part for part in found if int(part.sum()) >= cells_min and float(wrong[part].max()) > threshold]


def _closed(cells: Tensor) -> Tensor:
    """Dilated and eroded by a cell; nothing grows to the edge by it."""
    x = max_pool2d(pad(cells[None, None].float(), (1, 1, 1, 1)), 3, 1, 1)
    return (-max_pool2d(-x, 3, 1, 1))[0, 0, 1:-1, 1:-1] > 0.5


def connected(cells: Tensor) -> list[Tensor]:
    """The parts, (h, w), bool, of cells, (h, w), bool, that touch, by corners too."""
    height, width = cells.shape
    left = {(y, x) for y, x in torch.nonzero(cells).tolist()}
    parts = []
    while left:
        front = [left.pop()]
        part = torch.zeros(height, width, dtype=torch.bool)
        while front:
            y, x = front.pop()
            part[y, x] = True
            for near in ((y + a, x + b) for a in (-1, 0, 1) for b in (-1, 0, 1)):
                if near in left:
                    left.remove(near)
                    front.append(near)
        parts.append(part)
    return parts
