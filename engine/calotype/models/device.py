"""Where networks run, and in which precision."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import psutil
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Device:
    """name: as torch spells it. dtype: of convolutions; sums and pictures stay float32."""

    name: str
    dtype: torch.dtype

    @contextlib.contextmanager
    def inference(self) -> Iterator[None]:
        with torch.inference_mode(), self.precision():
            yield

    def precision(self) -> torch.autocast:
        kind = self.name.partition(":")[0]
        return torch.autocast(kind, self.dtype, enabled=self.dtype != torch.float32)

    def place(self, network: nn.Module) -> nn.Module:
        return network.to(self.name, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    def send(self, picture: Tensor) -> Tensor:
        """picture: (B, C, H, W)."""
        return picture.to(self.name, memory_format=torch.channels_last)


def free_bytes(device: Device) -> int:
    """Memory that a network on the device could still take."""
    if device.name.startswith("cuda"):
        return int(torch.cuda.mem_get_info(device.name)[0])
    return int(psutil.virtual_memory().available)


def names() -> list[str]:
    """The devices of this machine, CALOTYPE_DEVICES ('cpu,cpu', say) before what torch finds."""
    chosen = os.environ.get("CALOTYPE_DEVICES")
    if chosen:
        return chosen.split(",")
    if torch.cuda.is_available():
        return [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return ["mps"] if torch.backends.mps.is_available() else ["cpu"]


def choose(index: int) -> Device:
    known = names()
    return named(known[min(index, len(known) - 1)])


def named(name: str) -> Device:
    """In the precision that it is quickest in."""
    if name.startswith("cuda"):
        return Device(
            name, torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
        )
    if name == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()):
        return Device(name, torch.bfloat16)  # emulated bf16 is slower than float32 elsewhere
    return Device(name, torch.float32)
