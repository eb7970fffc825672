"""Worker processes as the server sees them: started, spoken to, watched, killed."""

import json
import logging
import os
import subprocess
import sys
import time
from typing import Any

import zmq

from calotype_wire import places, protocol

log = logging.getLogger(__name__)


class Worker:
    """One process on one device. state: 'starting', 'idle', 'busy', 'gone'."""

    def __init__(
        self, socket: "zmq.Socket[bytes]", endpoint: str, token: str, device: int, generation: int
    ) -> None:
        self.name = f"worker-{device}.{generation}"
        self.device = device
        self.state = "starting"
        self.serial: int | None = None
        self.heard_at = self.idle_since = time.monotonic()
        self._socket = socket
        folder = places.log_file().parent
        with (folder / f"worker-{device}.log").open("wb") as complaints:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "calotype.worker"],
                stdin=subprocess.PIPE,
                stdout=complaints,
                stderr=complaints,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        fields = {
            "endpoint": endpoint,
            "token": token,
            "name": self.name,
            "device": device,
            "server": os.getpid(),
        }
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(fields).encode())
            self._process.stdin.close()
        except BrokenPipeError:
            pass  # it died already: ended() will say so
        log.info("%s started, pid %d", self.name, self._process.pid)

    def ended(self) -> int | None:
        """The exit status, or None while it lives."""
        return self._process.poll()

    def run(self, serial: int, fields: dict[str, Any]) -> None:
        self.state, self.serial = "busy", serial
        self.heard_at = time.monotonic()
        self._send({"type": "run", "serial": serial, **fields})

    def cancel(self) -> None:
        self._send({"type": "cancel", "serial": self.serial})

    def finished(self) -> None:
        self.state, self.serial = "idle", None
        self.idle_since = time.monotonic()

    def kill(self) -> None:
        if self.state != "gone":
            self.state = "gone"
            self._process.kill()
            self._process.wait()
            log.info("%s ended", self.name)

    def _send(self, header: dict[str, Any]) -> None:
        try:
            self._socket.send_multipart([self.name.encode(), protocol.pack(header)], zmq.NOBLOCK)
        except zmq.ZMQError as error:
            log.warning("%s cannot be reached: %s", self.name, error)
