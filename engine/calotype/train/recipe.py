"""What a model's training is made of: the border between the loop and the recipes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

from torch import Tensor, nn
from torch.utils.data import Dataset

Batch = Mapping[str, Tensor]

Sheet = list[tuple[Tensor, ...]]
"""Rows of pictures to look at, (3, H, W), 0..1, all of one size: what went in, what came out, the truth."""


class Recipe(Protocol):
    """What one model's training is made of: it is Simple, or Accompanied."""

    @property
    def name(self) -> str: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...

    def network(self) -> nn.Module:
        """What is trained, averaged, judged and shipped."""
        ...

    def samples(self, folder: Path, seed: int) -> Dataset[dict[str, Tensor]]:
        """Endless and map-style: sample i depends on the seed and i alone."""
        ...

    def evaluate(self, network: nn.Module, folder: Path) -> dict[str, float]:
        """Figures on held-out pictures. Higher 'score' is better and decides which weights are kept."""
        ...


@runtime_checkable
class Simple(Recipe, Protocol):
    """A recipe with one loss."""

    def loss(self, network: nn.Module, batch: Batch) -> Tensor: ...


@dataclass(frozen=True)
class Standing:
    """How a critic stands against what it judges, of one batch.

    lead: share of positions, 0..1, at which it tells the real from the made by a clear margin.
    score: how far its mean opinion of the made lies above that of the real; 0: they are all one to it.
    """

    lead: float
    score: float


@dataclass(frozen=True)
class Objective:
    """A loss, and the networks whose parameters an optimiser of its own moves to lower it.

    name: of the sum, in the log. parts: holds those networks. loss: named terms of a batch; their sum is
    lowered. standing: of a critic, after its loss was taken. rate: factor on the recipe's learning rate.
    betas: of Adam.
    """

    name: str
    parts: nn.Module
    loss: Callable[[Batch], Mapping[str, Tensor]]
    standing: Callable[[], Standing] | None = None
    rate: float = 1.0
    betas: tuple[float, float] = (0.9, 0.98)


@runtime_checkable
class Accompanied(Protocol):
    """A recipe that trains other networks beside the shipped one: a critic, a second direction, a projection.

    Companions are in the checkpoint, and neither averaged nor shipped. The objectives take turns on each
    batch, the first being the shipped network's; all others are held still meanwhile.
    """

    def companions(self) -> nn.Module: ...

    def objectives(self, network: nn.Module, companions: nn.Module) -> list[Objective]: ...


@runtime_checkable
class Pictured(Protocol):
    """A recipe whose results can be looked at."""

    def samples_sheet(self, network: nn.Module, folder: Path) -> Sheet: ...


@runtime_checkable
class Calibrated(Protocol):
    """A recipe whose network says how sure it is, which held-out pictures teach it before it is judged."""

    def calibrate(self, network: nn.Module, folder: Path) -> None: ...


def companions_of(recipe: Recipe) -> nn.Module:
    return recipe.companions() if isinstance(recipe, Accompanied) else nn.ModuleList()


def objectives_of(recipe: Recipe, network: nn.Module, companions: nn.Module) -> list[Objective]:
    if isinstance(recipe, Accompanied):
        return recipe.objectives(network, companions)
    assert isinstance(recipe, Simple)
    return [Objective("loss", network, partial(_single, recipe, network))]


def _single(recipe: Simple, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
    return {"loss": recipe.loss(network, batch)}
