"""Recipe of Tone: L1 in sRGB and in Lab, the histograms' earth mover's distance, and a smooth grid."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d
from torch.utils.data import Dataset

from calotype.image import colour
from calotype.image.metrics import psnr
from calotype.models import tone
from calotype.train import ageing, data, degradations, losses
from calotype.train.recipe import Batch


@dataclass(frozen=True)
class ToneRecipe:
    """The weights are of the terms beside L1's 1."""

    name: str = "tone"
    batch_size: int = 16
    learning_rate: float = 1e-3
    lab_weight: float = 1.0
    histogram_weight: float = 0.3
    smooth_weight: float = 0.05

    def network(self) -> nn.Module:
        return tone.Tone()

    def samples(self, folder: Path, seed: int) -> Dataset[dict[str, Tensor]]:
        return data.Crops(folder, tone.THUMBNAIL_PX, seed, sample)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        grid = network(batch["worn"])
        with torch.autocast(grid.device.type, enabled=False):  # colours need more than bfloat16's 8 bits
            return self._distance(grid, avg_pool2d(batch["worn"], 4), avg_pool2d(batch["clean"], 4))

    def _distance(self, grid: Tensor, worn: Tensor, clean: Tensor) -> Tensor:
        toned = tone.apply(grid, worn)
        shown = toned.clamp(0, 1)
        lab = (colour.lab(shown) - colour.lab(clean)).abs().mean()
        smooth = sum(grid.diff(dim=axis).square().mean() for axis in (2, 3, 4))
        return (
            (toned - clean).abs().mean()
            + self.lab_weight * lab
            + self.histogram_weight * losses.histogram_distance(shown, clean)
            + self.smooth_weight * smooth
        )

    def evaluate(self, network: nn.Module, folder: Path) -> dict[str, float]:
        """dB on the centre 256 px of 48 photos, faded; and on as many that are well and should stay so."""
        gained: list[float] = []
        spoilt: list[float] = []
        input_db = []
        device = next(network.parameters()).device
        for index, path in enumerate(data.photos(folder, tone.THUMBNAIL_PX)[:48]):
            clean = data.centre(data.pixels(path), tone.THUMBNAIL_PX)
            worn = degradations.to_8_bit(ageing.fade(clean, np.random.default_rng(index)))
            for picture, figures in ((worn, gained), (clean, spoilt)):
                x = data.tensor(picture)[None].to(device)
                toned = tone.apply(network(x).float(), x).clamp(0, 1).cpu()
                figures.append(psnr(toned, data.tensor(clean)[None]))
            input_db.append(psnr(data.tensor(worn), data.tensor(clean)))
        score = float(np.mean(gained))
        return {
            "psnr_faded": score,
            "psnr_input": float(np.mean(input_db)),
            "psnr_well": float(np.mean(spoilt)),
            "score": score,
        }


def sample(clean: NDArray[np.float32], rng: Generator) -> dict[str, Tensor]:
    """A third are grey photos that were toned: their truth is grey."""
    if rng.random() < 0.33:
        clean = ageing.grey(clean)
        worn = ageing.tint(clean, rng) if rng.random() < 0.7 else clean
    else:
        worn = clean
    if rng.random() >= ageing.UNTOUCHED:
        worn = ageing.fade(worn, rng)
    if rng.random() < 0.5:
        worn = degradations.gaussian_noise(worn, rng.uniform(1, 15), rng)
    return {"clean": data.tensor(clean), "worn": data.tensor(degradations.to_8_bit(worn))}
