"""Dual's three paths as ONNX files of any picture size, compared with torch before they are kept.

All planes are (1, C, H, W), H and W multiples of 16: luma and trust 0..1; chroma and hints -0.5..0.5 as
image.chroma splits them; photo and painting sRGB-encoded, 0..1. A style is a row, (1, ROW).
"""

import os
import tempfile
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from calotype.image import chroma as chromas
from calotype.models import dual, manner
from calotype.models.device import Device
from calotype.models.manner import Manner
from calotype.models.painter import Painter
from calotype_wire import atomic
from calotype_wire.errors import CalotypeError

OPSET = 17
APART_MAX = 1e-3
"""How far any value may lie from torch's."""

CHANNELS = {"luma": 1, "hints": 2, "trust": 1, "photo": 3, "palette": dual.PALETTE, "style": dual.ROW}
FLAT = ("palette", "style")


class _Part(nn.Module):
    """inputs, outputs: their names."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def __init__(self, network: dual.Dual) -> None:
        super().__init__()
        self.network = network


class Colour(_Part):
    inputs, outputs = ("luma", "hints", "trust", "palette"), ("chroma",)

    def forward(self, luma: Tensor, hints: Tensor, trust: Tensor, palette: Tensor) -> Tensor:
        return self.network.colour(luma, hints, trust, palette)


class Style(_Part):
    inputs, outputs = ("photo", "style"), ("painting",)

    def forward(self, photo: Tensor, style: Tensor) -> Tensor:
        made, _ = self.network.stylise(*chromas.split(photo), style)
        return made.clamp(0, 1)


class Own(_Part):
    """One style, with all that it has changed of the network."""

    inputs, outputs = ("photo",), ("painting",)

    def __init__(self, network: dual.Dual, manner: Manner) -> None:
        super().__init__(network)
        self.painter = Painter(network).changed(manner.changes)
        self.register_buffer("row", manner.row)

    def forward(self, photo: Tensor) -> Tensor:
        made, _ = self.painter(*chromas.split(photo), self.row)
        picture: Tensor = made.clamp(0, 1)
        return picture


class Both(_Part):
    inputs, outputs = ("luma", "hints", "trust", "palette", "style"), ("chroma", "painting")

    def forward(
        self, luma: Tensor, hints: Tensor, trust: Tensor, palette: Tensor, style: Tensor
    ) -> tuple[Tensor, Tensor]:
        chroma, made = self.network.both(luma, hints, trust, palette, style)
        return chroma, made.clamp(0, 1)


PARTS: dict[str, type[_Part]] = {"colour": Colour, "style": Style, "both": Both}


def export(name: str, path: Path, network: dual.Dual) -> float:
    """Write a part, and return how far ONNX Runtime's results lie from torch's at another size.

    name: of PARTS. network: on the CPU. Raises CalotypeError EXPORT_FAILED, NOT_WRITTEN, NOT_INSTALLED, and
    leaves path as it was.
    """
    return _export(PARTS[name](network).eval(), path)


def style(name: str, path: Path) -> float:
    """As export, of one style with its numbers in the file. Raises CalotypeError NO_STYLE, BAD_STYLE, too."""
    network = dual.shipped(Device("cpu", torch.float32))
    return _export(Own(network, manner.named(name, network)).eval(), path)


def _export(part: _Part, path: Path) -> float:
    try:
        import onnx  # noqa: F401 torch's exporter needs it
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise CalotypeError(
            "NOT_INSTALLED",
            "ONNX needs the packages onnx and onnxruntime (Python 3.11 or newer). Run 'python3 install.py' "
            "again.",
        ) from error
    sizes = {key: {2: "height", 3: "width"} for key in (*part.inputs, *part.outputs) if key not in FLAT}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this exporter is the old one, and notes on constants
        file = os.path.join(folder, "part.onnx")
        torch.onnx.export(
            part,
            _values(part, 64, 96),
            file,
            input_names=part.inputs,
            output_names=part.outputs,
            dynamic_axes=sizes,
            opset_version=OPSET,
            dynamo=False,  # the new exporter needs one more package
        )
        apart = _apart(part, file)
        if apart > APART_MAX:
            sentence = f"ONNX Runtime's result differs from torch's by {apart:.3g}. Please report it."
            raise CalotypeError("EXPORT_FAILED", sentence)
        try:
            atomic.write(path, Path(file).read_bytes(), 0o644)
        except OSError as error:
            sentence = (
                f"{path} could not be written ({error.strerror}). Name a file in a folder that is there."
            )
            raise CalotypeError("NOT_WRITTEN", sentence) from error
    return apart


def _values(part: _Part, height: int, width: int) -> tuple[Tensor, ...]:
    """Something for each input."""
    generator = torch.Generator().manual_seed(height)
    found = []
    for key in part.inputs:
        shape = (1, CHANNELS[key]) if key in FLAT else (1, CHANNELS[key], height, width)
        found.append(0.3 * torch.rand(shape, generator=generator))
    return tuple(found)


@torch.no_grad()
def _apart(part: _Part, file: str) -> float:
    import onnxruntime

    given = _values(part, 80, 48)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    values = {key: value.numpy() for key, value in zip(part.inputs, given, strict=True)}
    expected = part(*given)
    wanted = expected if isinstance(expected, tuple) else (expected,)
    made = session.run(None, values)
    return max(float((torch.from_numpy(a) - b).abs().max()) for a, b in zip(made, wanted, strict=True))
