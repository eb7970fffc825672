"""A ZeroMQ DEALER in pure Python, because editors cannot load compiled modules.

Sources: RFC 23 (ZMTP 3.0), RFC 24 (PLAIN), RFC 37 (ZMTP 3.1: PING and PONG).
"""

import errno
import socket
import struct
from collections import deque
from typing import Callable, Deque, Generator, List, Optional, Sequence, Tuple, Union

from calotype_wire.errors import CalotypeError

Buffer = Union[bytes, bytearray, memoryview]

MORE, LONG, COMMAND = 1, 2, 4
COMMAND_BYTES_MAX = 4096
_READ_BYTES = 64 * 1024
_WOULD_BLOCK = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINPROGRESS, getattr(errno, "WSAEWOULDBLOCK", -1))


def lost(why: str) -> CalotypeError:
    return CalotypeError("ENGINE_LOST", f"The connection to the Calotype engine was lost ({why}). Try again.")


class Dealer:
    """Never blocks: call pump() when the host's loop says that there is something to do.

    Raises CalotypeError from pump(): ENGINE_LOST when the peer goes or breaks the protocol, REFUSED when
    it does not take the password.
    """

    def __init__(
        self,
        endpoint: str,
        user: bytes,
        password: bytes,
        frame_bytes_max: int,
        place: Callable[[Buffer, int], Optional[memoryview]] = lambda header, size: None,
    ) -> None:
        """endpoint: tcp://HOST:PORT, the host a number. frame_bytes_max: longer frames end the connection.

        place: asked with a message's first frame and the size of a large second one; the memory that it
        names, of that size, receives it without a copy.
        """
        self.frame_bytes_max = frame_bytes_max
        self.ready = False
        self._user, self._password = user, password
        self._outgoing: Deque[memoryview] = deque()
        self._held: List[Sequence[Buffer]] = []  # messages that wait for the handshake
        self._received: List[List[Buffer]] = []
        self._read_ahead = bytearray()
        self._place = place
        self._placed: Optional[memoryview] = None
        self._large: Optional[Tuple[memoryview, int]] = None
        self._protocol = self._converse()
        self._socket = _connect(endpoint)
        self._needed = next(self._protocol)

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    @property
    def unsent(self) -> int:
        """Buffers that wait to be written."""
        return len(self._outgoing) + len(self._held)

    def send(self, parts: Sequence[Buffer]) -> None:
        """Queue a message. Buffers are not copied: leave them unchanged until they are sent."""
        if not self.ready:
            self._held.append(parts)
            return
        for index, part in enumerate(parts):
            self._frame(part, MORE if index + 1 < len(parts) else 0)

    def pump(self) -> List[List[Buffer]]:
        """Read and write what is possible now; the messages that came."""
        self.pump_out()
        try:
            self._read()
        finally:
            messages, self._received = self._received, []
        self.pump_out()
        return messages

    def _frame(self, body: Buffer, flags: int) -> None:
        size = len(body)
        head = struct.pack(">BB", flags, size) if size < 256 else struct.pack(">BQ", flags | LONG, size)
        if size < _READ_BYTES:  # one small buffer rather than two
            self._outgoing.append(memoryview(head + bytes(body)))
        else:
            self._outgoing.append(memoryview(head))
            self._outgoing.append(memoryview(body))

    def pump_out(self) -> None:
        """Write what is possible now."""
        while self._outgoing:
            batch = [self._outgoing[i] for i in range(min(16, len(self._outgoing)))]
            try:
                sent = (
                    self._socket.sendmsg(batch)
                    if hasattr(self._socket, "sendmsg")
                    else self._socket.send(batch[0])
                )
            except OSError as error:
                if error.errno in _WOULD_BLOCK:
                    return
                raise lost(error.strerror or "sending failed") from error
            while sent:
                first = self._outgoing[0]
                if sent < len(first):
                    self._outgoing[0] = first[sent:]
                    return
                sent -= len(first)
                self._outgoing.popleft()

    def _read(self) -> None:
        """At most about 4 MiB a call, so that a fast engine cannot hold up the host's loop."""
        budget = 4 << 20
        while budget > 0:
            try:
                budget -= self._read_some()
            except OSError as error:
                if error.errno in _WOULD_BLOCK:
                    return
                raise lost(error.strerror or "receiving failed") from error

    def _read_some(self) -> int:
        if self._large is not None:
            buffer, filled = self._large
            count = self._socket.recv_into(buffer[filled:])
            if not count:
                raise lost("the engine has ended")
            if filled + count < len(buffer):
                self._large = (buffer, filled + count)
            else:
                self._large = None
                self._advance(buffer)
            return count
        data = self._socket.recv(_READ_BYTES)
        if not data:
            raise lost("the engine has ended")
        self._read_ahead += data
        self._digest()
        return len(data)

    def _digest(self) -> None:
        """Give the conversation what it waits for, as far as it is there."""
        start = 0
        ahead = self._read_ahead
        while self._large is None and len(ahead) - start >= self._needed:
            end = start + self._needed
            piece = bytes(ahead[start:end])
            start = end
            self._advance(piece)
        del ahead[:start]
        if self._large is None and self._needed > _READ_BYTES:  # the rest goes straight into place
            buffer = self._placed or memoryview(bytearray(self._needed))
            self._placed = None
            buffer[: len(ahead)] = ahead
            self._large = (buffer, len(ahead))
            ahead.clear()

    def _advance(self, piece: Buffer) -> None:
        self._needed = self._protocol.send(piece)

    def _converse(self) -> Generator[int, Buffer, None]:
        """The whole protocol as one story: yields how many bytes it needs next, and gets them."""
        greeting = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + b"PLAIN".ljust(20, b"\0") + bytes(32)
        self._outgoing.append(memoryview(greeting))
        theirs = bytes((yield 64))
        if theirs[0] != 0xFF or theirs[9] != 0x7F or theirs[10] < 3:
            raise lost("something that is not Calotype answers there")
        if theirs[12:32].rstrip(b"\0") != b"PLAIN":
            raise lost("it does not ask for the password")
        self._command(b"HELLO", _short(self._user) + _short(self._password))
        yield from self._expect(b"WELCOME")
        metadata = _short(b"Socket-Type") + _long(b"DEALER") + _short(b"Identity") + _long(b"")
        self._command(b"INITIATE", metadata)
        yield from self._expect(b"READY")
        self.ready = True
        held, self._held = self._held, []
        for parts in held:
            self.send(parts)
        message: List[Buffer] = []
        while True:
            flags, body = yield from self._incoming(message[0] if len(message) == 1 else None)
            if flags & COMMAND:
                self._answer(bytes(body))
                continue
            message.append(body)
            if len(message) > 8:
                raise lost("a message with too many parts")
            if not flags & MORE:
                self._received.append(message)
                message = []

    def _incoming(self, header: Optional[Buffer] = None) -> Generator[int, Buffer, Tuple[int, Buffer]]:
        flags = (yield 1)[0]
        if flags & ~(MORE | LONG | COMMAND):
            raise lost("a frame with unknown flags")
        size = struct.unpack(">Q", (yield 8))[0] if flags & LONG else (yield 1)[0]
        if size > (COMMAND_BYTES_MAX if flags & COMMAND else self.frame_bytes_max):
            raise lost("a frame that is too large")
        if header is not None and size > _READ_BYTES:
            self._placed = self._place(header, size)
        body: Buffer = (yield size) if size else b""
        return flags, body

    def _expect(self, name: bytes) -> Generator[int, Buffer, None]:
        flags, body = yield from self._incoming()
        command = bytes(body)
        if not flags & COMMAND:
            raise lost("a message before the handshake")
        if command.startswith((_short(b"ERROR"), b"^RROR")):  # libzmq 4.3.5 writes "\x5ERROR" in C
            raise CalotypeError(
                "REFUSED",
                "The Calotype engine did not accept this editor. Close the editors, run "
                "'calotype stop', and try again.",
            )
        if not command.startswith(_short(name)):
            raise lost("an unexpected step in the handshake")

    def _command(self, name: bytes, data: bytes) -> None:
        self._frame(_short(name) + data, COMMAND)

    def _answer(self, command: bytes) -> None:
        if command.startswith(_short(b"PING")):  # then two bytes of time to live, then a context to echo
            self._command(b"PONG", command[7 : 7 + 16])


def _short(data: bytes) -> bytes:
    return bytes([len(data)]) + data


def _long(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _connect(endpoint: str) -> socket.socket:
    scheme, _, address = endpoint.partition("://")
    host, _, port = address.rpartition(":")
    if scheme != "tcp" or not host or not port.isdigit():
        raise lost(f"{endpoint[:80]!r} is not an address of an engine")
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.setblocking(False)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    status = connection.connect_ex((host, int(port)))
    if status and status not in _WOULD_BLOCK:
        connection.close()
        raise lost("nothing answers there")
    return connection
