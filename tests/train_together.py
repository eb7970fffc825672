"""What one of several processes does in test_training_processes.py; torchrun starts it.

Each process has a run folder of its own, so that it can be seen who writes.
"""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from calotype.train import loop, processes
from calotype.train.recipe import Batch, Objective
from trainees import Bout, Stopping


class Watched(Bout):
    """Notes which samples it met, and keeps its networks."""

    def objectives(self, network: nn.Module, companions: nn.Module) -> list[Objective]:
        maker, critic = super().objectives(network, companions)
        self.parts.extend([network, companions])

        def make(batch: Batch) -> Mapping[str, Tensor]:
            self.met.extend(batch["index"].tolist())
            return maker.loss(batch)

        return [replace(maker, loss=make), critic]

    parts: ClassVar[list[nn.Module]] = []
    met: ClassVar[list[int]] = []


if __name__ == "__main__":
    out = Path(sys.argv[1])
    here = processes.begin()
    run = out / f"run{here.rank}"
    loop.train(Watched(noise=0.0), out, out, run, Stopping(6, 6), processes=here)
    ended = {f"part{i}.{k}": v for i, part in enumerate(Watched.parts) for k, v in part.state_dict().items()}
    save_file(ended | {"met": torch.tensor(Watched.met)}, out / f"rank{here.rank}.safetensors")
