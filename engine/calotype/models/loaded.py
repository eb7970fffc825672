"""A network as operations use it: weights in, on its device, taking pictures of any size."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from torch import Tensor, nn

from calotype.image import tiles
from calotype.models import weights
from calotype.models.contract import Contract
from calotype.models.device import Device


@dataclass(frozen=True)
class Loaded:
    network: nn.Module
    contract: Contract
    device: Device

    def __call__(self, picture: Tensor, *inputs: Tensor) -> Tensor:
        """What the network makes of picture (C, h, w): (C', h, w), float32, on the CPU.

        inputs: what else its forward() takes.
        """

        def run(padded: Tensor) -> Tensor:
            with self.device.inference():
                more = (value.to(self.device.name) for value in inputs)
                result: Tensor = self.network(self.device.send(padded), *more).float().cpu()
            return result

        return tiles.padded(run, picture, self.contract.multiple, self.contract.scale)


@lru_cache(maxsize=8)
def load(build: Callable[[], nn.Module], contract: Contract, device: Device) -> Loaded:
    """The network with its trained weights, loaded once. Raises CalotypeError BAD_WEIGHTS."""
    network = build()
    network.load_state_dict(weights.load(contract.name))
    return Loaded(device.place(network), contract, device)
