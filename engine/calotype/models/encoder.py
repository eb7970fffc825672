"""Encoder: features of a picture in which what looks alike lies close together.

Nothing that we ship runs it on a user's layer to make pixels: it measures. Perceptual and style losses,
style training and the search for anomalies read its five stages.

Sources: the shape of the network, Simonyan and Zisserman 2015 (VGG); features as a measure of likeness,
Johnson, Alahi, Fei-Fei 2016 and Zhang et al. 2018 (LPIPS); why plain convolutions:
docs/adr/0004-networks-of-plain-convolutions.md.
"""

from functools import lru_cache
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from calotype.models import weights
from calotype.models.contract import Contract

CONTRACT = Contract(name="encoder", multiple=16, halo_px=64, bytes_a_pixel=250)

WIDTHS = (24, 48, 96, 160, 224)


class Encoder(nn.Module):
    """1.3 M parameters, 62 GFLOP a megapixel. Two convolutions a stage, each stage at half the sides."""

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.widths = widths
        self.stages = nn.ModuleList(_stage(a, b) for a, b in pairwise((3, *widths)))

    def forward(self, picture: Tensor, count: int | None = None) -> list[Tensor]:
        """The features of every stage, or of the first count, none below 0.

        picture: (B, 3, H, W), 0..1, H and W multiples of 16. Returns (B, width, H / 2**k, W / 2**k)
        of stage k = 0, 1, 2, 3, 4.
        """
        x = (picture - 0.45) / 0.25  # mean and spread of photos, roughly
        features: list[Tensor] = []
        for stage in self.stages[:count]:
            x = stage(max_pool2d(x, 2) if features else x)
            features.append(x)
        return features


def _stage(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in (inputs, outputs):
        conv = nn.Conv2d(width, outputs, 3, padding=1)
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")  # ten layers deep without a skip
        nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        layers += [conv, nn.ReLU()]
    return nn.Sequential(*layers)


@lru_cache(maxsize=2)
def shipped(device: torch.device) -> nn.Module:
    """The trained encoder on device, held still. Raises CalotypeError BAD_WEIGHTS."""
    with torch.inference_mode(False):  # whoever asks first, it can be learnt by
        network = Encoder()
        network.load_state_dict(weights.load(CONTRACT.name))
        placed = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return placed.requires_grad_(False).eval()
