"""Recipe of Anomaly and of its Gate: faults of ten kinds laid into photos, restored photos and paintings."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import (
    avg_pool2d,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    interpolate,
    one_hot,
)
from torch.utils.data import Dataset

from calotype.image.metrics import auroc, spearman
from calotype.models import device as devices
from calotype.models.anomaly import CELL_PX, KINDS, LOGIT_MAX, STEPS, Anomaly, Calibrated, Gate
from calotype.train import data, faults
from calotype.train.degradations import Array, to_8_bit
from calotype.train.faults import Base
from calotype.train.planted import Planted, planted
from calotype.train.recipe import Batch, Sheet

SIDE_PX = 128
SCALE_MIN = 0.5
JUDGED = 192
"""Pictures that are judged on, one with faults in two of three."""

CLEAN = 0.3
"""Share of pictures without a fault."""

FAULTS_MAX = 3

SETS = 1600
"""A picture and its faults are made once and laid together anew each time: they take longer than a step."""


@dataclass(frozen=True)
class AnomalyRecipe:
    """without: those of KINDS that are left out, to see how the network fares on what it never met."""

    without: tuple[str, ...] = ()
    name: str = "anomaly"
    batch_size: int = 16
    learning_rate: float = 1e-3

    def network(self) -> nn.Module:
        return Anomaly()

    def samples(self, folder: Path, seed: int) -> Dataset[dict[str, Tensor]]:
        return Faulty(folder, seed, self.without)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Cross entropy of being wrong; of what is wrong also of the kind, and the severity's distance."""
        logits = network(batch["picture"]).float()
        wrong, severity, kinds = torch.split(logits, [1, 1, len(KINDS)], dim=1)
        truth = batch["wrong"]
        entropy = binary_cross_entropy_with_logits(wrong, truth)
        found = torch.sigmoid(wrong)
        dice = 1 - (2 * (found * truth).sum() + 1) / ((found + truth).sum() + 1)
        share = truth.sum().clamp_min(1)
        away = ((torch.sigmoid(severity) - batch["severity"]).abs() * truth).sum() / share
        named = cross_entropy(kinds, batch["kinds"], reduction="none")[:, None]
        return 2 * entropy + 0.5 * dice + away + 0.2 * (named * truth).sum() / share

    def calibrate(self, network: nn.Module, folder: Path) -> None:
        assert isinstance(network, Calibrated)
        logits, truths = [], []
        for seen, each in trials(folder, self.without):
            logits.append(_run(network, seen)[0, 0].flatten())
            truths.append(cells(each)["wrong"].flatten())
        network.curve.copy_(isotonic(torch.cat(logits), torch.cat(truths)))  # type: ignore[operator]

    def evaluate(self, network: nn.Module, folder: Path) -> dict[str, float]:
        """Of cells: how well wrong ones are told from right ones (AUROC), and how often kinds are named; of
        pictures: how their severities rank (Spearman).
        """
        assert isinstance(network, Calibrated)
        likely, truths, named, told, severe = [], [], [], [], []
        for seen, each in trials(folder, self.without):
            wrong, severity, kinds = torch.split(_run(network, seen)[0], [1, 1, len(KINDS)])
            truth = cells(each)
            likely.append(network.likelihood(wrong).flatten())
            truths.append(truth["wrong"].flatten())
            named.append((kinds.argmax(0) == truth["kinds"].argmax(0))[truth["wrong"][0] > 0.5].float())
            told.append((likely[-1] * torch.sigmoid(severity).flatten()).mean())
            severe.append(torch.tensor(each.severity.mean()))
        chance, wanted = torch.cat(likely), torch.cat(truths)
        area = auroc(chance, wanted > 0.5)
        return {
            "auroc": area,
            "named": float(torch.cat(named).mean()),
            "rank": spearman(torch.stack(told), torch.stack(severe)),
            "entropy": float(binary_cross_entropy(chance.clamp(1e-4, 1 - 1e-4), wanted)),
            "score": area,
        }

    def samples_sheet(self, network: nn.Module, folder: Path) -> Sheet:
        """What is seen, what is found, and the truth."""
        assert isinstance(network, Calibrated)
        rows: Sheet = []
        for seen, each in list(trials(folder, self.without))[1:9]:
            likely = network.likelihood(_run(network, seen)[:, :1])
            wide = interpolate(likely, scale_factor=float(CELL_PX))[0].expand(3, -1, -1)
            truth = torch.from_numpy(each.severity > 0).float()[None].expand(3, -1, -1)
            rows.append((seen, wide, truth))
        return rows


@dataclass(frozen=True)
class GateRecipe(AnomalyRecipe):
    name: str = "anomaly-gate"

    def network(self) -> nn.Module:
        return Gate()


def _run(network: nn.Module, picture: Tensor) -> Tensor:
    device = next(network.parameters()).device
    with torch.no_grad(), devices.named(str(device)).precision():
        logits: Tensor = network(picture[None].to(device))
    return logits.float().cpu()


# ---- samples


class Faulty(Dataset[dict[str, Tensor]]):
    def __init__(self, folder: Path, seed: int, without: tuple[str, ...]) -> None:
        self.set = _sets(folder, seed)
        self.seed = seed
        self.without = without

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((self.seed, index, 1))
        found = self.set(int(rng.integers(SETS)))
        return sample(found.laid(rng, CLEAN, self.without), rng)


