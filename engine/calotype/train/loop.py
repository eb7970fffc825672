"""The training loop. It knows no model: a Recipe tells it what to train, on what, and how it is judged."""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

from calotype.train import checkpoint
from calotype.train.guard import Guard
from calotype.train.journal import Journal
from calotype.train.processes import Alone, Processes
from calotype.train.recipe import Batch as Batch
from calotype.train.recipe import Calibrated, Pictured, Recipe, Standing, companions_of, objectives_of
from calotype.train.turn import turn
from calotype_wire import atomic
from calotype_wire.errors import CalotypeError

STEP_S_MAX = 20.0
"""A step that took longer slept with the computer; only so much of it counts against the minutes."""

ROLLBACKS_MAX = 3


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


@dataclass(frozen=True)
class Moment:
    """After a step. progress: 0..1 of the run. loss: of that step, even one that was gone back on; not a
    number where none was taken yet.

    network: as it would be kept now.
    """

    progress: float
    state: checkpoint.State
    loss: float
    network: nn.Module


Watch = Callable[[Moment], bool]


def train(
    recipe: Recipe,
    data: Path,
    held_out: Path,
    run: Path,
    schedule: Schedule,
    seed: int = 0,
    device: str = "cpu",
    workers: int = 0,
    processes: Processes | None = None,
    watch: Watch | None = None,
) -> Path:
    """Train, or go on where run's checkpoint stands, and return the path of the best averaged weights.

    data, held_out: folders of photos, or lists of them. run: folder for checkpoint, weights, log.csv, notes,
    sample pictures and TensorBoard events. workers: processes that prepare samples. watch: told of every
    step and of the end; where it says False, what has been learnt is kept for another time and this ends.
    The same seed, steps, device and number of processes repeat a run. Raises CalotypeError TRAINING_DIVERGED.
    """
    training = _Training(recipe, held_out, run, schedule, seed, processes or Alone(device))
    training.learn(data, workers, watch)
    return run / "best.safetensors"


