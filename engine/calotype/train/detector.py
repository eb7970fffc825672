"""Recipe of the Detector: cross entropy, Dice and focal Tversky on photos with drawn and real damage."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import Dataset

from calotype.image.metrics import f1
from calotype.models.detector import Detector
from calotype.train import data, defects, degradations
from calotype.train.loop import Batch

TOLERANCE_PX = 2
CLEAN = 0.3
"""Share of samples without a defect: a detector must keep still, too."""


@dataclass(frozen=True)
class DetectorRecipe:
    """overlays: folder of pictures of real damage; None trains on drawn damage alone."""

    overlays: Path | None = None
    name: str = "detector"
    batch_size: int = 16
    patch_px: int = 128
    learning_rate: float = 1e-3

    def network(self) -> nn.Module:
        return Detector()

    def samples(self, folder: Path, seed: int) -> Dataset[dict[str, Tensor]]:
        real = sorted(self.overlays.rglob("*.png")) if self.overlays else []
        return data.Crops(folder, self.patch_px, seed, partial(sample, overlays=real))

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        logits = network(batch["worn"]).float()
        mask = batch["mask"]
        entropy = binary_cross_entropy_with_logits(logits, mask)
        found = torch.sigmoid(logits)
        hit = (found * mask).sum()
        false, missed = (found * (1 - mask)).sum(), ((1 - found) * mask).sum()
        dice = 1 - (2 * hit + 1) / (2 * hit + false + missed + 1)
        # Abraham and Khan 2019: what is missed weighs more than what is found in vain
        tversky = 1 - (hit + 1) / (hit + 0.3 * false + 0.7 * missed + 1)
        return entropy + dice + tversky**0.75

    def evaluate(self, network: nn.Module, folder: Path) -> dict[str, float]:
        """On the centre 256 px of 24 photos: F1 where damage was drawn, share of marks where none was."""
        scores, alarms = [], []
        device = next(network.parameters()).device
        for index, path in enumerate(data.photos(folder, 256)[:24]):
            clean = data.centre(data.pixels(path), 256)
            rng = np.random.default_rng(index)
            worn, mask = defects.damage(clean, rng, [])
            for picture, truth in ((worn, mask), (clean, None)):
                worn_8_bit = degradations.to_8_bit(degradations.film_grain(picture, 6, 0.7, rng))
                with torch.autocast(device.type, torch.bfloat16):
                    logits = network(data.tensor(worn_8_bit)[None].to(device))
                found = logits[0, 0].float().cpu() > 0
                if truth is None:
                    alarms.append(float(found.float().mean()))
                else:
                    scores.append(f1(found, torch.from_numpy(truth) > 0, TOLERANCE_PX))
        figure = float(np.mean(scores))
        return {"f1": figure, "false_alarms": float(np.mean(alarms)), "score": figure}


def sample(clean: NDArray[np.float32], rng: Generator, overlays: list[Path]) -> dict[str, Tensor]:
    """Damage first, then what camera and scanner add, as in life; some scans are sharp, some are not."""
    worn, mask = clean, np.zeros(clean.shape[:2], np.float32)
    if rng.random() < 0.5:  # most old photos have no colours
        worn = np.repeat(worn @ np.array([[0.299], [0.587], [0.114]], np.float32), 3, axis=2)
        worn = worn * rng.uniform((0.9, 0.85, 0.7), (1.0, 1.0, 1.0)).astype(np.float32)
    if rng.random() >= CLEAN:
        worn, mask = defects.damage(worn, rng, overlays)
    if rng.random() < 0.4:
        sigma = rng.uniform(0.3, 0.9)
        worn = degradations.convolve(worn, degradations.gaussian_kernel(sigma, sigma, 0.0))
    if rng.random() < 0.6:
        worn = degradations.film_grain(worn, rng.uniform(1, 14), rng.uniform(0.4, 1.2), rng)
    if rng.random() < 0.4:
        worn = degradations.jpeg(worn, int(rng.integers(40, 96)))
    return {"worn": data.tensor(degradations.to_8_bit(worn)), "mask": torch.from_numpy(mask)[None]}
