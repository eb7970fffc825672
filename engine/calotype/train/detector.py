"""Recipe of the Detector: cross entropy, Dice and focal Tversky on photos with drawn and real damage."""

from collections.abc import Iterator
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
from calotype.train.recipe import Batch, Sheet

TOLERANCE_PX = 2
CLEAN = 0.3
"""Share of samples without a defect: a detector must keep still, too."""

STRUCTURED = 0.4
"""Share of samples with thin things that must not be found."""


@dataclass(frozen=True)
class DetectorRecipe:
    """overlays: folder of pictures of real damage; None trains on drawn damage alone."""

    overlays: Path | None = None
    name: str = "detector"
    batch_size: int = 12
    patch_px: int = 160
    learning_rate: float = 1e-3

    def network(self) -> nn.Module:
        return Detector()

    def samples(self, folder: Path, seed: int) -> Dataset[dict[str, Tensor]]:
        real = sorted(self.overlays.rglob("*.png")) if self.overlays else []
        real = [path for path in real if path.parent.name not in defects.WIDE]
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
        tversky = 1 - (hit + 1) / (hit + 0.4 * false + 0.6 * missed + 1)
        return 2 * entropy + dice + tversky**0.75

    def evaluate(self, network: nn.Module, folder: Path) -> dict[str, float]:
        """On the centre 256 px of 24 photos: F1 where damage was drawn, share of marks where none was."""
        scores, alarms = [], []
        for _, logits, truth in trials(network, folder, 24):
            if truth is None:
                alarms.append(float((logits > 0).float().mean()))
            else:
                scores.append(f1(logits > 0, truth, TOLERANCE_PX))
        figure = float(np.mean(scores))
        return {"f1": figure, "false_alarms": float(np.mean(alarms)), "score": figure}

    def samples_sheet(self, network: nn.Module, folder: Path) -> Sheet:
        """What is seen, the likelihood of a defect, and where defects were drawn."""
        return [
            tuple(part.expand(3, -1, -1) for part in (seen, torch.sigmoid(logits), (truth * 1.0)))
            for seen, logits, truth in trials(network, folder, 4)
            if truth is not None
        ]


def trials(network: nn.Module, folder: Path, count: int) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """Of each photo, damaged and then clean: what is seen, (3, 256, 256), logits and mask, (256, 256)."""
    device = next(network.parameters()).device
    for index, path in enumerate(data.photos(folder, 256)[:count]):
        clean = data.centre(data.pixels(path), 256)
        rng = np.random.default_rng(index)
        worn, mask = defects.damage(clean, rng, [])
        for picture, truth in ((worn, torch.from_numpy(mask) > 0), (clean, None)):
            seen = data.tensor(degradations.to_8_bit(degradations.film_grain(picture, 6, 0.7, rng)))
            with torch.autocast(device.type, torch.bfloat16):
                logits = network(seen[None].to(device))
            yield seen, logits[0, 0].float().cpu(), truth


def sample(clean: NDArray[np.float32], rng: Generator, overlays: list[Path]) -> dict[str, Tensor]:
    """Damage first, then what camera and scanner add, as in life; some scans are sharp, some are not."""
    worn, mask = clean, np.zeros(clean.shape[:2], np.float32)
    if rng.random() < 0.5:  # most old photos have no colours
        worn = np.repeat(worn @ np.array([[0.299], [0.587], [0.114]], np.float32), 3, axis=2)
        worn = worn * rng.uniform((0.9, 0.85, 0.7), (1.0, 1.0, 1.0)).astype(np.float32)
    if rng.random() < STRUCTURED:
        worn = defects.structures(worn, rng)
    if rng.random() >= CLEAN:
        worn, mask = defects.damage(worn, rng, overlays)
    if rng.random() < 0.4:
        sigma = rng.uniform(0.3, 0.9)
        worn = degradations.convolve(worn, degradations.gaussian_kernel(sigma, sigma, 0.0))
    if rng.random() < 0.6:
        worn = degradations.film_grain(worn, rng.uniform(1, 20), rng.uniform(0.4, 1.2), rng)
    if rng.random() < 0.3:
        worn = degradations.gaussian_noise(worn, rng.uniform(2, 12), rng)
    if rng.random() < 0.4:
        worn = degradations.jpeg(worn, int(rng.integers(40, 96)))
    return {"worn": data.tensor(degradations.to_8_bit(worn)), "mask": torch.from_numpy(mask)[None]}