@lru_cache(maxsize=2)
def _sets(folder: Path, seed: int) -> "Callable[[int], Set]":
    """Each made when it is first asked for: trainings in one process share them."""
    sets = data.Crops(folder, SIDE_PX, seed, made, SCALE_MIN)
    return lru_cache(maxsize=SETS)(lambda index: sets[index])


@dataclass(frozen=True)
class Set:
    """A picture with nothing wrong, and the same with faults all over; (H, W, 3), 0..255."""

    clean: NDArray[np.uint8]
    faulty: list[tuple[int, NDArray[np.uint8]]]

    @property
    def picture(self) -> Array:
        return _float(self.clean)

    def alone(self, kind: int, picture: Array) -> "Set":
        """With this fault instead."""
        return Set(self.clean, [(kind, _bytes(picture))])

    def laid(self, rng: Generator, clean: float, without: tuple[str, ...] = ()) -> Planted:
        """One to all of the faults, in parts of the picture; or none, as often as clean says."""
        count = 0 if rng.random() < clean else int(rng.integers(1, len(self.faulty) + 1))
        chosen = [self.faulty[k] for k in rng.permutation(len(self.faulty))[:count]]
        parts = [(kind, _float(picture)) for kind, picture in chosen if KINDS[kind] not in without]
        return planted(self.picture, parts, rng)


def made(photo: Array, rng: Generator) -> Set:
    return faulty(faults.base(photo, rng), rng)


def faulty(base: Base, rng: Generator) -> Set:
    chosen = rng.choice(len(KINDS), FAULTS_MAX, replace=False)
    return Set(_bytes(base.picture), [(int(k), _bytes(faults.spoilt(base, KINDS[k], rng))) for k in chosen])


def _bytes(picture: Array) -> NDArray[np.uint8]:
    return np.rint(to_8_bit(picture) * 255).astype(np.uint8)


def _float(picture: NDArray[np.uint8]) -> Array:
    return picture.astype(np.float32) / np.float32(255)


def sample(each: Planted, rng: Generator) -> dict[str, Tensor]:
    """Turned over at random: a set is used many times."""
    found = {"picture": data.tensor(each.picture), **cells(each)}
    for axis in (1, 2):
        if rng.random() < 0.5:
            found = {key: value.flip(axis) for key, value in found.items()}
    if rng.random() < 0.5:
        found = {key: value.transpose(1, 2) for key, value in found.items()}
    return {key: value.contiguous() for key, value in found.items()}


def cells(each: Planted) -> dict[str, Tensor]:
    """The truth at h = H / 8, w = W / 8: wrong (1, h, w) and kinds (K, h, w), shares of a cell, 0..1;
    severity, (1, h, w), of what is wrong in it.
    """
    severity = torch.from_numpy(each.severity)[None]
    kinds = torch.from_numpy(each.kind)
    wrong = avg_pool2d((severity > 0).float(), CELL_PX)
    named = one_hot(kinds.clamp_min(0), len(KINDS)).permute(2, 0, 1).float() * (kinds >= 0)
    shares = avg_pool2d(named, CELL_PX)
    return {
        "wrong": wrong,
        "severity": avg_pool2d(severity, CELL_PX) / wrong.clamp_min(1e-3),
        "kinds": shares / shares.sum(0, keepdim=True).clamp_min(1e-6),
    }


def trials(folder: Path, without: tuple[str, ...] = ()) -> Iterator[tuple[Tensor, Planted]]:
    """Pictures of the middle of held-out photos, (3, 128, 128), the same ones each time."""
    return iter(_trials(folder, without))


@lru_cache(maxsize=2)
def _trials(folder: Path, without: tuple[str, ...]) -> list[tuple[Tensor, Planted]]:
    paths = data.photos(folder, SIDE_PX)
    found = []
    for index in range(JUDGED):
        rng = np.random.default_rng((7, index))
        photo = data.crop(data.pixels(paths[index % len(paths)]), SIDE_PX, rng, SCALE_MIN)
        each = made(photo, rng).laid(rng, 1 / 3, without)
        found.append((data.tensor(each.picture), each))
    return found


# ---- figures


def isotonic(logits: Tensor, truths: Tensor) -> Tensor:
    """The curve, never falling, that is nearest to how often truths are 1 at logits like these; (STEPS,).

    Pool adjacent violators on the curve's own steps. A little of the sigmoid is left, so that it never is
    flat. Source: Barlow et al. 1972.
    """
    grid = torch.linspace(-LOGIT_MAX, LOGIT_MAX, STEPS)
    step = 2 * LOGIT_MAX / (STEPS - 1)
    place = ((logits.clamp(-LOGIT_MAX, LOGIT_MAX) + LOGIT_MAX) / step).round().long()
    count = torch.zeros(STEPS).index_add(0, place, torch.ones_like(truths)) + 1
    total = torch.zeros(STEPS).index_add(0, place, truths) + torch.sigmoid(grid)
    pools: list[list[float]] = []  # sum, count, steps
    for a, b in zip(total.tolist(), count.tolist(), strict=True):
        pools.append([a, b, 1])
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] >= pools[-1][0] / pools[-1][1]:
            last = pools.pop()
            pools[-1] = [x + y for x, y in zip(pools[-1], last, strict=True)]
    curve = torch.cat([torch.full((int(steps),), a / b) for a, b, steps in pools])
    return torch.lerp(curve, torch.sigmoid(grid), 0.02)
