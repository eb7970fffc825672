"""Tone: what fading, yellowing, a colour cast or a wrong exposure took from a photo, given back.

The network looks at a thumbnail and answers with a small grid of affine colour maps, by place and by
luminance, which is then looked up for every pixel of the full size. So the cost hardly depends on the
size, edges stay where they are, and nothing can be invented.

Source: bilateral grid of affine maps, Gharbi et al. 2017 ("Deep Bilateral Learning for Real-Time Image
Enhancement", HDRNet). Ours differs: the guide is the luminance, and quantiles of the channels are given to
the global path, since fading is above all a change of the histogram.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample, interpolate

from calotype.image.colour import LUMA
from calotype.models.contract import Contract

CONTRACT = Contract(name="tone", multiple=1, halo_px=0, bytes_a_pixel=200)

THUMBNAIL_PX = 256
GRID = (8, 16, 16)
"""Cells by luminance, height and width."""

_QUANTILES = (0.005, 0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98, 0.995)


class Tone(nn.Module):
    """1.0 M parameters; 0.4 GFLOP a picture and a look-up a pixel."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        widths = (3, width, 2 * width, 4 * width, 6 * width, 8 * width, 8 * width)
        pairs = list(pairwise(widths))
        self.local = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairs[:4])
        self.wide = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairs[4:])
        count = 2 * widths[-1] + 3 * len(_QUANTILES)
        self.mix = nn.Sequential(nn.Linear(count, 128), nn.ReLU(), nn.Linear(128, widths[4]))
        self.refine = nn.Conv2d(widths[4], widths[4], 3, padding=1)
        self.tail = nn.Conv2d(widths[4], 12 * GRID[0], 1)
        with torch.no_grad():  # start near the identity
            for parameter in self.tail.parameters():
                parameter.mul_(0.1)

    def forward(self, thumbnail: Tensor) -> Tensor:
        """thumbnail: (B, 3, 256, 256), 0..1, sRGB-encoded. Returns the grid (B, 12, 8, 16, 16)."""
        x = thumbnail - 0.5
        for conv in self.local:
            x = torch.relu(conv(x))
        deep = x
        for conv in self.wide:
            deep = torch.relu(conv(deep))
        levels = torch.tensor(_QUANTILES, device=thumbnail.device)
        quantiles = torch.quantile(thumbnail.float().flatten(2), levels, dim=2)  # Q B 3
        seen = [deep.mean((2, 3)), deep.amax((2, 3)), quantiles.permute(1, 0, 2).flatten(1) - 0.5]
        x = torch.relu(
            self.refine(x) + self.mix(torch.cat([s.to(x.dtype) for s in seen], 1))[:, :, None, None]
        )
        grid: Tensor = self.tail(x).float().unflatten(1, (12, GRID[0]))  # B 12 8 16 16
        return grid + torch.eye(3, 4, device=grid.device).reshape(1, 12, 1, 1, 1)


def thumbnail(picture: Tensor) -> Tensor:
    """picture: (B, 3, H, W). Returns (B, 3, 256, 256); the aspect is lost, places are kept."""
    return interpolate(picture, (THUMBNAIL_PX, THUMBNAIL_PX), mode="bilinear", antialias=True)


def apply(
    grid: Tensor, picture: Tensor, left: float = 0, top: float = 0, right: float = 1, bottom: float = 1
) -> Tensor:
    """picture with the colour map that the grid has for each pixel's place and luminance; not clipped.

    grid: (B, 12, 8, 16, 16). picture: (B, 3, H, W), 0..1. left, top, right, bottom: where in the whole
    picture this part of it lies, 0..1.
    """
    height, width = picture.shape[-2:]
    cells, rows, columns = GRID
    luma = (LUMA.to(picture)[:, None, None] * picture).sum(1)  # B H W
    y = top + (torch.arange(height, device=picture.device) + 0.5) * ((bottom - top) / height)
    x = left + (torch.arange(width, device=picture.device) + 0.5) * ((right - left) / width)
    row = (y * rows - 0.5).clamp(0, rows - 1)
    column = (x * columns - 0.5).clamp(0, columns - 1)
    cell = luma.clamp(0, 1) * (cells - 1)
    lower = cell.detach().floor().clamp_max(cells - 2)
    texture = grid.flatten(2, 3)  # B 12 cells*rows columns: sampling in 2D is vectorised, in 3D it is not

    def at(level: Tensor) -> Tensor:
        across = (2 * column / (columns - 1) - 1).expand_as(luma)
        down = (level * rows + row[:, None]) * (2 / (cells * rows - 1)) - 1
        return grid_sample(texture, torch.stack([across, down], -1).to(grid.dtype), align_corners=True)

    maps = torch.lerp(at(lower), at(lower + 1), (cell - lower)[:, None]).view(-1, 3, 4, height, width)
    return (maps[:, :, :3] * picture[:, None]).sum(2) + maps[:, :, 3]
