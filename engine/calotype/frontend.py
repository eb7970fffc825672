"""The engine's socket for editors: who is there, and messages that no slow reader can pile up."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import zmq

from calotype_wire import protocol
from calotype_wire.errors import CalotypeError
from calotype_wire.protocol import Header

CLIENTS_MAX = 64
OUTBOX_MAX = 512
_PASSING = ("progress", "preview", "pong", "alive")
"""Messages that the next of their kind makes up for when one is dropped."""


def bind(context: "zmq.Context[zmq.Socket[bytes]]", domain: str) -> "zmq.Socket[bytes]":
    """A ROUTER on a loopback port of the system's choice that takes PLAIN passwords of that ZAP domain."""
    socket = context.socket(zmq.ROUTER)
    socket.zap_domain = domain.encode()
    socket.plain_server = True
    socket.router_mandatory = True
    socket.maxmsgsize = protocol.CHUNK_BYTES + protocol.HEADER_BYTES_MAX
    socket.sndhwm = socket.rcvhwm = 32
    socket.handshake_ivl = 5000
    socket.linger = 500
    socket.backlog = 512
    socket.bind("tcp://127.0.0.1:*")
    return socket


def received(socket: "zmq.Socket[bytes]") -> Iterator[tuple[bytes, list[memoryview]]]:
    """Some of the messages that wait, with their sender: no peer can keep the server for itself."""
    for _ in range(64):
        try:
            sender, *frames = socket.recv_multipart(zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return
        yield bytes(sender.buffer), [frame.buffer for frame in frames]


class Frontend:
    """gone: called with an editor that has left."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", gone: Callable[[bytes], None]) -> None:
        self.socket = bind(context, "editors")
        self.endpoint = self.socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self.clients: dict[bytes, str] = {}
        self._gone = gone
        self._outboxes: dict[bytes, deque[list[Any]]] = {}

    @property
    def waiting(self) -> bool:
        return bool(self._outboxes)

    def welcome(self, client: bytes, name: str) -> None:
        """Raises CalotypeError BUSY."""
        if client not in self.clients and len(self.clients) >= CLIENTS_MAX:
            raise CalotypeError("BUSY", "Too many editors are connected. Close some, then try again.")
        self.clients[client] = name

    def send(self, client: bytes, header: Header, payload: memoryview | None = None) -> None:
        """Now, or when the editor reads again. payload is not copied."""
        parts: list[Any] = [client, protocol.pack(header)]
        if payload is not None:
            parts.append(payload)
        if client not in self._outboxes and self._push(parts):
            return
        if header["type"] in _PASSING or client not in self.clients:
            return
        outbox = self._outboxes.setdefault(client, deque())
        outbox.append(parts)
        if len(outbox) > OUTBOX_MAX:
            self._lose(client)

    def flush(self) -> None:
        for client, outbox in list(self._outboxes.items()):
            while outbox and self._push(outbox[0]):
                outbox.popleft()
            if not outbox:
                self._outboxes.pop(client, None)

    def find_lost(self) -> None:
        """Say something to everybody: ROUTER_MANDATORY tells who has left."""
        for client in list(self.clients):
            self.send(client, {"type": "alive"})

    def _push(self, parts: list[Any]) -> bool:
        """False where the editor reads too slowly now."""
        try:
            self.socket.send_multipart(parts, zmq.NOBLOCK, copy=len(parts) < 3)
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self._lose(parts[0])
        return True

    def _lose(self, client: bytes) -> None:
        self._outboxes.pop(client, None)
        if self.clients.pop(client, None) is not None:
            self._gone(client)
