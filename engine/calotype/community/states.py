"""Weights, and the networks that they belong to. Imports torch."""

import io
import pickle
from collections.abc import Mapping
from typing import Any

import safetensors
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from calotype.community.refusal import BYTES_MAX, refused
from calotype.models import compact

_WRAPPERS = ("params_ema", "params", "state_dict")
"""What training programs put weights under, the best first."""


def from_safetensors(data: bytes) -> dict[str, Tensor]:
    """data: passed archives.check_safetensors()."""
    try:
        return _checked(load(data))
    except (safetensors.SafetensorError, ValueError, RuntimeError) as error:
        raise refused(f"The file is damaged: {error!s:.120}. Download it again.") from error


def from_torch(clean: bytes) -> dict[str, Tensor]:
    """clean: of archives.clean_torch()."""
    try:
        loaded: Any = torch.load(io.BytesIO(clean), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, LookupError, TypeError, EOFError) as error:
        raise refused(
            "The file is damaged, or holds more than weights; it was not opened. Ask its author for "
            "safetensors or ONNX."
        ) from error
    for wrapper in _WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(wrapper), Mapping):
            loaded = loaded[wrapper]
    if not isinstance(loaded, Mapping):
        raise refused("The file holds no weights by name. Ask its author for safetensors or ONNX.")
    return _checked(loaded)


def _checked(tensors: Mapping[Any, Any]) -> dict[str, Tensor]:
    named = {key: value for key, value in tensors.items() if type(key) is str and isinstance(value, Tensor)}
    if not named or len(named) != len(tensors):
        raise refused("The file holds more than weights by name. Ask its author for safetensors or ONNX.")
    if sum(tensor.numel() * tensor.element_size() for tensor in named.values()) > BYTES_MAX:
        raise refused(f"The weights need more than {BYTES_MAX >> 20} MiB, too much for a model of pictures.")
    for key, tensor in named.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise refused(f"The weights '{key:.60}' hold values that are no numbers. The file is damaged.")
    return {key.removeprefix("module."): tensor for key, tensor in named.items()}


def packed(tensors: Mapping[str, Tensor]) -> bytes:
    """As safetensors."""
    return save({key: tensor.clone().contiguous() for key, tensor in tensors.items()})


def build(tensors: dict[str, Tensor]) -> tuple[str, nn.Module]:
    """The format's name for the card, and a network from (1, C, H, W) to the same.

    Raises CalotypeError BAD_MODEL, NOT_INSTALLED.
    """
    shape = compact.shaped_as(tensors)
    if shape is None:
        return "spandrel", _with_spandrel(tensors)
    network = compact.Compact(*shape)
    network.load_state_dict({key: tensor.float() for key, tensor in tensors.items()})
    return "compact", network


def _with_spandrel(tensors: dict[str, Tensor]) -> nn.Module:
    try:
        import spandrel
    except (ImportError, RuntimeError) as error:  # RuntimeError: a torchvision of another torch
        raise refused(
            "The weights belong to a network that Calotype does not know itself, and spandrel, which knows "
            "many, is not installed or does not start (it needs the torchvision of this torch). Take the "
            "model as ONNX, or run: python -m pip install 'calotype[community]'."
        ) from error
    try:
        found = spandrel.ModelLoader(device="cpu").load_from_state_dict(tensors)
    except (spandrel.UnsupportedModelError, RuntimeError, KeyError, ValueError) as error:
        raise refused(
            "Neither Calotype nor spandrel knows the network that the weights belong to. Take it as ONNX."
        ) from error
    if not isinstance(found, spandrel.ImageModelDescriptor):
        raise refused("The model wants more than a picture (a mask, say). Take one from picture to picture.")
    if found.input_channels != found.output_channels or found.input_channels not in (1, 3):
        raise refused(f"The model takes {found.input_channels} channels and gives {found.output_channels}.")
    return _Described(found)


class _Described(nn.Module):
    """spandrel's network with what its descriptor does around it: padding, cropping, one result of many."""

    def __init__(self, descriptor: Any) -> None:
        super().__init__()
        self.network: nn.Module = descriptor.model
        self._descriptor = descriptor

    def forward(self, picture: Tensor) -> Tensor:
        result: Tensor = self._descriptor(picture)
        return result
