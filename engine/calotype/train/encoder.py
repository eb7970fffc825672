"""Recipe of the Encoder: it learns to tell, by linear maps of its stages, what a trained VGG-19 tells.

Teacher: the 16 times smaller VGG-19 of Wang et al. 2020 ("Collaborative Distillation for Ultra-Resolution
Universal Style Transfer"); training only, never shipped. Learning through a projection that is thrown away
afterwards: Romero et al. 2015 (FitNets). Half of the samples are mildly worn, for VGG has seen few pictures
with noise, blocks or blur, and our losses will judge exactly those.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import conv2d, cosine_similarity, max_pool2d, pad
from torch.utils.data import Dataset

from calotype.models.encoder import WIDTHS, Encoder
from calotype.train import data, degradations
from calotype.train.recipe import Batch, Objective
from calotype_wire.errors import CalotypeError

TEACHER = "vgg19_16x_encoder_relu5_1.safetensors"
TEACHER_WIDTHS = (64, 128, 256, 512, 512)
TEACHER_DEPTHS = (2, 2, 4, 4, 1)
"""Convolutions a stage; the first one of each is imitated."""

SPARSE = 4
"""Neighbours tell nearly the same; comparing them all made a step three times as long."""

CENTRE = (SPARSE // 2, SPARSE // 2)


@dataclass(frozen=True)
class EncoderRecipe:
    """teacher: folder with the VGG-19's weights. paintings: a folder for a quarter of the samples."""

    teacher: Path | None = None
    paintings: Path | None = None
    name: str = "encoder"
    batch_size: int = 12
    patch_px: int = 128
    learning_rate: float = 1e-3

    def network(self) -> nn.Module:
        return Encoder()

    def companions(self) -> nn.Module:
        """A linear map from each stage to the teacher's."""
        return nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in zip(WIDTHS, TEACHER_WIDTHS, strict=True))

    def objectives(self, network: nn.Module, companions: nn.Module) -> list[Objective]:
        assert isinstance(companions, nn.ModuleList)

        def loss(batch: Batch) -> dict[str, Tensor]:
            corner = (int(torch.randint(SPARSE, ())), int(torch.randint(SPARSE, ())))
            told = self.taught(batch["picture"], corner)
            learnt = [_sparse(x, stage, corner) for stage, x in enumerate(network(batch["picture"]))]
            terms = {}
            for stage, (project, x, y) in enumerate(zip(companions, learnt, told, strict=True), 1):
                terms[f"stage{stage}"] = (project(x).float() - y).square().mean() / y.square().mean()
            return terms

        return [Objective("loss", nn.ModuleList([network, companions]), loss)]

    def samples(self, folder: Path, seed: int) -> Dataset[dict[str, Tensor]]:
        photos = data.Crops(folder, self.patch_px, seed, sample)
        if self.paintings is None:
            return photos
        return data.Mixture(photos, data.Crops(self.paintings, self.patch_px, seed, sample), every=4)

    def evaluate(self, network: nn.Module, folder: Path) -> dict[str, float]:
        """On the centre 256 px of 24 photos, every second one worn: the cosine to the teacher's features.

        The linear maps are fitted anew on half of the photos and judged on the other half, so that the
        figures are the shipped network's own.
        """
        device = next(network.parameters()).device
        learnt: list[list[Tensor]] = []
        told: list[list[Tensor]] = []
        for index, path in enumerate(data.photos(folder, 256)[:24]):
            picture = data.centre(data.pixels(path), 256)
            if index % 2:
                picture = mildly_worn(picture, np.random.default_rng(index))
            batch = data.tensor(picture)[None].to(device)
            with torch.autocast(device.type, torch.bfloat16):
                learnt.append([_sparse(x, stage, CENTRE) for stage, x in enumerate(network(batch))])
                told.append(self.taught(batch, CENTRE))
        figures = {}
        for stage, (x, y) in enumerate(
            zip(zip(*learnt, strict=True), zip(*told, strict=True), strict=True), 1
        ):
            figures[f"cosine{stage}"] = _likeness([_rows(f) for f in x], [_rows(f) for f in y])
        return figures | {"score": float(np.mean(list(figures.values())))}

    def taught(self, picture: Tensor, corner: tuple[int, int]) -> list[Tensor]:
        """The teacher's relu1_1 to relu5_1, float32, of a picture (B, 3, H, W), 0..1, thinned by _sparse."""
        if self.teacher is None:
            raise CalotypeError("BAD_PARAMETER", f"Name the folder that holds {TEACHER} with --teacher.")
        with torch.no_grad():
            return _vgg(_weights(self.teacher / TEACHER, str(picture.device)), picture, corner)


