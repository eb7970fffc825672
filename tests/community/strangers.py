"""Models as people share them, made by hand, for the tests of community models."""

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor
from torch.nn.functional import conv2d, pixel_shuffle

from calotype.community import cards, shelf
from calotype.models.device import Device

CPU = Device("cpu", torch.float32)
FREE: tuple[None, None] = (None, None)


def picture(height: int = 40, width: int = 60, seed: int = 0) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def sharpening(channels: int, scale: int = 1) -> np.ndarray:
    """(channels * scale², channels, 3, 3): mostly the pixel itself."""
    weight = (
        np.random.default_rng(0).normal(0, 0.02, (channels * scale**2, channels, 3, 3)).astype(np.float32)
    )
    for output in range(len(weight)):
        weight[output, output // scale**2, 1, 1] += 1
    return weight


def model(
    nodes: list[onnx.NodeProto],
    weights: dict[str, np.ndarray] | None = None,
    channels: int | str = 3,
    sides: tuple[int | None, int | None] = FREE,
    kind: int = TensorProto.FLOAT,
    axes: int = 4,
    **metadata: str,
) -> onnx.ModelProto:
    """From 'x' to 'y'."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", kind, [1, channels, *sides])],
        [helper.make_tensor_value_info("y", kind, [None] * axes)],
        [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(made, metadata)
    return made


def step(name: str, inputs: str, output: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(name, inputs.split(), [output], **attributes)


def network(
    channels: int = 3,
    scale: int = 1,
    sides: tuple[int | None, int | None] = FREE,
    half: bool = False,
    **metadata: str,
) -> onnx.ModelProto:
    nodes = [
        step("Conv", "x w", "h", pads=[1, 1, 1, 1]),
        step("DepthToSpace", "h", "y", blocksize=scale, mode="CRD"),
    ]
    weight = sharpening(channels, scale).astype(np.float16 if half else np.float32)
    kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    return model(nodes, {"w": weight}, channels, sides, kind, **metadata)


def expected(picture: Tensor, scale: int = 1) -> Tensor:
    """Of network()."""
    weight = torch.from_numpy(sharpening(picture.shape[1], scale))
    return pixel_shuffle(conv2d(picture, weight, padding=1), scale)


def saved(made: onnx.ModelProto, folder: Path, name: str = "model.onnx") -> Path:
    path = folder / name
    path.write_bytes(made.SerializeToString())
    return path


def added(file: Path, **options: str) -> cards.Card:
    candidate = shelf.examine(file, **options)
    shelf.add(candidate)
    return candidate.card


def kept(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*")} - {".lock"}
