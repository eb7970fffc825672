"""Worker processes as the server sees them: started, spoken to, watched, killed."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from typing import Any

import zmq

from calotype import catalogue, frontend
from calotype_wire import places, protocol
from calotype_wire.errors import CalotypeError

log = logging.getLogger(__name__)

LOG_BYTES_MAX = 1 << 20
LEARNER_KEEP_S = 20.0
"""Its memory is wanted for filters."""

STARTS_MAX = 3
"""A worker that fails to start so often in a row will not start at all."""


class Worker:
    """One process on one device.

    state: 'starting', 'idle', 'busy'. background: it learns, and gives way to everything else. serial: of
    the job that it runs. fingerprint: of the catalogue that it declares, taken before it starts, so that
    what is added meanwhile is noticed as new.
    """

    def __init__(
        self,
        socket: "zmq.Socket[bytes]",
        endpoint: str,
        token: str,
        device: int,
        generation: int,
        background: bool,
    ) -> None:
        kind = "learner" if background else "worker"
        self.name = f"{kind}-{device}.{generation}"
        self.device = device
        self.background = background
        self.fingerprint = catalogue.fingerprint()
        self.state = "starting"
        self.serial: int | None = None
        self.heard_at = self.idle_since = time.monotonic()
        self._socket = socket
        folder = places.log_file().parent
        with open(os.path.join(folder, f"{kind}-{device}.log"), "ab") as complaints:
            if complaints.tell() > LOG_BYTES_MAX:
                complaints.truncate(0)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "calotype.worker"],
                stdin=subprocess.PIPE,
                stdout=complaints,
                stderr=complaints,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                # Threads that spin while they wait slow everything else down on a busy machine.
                env={"OMP_WAIT_POLICY": "PASSIVE", **os.environ},
            )
        fields = {
            "endpoint": endpoint,
            "token": token,
            "name": self.name,
            "device": device,
            "server": os.getpid(),
            "background": background,
        }
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(fields).encode())
            self._process.stdin.close()
        except BrokenPipeError:
            pass  # it died already: failure() will say so
        log.info("%s started, pid %d", self.name, self._process.pid)

    def run(self, serial: int, fields: dict[str, Any]) -> None:
        self.state, self.serial = "busy", serial
        self.heard_at = time.monotonic()
        self._send({"type": "run", "serial": serial, **fields})

    def cancel(self, pause: bool) -> None:
        self._send({"type": "cancel", "serial": self.serial, "pause": pause})

    def finished(self) -> None:
        self.state, self.serial = "idle", None
        self.heard_at = self.idle_since = time.monotonic()

    def failure(self, silence_s: float) -> CalotypeError | None:
        """Why it must be given up, or None while it is well."""
        status = self._process.poll()
        if status is not None and self.background:
            sentence = (
                f"The training's process ended ({status}), most likely because memory ran out. What it has "
                "learnt is kept: let it go on, with less running beside it."
            )
            return CalotypeError("WORKER_LOST", sentence)
        if status == -getattr(signal, "SIGKILL", 9):
            return CalotypeError(
                "OUT_OF_MEMORY",
                "The system stopped the model, most likely because memory ran out. Close other programs, or "
                "select a smaller part.",
            )
        folder = places.log_file().parent
        if status is not None:
            sentence = f"The model's process ended ({status}). Try again. Details are in {folder}."
            return CalotypeError("WORKER_LOST", sentence)
        patience = 4 if self.background else 1  # on a busy machine it hardly gets its turn
        if self.state != "idle" and time.monotonic() - self.heard_at > patience * silence_s:
            sentence = "The model got stuck and was stopped. Try again, or select a smaller part."
            return CalotypeError("WORKER_LOST", sentence)
        return None

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        log.info("%s ended", self.name)

    def _send(self, header: dict[str, Any]) -> None:
        try:
            self._socket.send_multipart([self.name.encode(), protocol.pack(header)], zmq.NOBLOCK)
        except zmq.ZMQError as error:
            log.warning("%s cannot be reached: %s", self.name, error)


class Pool:
    """The workers, at most one a device, and one more that learns. devices: how many there are, as far as is
    known.
    """

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", token: str) -> None:
        self.socket = frontend.bind(context, "workers")
        self.devices = 1
        self._endpoint = self.socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self._token = token
        self._workers: list[Worker] = []
        self._generation = 0
        self._failed_starts = 0

    def count(self, background: bool) -> int:
        return sum(worker.background == background for worker in self._workers)

    @property
    def broken(self) -> bool:
        return self._failed_starts >= STARTS_MAX

    def start_one(self, background: bool = False) -> None:
        """On a device that has no worker of that kind yet, if there is one."""
        devices = range(self.devices - 1, self.devices) if background else range(self.devices)
        free = set(devices) - {worker.device for worker in self._workers if worker.background == background}
        if not free or self.broken or (background and self.count(True)):
            return
        self._generation += 1
        try:
            worker = Worker(self.socket, self._endpoint, self._token, min(free), self._generation, background)
        except OSError as error:  # the environment was deleted, say, or no memory is left to fork
            self._failed_starts += 1
            log.error("no worker can be started: %s", error)
        else:
            self._workers.append(worker)

    def idle(self) -> list[Worker]:
        return [worker for worker in self._workers if worker.state == "idle"]

    def named(self, name: bytes) -> Worker | None:
        return next((worker for worker in self._workers if worker.name.encode() == name), None)

    def running(self, serial: int) -> Worker | None:
        return next((worker for worker in self._workers if worker.serial == serial), None)

    def ready(self, worker: Worker, devices: int) -> None:
        worker.finished()
        self.devices = devices
        self._failed_starts = 0

    def forgive(self) -> None:
        """Let the next job try to start a worker again."""
        self._failed_starts = 0

    def remove_failed(self, silence_s: float) -> list[tuple[int | None, CalotypeError]]:
        """Kill what is stuck, forget what died: the jobs that ran there, and why they failed."""
        failed = [(worker, worker.failure(silence_s)) for worker in self._workers]
        return [(self.remove(worker, why), why) for worker, why in failed if why is not None]

    def remove(self, worker: Worker, why: CalotypeError) -> int | None:
        """The serial of the job that it ran."""
        log.warning("%s given up: %s", worker.name, why.sentence)
        self._failed_starts += worker.state == "starting"
        worker.kill()
        self._workers.remove(worker)
        return worker.serial

    def unload(self, unused_s: float) -> None:
        """End the workers that have been idle for so long: all their memory is free then."""
        for worker in self.idle():
            keep_s = min(unused_s, LEARNER_KEEP_S) if worker.background else unused_s
            if time.monotonic() - worker.idle_since >= keep_s:  # a clock may tick slowly
                worker.kill()
                self._workers.remove(worker)

    def close(self) -> None:
        for worker in self._workers:
            worker.kill()
