"""ONNX Runtime, told to be quiet, frugal and kind to other programs. Imports no torch."""

import contextlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from calotype_wire.errors import CalotypeError

if TYPE_CHECKING:
    import onnxruntime

log = logging.getLogger(__name__)

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]


class Session:
    """device: as torch spells it. threads: that compute at once; 0 lets ONNX Runtime choose."""

    def __init__(self, model: bytes, dtype: str, device: str = "cpu", threads: int = 0) -> None:
        ort = _onnxruntime()
        options = ort.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = threads
        options.enable_cpu_mem_arena = False  # memory of a large tile goes back after it
        options.enable_mem_pattern = False  # tiles at the edge differ in size
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # spinning slows the rest
        self._dtype = np.dtype(dtype)
        with _failures():
            self._session = ort.InferenceSession(model, options, providers=_providers(ort, device))
        used = self._session.get_providers()[0]
        if device.startswith("cuda") and used != "CUDAExecutionProvider":
            log.warning("ONNX Runtime runs on the CPU; with onnxruntime-gpu it would use %s", device)
        self._input = self._session.get_inputs()[0].name

    def __call__(self, picture: Array) -> Array:
        """picture: (1, C, H, W), float32. Returns float32.

        Raises MemoryError, or CalotypeError BAD_MODEL where the model cannot take such a picture.
        """
        with _failures():
            (result,) = self._session.run(None, {self._input: picture.astype(self._dtype, copy=False)})
        return np.asarray(result).astype(np.float32, copy=False)


def _onnxruntime() -> Any:
    try:
        import onnxruntime as ort
    except ImportError as error:
        raise CalotypeError(
            "NOT_INSTALLED",
            "Models in ONNX need ONNX Runtime, which is missing here (it wants Python 3.11 or newer). Run "
            "'python3 install.py' again with a newer Python, or take the model as safetensors.",
        ) from error
    ort.disable_telemetry_events()
    return ort


def _providers(ort: "onnxruntime", device: str) -> list[Any]:
    cpu: list[Any] = ["CPUExecutionProvider"]
    if device.startswith("cuda") and "CUDAExecutionProvider" in ort.get_available_providers():
        number = int(device.partition(":")[2] or 0)
        return [("CUDAExecutionProvider", {"device_id": number}), *cpu]
    return cpu


@contextlib.contextmanager
def _failures() -> Iterator[None]:
    from onnxruntime.capi import onnxruntime_pybind11_state as raised

    errors = (
        raised.EPFail,
        raised.Fail,
        raised.InvalidArgument,
        raised.InvalidGraph,
        raised.InvalidProtobuf,
        raised.NotImplemented,
        raised.RuntimeException,
        RuntimeError,
        ValueError,
    )
    try:
        yield
    except errors as error:
        text = " ".join(str(error).split())
        if "allocat" in text or "bad_alloc" in text or "out of memory" in text.lower():
            raise MemoryError(text[:200]) from error
        raise CalotypeError(
            "BAD_MODEL", f"The model could not be run: {text[-200:].rstrip('.')}. Export it again."
        ) from error
