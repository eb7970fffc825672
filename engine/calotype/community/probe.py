"""A stranger's model, examined in a process of its own that may neither write nor take all memory.

standard input: the model's bytes. standard output: one line of JSON, {"facts", "metadata", "converted"} or
{"code", "sentence"}; after it, where converted, the bytes to keep instead.
"""

import dataclasses
import json
import os
import sys
from typing import Any

import psutil

from calotype.community import archives
from calotype.community.refusal import BYTES_MAX, refused
from calotype_wire.errors import CalotypeError

MEMORY_BYTES_MAX = 8 << 30


def examine(data: bytes) -> tuple[dict[str, Any], dict[str, str], bytes]:
    """What the card needs to know, the file's metadata, and the bytes to keep. Raises CalotypeError."""
    format = archives.format_of(data)
    if format == "onnx":
        return *_examine_onnx(data), data
    metadata: dict[str, str] = {}
    if format == "safetensors":
        metadata = archives.check_safetensors(data)
    else:
        data = archives.clean_torch(data)
    facts, kept = _examine_weights(data, format)
    return facts, metadata, kept


def _examine_onnx(data: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    try:
        from calotype.community import graphs
    except ImportError as error:
        raise CalotypeError(
            "NOT_INSTALLED",
            "Models in ONNX need the packages onnx and onnxruntime (Python 3.11 or newer). Run 'python3 "
            "install.py' again, or take the model as safetensors.",
        ) from error
    from calotype.community.measure import measure
    from calotype.community.session import Session

    graph = graphs.check(data)
    measured = measure(Session(data, graph.dtype), graph.channels, graph.side_px, graph.values)
    facts = {**dataclasses.asdict(measured), "side_px": graph.side_px, "dtype": graph.dtype, "format": "onnx"}
    return facts, graph.metadata


def _examine_weights(data: bytes, format: str) -> tuple[dict[str, Any], bytes]:
    import torch

    from calotype.community import states
    from calotype.community.measure import measure
    from calotype.models import compact

    tensors = states.from_torch(data) if format == "torch" else states.from_safetensors(data)
    network_format, network = states.build(tensors)
    network.eval()

    @torch.inference_mode()
    def run(picture: Any) -> Any:
        try:
            return network(torch.from_numpy(picture)).numpy()
        except RuntimeError as error:  # what torch raises for sizes, too
            raise refused(f"The model could not be run: {error!s:.160}. Take it as ONNX.") from error

    facts = dataclasses.asdict(measure(run, 0, (0, 0), "0..1"))
    facts |= {"side_px": (0, 0), "dtype": "float32", "format": network_format}
    shape = compact.shaped_as(tensors)
    if shape:
        contract = compact.contract("compact", *shape)
        facts |= {"halo_px": contract.halo_px, "bytes_a_pixel": contract.bytes_a_pixel}
    return facts, states.packed(tensors)


def _limit() -> None:
    """Where the system knows such limits."""
    try:
        import resource
    except ImportError:
        return
    memory = min(MEMORY_BYTES_MAX, psutil.virtual_memory().available * 3 // 4)
    for limit, most in (
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))


def main() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not mix with the answer
    _limit()
    kept = b""
    try:
        data = sys.stdin.buffer.read(BYTES_MAX + 1)
        facts, metadata, kept = examine(data)
        kept = b"" if kept is data or kept == data else kept
        answer: dict[str, Any] = {"facts": facts, "metadata": metadata, "converted": bool(kept)}
    except CalotypeError as failure:
        answer = {"code": failure.code, "sentence": failure.sentence}
    except MemoryError:
        sentence = "The model needs more memory for a picture of 128 pixels than this machine has to spare."
        answer = {"code": "BAD_MODEL", "sentence": sentence}
    answers.write(json.dumps(answer).encode() + b"\n" + kept)
    answers.close()


if __name__ == "__main__":
    main()
