"""One process, or several that train one network together: docs/adr/0007-several-processes-by-fabric.md.

Several are started with 'torchrun --nproc-per-node N -m calotype train ...', and then need lightning-fabric.
"""

import os
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from calotype_wire.errors import CalotypeError

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class Processes(Protocol):
    """rank: 0 is the process that judges and writes. device: where this one computes."""

    rank: int
    count: int
    device: str

    def mean(self, tensors: list[Tensor]) -> None:
        """Each tensor becomes its mean over all processes, in place."""

    def wait(self) -> None:
        """Until all processes have come so far."""


class Alone:
    """The one process of a plain run."""

    rank = 0
    count = 1

    def __init__(self, device: str) -> None:
        self.device = device

    def mean(self, tensors: list[Tensor]) -> None:
        pass

    def wait(self) -> None:
        pass


class Together:
    """One of several processes, by Lightning Fabric."""

    def __init__(self, fabric: "Fabric") -> None:
        self.fabric = fabric
        self.rank = fabric.global_rank
        self.count = fabric.world_size
        self.device = str(fabric.device)

    def mean(self, tensors: list[Tensor]) -> None:
        together = torch.cat([tensor.flatten() for tensor in tensors])
        mean = self.fabric.all_reduce(together, reduce_op="mean")
        assert isinstance(mean, Tensor)
        for tensor, part in zip(tensors, torch.split(mean, [t.numel() for t in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def wait(self) -> None:
        self.fabric.barrier()


def begin() -> Processes:
    """By what torchrun has told this process. Raises CalotypeError where Fabric is missing."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return Alone(best_device())
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise CalotypeError(
            "BAD_PARAMETER",
            "Training in several processes needs lightning-fabric: pip install 'calotype[distributed]'.",
        ) from error
    here = int(os.environ["LOCAL_WORLD_SIZE"])
    accelerator = "cuda" if torch.cuda.device_count() >= here else "cpu"
    nodes = int(os.environ["WORLD_SIZE"]) // here
    fabric = Fabric(accelerator=accelerator, devices=here, num_nodes=nodes, strategy="ddp")
    fabric.launch()
    return Together(fabric)


def best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
