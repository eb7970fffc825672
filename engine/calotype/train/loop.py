"""The training loop. It knows no model: a Recipe tells it what to train, on what, and how it is judged."""

import csv
import json
import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, Dataset

from calotype_wire import atomic
from calotype_wire.errors import CalotypeError

STEP_S_MAX = 20.0
"""A step that took longer slept with the computer; only so much of it counts against the minutes."""

Batch = Mapping[str, Tensor]


class Recipe(Protocol):
    """What one model's training is made of."""

    @property
    def name(self) -> str: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...

    def network(self) -> nn.Module: ...

    def samples(self, folder: Path, seed: int) -> Dataset[dict[str, Tensor]]:
        """Endless and map-style: sample i depends on the seed and i alone."""
        ...

    def loss(self, network: nn.Module, batch: Batch) -> Tensor: ...

    def evaluate(self, network: nn.Module, folder: Path) -> dict[str, float]:
        """Figures on held-out pictures. Higher 'score' is better and decides which weights are kept."""
        ...


@dataclass(frozen=True)
class Schedule:
    """steps or minutes ends the run, whichever is given; the learning rate falls along it as a cosine."""

    steps: int | None
    minutes: float | None
    warmup_steps: int = 200
    checkpoint_s: float = 180.0
    evaluate_s: float = 600.0

    def progress(self, step: int, elapsed_s: float) -> float:
        """0 at the start, 1 at the end."""
        done = [step / self.steps] if self.steps else []
        done += [elapsed_s / (60 * self.minutes)] if self.minutes else []
        return min(1.0, max(done))

    def rate(self, step: int, progress: float) -> float:
        """Factor on the learning rate: linear warm-up, then a cosine to 1 %."""
        return min(1.0, (step + 1) / self.warmup_steps) * float(0.505 + 0.495 * np.cos(np.pi * progress))


def train(
    recipe: Recipe,
    data: Path,
    held_out: Path,
    run: Path,
    schedule: Schedule,
    seed: int = 0,
    device: str = "cpu",
    workers: int = 0,
) -> Path:
    """Train, or go on where run's checkpoint stands, and return the path of the best averaged weights.

    data, held_out: folders of photos. run: folder for checkpoint, weights, log.csv and TensorBoard events.
    workers: processes that prepare samples. The same seed, steps and device repeat a run.
    """
    random.seed(seed)
    torch.manual_seed(seed)
    run.mkdir(parents=True, exist_ok=True)
    network = recipe.network().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = AveragedModel(network, avg_fn=_ease)
    optimizer = torch.optim.AdamW(network.parameters(), recipe.learning_rate, (0.9, 0.98), weight_decay=1e-4)
    state = _resume(run / "checkpoint.safetensors", network, average, optimizer)
    step, elapsed_s, best = int(state["step"]), float(state["elapsed_s"]), float(state["best"])
    log = _Log(run)

    samples = recipe.samples(data, seed)
    order = _Endless(step * recipe.batch_size)
    loader = DataLoader(samples, recipe.batch_size, sampler=order, num_workers=workers)
    last_checkpoint = last_evaluation = time.monotonic()
    losses: list[float] = []
    began = time.monotonic()
    for batch in loader:
        progress = schedule.progress(step, elapsed_s)
        if progress >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * schedule.rate(step, progress)
        batch = {
            key: value.to(device, memory_format=torch.channels_last) if value.ndim == 4 else value.to(device)
            for key, value in batch.items()
        }
        with torch.autocast(device, torch.bfloat16):
            loss = recipe.loss(network, batch)
        if not torch.isfinite(loss):
            raise CalotypeError(
                "TRAINING_DIVERGED",
                f"The loss was not a number at step {step}. Run the command again with a lower "
                "--learning-rate: it goes on from the last checkpoint.",
            )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        average.update_parameters(network)
        losses.append(loss.item())
        step += 1
        now = time.monotonic()
        elapsed_s += min(now - began, STEP_S_MAX)
        if now - last_evaluation > schedule.evaluate_s:
            best = _evaluate(recipe, average, held_out, run, log, step, elapsed_s, losses, best)
            losses.clear()
            last_evaluation = time.monotonic()
        if now - last_checkpoint > schedule.checkpoint_s:
            _save(run / "checkpoint.safetensors", network, average, optimizer, step, elapsed_s, best)
            last_checkpoint = time.monotonic()
        began = time.monotonic()  # evaluations and checkpoints do not count against the minutes
    if losses:
        best = _evaluate(recipe, average, held_out, run, log, step, elapsed_s, losses, best)
    _save(run / "checkpoint.safetensors", network, average, optimizer, step, elapsed_s, best)
    log.close()
    return run / "best.safetensors"


