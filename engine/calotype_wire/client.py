"""An editor's side of the conversation with the engine. It never blocks the host's loop."""

import itertools
import os
import select
import time
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Deque, Dict, Generator, Iterator, List, Mapping, Optional, Sequence, Set, Tuple, Union

from calotype_wire import params, protocol
from calotype_wire.connection import Connection
from calotype_wire.errors import CalotypeError
from calotype_wire.protocol import Header, Layer, LayerShape, PixelFormat
from calotype_wire.transfer import Download, uploaded
from calotype_wire.zmtp import Dealer

PING_S = 0.5
SILENCE_S = 3.0
"""An engine that answers no ping for so long hangs."""

FETCHES_AHEAD = 16


@dataclass(frozen=True)
class Ready:
    """The handshake is done."""

    engine: str


@dataclass(frozen=True)
class Catalogue:
    operations: List[params.Operation]


@dataclass(frozen=True)
class Progress:
    """fraction: 0..1. seconds_left: None where nobody knows yet. curve: of what learns, its loss so far, at
    even distances over the part that is done.
    """

    job: str
    fraction: float
    stage: str
    seconds_left: Optional[float]
    curve: Tuple[float, ...] = ()


@dataclass(frozen=True)
class Preview:
    """What there is so far of a job, of the layer as it was sent: small, RGB, without the selection."""

    job: str
    picture: Layer


@dataclass(frozen=True)
class Result:
    job: str
    layers: List[Layer]
    facts: Dict[str, Any]


@dataclass(frozen=True)
class Styles:
    """The user's styles and those of the catalogue, and what is unfinished, as docs/protocol.md has them."""

    styles: List[Dict[str, Any]]
    unfinished: List[Dict[str, Any]]


@dataclass(frozen=True)
class Failed:
    """code CANCELLED where the user wanted it so, PAUSED where it can go on.

    job: None where the message belongs to no job.
    """

    job: Optional[str]
    code: str
    sentence: str


Event = Union[Ready, Catalogue, Styles, Progress, Preview, Result, Failed]


@dataclass(frozen=True)
class Request:
    """selection: a one-channel layer in document coordinates. supersedes: a newer preview with the same
    word takes the place of an older one.

    selection_to: 'pixels' blends the result into the layer; 'alpha' returns it unblended with the
    selection in its transparency, for a layer above.
    """

    operation: str
    layers: Sequence[Layer]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    selection: Optional[Layer] = None
    selection_to: str = "pixels"
    priority: str = "interactive"
    supersedes: str = ""


_numbers = itertools.count(1)


def new_job() -> str:
    return f"{os.getpid()}-{next(_numbers)}"


