"""Painter: the part of Dual that paints, as a style may have changed it.

A style is a row of scales and shifts, and changes: adapters of low rank beside the convolutions (Hu et al.
2022, LoRA), or other weights in their place.
"""

import copy
import hashlib
from collections.abc import Callable, Mapping
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from calotype.models import dual

ADAPTER = "adapter."
"""Begins the names adapter.CONVOLUTION.down, (rank, inputs, k, k), and .up, (outputs, rank), of adapters."""


MARGIN_PX = 32
"""With 64 the edges look the same."""


class Painter(nn.Module):
    """The first half of Dual's encoder and its style decoder, 0.65 M parameters."""

    def __init__(self, network: dual.Dual) -> None:
        """Shares network's weights."""
        super().__init__()
        stem, level = network.encoder.stem, network.encoder.levels[0]
        self.shallow = nn.ModuleDict({"stem": stem, "level": level})
        self.decoder = network.style

    def forward(
        self,
        luma: Tensor,
        chroma: Tensor,
        row: Tensor,
        shares: Tensor | None = None,
        moments: dual.Moments | None = None,
    ) -> tuple[Tensor, dual.Moments]:
        """As Dual.stylise."""
        seen = dual.unshuffled(luma, chroma, torch.ones_like(luma))
        x = self.shallow["level"](torch.relu(self.shallow["stem"](seen)))
        picture, moments = self.decoder(x, row, shares, moments)
        return picture, moments

    def changed(self, changes: Mapping[str, Tensor]) -> "Painter":
        """One of its own with these changes."""
        other = copy.deepcopy(self)
        other.load_state_dict(merged(self.state_dict(), changes))
        return other


def framed(run: Callable[[Tensor], Tensor], picture: Tensor) -> Tensor:
    """run, which keeps the size of (1, C, H, W), on the picture with a mirrored margin around it.

    Beyond its edges the convolutions see zeros, which came out as bands of colour along them.
    """
    mode = "reflect" if min(picture.shape[2:]) > MARGIN_PX else "replicate"
    made = run(pad(picture, [MARGIN_PX] * 4, mode=mode))
    return made[..., MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]


def merged(weights: Mapping[str, Tensor], changes: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A Painter's weights with the changes made to them. Gradients flow to the changes."""
    found = dict(weights)
    for name, value in changes.items():
        if not name.startswith(ADAPTER):
            found[name] = value.to(found[name])
        elif name.endswith(".down"):
            key = f"decoder.{name[len(ADAPTER) : -len('.down')]}.weight"
            up = changes[name.removesuffix("down") + "up"]
            found[key] = weights[key] + torch.einsum("or,rikl->oikl", up, value).to(weights[key])
    return found


@lru_cache(maxsize=4)
def fingerprint(network: dual.Dual) -> str:
    """Of the weights that a style changes: another one where Dual was trained anew."""
    digest = hashlib.sha256()
    for value in Painter(network).state_dict().values():
        digest.update(value.detach().half().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