def sample(clean: NDArray[np.float32], rng: Generator) -> dict[str, Tensor]:
    """As it is, or mildly worn."""
    return {"picture": data.tensor(mildly_worn(clean, rng) if rng.random() < 0.5 else clean)}


def mildly_worn(picture: NDArray[np.float32], rng: Generator) -> NDArray[np.float32]:
    """Noise up to sigma 20, JPEG down to quality 25, or blur up to 2 px; rounded to 8 bits."""
    kind = rng.random()
    if kind < 0.4:
        worn = degradations.random_noise(picture, rng.uniform(0.04, 0.4), rng)
    elif kind < 0.7:
        worn = degradations.random_jpeg(picture, rng.uniform(0.1, 0.75), rng)
    else:
        worn = degradations.random_blur(picture, rng.uniform(0.1, 0.5), rng)
    return degradations.to_8_bit(worn)


@lru_cache(maxsize=2)
def _weights(path: Path, device: str) -> dict[str, Tensor]:
    if not path.exists():
        raise CalotypeError(
            "BAD_PARAMETER", f"There is no {path}. Name the folder that holds it with --teacher."
        )
    return {key: value.to(device) for key, value in load_file(path).items()}


def _sparse(features: Tensor, stage: int, corner: tuple[int, int]) -> Tensor:
    """One position in SPARSE x SPARSE of the first stage, of the second one in half as many, and so on.

    features: (B, C, h, w) of stage 0, 1, ... corner: where to begin, each below SPARSE.
    """
    step = max(1, SPARSE >> stage)
    return features[:, :, corner[0] % step :: step, corner[1] % step :: step]


def _vgg(weights: dict[str, Tensor], picture: Tensor, corner: tuple[int, int]) -> list[Tensor]:
    x = conv2d(picture, weights["conv0.weight"], weights["conv0.bias"])  # BGR, times 255, minus the mean
    told: list[Tensor] = []
    for stage, depth in enumerate(TEACHER_DEPTHS, 1):
        if stage > 1:
            x = max_pool2d(x, 2)
        for layer in range(1, depth + 1):
            name = f"conv{stage}_{layer}"
            x = pad(x, (1, 1, 1, 1), mode="reflect")
            x = torch.relu(conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"]))
            if layer == 1:
                widened = conv2d(
                    _sparse(x, stage - 1, corner), weights[f"{name}_aux.weight"], weights[f"{name}_aux.bias"]
                )
                told.append(torch.relu(widened).float())
    return told


def _rows(features: Tensor) -> Tensor:
    """(positions, channels) of (1, channels, h, w)."""
    return features[0].flatten(1).T.float().cpu()


def _likeness(learnt: list[Tensor], told: list[Tensor]) -> float:
    """Mean cosine on the second half of the pictures, of a linear map that was fitted on the first."""
    half = len(learnt) // 2
    if not half:
        raise CalotypeError(
            "BAD_DATA", "Judging an encoder takes two photos or more with sides of 256 pixels."
        )
    x, y = torch.cat(learnt[:half]), torch.cat(told[:half])
    spread = x.T @ x
    ridge = 1e-4 * spread.trace() / len(spread) * torch.eye(len(spread))
    fitted = torch.linalg.solve(spread + ridge, x.T @ y)
    guessed = (torch.cat(learnt[half:]) @ fitted).relu()  # nothing that the teacher tells is below 0
    return float(cosine_similarity(guessed, torch.cat(told[half:])).mean())