class Client:
    def __init__(self, connection: Connection, name: str) -> None:
        """name: of the editor, for the log. Raises CalotypeError ENGINE_LOST."""
        self._dealer = Dealer(
            connection.endpoint,
            protocol.USER,
            connection.token.encode(),
            protocol.CHUNK_BYTES + 4096,
            self._place,
        )
        self._uploads: Dict[str, Iterator[List[protocol.Buffer]]] = {}
        self._waiting: Dict[str, List[Layer]] = {}  # submitted, not accepted yet
        self._downloads: Dict[str, Download] = {}
        self._events: Deque[Event] = deque()
        self._jobs: Set[str] = set()
        self._styles: List[Dict[str, Any]] = []
        now = time.monotonic()
        self._last_pump = self._last_ping = now
        self._silent_s = 0.0
        self._send({"type": "hello", "versions": list(protocol.VERSIONS), "name": name})

    def fileno(self) -> int:
        return self._dealer.fileno()

    def close(self) -> None:
        self._dealer.close()

    @property
    def jobs(self) -> "frozenset[str]":
        """Submitted and not answered yet."""
        return frozenset(self._jobs)

    @property
    def unaccepted(self) -> "frozenset[str]":
        """Submitted, and the engine has not said a word about them."""
        return frozenset(self._waiting)

    def ask_catalogue(self) -> None:
        self._send({"type": "catalogue"})

    def ask_styles(self, action: str = "list", **fields: Any) -> None:
        """A Styles event follows, or a Failed one without a job. fields: of the action (protocol.md)."""
        self._send({"type": "styles", "action": action, **fields})

    def stop_engine(self) -> None:
        self._send({"type": "stop"})

    def submit(self, request: Request, job: Optional[str] = None) -> str:
        """The job's id, one of new_job(). The layers' bytes must stay as they are until the job has ended."""
        job = job or new_job()
        layers = list(request.layers) + ([request.selection] if request.selection else [])
        header = protocol.pack(
            {
                "type": "submit",
                "job": job,
                "operation": request.operation,
                "parameters": dict(request.parameters),
                "layers": [layer.describe().to_wire() for layer in layers],
                "selection": request.selection is not None,
                "selection_to": request.selection_to,
                "priority": request.priority,
                "supersedes": request.supersedes,
            }
        )
        self._waiting[job] = layers
        self._jobs.add(job)
        self._dealer.send([header])
        return job

    def cancel(self, job: str, pause: bool = False) -> None:
        """A Failed event with code CANCELLED follows, or the result if that was quicker.

        pause: of what learns, keep what it has learnt; the code is PAUSED.
        """
        self._uploads.pop(job, None)
        if self._downloads.pop(job, None):
            self._send({"type": "release", "job": job})
            self._end(Failed(job, "CANCELLED", "Cancelled."))
        elif job in self._jobs:
            self._send({"type": "cancel", "job": job, "pause": pause})

    def pump(self) -> List[Event]:
        """Do what is possible now; what has happened. Raises CalotypeError ENGINE_LOST or REFUSED."""
        self._feed()
        messages = self._dealer.pump()
        self._watch(bool(messages))
        for message in messages:
            self._take(message)
        self._feed()
        if messages:
            self._dealer.pump_out()
        events = list(self._events)
        self._events.clear()
        return events

    def wait(self, timeout_s: float) -> None:
        """For programs without a loop of their own: until pump() has something to do."""
        readable = [self._dealer]
        writable = [self._dealer] if self._uploads or self._dealer.unsent else []
        select.select(readable, writable, [], timeout_s)

    def run(self, request: Request) -> Iterator[Event]:
        """Blocking: submit and yield events until the job has ended."""
        job = self.submit(request)
        while job in self._jobs:
            self.wait(0.1)
            yield from self.pump()

    def _send(self, header: Header) -> None:
        self._dealer.send([protocol.pack(header)])

    def _watch(self, heard: bool) -> None:
        now = time.monotonic()
        # A host that was itself stopped or busy must not blame the engine: long gaps count little.
        self._silent_s = 0.0 if heard else self._silent_s + min(now - self._last_pump, PING_S)
        self._last_pump = now
        if self._silent_s > SILENCE_S:
            raise _hung()
        if now - self._last_ping > PING_S:
            self._last_ping = now
            self._send({"type": "ping"})

    def _feed(self) -> None:
        """One more chunk of an upload whenever the last has gone: a cancel never waits behind pixels."""
        for job, chunks in list(self._uploads.items()):
            for _ in range(8):  # the host's loop wants its turn, however fast the engine takes them
                if self._dealer.unsent >= 2:
                    break
                chunk = next(chunks, None)
                if chunk is None:
                    del self._uploads[job]
                    break
                self._dealer.send(chunk)
                self._dealer.pump_out()

    def _place(self, first: protocol.Buffer, size: int) -> Optional[memoryview]:
        """Where a chunk's payload belongs, so that the socket can put it there."""
        header = protocol.unpack(first)
        download = self._downloads.get(header.get("job", ""))
        return download.place(header, size) if download and header.get("type") == "chunk" else None

    def _take(self, message: List[protocol.Buffer]) -> None:
        header = protocol.unpack(message[0])
        kind = header.get("type")
        if kind == "welcome":
            self._events.append(Ready(protocol.get(header, "engine", str)))
        elif kind == "catalogue":
            self._events.append(Catalogue(params.catalogue_from_wire(header["operations"])))
        elif kind == "styles":
            self._take_styles(header)
        elif kind == "error" and header.get("job") is None:
            if header.get("code") == "VERSION":
                raise CalotypeError("VERSION", protocol.get(header, "sentence", str))
            self._events.append(Failed(None, header["code"], header["sentence"]))
        elif header.get("job") in self._jobs:
            self._take_job(kind, header, message[1:])

    def _take_styles(self, header: Header) -> None:
        """A long list comes in several messages."""
        self._styles += protocol.get(header, "styles", list)
        if not header.get("more"):
            self._events.append(Styles(self._styles, protocol.get(header, "unfinished", list)))
            self._styles = []

    def _take_job(self, kind: Any, header: Header, payload: List[protocol.Buffer]) -> None:
        job = header["job"]
        if kind == "accepted" and job in self._waiting:
            self._uploads[job] = uploaded(job, self._waiting.pop(job))
        elif kind == "progress":
            left, curve = header.get("seconds_left"), tuple(header.get("curve", ()))
            self._events.append(Progress(job, header["fraction"], header["stage"], left, curve))
        elif kind == "preview" and payload:
            self._events += _previews(job, header, payload[0])
        elif kind == "result":
            shapes = [LayerShape.from_wire(layer) for layer in protocol.get(header, "layers", list)]
            download = Download(job, shapes, protocol.get(header, "facts", dict))
            self._downloads[job] = download
            self._fetch(download)
        elif kind == "chunk" and job in self._downloads and payload:
            download = self._downloads[job]
            download.put(header, payload[0])
            self._fetch(download)
        elif kind == "error":
            self._end(Failed(job, header["code"], header["sentence"]))

    def _fetch(self, download: Download) -> None:
        while download.outstanding < FETCHES_AHEAD:
            fetch = download.next_fetch()
            if fetch is None:
                break
            self._send(fetch)
        if download.complete:
            self._send({"type": "release", "job": download.job})
            self._end(Result(download.job, download.layers(), download.facts))

    def _end(self, event: Union[Result, Failed]) -> None:
        if event.job is not None:
            self._jobs.discard(event.job)
            self._waiting.pop(event.job, None)
            self._uploads.pop(event.job, None)
            self._downloads.pop(event.job, None)
        self._events.append(event)


