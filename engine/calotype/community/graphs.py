"""ONNX files: what their graph says, and whether it stays within what a picture's model needs.

Sources: github.com/onnx/onnx/blob/main/docs/IR.md; what went wrong with external data, and how often:
CVE-2022-25882, CVE-2024-27318, CVE-2026-27489.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import onnx
from google.protobuf.message import DecodeError
from onnx import AttributeProto, GraphProto, ModelProto, TensorProto, ValueInfoProto

from calotype.community.refusal import refused

_DTYPES: dict[int, str] = {TensorProto.FLOAT: "float32", TensorProto.FLOAT16: "float16"}

_BYTES: dict[int, int] = {
    TensorProto.DOUBLE: 8,
    TensorProto.INT64: 8,
    TensorProto.UINT64: 8,
    TensorProto.FLOAT: 4,
    TensorProto.INT32: 4,
    TensorProto.UINT32: 4,
    TensorProto.FLOAT16: 2,
    TensorProto.BFLOAT16: 2,
    TensorProto.INT16: 2,
    TensorProto.UINT16: 2,
    TensorProto.INT8: 1,
    TensorProto.UINT8: 1,
    TensorProto.BOOL: 1,
}

_TYPED = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")


@dataclass(frozen=True)
class Graph:
    """side_px: (height, width), 0 where the model takes any. channels: 0 where the graph does not say.

    values: the range that its last step gives, where that has one, else nothing.
    """

    dtype: str
    channels: int
    side_px: tuple[int, int]
    values: str
    metadata: dict[str, str]


def check(data: bytes) -> Graph:
    """Raises CalotypeError BAD_MODEL with what the model is instead."""
    model = ModelProto()
    try:
        model.ParseFromString(data)
    except (DecodeError, RecursionError) as error:
        raise refused(
            "The file is damaged, or no model that Calotype knows: ONNX, safetensors or PyTorch weights. "
            "Download it again."
        ) from error
    if not model.graph.node or not model.ir_version:
        raise refused("The file is no ONNX model: it has no graph. Download it again.")
    _check_domains(model)
    for tensor in _tensors(model.graph):
        _check_tensor(tensor)
    try:
        onnx.checker.check_model(data)
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        raise refused(f"The model breaks a rule of ONNX: {_first_line(error)}. Export it again.") from error
    return _facts(model)


def _check_domains(model: ModelProto) -> None:
    if len(model.functions) or len(model.training_info):
        raise refused(
            "The model brings functions or training steps of its own. Export it for inference, with "
            "'onnx.inliner.inline_local_functions'."
        )
    for graph in _graphs(model.graph):
        for node in graph.node:
            if node.domain not in ("", "ai.onnx"):
                raise refused(
                    f"The model needs the operator '{node.op_type!s:.40}' of '{node.domain!s:.40}', which is "
                    "code outside of standard ONNX. Take the plain export of it."
                )


def _check_tensor(tensor: TensorProto) -> None:
    if tensor.data_location == TensorProto.EXTERNAL or len(tensor.external_data):
        raise refused(
            "The model keeps its weights in another file, and Calotype opens none but the one you name. Put "
            "them together: python -c \"import onnx; onnx.save(onnx.load('model.onnx'), 'whole.onnx')\"."
        )
    if tensor.data_type not in _BYTES or any(side < 0 for side in tensor.dims) or tensor.HasField("segment"):
        raise refused("The model has weights of a kind that Calotype does not know. Take its float32 export.")
    count = math.prod(tensor.dims)
    if tensor.HasField("raw_data"):
        whole = len(tensor.raw_data) == count * _BYTES[tensor.data_type]
    else:
        whole = sum(len(getattr(tensor, field)) for field in _TYPED) == count
    if not whole:
        raise refused("The model is damaged: weights are not as many as their shape says. Download it again.")


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs) if _holds_graphs(attribute) else ():
                yield from _graphs(inner)


def _holds_graphs(attribute: AttributeProto) -> bool:
    return attribute.HasField("g") or len(attribute.graphs) > 0


def _tensors(graph: GraphProto) -> Iterator[TensorProto]:
    for part in _graphs(graph):
        yield from part.initializer
        for sparse in part.sparse_initializer:
            raise refused(f"The model has sparse weights ('{sparse.values.name!s:.40}'). Take its dense one.")
        for node in part.node:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    yield attribute.t
                if attribute.HasField("sparse_tensor") or len(attribute.sparse_tensors):
                    raise refused("The model has sparse constants. Take its dense export.")
                yield from attribute.tensors


def _facts(model: ModelProto) -> Graph:
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    if len(inputs) != 1:
        names = ", ".join(f"'{value.name!s:.30}'" for value in inputs[:5])
        raise refused(
            f"The model wants {len(inputs)} inputs ({names}); Calotype can give it one picture. Take an "
            "export whose other inputs are fixed."
        )
    if len(model.graph.output) != 1:
        raise refused(f"The model answers with {len(model.graph.output)} things; one picture is needed.")
    dtype, channels, side_px = _picture(inputs[0])
    metadata = {str(entry.key): str(entry.value) for entry in model.metadata_props}
    return Graph(dtype, channels, side_px, _values(model.graph), metadata)


def _picture(value: ValueInfoProto) -> tuple[str, int, tuple[int, int]]:
    """dtype, channels, (height, width) of the model's input. Raises CalotypeError where it is no picture."""
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type") or tensor.elem_type not in _DTYPES:
        raise refused(
            "The model takes no picture of float32 or float16 numbers: it may be one for text or sound, or a "
            "quantised one. Calotype runs models from picture to picture."
        )
    sides = [axis.dim_value if axis.HasField("dim_value") else 0 for axis in tensor.shape.dim]
    if len(sides) != 4:
        raise refused(
            f"The model takes {len(sides)} axes instead of the four of a picture (batch, channels, height, "
            "width): it is not one from picture to picture."
        )
    batch, channels, height, width = sides
    if channels not in (0, 1, 3) and width in (1, 3):
        raise refused("The model takes channels last. Export it with channels first (NCHW).")
    if channels not in (0, 1, 3):
        raise refused(f"The model takes {channels} channels; a picture has 1 or 3.")
    if batch > 1:
        raise refused(f"The model takes {batch} pictures at once. Export it for one.")
    if min(sides) < 0 or max(height, width) > 4096 or (height > 0) != (width > 0):
        raise refused(f"The model takes pictures of {width} x {height} pixels only. Export it for any size.")
    return _DTYPES[tensor.elem_type], channels, (height, width)


def _values(graph: GraphProto) -> str:
    made = {name: node for node in graph.node for name in node.output}
    node = made.get(graph.output[0].name)
    while node is not None and node.op_type in ("Identity", "Cast"):
        node = made.get(node.input[0])
    return {"Tanh": "-1..1", "Sigmoid": "0..1"}.get(node.op_type, "") if node is not None else ""


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[0][:160].rstrip(".")
