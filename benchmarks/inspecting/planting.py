"""Pictures of the test sets with planted faults and without, the same ones in every run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from restoring.pictures import Floats
from torch import Tensor

from calotype.models.anomaly import KINDS
from calotype.train import data, faults
from calotype.train.anomaly import CELL_PX, faulty
from calotype.train.faults import Base
from calotype.train.planted import Planted

SIDE_PX = 256


@dataclass(frozen=True)
class Case:
    """clean: what it would be without faults."""

    planted: Planted
    clean: Tensor
    base: Base

    @property
    def picture(self) -> Tensor:
        return data.tensor(self.planted.picture)

    @property
    def source(self) -> Tensor | None:
        return None if self.base.source is None else data.tensor(self.base.source)

    @property
    def wrong(self) -> Tensor:
        """(h, w), bool, on cells."""
        severity = torch.from_numpy(self.planted.severity)[None]
        return torch.nn.functional.avg_pool2d((severity > 0).float(), CELL_PX)[0] > 0.5

    @property
    def severity(self) -> float:
        return float(self.planted.severity.mean())


def cases(photos: Sequence[Floats], count: int, clean: bool, kind: str | None = None) -> Iterator[Case]:
    """So many, with one to three faults each, or without; kind: with faults of this one alone."""
    for index in range(count):
        rng = np.random.default_rng((1840, index, int(clean), 99 if kind is None else KINDS.index(kind)))
        pixels = (photos[index % len(photos)] * 255).astype(np.uint8)
        base = faults.base(data.crop(pixels, SIDE_PX, rng), rng)
        if kind is None:
            found = faulty(base, rng)
        else:
            picture = faults.spoilt(base, kind, rng)
            found = faulty(base, rng).alone(KINDS.index(kind), picture)
        yield Case(found.laid(rng, float(clean)), data.tensor(found.picture), base)