def _previews(job: str, header: Header, payload: protocol.Buffer) -> List[Event]:
    """None where the picture is not as large as it says: the result will show what is wrong."""
    width, height = (protocol.get_count(header, side, protocol.PREVIEW_PX) for side in ("width", "height"))
    if not width or len(payload) != 3 * width * height:
        return []
    return [Preview(job, Layer(width, height, PixelFormat("RGB"), bytes(payload)))]


def connecting(
    connection: Connection, name: str, timeout_s: float = SILENCE_S
) -> Generator[None, None, Client]:
    """For a host's loop: to be resumed until it returns a Client whose handshake is done.

    Raises CalotypeError.
    """
    client = Client(connection, name)
    deadline = time.monotonic() + timeout_s
    with ExitStack() as unless_ready:
        unless_ready.callback(client.close)
        while time.monotonic() < deadline:
            for event in client.pump():
                if isinstance(event, Ready):
                    unless_ready.pop_all()
                    return client
                if isinstance(event, Failed):
                    raise CalotypeError(event.code, event.sentence)
            yield
        raise _hung()


def connect(connection: Connection, name: str, timeout_s: float = SILENCE_S) -> Client:
    """Blocking: a Client whose handshake is done. Raises CalotypeError."""
    steps = connecting(connection, name, timeout_s)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            client: Client = done.value
            return client
        time.sleep(0.002)


def _hung() -> CalotypeError:
    return CalotypeError(
        "ENGINE_HUNG",
        "The Calotype engine does not answer. Try again in a minute; if that does not help, run "
        "'calotype stop' or restart the computer.",
    )
