"""What is known of the catalogue's styles, made again from their paintings, after Dual was trained:

python -m calotype.train.catalogue PAINTINGS
"""

import sys
from pathlib import Path

import torch
from torch import Tensor

from calotype.models import dual, loaded, manner, styles, weights
from calotype.models.device import Device
from calotype.models.manner import Manner
from calotype.train import data

CPU = Device("cpu", torch.float32)


@torch.no_grad()
def made(paintings: Path) -> dict[str, Tensor]:
    """Weights of the catalogue, by the shipped Dual. paintings: the folder that holds them."""
    network = loaded.load(dual.Dual, dual.CONTRACT, CPU).network
    assert isinstance(network, dual.Dual)
    found: dict[str, Tensor] = {}
    for style in styles.catalogue():
        pixels = data.pixels(paintings / style.painting)
        height, width = (side // 16 * 16 for side in pixels.shape[:2])
        picture = torch.from_numpy(pixels[:height, :width].copy()).permute(2, 0, 1)[None] / 255
        found |= Manner.of(picture, network).tensors(style.name)
    return found


def main() -> None:
    weights.ship(made(Path(sys.argv[1])), manner.CONTRACT)


if __name__ == "__main__":
    main()
