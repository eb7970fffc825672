"""The residual U-Net of plain 3x3 convolutions that several of our networks are made of.

Sources: residual blocks in a U-Net, Zhang et al. 2021 (DRUNet); why plain convolutions:
docs/adr/0004-networks-of-plain-convolutions.md.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle


class ResidualBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        with torch.no_grad():  # start near identity: MODELS pilot, steadier first 500 steps
            self.conv2.weight.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(torch.relu(self.conv1(x)))


def blocks(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(width) for _ in range(count)))


class UNet(nn.Module):
    """Each level halves the sides; its width, and how many blocks go down and come up, is given."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        widths: tuple[int, ...],
        down_blocks: tuple[int, ...],
        up_blocks: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(inputs, widths[0], 3, padding=1)
        self.down = nn.ModuleList(blocks(w, n) for w, n in zip(widths, down_blocks, strict=True))
        self.shrink = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairwise(widths))
        self.grow = nn.ModuleList(nn.Conv2d(b, 4 * a, 1) for a, b in pairwise(widths))
        self.up = nn.ModuleList(blocks(w, n) for w, n in zip(widths, up_blocks, strict=False))
        self.tail = nn.Conv2d(widths[0], outputs, 3, padding=1)

    def through(self, x: Tensor) -> Tensor:
        """x: (B, inputs, h, w), sides divisible by 2 ** (levels - 1). Returns (B, outputs, h, w)."""
        x = self.stem(x)
        skips = []
        for blocks, shrink in zip(self.down, self.shrink, strict=False):
            x = blocks(x)
            skips.append(x)
            x = shrink(x)
        x = self.down[-1](x)
        for level in reversed(range(len(self.up))):
            x = self.up[level](pixel_shuffle(self.grow[level](x), 2) + skips[level])
        result: Tensor = self.tail(x)
        return result
