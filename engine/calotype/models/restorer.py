"""Restorer: blind but steerable removal of noise, grain, JPEG blocks and blur.

A residual U-Net of plain 3x3 convolutions on a pixel-unshuffled picture, because that is what CPUs
and GPUs run fastest (docs/adr/0004-networks-of-plain-convolutions.md).

Sources:
- U-Net with residual blocks for denoising, level map as an input: Zhang et al. 2021, "Plug-and-Play
  Image Restoration with Deep Denoiser Prior" (DRUNet).
- Pixel-unshuffled input and a tunable noise level: Zhang, Zuo, Zhang 2018, "FFDNet".
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from calotype.models.contract import Contract

CONTRACT = Contract(name="restorer", multiple=16, halo_px=64, bytes_a_pixel=300)

BLIND = -1.0
"""A level that the user leaves to the network."""

NOISE_SIGMA_MAX = 50.0
"""Standard deviation, on the 0..255 scale, that a noise level of 1 stands for."""

BLUR_SIGMA_PX_MAX = 4.0
"""Gaussian standard deviation in pixels that a blur level of 1 stands for."""


class ResidualBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        with torch.no_grad():  # start near identity: MODELS pilot, steadier first 500 steps
            self.conv2.weight.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(torch.relu(self.conv1(x)))


def _blocks(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(width) for _ in range(count)))


class Restorer(nn.Module):
    """1.5 M parameters, 74 GFLOP a megapixel."""

    def __init__(
        self,
        widths: tuple[int, ...] = (32, 64, 96, 128),
        down_blocks: tuple[int, ...] = (1, 2, 2, 2),
        up_blocks: tuple[int, ...] = (1, 1, 1),
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(12 + 3, widths[0], 3, padding=1)
        self.down = nn.ModuleList(_blocks(w, n) for w, n in zip(widths, down_blocks, strict=True))
        self.shrink = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairwise(widths))
        self.grow = nn.ModuleList(nn.Conv2d(b, 4 * a, 1) for a, b in pairwise(widths))
        self.up = nn.ModuleList(_blocks(w, n) for w, n in zip(widths, up_blocks, strict=False))
        self.tail = nn.Conv2d(widths[0], 12, 3, padding=1)

    def forward(self, picture: Tensor, levels: Tensor) -> Tensor:
        """The restored picture, not clipped.

        picture: (B, 3, H, W), 0..1, H and W multiples of 16. levels: (B, 3), noise, JPEG and blur,
        each 0..1 or BLIND. Returns (B, 3, H, W).
        """
        x = pixel_unshuffle(picture, 2)  # B 12 H/2 W/2
        planes = levels[:, :, None, None].expand(-1, -1, *x.shape[-2:]).to(x.dtype)
        x = self.stem(torch.cat([x, planes], dim=1))
        skips = []
        for blocks, shrink in zip(self.down, self.shrink, strict=False):
            x = blocks(x)
            skips.append(x)
            x = shrink(x)
        x = self.down[-1](x)  # B 128 H/16 W/16
        for level in reversed(range(len(self.up))):
            x = self.up[level](pixel_shuffle(self.grow[level](x), 2) + skips[level])
        return picture + pixel_shuffle(self.tail(x), 2)