class _Training:
    def __init__(
        self,
        recipe: Recipe,
        held_out: Path,
        run: Path,
        schedule: Schedule,
        seed: int,
        processes: Processes,
    ) -> None:
        random.seed(seed)
        torch.manual_seed(seed)
        self.recipe, self.held_out, self.run, self.schedule = recipe, held_out, run, schedule
        self.seed, self.processes, self.device = seed, processes, processes.device
        network, companions = (self._place(part) for part in (recipe.network(), companions_of(recipe)))
        objectives = objectives_of(recipe, network, companions)
        self.turns = [turn(objective, recipe.learning_rate) for objective in objectives]
        average = AveragedModel(network, avg_fn=_ease)
        optimizers = [each.optimizer for each in self.turns]
        self.parts = checkpoint.Parts(network, average, companions, optimizers)
        self.guard = Guard()
        self.vitals: list[dict[str, float]] = []  # since the last evaluation
        self.loss = float("nan")
        self.file = run / "checkpoint.safetensors"
        fresh = not self.file.exists()
        self.state = checkpoint.State() if fresh else checkpoint.load(self.file, self.parts)
        self.state.samples = self.state.samples or self.state.step * recipe.batch_size  # older checkpoints
        if processes.rank == 0:
            run.mkdir(parents=True, exist_ok=True)
            self.journal = Journal(run, self.state)
            if fresh:
                self._save()  # there is always one to go back to

    def _place(self, part: nn.Module) -> nn.Module:
        return part.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def learn(self, data: Path, workers: int, watch: Watch | None) -> None:
        state, batch_size = self.state, self.recipe.batch_size
        order = _Endless(state.samples + self.processes.rank, self.processes.count)
        samples = self.recipe.samples(data, self.seed)
        loader = DataLoader(samples, batch_size, sampler=order, num_workers=workers)
        evaluated_s = saved_s = state.elapsed_s
        began = time.monotonic()
        for batch in loader:
            if self.schedule.progress(state.step, state.elapsed_s) >= 1:
                break
            trouble = self._step(batch, began)
            if trouble:
                self._roll_back(trouble)
            if state.elapsed_s - evaluated_s > self.schedule.evaluate_s:
                self._evaluate()
                evaluated_s = state.elapsed_s
            if state.elapsed_s - saved_s > self.schedule.checkpoint_s and self.guard.calm:
                self._save()
                saved_s = state.elapsed_s
            if watch and not watch(self._moment()):
                self._save()
                return
            began = time.monotonic()  # evaluations and checkpoints do not count against the minutes
        if watch:
            watch(self._moment())
        self._evaluate()
        self._save()
        if self.processes.rank == 0:
            self.journal.close()

    def _moment(self) -> Moment:
        progress = self.schedule.progress(self.state.step, self.state.elapsed_s)
        return Moment(progress, self.state, self.loss, self.parts.average.module)

    def _step(self, batch: Batch, began: float) -> str | None:
        """Every objective's turn on one batch. Returns what went wrong, if anything did."""
        state = self.state
        torch.manual_seed(self.seed + state.samples + self.processes.rank)  # losses that draw resume, too
        rate = self.schedule.rate(state.step, self.schedule.progress(state.step, state.elapsed_s))
        batch = {key: self._send(value) for key, value in batch.items()}
        vitals: dict[str, float] = {}
        for mine in self.turns:
            for other in self.turns:
                other.hold(still=other is not mine)
            vitals |= mine.take(batch, self.recipe.learning_rate * rate * state.rate, self.processes)
        self.parts.average.update_parameters(self.parts.network)
        spent_s = min(time.monotonic() - began, STEP_S_MAX)
        vitals = self._agreed(vitals | {"spent_s": spent_s if self.processes.rank == 0 else 0.0})

        state.step += 1
        state.samples += self.recipe.batch_size * self.processes.count
        state.elapsed_s += vitals.pop("spent_s") * self.processes.count
        self.vitals.append(vitals)
        self.loss = vitals[self.turns[0].objective.name]
        names = [each.objective.name for each in self.turns]
        losses, gradients = ([vitals[name + end] for name in names] for end in ("", "_gradient"))
        standing = Standing(vitals["lead"], vitals["score_made"]) if "lead" in vitals else None
        return self.guard.trouble(losses, gradients, standing)

    def _agreed(self, vitals: dict[str, float]) -> dict[str, float]:
        """The mean over all processes, so that all of them decide alike."""
        values = torch.tensor(list(vitals.values()), device=self.device)
        self.processes.mean([values])
        return dict(zip(vitals, values.tolist(), strict=True))

    def _roll_back(self, trouble: str) -> None:
        """To the last good checkpoint, at half the rate, with the samples that come next."""
        state, step = self.state, self.state.step
        kept = checkpoint.load(self.file, self.parts)
        state.step = kept.step
        self.guard.forget()
        self.vitals.clear()
        if state.rollbacks == ROLLBACKS_MAX:
            state.rollbacks = 0  # whoever tries again has all of them
            self._tell(f"Step {step}: {trouble}. Stopped after {ROLLBACKS_MAX} attempts.")
            self._save()
            raise CalotypeError(
                "TRAINING_DIVERGED",
                f"At step {step} {trouble}, and going back {ROLLBACKS_MAX} times did not help. "
                "Look for broken photos in --data, then run the command again with a lower --learning-rate: "
                f"it goes on from the last good checkpoint, step {state.step}.",
            )
        state.rollbacks += 1
        state.rate /= 2
        self._tell(
            f"Step {step}: {trouble}. Back to step {state.step}, learning rate times {state.rate:g} "
            f"({state.rollbacks} of {ROLLBACKS_MAX})."
        )
        self._save()

    def _tell(self, sentence: str) -> None:
        if self.processes.rank == 0:
            self.journal.note(sentence)

    def _evaluate(self) -> None:
        judged = not self.vitals and (self.run / "best.safetensors").exists()
        if self.processes.rank != 0 or judged:
            self.vitals.clear()
            return
        average, state = self.parts.average, self.state
        average.eval()
        with torch.inference_mode():
            if isinstance(self.recipe, Calibrated):
                self.recipe.calibrate(average.module, self.held_out)
            figures = self.recipe.evaluate(average.module, self.held_out)
            if isinstance(self.recipe, Pictured):
                self.journal.sheet(self.recipe.samples_sheet(average.module, self.held_out))
        average.train()
        named = self.vitals[0] if self.vitals else {}
        learnt = {key: fmean(vitals[key] for vitals in self.vitals) for key in named}
        self.journal.row({"step": state.step, "elapsed_s": round(state.elapsed_s)} | learnt | figures)
        self.vitals.clear()
        if figures["score"] > state.best:
            state.best = figures["score"]
            metadata = {"name": self.recipe.name, "step": str(state.step)}
            weights = save(checkpoint.tensors_of(average.module), metadata)
            atomic.write(self.run / "best.safetensors", weights, 0o644)

    def _save(self) -> None:
        if self.processes.rank == 0 and self.guard.calm:
            checkpoint.save(self.file, self.parts, self.state)

    def _send(self, value: Tensor) -> Tensor:
        if value.ndim == 4:
            return value.to(self.device, memory_format=torch.channels_last)
        return value.to(self.device)


def _ease(average: Tensor, now: Tensor, updates: Tensor | int) -> Tensor:
    """Exponential mean with decay 0.999, less at the start, so that the random start is soon forgotten."""
    count = float(updates)
    return torch.lerp(now, average, min(0.999, (1 + count) / (10 + count)))


class _Endless:
    """A sampler that counts up from first for ever, by stride."""

    def __init__(self, first: int, stride: int) -> None:
        self.first = first
        self.stride = stride

    def __iter__(self) -> Iterator[int]:
        return count(self.first, self.stride)
