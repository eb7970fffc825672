"""Recipe of the Restorer, stage A: fidelity. Charbonnier loss and a small term on the spectrum."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset

from calotype.image.metrics import psnr, ssim
from calotype.models.restorer import BLIND, Restorer
from calotype.train import data, degradations, losses
from calotype.train.recipe import Batch, Sheet


@dataclass(frozen=True)
class RestorerRecipe:
    """spectrum_weight: L1 distance of the orthonormal Fourier transforms, beside Charbonnier's 1."""

    name: str = "restorer"
    batch_size: int = 16
    patch_px: int = 128
    learning_rate: float = 1e-3
    spectrum_weight: float = 0.05

    def network(self) -> nn.Module:
        return Restorer()

    def samples(self, folder: Path, seed: int) -> Dataset[dict[str, Tensor]]:
        return data.Crops(folder, self.patch_px, seed, sample)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        restored = network(batch["worn"], batch["levels"]).float()
        error = restored - batch["clean"]
        charbonnier = losses.charbonnier(restored, batch["clean"])
        spectrum = torch.view_as_real(torch.fft.rfft2(error, norm="ortho")).abs().mean()
        return charbonnier + self.spectrum_weight * spectrum

    def evaluate(self, network: nn.Module, folder: Path) -> dict[str, float]:
        """Blind, on the centre 256 px of 24 photos: noise of sigma 25, JPEG quality 10, a mixture."""
        found: dict[str, list[float]] = {}
        for name, _, restored, clean in trials(network, folder):
            found.setdefault(f"psnr_{name}", []).append(psnr(restored, clean))
            found.setdefault(f"ssim_{name}", []).append(ssim(restored, clean).item())
        figures = {name: float(np.mean(values)) for name, values in found.items()}
        return figures | {"score": float(np.mean([v for k, v in figures.items() if k.startswith("psnr")]))}

    def samples_sheet(self, network: nn.Module, folder: Path) -> Sheet:
        return [(worn[0], restored[0], clean[0]) for _, worn, restored, clean in trials(network, folder, 3)]


def trials(network: nn.Module, folder: Path, count: int = 24) -> Iterator[tuple[str, Tensor, Tensor, Tensor]]:
    """The name of each trial, and its worn, blindly restored and clean picture: (1, 3, 256, 256), 0..1."""
    device = next(network.parameters()).device
    for name in ("noise25", "jpeg10", "mixed"):
        for index, path in enumerate(data.photos(folder, 256)[:count]):
            clean = data.centre(data.pixels(path), 256)
            worn = data.tensor(_test_wear(clean, name, np.random.default_rng(index)))[None]
            with torch.autocast(device.type, torch.bfloat16):
                restored = network(worn.to(device), torch.full((1, 3), BLIND, device=device))
            yield name, worn, restored.float().clamp(0, 1).cpu(), data.tensor(clean)[None]


def sample(clean: NDArray[np.float32], rng: Generator) -> dict[str, Tensor]:
    """One training pair with its levels, each dropped to BLIND half of the time, all three for a third."""
    worn, levels = degradations.wear(clean, rng)
    planes = np.array([levels.noise, levels.jpeg, levels.blur], np.float32)
    dropped = rng.random(3) < 0.5
    if rng.random() < 0.33:
        dropped[:] = True
    planes[dropped] = BLIND
    return {"clean": data.tensor(clean), "worn": data.tensor(worn), "levels": torch.from_numpy(planes)}


def _test_wear(clean: NDArray[np.float32], name: str, rng: Generator) -> NDArray[np.float32]:
    if name == "noise25":
        return degradations.to_8_bit(degradations.gaussian_noise(clean, 25, rng))
    if name == "jpeg10":
        return degradations.jpeg(clean, 10)
    return degradations.age(clean, rng)