def best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _ease(average: Tensor, now: Tensor, updates: Tensor | int) -> Tensor:
    """Exponential mean with decay 0.999, less at the start, so that the random start is soon forgotten."""
    count = float(updates)
    return torch.lerp(now, average, min(0.999, (1 + count) / (10 + count)))


class _Endless:
    """A sampler that counts up from first for ever."""

    def __init__(self, first: int) -> None:
        self.first = first

    def __iter__(self) -> Iterator[int]:
        index = self.first
        while True:
            yield index
            index += 1


def _evaluate(
    recipe: Recipe,
    average: AveragedModel,
    held_out: Path,
    run: Path,
    log: "_Log",
    step: int,
    elapsed_s: float,
    losses: list[float],
    best: float,
) -> float:
    average.eval()
    with torch.inference_mode():
        figures = recipe.evaluate(average.module, held_out)
    average.train()
    log.row({"step": step, "elapsed_s": round(elapsed_s), "loss": float(np.mean(losses))} | figures)
    if figures["score"] > best:
        metadata = {"name": recipe.name, "step": str(step)}
        atomic.write(run / "best.safetensors", save(_tensors("", average.module), metadata), 0o644)
    return max(best, figures["score"])


def _tensors(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    return {prefix + k: v.detach().cpu().contiguous() for k, v in module.state_dict().items()}


def _save(
    path: Path,
    network: nn.Module,
    average: AveragedModel,
    optimizer: torch.optim.Optimizer,
    step: int,
    elapsed_s: float,
    best: float,
) -> None:
    tensors = _tensors("network.", network) | _tensors("average.", average)
    for index, moments in optimizer.state_dict()["state"].items():
        for key, value in moments.items():
            tensors[f"optimizer.{index}.{key}"] = value.detach().cpu().contiguous()
    state = {"step": step, "elapsed_s": elapsed_s, "best": best}
    atomic.write(path, save(tensors, {"state": json.dumps(state)}), 0o644)


def _resume(
    path: Path, network: nn.Module, average: AveragedModel, optimizer: torch.optim.Optimizer
) -> dict[str, Any]:
    if not path.exists():
        return {"step": 0, "elapsed_s": 0.0, "best": float("-inf")}
    with safe_open(path, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 not a dict
        state: dict[str, Any] = json.loads(file.metadata()["state"])
    network.load_state_dict(_part(tensors, "network."))
    average.load_state_dict(_part(tensors, "average."))
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in _part(tensors, "optimizer.").items():
        index, field = key.split(".")
        moments.setdefault(int(index), {})[field] = value
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    return state


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


class _Log:
    """Each row goes to log.csv, to TensorBoard and to the screen."""

    def __init__(self, run: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter  # two seconds to import: only when training

        self.path = run / "log.csv"
        self.board = SummaryWriter(run)

    def row(self, figures: Mapping[str, float]) -> None:
        fresh = not self.path.exists()
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(figures))
            if fresh:
                writer.writeheader()
            writer.writerow(figures)
        for key, value in figures.items():
            self.board.add_scalar(key, value, int(figures["step"]))
        self.board.flush()
        print(" ".join(f"{key}={value:.4g}" for key, value in figures.items()), flush=True)

    def close(self) -> None:
        self.board.close()
