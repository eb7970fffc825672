"""The manner that pictures are painted in: what Dual and the optimisation must know of a style.

Those of the catalogue are weights like a network's: of each style its row, and of each stage of the encoder
that counts the features' mean and covariance over the painting that it was learnt from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from calotype.models import distances, dual, encoder, weights
from calotype.models.contract import Contract

CONTRACT = Contract("styles", multiple=16, halo_px=0, bytes_a_pixel=400)
"""bytes_a_pixel: of the encoder."""

STAGES = range(*distances.STYLE_STAGES.indices(len(encoder.WIDTHS)))


@dataclass(frozen=True)
class Manner:
    """row: (1, ROW). moments: as distances.style_apart takes them."""

    row: Tensor
    moments: distances.Moments

    @classmethod
    def of(cls, picture: Tensor, network: dual.Dual) -> "Manner":
        """picture: (1, 3, H, W), 0..1, sides multiples of 16, on the network's device."""
        features = encoder.shipped(picture.device)(picture)
        moments = distances.moments(features[distances.STYLE_STAGES])
        row = network.row_of(features).float()
        return cls(row.cpu(), [(mean.cpu(), around.cpu()) for mean, around in moments])

    @classmethod
    def blended(cls, parts: Sequence[tuple["Manner", float]]) -> "Manner":
        """parts: manners and their shares, which add up to 1."""

        def mean(tensors: Sequence[Tensor]) -> Tensor:
            return torch.stack([s * t for t, (_, s) in zip(tensors, parts, strict=True)]).sum(0)

        stages = zip(*(manner.moments for manner, _ in parts), strict=True)
        moments = [(mean([m for m, _ in stage]), mean([c for _, c in stage])) for stage in stages]
        return cls(mean([manner.row for manner, _ in parts]), moments)

    def tensors(self, name: str) -> dict[str, Tensor]:
        """As the catalogue's weights hold them: moments on a scale of their own, which float16 can hold."""
        found = {f"{name}.row": self.row[0]}
        for k, (mean, around) in zip(STAGES, self.moments, strict=True):
            scale = around[0].diagonal().mean().sqrt()
            found |= {f"{name}.mean{k}": mean[0] / scale, f"{name}.around{k}": around[0] / scale**2}
            found |= {f"{name}.scale{k}": scale[None]}
        return found


@lru_cache(maxsize=1)
def _catalogue() -> dict[str, Tensor]:
    return weights.load(CONTRACT.name)


def of_catalogue(name: str) -> Manner:
    """Raises CalotypeError BAD_WEIGHTS."""
    known = _catalogue()
    moments = []
    for k in STAGES:
        mean, around, scale = (known[f"{name}.{part}{k}"] for part in ("mean", "around", "scale"))
        moments.append(((scale * mean)[None], (scale**2 * around)[None]))
    return Manner(known[f"{name}.row"][None], moments)
