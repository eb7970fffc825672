"""Recipes that train in no time, for tests of training."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from skimage import data as photos
from skimage import transform
from torch import Tensor, nn
from torch.utils.data import Dataset

from calotype.models.restorer import Restorer
from calotype.train import loop, losses
from calotype.train.recipe import Batch, Objective, Standing
from calotype.train.restorer import RestorerRecipe


def photo_folder(folder: Path) -> Path:
    """Three small photos."""
    for name, photo in (("a", photos.astronaut()), ("b", photos.coffee()), ("c", photos.chelsea())):
        small = transform.resize(photo, (280, 300), anti_aliasing=True)
        Image.fromarray((small * 255).astype(np.uint8)).save(folder / f"{name}.png")
    return folder


class Stopping(loop.Schedule):
    """A schedule at an even rate, with a checkpoint at every step, that stops as a power cut would."""

    def __init__(self, steps: int, stop_at: int, checkpoint_s: float = -1.0) -> None:
        super().__init__(steps, None, warmup_steps=1, checkpoint_s=checkpoint_s)
        object.__setattr__(self, "stop_at", stop_at)

    def progress(self, step: int, elapsed_s: float) -> float:
        return 1.0 if step >= self.stop_at else super().progress(step, elapsed_s)

    def rate(self, step: int, progress: float) -> float:
        return 1.0


class SmallRestorer(RestorerRecipe):
    """The Restorer's recipe with a network that trains in seconds."""

    def network(self) -> nn.Module:
        return Restorer((16, 16), (1, 1), (1,))


class Numbers(Dataset[dict[str, Tensor]]):
    """Sample i: x, and y = 2 x + 1; the samples of bad are no numbers."""

    def __init__(self, seed: int, bad: range) -> None:
        self.seed = seed
        self.bad = bad

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        x = torch.randn(3, generator=torch.Generator().manual_seed(1000 * self.seed + index))
        return {
            "index": torch.tensor(index),
            "x": x,
            "y": (2 * x + 1) * (float("nan") if index in self.bad else 1),
        }


@dataclass(frozen=True)
class Line:
    """A straight line is to be found. bad: samples that spoil a step."""

    bad: range = range(0)
    name: str = "line"
    batch_size: int = 2
    learning_rate: float = 0.01

    def network(self) -> nn.Module:
        return nn.Linear(3, 3)

    def samples(self, folder: Path, seed: int) -> Dataset[dict[str, Tensor]]:
        return Numbers(seed, self.bad)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        return (network(batch["x"]).float() - batch["y"]).square().mean()

    def evaluate(self, network: nn.Module, folder: Path) -> dict[str, float]:
        x = torch.ones(1, 3)
        return {"score": -float((network(x) - 3).square().mean())}

    def samples_sheet(self, network: nn.Module, folder: Path) -> list[tuple[Tensor, ...]]:
        grey = network(torch.ones(1, 3)).clamp(0, 1).mean()
        return [(torch.zeros(3, 6, 8), grey.expand(3, 6, 8), torch.ones(3, 6, 8))]


@dataclass(frozen=True)
class Bout(Line):
    """Line against a critic that draws random numbers, too. held: which parts may learn, turn by turn."""

    held: list[tuple[bool, ...]] = field(default_factory=list)
    lead: float = 0.5
    noise: float = 0.1

    def companions(self) -> nn.Module:
        return nn.Linear(3, 1)

    def objectives(self, network: nn.Module, companions: nn.Module) -> list[Objective]:
        def note() -> None:
            learning = [next(part.parameters()).requires_grad for part in (network, companions)]
            self.held.append(tuple(learning))

        def make(batch: Batch) -> dict[str, Tensor]:
            note()
            made = network(batch["x"]).float() + self.noise * torch.randn(len(batch["x"]), 3)
            return {"near": (made - batch["y"]).square().mean(), "fooled": -companions(made).float().mean()}

        def judge(batch: Batch) -> dict[str, Tensor]:
            note()
            made, real = companions(network(batch["x"]).detach()), companions(batch["y"])
            return {"told": losses.hinge_critic(real, made)}

        standing = iter(range(10**9))
        return [
            Objective("loss", network, make),
            Objective("critic", companions, judge, lambda: Standing(self.lead, -float(next(standing)))),
        ]


def tensors_of(run: Path, prefix: str = "") -> dict[str, Tensor]:
    found = load_file(run / "checkpoint.safetensors")
    return {key: value for key, value in found.items() if key.startswith(prefix)}
