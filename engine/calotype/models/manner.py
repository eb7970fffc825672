"""The manner that pictures are painted in: what Dual and the optimisation must know of a style.

Those of the catalogue are weights like a network's: of each style its row, and of each stage of the encoder
that counts the features' mean and covariance over the painting that it was learnt from. The user's own are
files (portfolio.stylefile) that hold the same, and what training has changed of the network.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import safetensors.torch
import torch
from torch import Tensor

from calotype import stylebook
from calotype.models import distances, dual, encoder, painter, weights
from calotype.models.contract import Contract
from calotype.portfolio import shelf, stylefile
from calotype.portfolio.stylefile import Card, Stylefile

CONTRACT = Contract("styles", multiple=16, halo_px=0, bytes_a_pixel=400)
"""bytes_a_pixel: of the encoder."""

STAGES = range(*distances.STYLE_STAGES.indices(len(encoder.WIDTHS)))

Last = tuple[Tensor, Tensor]
"""Mean and standard deviation (1, C) of the encoder's last stage, which foretelling a row takes, too."""


@dataclass(frozen=True)
class Manner:
    """row: (1, ROW). moments: as distances.style_apart takes them. changes: to the Painter's weights.

    outdated: it was trained on an earlier network, so its row is foretold anew and its changes are gone.
    """

    row: Tensor
    moments: distances.Moments
    changes: Mapping[str, Tensor] = field(default_factory=dict)
    outdated: bool = False

    @classmethod
    def of(cls, picture: Tensor, network: dual.Dual) -> "Manner":
        """picture: (1, 3, H, W), 0..1, sides multiples of 16, on the network's device."""
        features = encoder.shipped(picture.device)(picture)
        moments = distances.moments(features[distances.STYLE_STAGES])
        row = network.row_of(features).float()
        return cls(row.cpu(), [(mean.cpu(), around.cpu()) for mean, around in moments])

    @classmethod
    def foretold(cls, moments: distances.Moments, last: Last, network: dual.Dual) -> "Manner":
        """From what is known of the paintings alone. network: on the CPU or another device."""
        device = next(network.parameters()).device
        spread = [(mean, around.diagonal(dim1=1, dim2=2).sqrt()) for mean, around in moments]
        with torch.no_grad():
            row = network.row_from([(m.to(device), d.to(device)) for m, d in [*spread, last]])
        return cls(row.float().cpu(), moments)

    @classmethod
    def blended(cls, parts: Sequence[tuple["Manner", float]]) -> "Manner":
        """parts: manners without changes, and their shares, which add up to 1."""

        def mean(tensors: Sequence[Tensor]) -> Tensor:
            return torch.stack([s * t for t, (_, s) in zip(tensors, parts, strict=True)]).sum(0)

        stages = zip(*(manner.moments for manner, _ in parts), strict=True)
        moments = [(mean([m for m, _ in stage]), mean([c for _, c in stage])) for stage in stages]
        return cls(mean([manner.row for manner, _ in parts]), moments)

    def tensors(self, name: str) -> dict[str, Tensor]:
        """As the catalogue's weights hold them: moments on a scale of their own, which float16 can hold."""
        found = {f"{name}.row": self.row[0]}
        for k, (mean, around) in zip(STAGES, self.moments, strict=True):
            scale = _scale(around)
            found |= {f"{name}.mean{k}": mean[0] / scale, f"{name}.around{k}": around[0] / scale**2}
            found |= {f"{name}.scale{k}": scale[None]}
        return found

    def to_file(self, last: Last, card: Card, thumbnail: bytes) -> bytes:
        """As one file. Raises ValueError where float16 cannot hold it."""
        tensors = {"row": self.row[0], "mean4": last[0][0], "deviation4": last[1][0], **self.changes}
        for k, (mean, around) in zip(STAGES, self.moments, strict=True):
            scale = _scale(around)
            below = torch.tril_indices(*around.shape[1:])
            tensors |= {f"mean{k}": mean[0] / scale, f"scale{k}": scale[None]}
            tensors |= {f"around{k}": (around[0] / scale**2)[below[0], below[1]]}
        halves = {key: value.detach().to("cpu", torch.float16).contiguous() for key, value in tensors.items()}
        if not all(bool(torch.isfinite(value).all()) for value in halves.values()):
            raise ValueError("the style has values that float16 cannot hold")
        halves["thumbnail"] = torch.frombuffer(bytearray(thumbnail), dtype=torch.uint8)
        return safetensors.torch.save(halves, {"card": card.to_json()})

    @classmethod
    def of_file(cls, file: Stylefile, network: dual.Dual) -> "Manner":
        known = {key: value.float() for key, value in safetensors.torch.load(file.data).items()}
        moments, last = _moments_of(known), (known["mean4"][None], known["deviation4"][None])
        if file.card.network != painter.fingerprint(network):
            return replace(cls.foretold(moments, last, network), outdated=True)
        fixed = {*stylefile.shapes("instant"), "thumbnail"}
        changes = {key: value for key, value in known.items() if key not in fixed}
        return cls(known["row"][None], moments, changes)


def _moments_of(known: Mapping[str, Tensor]) -> distances.Moments:
    """From a file's tensors."""
    moments = []
    for k in STAGES:
        mean, scale = known[f"mean{k}"], known[f"scale{k}"]
        below = torch.tril_indices(len(mean), len(mean))
        around = torch.zeros(len(mean), len(mean))
        around[below[0], below[1]] = known[f"around{k}"]
        around = around + around.tril(-1).T
        moments.append(((scale * mean)[None], (scale**2 * around)[None]))
    return moments


def _scale(around: Tensor) -> Tensor:
    return around[0].diagonal().mean().sqrt()


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


def named(name: str, network: dual.Dual) -> Manner:
    """Of the catalogue, or the user's own. Raises CalotypeError BAD_WEIGHTS, NO_STYLE, BAD_STYLE."""
    if name in [style.name for style in stylebook.catalogue()]:
        return of_catalogue(name)
    return Manner.of_file(shelf.get(name), network)
