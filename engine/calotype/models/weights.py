"""Trained weights: found, checked against their SHA-256, loaded. Nothing is ever unpickled."""

import hashlib
import json
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from safetensors.torch import save
from torch import Tensor

from calotype.models.contract import Contract
from calotype_wire import atomic
from calotype_wire.errors import CalotypeError

FOLDER = Path(__file__).parent.parent / "weights"
MANIFEST = "sha256.json"


def load(name: str, folder: Path = FOLDER) -> dict[str, Tensor]:
    """float32 tensors by name. Raises CalotypeError BAD_WEIGHTS where a byte differs from the manifest."""
    file = f"{name}.safetensors"
    try:
        data = (folder / file).read_bytes()
        expected = json.loads((folder / MANIFEST).read_text())[file]
        if hashlib.sha256(data).hexdigest() != expected:
            raise ValueError("the checksum differs")
        return {key: value.float() for key, value in safetensors.torch.load(data).items()}
    except (OSError, KeyError, ValueError, safetensors.SafetensorError) as error:
        raise CalotypeError(
            "BAD_WEIGHTS",
            f"The weights of the {name} are missing or damaged. Run 'python3 install.py' again.",
        ) from error


def ship(tensors: dict[str, Tensor], contract: Contract, folder: Path = FOLDER) -> None:
    """Write float16 weights and their checksum. Raises ValueError where a value is not finite."""
    halves = {key: value.to(torch.float16).contiguous() for key, value in tensors.items()}
    if not all(bool(torch.isfinite(value).all()) for value in halves.values()):
        raise ValueError("the weights have values that float16 cannot hold")
    file = f"{contract.name}.safetensors"
    data = save(halves, {"name": contract.name})
    manifest = folder / MANIFEST
    known = json.loads(manifest.read_text()) if manifest.exists() else {}
    atomic.write(folder / file, data, 0o644)
    known[file] = hashlib.sha256(data).hexdigest()
    atomic.write(manifest, (json.dumps(known, indent=1, sort_keys=True) + "\n").encode(), 0o644)
