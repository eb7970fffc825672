"""Everything that training changes, in one safetensors file: nothing is ever pickled."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from calotype_wire import atomic
from calotype_wire.errors import CalotypeError


@dataclass(frozen=True)
class Parts:
    """What holds tensors that training changes. optimizers: one for each objective."""

    network: nn.Module
    average: AveragedModel
    companions: nn.Module
    optimizers: list[Optimizer]


@dataclass
class State:
    """Where a run stands. samples: how many were drawn, by all processes. best: score of the kept weights.

    rate: factor on the learning rate, halved by every rollback. rows, notes: the log.
    """

    step: int = 0
    samples: int = 0
    elapsed_s: float = 0.0
    best: float = float("-inf")
    rollbacks: int = 0
    rate: float = 1.0
    rows: list[dict[str, float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def save(path: Path, parts: Parts, state: State) -> None:
    tensors = tensors_of(parts.network, "network.") | tensors_of(parts.average, "average.")
    tensors |= tensors_of(parts.companions, "companions.")
    for prefix, optimizer in _prefixed(parts.optimizers):
        for index, moments in optimizer.state_dict()["state"].items():
            for key, value in moments.items():
                tensors[f"{prefix}{index}.{key}"] = value.detach().cpu().contiguous()
    atomic.write(path, to_bytes(tensors, {"state": json.dumps(asdict(state))}), 0o644)


def load(path: Path, parts: Parts) -> State:
    """Fill parts from path and return where the run stood. Raises CalotypeError where it does not fit."""
    try:
        with safe_open(path, "pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 not a dict
            state = State(**json.loads(file.metadata()["state"]))
        parts.network.load_state_dict(_part(tensors, "network."))
        parts.average.load_state_dict(_part(tensors, "average."))
        parts.companions.load_state_dict(_part(tensors, "companions."))
        for prefix, optimizer in _prefixed(parts.optimizers):
            moments: dict[int, dict[str, Tensor]] = {}
            for key, value in _part(tensors, prefix).items():
                index, name = key.split(".")
                moments.setdefault(int(index), {})[name] = value
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": moments, "param_groups": groups})
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CalotypeError(
            "BAD_WEIGHTS",
            f"{path} is damaged, or of another model or other options. Choose another folder with --run.",
        ) from error
    return state


def tensors_of(module: nn.Module, prefix: str = "") -> dict[str, Tensor]:
    return {prefix + key: value.detach().cpu().contiguous() for key, value in module.state_dict().items()}


def _prefixed(optimizers: list[Optimizer]) -> list[tuple[str, Optimizer]]:
    return [(f"optimizer{index or ''}.", optimizer) for index, optimizer in enumerate(optimizers)]


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
