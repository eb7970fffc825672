"""The process that imports torch and runs jobs, one at a time, for the server that started it."""

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import torch
import zmq
from torch import Tensor
from torch.nn.functional import interpolate

from calotype import ops, segments
from calotype.image import tiles
from calotype.image.codec import Canvas, reduced_size
from calotype.image.selection import Selection
from calotype.models import device as devices
from calotype.ops import declare, finish
from calotype.ops.task import Cancelled, Task
from calotype.version import VERSION
from calotype_wire import places, protocol
from calotype_wire.errors import CalotypeError
from calotype_wire.protocol import Buffer, Header, LayerShape

log = logging.getLogger(__name__)


NICE = 10
"""Of what learns: a busy core then gives it a tenth. At 19 it stands still as long as anything else works."""

SHOW_S = 0.5
"""Between two pictures of what there is so far."""


class Worker:
    def __init__(
        self, endpoint: str, token: str, name: str, device: int, server: int, background: bool
    ) -> None:
        if background:
            _give_way()
        self._socket = zmq.Context().socket(zmq.DEALER)
        self._socket.plain_username = protocol.USER
        self._socket.plain_password = token.encode()
        self._socket.routing_id = name.encode()
        self._socket.linger = 0
        self._socket.connect(endpoint)
        self._server = psutil.Process(server)
        self._device = devices.choose(device)

    def run(self) -> None:
        operations = [operation.to_wire() for operation in declare.declared()]
        self._send({"type": "ready", "operations": operations, "devices": len(devices.names())})
        while self._server_lives():
            if self._socket.poll(1000):
                header = protocol.unpack(self._socket.recv())
                if header["type"] == "run":
                    self._run_job(header)

    def _server_lives(self) -> bool:
        return os.getppid() == self._server.pid if os.name == "posix" else self._server.is_running()

    def _send(self, header: Header) -> None:
        self._socket.send(protocol.pack(header))

    def _run_job(self, header: Header) -> None:
        serial = header["serial"]
        try:
            answer = self._result(serial, header)
        except Cancelled as stop:
            answer = _failed(CalotypeError("PAUSED" if stop.pause else "CANCELLED", ""))
        except CalotypeError as failure:
            answer = _failed(failure)
        except Exception as bug:  # the one broad except: a bug in an operation must not end the worker
            log.exception("%s failed", header["operation"])
            answer = _failed(tiles.out_of_memory() if tiles.is_out_of_memory(bug) else _internal())
        self._send({"serial": serial, **answer})

    def _result(self, serial: int, header: Header) -> Header:
        operation = finish.build(header["operation"], header["parameters"])
        shapes = [LayerShape.from_wire(layer) for layer in header["layers"]]
        maps = [segments.open_map(Path(layer["path"]), False) for layer in header["layers"]]
        selection = None
        if header["selection"]:
            selection = Selection(shapes.pop(), maps.pop(), shapes[0])
        paths: list[str] = []

        def allocate(name: str, size: int, content: Buffer | None = None) -> memoryview:
            path = segments.create([Path(folder) for folder in header["folders"]], name, size, content)
            paths.append(str(path))
            return segments.open_map(path, True)

        said_at = 0.0

        def progress(fraction: float, stage: str, curve: Sequence[float] = ()) -> None:
            nonlocal said_at
            while self._socket.poll(0):
                message = protocol.unpack(self._socket.recv())
                if message["type"] == "cancel" and message["serial"] == serial:
                    raise Cancelled(message["pause"])
            if not self._server_lives():
                sys.exit()
            now = time.monotonic()
            if now - said_at > 0.03:
                said_at = now
                told = {"type": "progress", "serial": serial, "fraction": fraction, "stage": stage}
                self._send({**told, "curve": _thinned(curve)} if curve else told)

        showed_at = time.monotonic()

        def show(make: Callable[[], Tensor]) -> None:
            nonlocal showed_at
            now = time.monotonic()
            if now - showed_at > SHOW_S:
                showed_at = now
                picture = make()
                height, width = reduced_size(picture.shape[1], picture.shape[2], protocol.PREVIEW_PX)
                small = interpolate(picture[None].float().cpu(), (height, width), mode="area")[0].clamp(0, 1)
                pixels = (small * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
                told = {"type": "preview", "serial": serial, "width": width, "height": height}
                self._socket.send_multipart([protocol.pack(told), pixels.tobytes()])

        progress(0.0, "Starting")
        layers = [Canvas(shape, data) for shape, data in zip(shapes, maps, strict=True)]
        into_alpha = header["selection_to"] == "alpha"
        task = Task(layers, selection, into_alpha, self._device, allocate, progress, show)
        operation.run(task)
        results: list[Any] = [canvas.shape.to_wire() for canvas in task.results]
        facts = {"device": self._device.name, "version": VERSION, **task.facts}
        return {"type": "result", "layers": results, "paths": paths, "facts": facts}


def _give_way() -> None:
    """To filters, and to the editor itself."""
    psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if os.name == "nt" else NICE)


def _thinned(curve: Sequence[float]) -> list[float]:
    """Means of as many parts as a message takes."""
    count = min(len(curve), protocol.CURVE_POINTS_MAX)
    bounds = [len(curve) * k // count for k in range(count + 1)]
    return [round(sum(curve[a:b]) / (b - a), 4) for a, b in pairwise(bounds)]


def _failed(failure: CalotypeError) -> Header:
    return {"type": "failed", "code": failure.code, "sentence": failure.sentence[:2000]}


def _internal() -> CalotypeError:
    return CalotypeError(
        "INTERNAL",
        "Something went wrong inside the engine; the picture was not changed. Details are in the log folder "
        f"{places.log_file().parent}.",
    )


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    fields = json.loads(sys.stdin.read())
    ops.discover()
    Worker(**fields).run()


if __name__ == "__main__":
    main()
