"""Recipes of the upscalers: Charbonnier loss against what a bicubic reduction took away.

Source of that reduction, which super-resolution is judged on: Timofte et al. 2017 (NTIRE challenge),
bicubic with antialiasing, rounded to 8 bits.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset

from calotype.image.metrics import luma_psnr
from calotype.models import upscaler
from calotype.train import data, degradations
from calotype.train.losses import charbonnier
from calotype.train.recipe import Batch


@dataclass(frozen=True)
class Upscale2Recipe:
    """patch_px: sides of the enlarged patch."""

    name: str = "upscale2"
    scale: int = 2
    batch_size: int = 16
    patch_px: int = 96
    learning_rate: float = 1e-3

    def network(self) -> nn.Module:
        return upscaler.twice() if self.scale == 2 else upscaler.fourfold()

    def samples(self, folder: Path, seed: int) -> Dataset[dict[str, Tensor]]:
        return data.Crops(folder, self.patch_px, seed, partial(sample, scale=self.scale))

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        return charbonnier(network(batch["small"]).float(), batch["clean"])

    def evaluate(self, network: nn.Module, folder: Path) -> dict[str, float]:
        """PSNR of the luma on the centre 256 px of 24 photos, without a rim as wide as the scale."""
        gained, input_db = [], []
        device = next(network.parameters()).device
        for path in data.photos(folder, 256)[:24]:
            clean = data.centre(data.pixels(path), 256)
            small = data.tensor(reduced(clean, self.scale))
            with torch.autocast(device.type, torch.bfloat16):
                enlarged = network(small[None].to(device))[0].float().cpu()
            cubic = degradations.resize(small.permute(1, 2, 0).numpy(), 256, 256, "bicubic")
            gained.append(luma_psnr(enlarged, data.tensor(clean), self.scale))
            input_db.append(luma_psnr(data.tensor(cubic), data.tensor(clean), self.scale))
        score = float(np.mean(gained))
        return {"psnr": score, "psnr_bicubic": float(np.mean(input_db)), "score": score}


@dataclass(frozen=True)
class Upscale4Recipe(Upscale2Recipe):
    name: str = "upscale4"
    scale: int = 4
    patch_px: int = 160


def sample(clean: NDArray[np.float32], rng: Generator, scale: int) -> dict[str, Tensor]:
    return {"clean": data.tensor(clean), "small": data.tensor(reduced(clean, scale))}


def reduced(picture: NDArray[np.float32], scale: int) -> NDArray[np.float32]:
    height, width = (side // scale for side in picture.shape[:2])
    return degradations.to_8_bit(degradations.resize(picture, height, width, "bicubic"))
