"""The engine's front: sockets, authentication, jobs, results. It never imports torch and never computes."""

import logging
import logging.handlers
import os
import secrets
import signal
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import zmq
from zmq.auth.thread import ThreadAuthenticator

from calotype import catalogue, segments
from calotype.scheduler import Job, Scheduler
from calotype.version import VERSION
from calotype.workers import Worker
from calotype_wire import params, places, protocol
from calotype_wire.connection import Connection
from calotype_wire.connection import load as load_connection
from calotype_wire.errors import CalotypeError
from calotype_wire.protocol import Header, LayerShape, get, get_count, get_id

log = logging.getLogger(__name__)

CLIENTS_MAX = 64
OUTBOX_MAX = 512
ALIVE_S = 0.25
PROGRESS_S = 0.05


@dataclass(frozen=True)
class Settings:
    """unload_s: an idle worker ends, and its memory is free. exit_s: an unused engine ends.

    silence_s: a worker that says nothing for so long in a job is stuck. cancel_s: how long it may take to
    notice a cancel. keep_s: an upload that stalls, or a result that nobody fetches, is dropped.
    """

    unload_s: float = 300.0
    exit_s: float = 900.0
    silence_s: float = 90.0
    cancel_s: float = 3.0
    keep_s: float = 600.0
    devices: int = 1


@dataclass
class Work:
    """What the server holds of a job's pixels."""

    serial: int
    fields: dict[str, Any]
    uploads: list[memoryview]
    missing_bytes: int
    results: list[memoryview]
    began_at: float = 0.0
    progressed_at: float = 0.0


class Server:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.token = secrets.token_hex(32)
        self._context = zmq.Context()
        self._auth = ThreadAuthenticator(self._context)
        self._auth.start()
        worker_token = secrets.token_hex(32)
        self._auth.configure_plain("editors", {protocol.USER.decode(): self.token})
        self._auth.configure_plain("workers", {protocol.USER.decode(): worker_token})
        self._front, self.endpoint = self._bind(b"editors")
        self._back, self._back_endpoint = self._bind(b"workers")
        self._worker_token = worker_token
        self._store = segments.Store()
        self._scheduler = Scheduler()
        self._serials: dict[int, Job] = {}
        self._clients: dict[bytes, str] = {}
        self._outboxes: dict[bytes, deque[list[Any]]] = {}
        self._workers: list[Worker] = []
        self._devices = settings.devices
        self._generation = 0
        self._failed_starts = 0
        self._operations: list[params.Operation] | None = catalogue.load_cached()
        self._await_catalogue: list[tuple[bytes, Header]] = []
        self._used_at = time.monotonic()
        self._alive_at = 0.0
        self._stopping = False

    def _bind(self, domain: bytes) -> tuple["zmq.Socket[bytes]", str]:
        socket = self._context.socket(zmq.ROUTER)
        socket.zap_domain = domain
        socket.plain_server = True
        socket.router_mandatory = True
        socket.maxmsgsize = protocol.CHUNK_BYTES + protocol.HEADER_BYTES_MAX
        socket.sndhwm = socket.rcvhwm = 32
        socket.handshake_ivl = 5000
        socket.linger = 500
        socket.backlog = 512
        socket.bind("tcp://127.0.0.1:*")
        return socket, socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def stop(self, *_: object) -> None:
        self._stopping = True

    def run(self) -> None:
        """Until stop(), or until nobody has needed the engine for settings.exit_s."""
        poller = zmq.Poller()
        poller.register(self._front, zmq.POLLIN)
        poller.register(self._back, zmq.POLLIN)
        self._start_worker(0)
        while not self._stopping:
            busy = self._scheduler.active() or any(self._outboxes.values()) or self._await_catalogue
            ready = dict(poller.poll(20 if busy else 250))
            if self._back in ready:
                self._drain(self._back, self._from_worker)
            if self._front in ready:
                self._drain(self._front, self._from_client)
            self._tick()
        log.info("the engine ends")

    def close(self) -> None:
        for worker in self._workers:
            worker.kill()
        self._auth.stop()
        self._context.destroy(linger=500)
        self._store.close()

    def _drain(self, socket: "zmq.Socket[bytes]", handle: Any) -> None:
        """Some messages and then the other duties: no peer can keep the server for itself."""
        for _ in range(64):
            try:
                frames = socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            handle(bytes(frames[0].buffer), [frame.buffer for frame in frames[1:]])

    # ---- editors

    def _from_client(self, client: bytes, frames: list[memoryview]) -> None:
        self._used_at = time.monotonic()
        job: str | None = None
        try:
            if not 1 <= len(frames) <= 2:
                raise protocol.bad_request("A message has a header and at most one payload.")
            header = protocol.unpack(frames[0])
            kind = get(header, "type", str)
            if header.get("job") is not None:
                job = get_id(header)
            if kind == "hello":
                self._hello(client, header)
                return
            if client not in self._clients:
                raise CalotypeError(
                    "VERSION", "The first message must be a 'hello' with the versions you speak."
                )
            if kind == "chunk":
                self._chunk(client, header, frames[1] if len(frames) == 2 else memoryview(b""))
                return
            handlers = {
                "ping": self._ping,
                "catalogue": self._catalogue,
                "submit": self._submit,
                "cancel": self._cancel,
                "fetch": self._fetch,
                "release": self._release,
                "stop": self._stop_request,
            }
            if kind not in handlers:
                raise protocol.bad_request(f"There is no message '{kind[:40]}'.")
            handlers[kind](client, header)
        except CalotypeError as failure:
            log.info("refused: %s %s", failure.code, failure.sentence)
            self._send(client, protocol.error(failure, job))

    def _hello(self, client: bytes, header: Header) -> None:
        version = protocol.negotiate(get(header, "versions", list))
        if client not in self._clients and len(self._clients) >= CLIENTS_MAX:
            raise CalotypeError("BUSY", "Too many editors are connected. Close some, then try again.")
        self._clients[client] = get(header, "name", str)[:80]
        log.info("hello from %s", self._clients[client])
        self._send(client, {"type": "welcome", "version": version, "engine": VERSION})

    def _ping(self, client: bytes, header: Header) -> None:
        self._send(client, {"type": "pong", "jobs": len(self._scheduler.active())})

    def _stop_request(self, client: bytes, header: Header) -> None:
        self._send(client, {"type": "stopping"})
        self.stop()

    def _catalogue(self, client: bytes, header: Header) -> None:
        if self._operations is None:
            self._await_catalogue.append((client, header))
            return
        wire = [operation.to_wire() for operation in self._operations]
        self._send(client, {"type": "catalogue", "operations": wire})

    def _submit(self, client: bytes, header: Header) -> None:
        if self._operations is None:
            if len(self._await_catalogue) >= OUTBOX_MAX:
                raise CalotypeError("BUSY", "The engine is still starting. Try again in a moment.")
            self._await_catalogue.append((client, header))
            return
        job, fields, shapes = self._checked(client, header)
        size = sum(shape.total_bytes for shape in shapes)
        older = self._scheduler.add(job)
        try:
            segments.check_memory(2 * size)  # the result is about as large as the picture
            serial = self._new_serial(job)
            folders = self._store.folders(str(serial))
            paths = [segments.create(folders, f"in-{i}", shape.total_bytes) for i, shape in enumerate(shapes)]
        except CalotypeError:
            self._scheduler.forget(job)
            raise
        for superseded in older:
            self._end(superseded, CalotypeError("CANCELLED", "A newer preview took its place."))
        fields["layers"] = [
            {**shape.to_wire(), "path": str(path)} for shape, path in zip(shapes, paths, strict=True)
        ]
        fields["folders"] = [str(folder) for folder in folders]
        job.order = Work(serial, fields, [segments.open_map(path, True) for path in paths], size, [])
        job.touched_at = time.monotonic()
        self._send(client, {"type": "accepted", "job": job.id})

    def _checked(self, client: bytes, header: Header) -> tuple[Job, dict[str, Any], list[LayerShape]]:
        assert self._operations is not None
        operation = params.find(self._operations, get(header, "operation", str))
        fields: dict[str, Any] = {
            "operation": operation.name,
            "parameters": operation.check(get(header, "parameters", dict)),
            "selection": get(header, "selection", bool),
            "selection_to": get(header, "selection_to", str),
        }
        if fields["selection_to"] not in ("pixels", "alpha"):
            raise protocol.bad_request("The field 'selection_to' must be 'pixels' or 'alpha'.")
        wire = get(header, "layers", list)
        if not 1 + fields["selection"] <= len(wire) <= protocol.LAYERS_MAX:
            raise protocol.bad_request("A job needs at least one layer, and not more than 64.")
        shapes = [LayerShape.from_wire(layer) for layer in wire]
        if fields["selection"] and len(shapes[-1].format.channels) != 1:
            raise protocol.bad_request("A selection must have one channel.")
        priority = get(header, "priority", str)
        if priority not in protocol.PRIORITIES:
            raise protocol.bad_request(f"The priority must be one of {', '.join(protocol.PRIORITIES)}.")
        job = Job(client, get_id(header), priority, get(header, "supersedes", str)[:64])
        return job, fields, shapes

    def _new_serial(self, job: Job) -> int:
        serial = max(self._serials, default=0) + 1
        self._serials[serial] = job
        return serial

    def _chunk(self, client: bytes, header: Header, payload: memoryview) -> None:
        job = self._scheduler.get(client, get_id(header))
        if job is None or job.state != "uploading":
            return  # of a job that was cancelled while its chunks were under way
        work: Work = job.order
        upload = work.uploads[get_count(header, "layer", len(work.uploads) - 1)]
        offset = get_count(header, "offset", max(0, len(upload) - len(payload)))
        if not payload or offset + len(payload) > len(upload) or len(payload) > work.missing_bytes:
            self._end(job, protocol.bad_request("The layer's bytes do not match its size."))
            return
        upload[offset : offset + len(payload)] = payload
        work.missing_bytes -= len(payload)
        job.touched_at = time.monotonic()
        if work.missing_bytes == 0:
            work.uploads = []
            self._scheduler.enqueue(job)
            self._dispatch()

    def _cancel(self, client: bytes, header: Header) -> None:
        job = self._scheduler.get(client, get_id(header))
        if job is None or job.state == "done":
            return  # the answer is under way
        if job.state == "running":
            job.cancelled_at = time.monotonic()
            for worker in self._workers:
                if worker.serial == job.order.serial:
                    worker.cancel()
        else:
            self._end(job, CalotypeError("CANCELLED", "Cancelled."))

    def _fetch(self, client: bytes, header: Header) -> None:
        job = self._scheduler.get(client, get_id(header))
        if job is None or job.state != "done":
            raise CalotypeError("EXPIRED", "The result is no longer there. Run the filter again.")
        results: list[memoryview] = job.order.results
        index = get_count(header, "layer", len(results) - 1)
        size = get_count(header, "bytes", min(protocol.CHUNK_BYTES, len(results[index])))
        offset = get_count(header, "offset", len(results[index]) - size)
        job.touched_at = time.monotonic()
        answer = {"type": "chunk", "job": job.id, "layer": index, "offset": offset}
        self._send(client, answer, results[index][offset : offset + size])

    def _release(self, client: bytes, header: Header) -> None:
        job = self._scheduler.get(client, get_id(header))
        if job is not None and job.state == "done":
            self._forget(job)

    def _send(self, client: bytes, header: Header, payload: memoryview | None = None) -> None:
        parts: list[Any] = [client, protocol.pack(header)]
        if payload is not None:
            parts.append(payload)
        outbox = self._outboxes.get(client)
        if not outbox and self._push(parts):
            return
        if header["type"] in ("progress", "pong", "alive") or client not in self._clients:
            return
        outbox = self._outboxes.setdefault(client, deque())
        outbox.append(parts)
        if len(outbox) > OUTBOX_MAX:
            self._gone(client)

    def _push(self, parts: list[Any]) -> bool:
        """False where the editor reads too slowly now."""
        try:
            self._front.send_multipart(parts, zmq.NOBLOCK, copy=len(parts) < 3)
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self._gone(parts[0])
        return True

    def _gone(self, client: bytes) -> None:
        name = self._clients.pop(client, None)
        self._outboxes.pop(client, None)
        if name is not None:
            log.info("%s has gone", name)
        for job in self._scheduler.of(client):
            if job.state == "running":
                self._cancel(client, {"job": job.id})
            else:
                self._forget(job)

    # ---- workers

    def _start_worker(self, device: int) -> None:
        self._generation += 1
        self._workers.append(
            Worker(self._back, self._back_endpoint, self._worker_token, device, self._generation)
        )

    def _from_worker(self, name: bytes, frames: list[memoryview]) -> None:
        worker = next((w for w in self._workers if w.name.encode() == name), None)
        if worker is None:
            return  # killed meanwhile
        header = protocol.unpack(frames[0])
        worker.heard_at = time.monotonic()
        kind = header["type"]
        if kind == "ready":
            self._worker_ready(worker, header)
            return
        if header.get("serial") != worker.serial or worker.serial is None:
            return
        job = self._serials[worker.serial]
        if kind == "progress":
            self._progress(job, header)
            return
        if kind == "result":
            self._result(job, header)
        elif kind == "failed":
            self._end(job, CalotypeError(header["code"], header["sentence"]))
        if kind != "alive":
            worker.finished()
            self._dispatch()

    def _worker_ready(self, worker: Worker, header: Header) -> None:
        worker.finished()
        self._failed_starts = 0
        self._devices = max(self.settings.devices, header["devices"])
        self._operations = params.catalogue_from_wire(header["operations"])
        catalogue.save_cached(self._operations)
        waiting, self._await_catalogue = self._await_catalogue, []
        for client, message in waiting:
            self._from_client(client, [memoryview(protocol.pack(message))])
        self._dispatch()

    def _dispatch(self) -> None:
        idle = [worker for worker in self._workers if worker.state == "idle"]
        while idle and (job := self._scheduler.next()):
            job.order.began_at = time.monotonic()
            idle.pop().run(job.order.serial, job.order.fields)
        if self._scheduler.waiting() and len(self._workers) < self._devices:
            used = {worker.device for worker in self._workers}
            self._start_worker(min(set(range(self._devices)) - used))

    def _progress(self, job: Job, header: Header) -> None:
        work: Work = job.order
        now = time.monotonic()
        if now - work.progressed_at < PROGRESS_S:
            return
        work.progressed_at = now
        fraction = float(header["fraction"])
        left = (now - work.began_at) * (1 - fraction) / fraction if fraction > 0.02 else None
        message = {"type": "progress", "job": job.id, "fraction": fraction, "stage": header["stage"]}
        self._send(job.client, {**message, "seconds_left": left})

    def _result(self, job: Job, header: Header) -> None:
        work: Work = job.order
        if job.client not in self._clients:
            self._forget(job)
            return
        if job.cancelled_at is not None:
            self._end(job, CalotypeError("CANCELLED", "Cancelled."))
            return
        work.results = [segments.open_map(Path(path), False) for path in header["paths"]]
        seconds = time.monotonic() - work.began_at
        log.info("%s done in %.2f s", work.fields["operation"], seconds)
        job.state = "done"
        job.touched_at = time.monotonic()
        facts = {**header["facts"], "seconds": seconds}
        self._send(job.client, {"type": "result", "job": job.id, "layers": header["layers"], "facts": facts})

    def _end(self, job: Job, failure: CalotypeError) -> None:
        """Answer a job that has no result."""
        log.info("job ended: %s %s", failure.code, failure.sentence)
        if job.state == "running" and job.cancelled_at is not None:
            failure = CalotypeError("CANCELLED", "Cancelled.")
        self._forget(job)
        self._send(job.client, protocol.error(failure, job.id))

    def _forget(self, job: Job) -> None:
        self._scheduler.forget(job)
        if job.order is not None:
            self._serials.pop(job.order.serial, None)
            self._store.drop(str(job.order.serial))

    # ---- time

    def _tick(self) -> None:
        now = time.monotonic()
        for client, outbox in list(self._outboxes.items()):
            while outbox and self._push(outbox[0]):
                outbox.popleft()
            if not outbox:
                self._outboxes.pop(client, None)
        for worker in list(self._workers):
            self._watch(worker, now)
        if now - self._alive_at < ALIVE_S:
            return
        self._alive_at = now
        for client in list(self._clients):  # ROUTER_MANDATORY tells who has gone
            self._send(client, {"type": "alive"})
        for job in self._scheduler:
            if job.state in ("uploading", "done") and now - job.touched_at > self.settings.keep_s:
                if job.state == "done":
                    self._forget(job)
                else:
                    self._end(
                        job, CalotypeError("TIMEOUT", "The picture did not arrive. Run the filter again.")
                    )
        if len(self._scheduler) == 0 and now - self._used_at > self.settings.exit_s:
            self.stop()
        self._start_missing()

    def _watch(self, worker: Worker, now: float) -> None:
        job = self._serials.get(worker.serial) if worker.serial is not None else None
        status = worker.ended()
        if status is not None:
            self._lose(worker, self._why_ended(status))
        elif worker.state == "starting" and now - worker.heard_at > self.settings.silence_s:
            self._lose(worker, CalotypeError("WORKER_LOST", "The models did not load in time. Try again."))
        elif job and job.cancelled_at and now - job.cancelled_at > self.settings.cancel_s:
            self._lose(worker, CalotypeError("CANCELLED", "Cancelled."))
        elif job and now - worker.heard_at > self.settings.silence_s:
            sentence = "The model got stuck and was stopped. Try again, or select a smaller part."
            self._lose(worker, CalotypeError("WORKER_LOST", sentence))
        elif worker.state == "idle" and now - worker.idle_since > self.settings.unload_s:
            worker.kill()
            self._workers.remove(worker)

    @staticmethod
    def _why_ended(status: int) -> CalotypeError:
        if status == -signal.SIGKILL if hasattr(signal, "SIGKILL") else False:
            return CalotypeError(
                "OUT_OF_MEMORY",
                "The system stopped the model, most likely because memory ran out. Close other programs, or "
                "select a smaller part.",
            )
        folder = places.log_file().parent
        return CalotypeError(
            "WORKER_LOST", f"The model's process ended ({status}). Try again. Details: {folder}"
        )

    def _lose(self, worker: Worker, failure: CalotypeError) -> None:
        log.warning("%s lost: %s", worker.name, failure.sentence)
        if worker.state == "starting":
            self._failed_starts += 1
        job = self._serials.get(worker.serial) if worker.serial is not None else None
        worker.kill()
        self._workers.remove(worker)
        if job is not None:
            self._end(job, failure)

    def _start_missing(self) -> None:
        if self._workers or not (self._scheduler.waiting() or self._await_catalogue):
            return
        if self._failed_starts < 3:
            self._start_worker(0)
            return
        self._failed_starts = 0
        sentence = "The Calotype engine is damaged. Run 'python3 install.py' again to repair it. Details: "
        broken = CalotypeError("ENGINE_BROKEN", sentence + str(places.log_file().parent))
        waiting, self._await_catalogue = self._await_catalogue, []
        for client, header in waiting:
            self._send(client, protocol.error(broken, header.get("job")))
        for job in self._scheduler.active():
            self._end(job, broken)


def serve(settings: Settings) -> None:
    """Run the engine of this user, or say on the screen who runs it already.

    Raises CalotypeError where the engine's folder cannot be used.
    """
    lock = _lock()
    if lock is None:
        owner = load_connection(places.connection_file())
        print(f"The Calotype engine runs already, process {owner.pid if owner else 'unknown'}.")  # noqa: T201
        return
    with lock:
        _log_to_file()
        server = Server(settings)
        path = places.connection_file()
        try:
            Connection(server.endpoint, server.token, os.getpid(), VERSION).save(path)
            signal.signal(signal.SIGTERM, server.stop)
            signal.signal(signal.SIGINT, server.stop)
            log.info("Calotype %s listens at %s", VERSION, server.endpoint)
            server.run()
        finally:
            path.unlink(missing_ok=True)
            server.close()


def _lock() -> filelock.FileLock | None:
    """The lock of the only engine, or None where another holds it."""
    folder = places.run_dir()
    path = folder / "engine.lock"
    try:
        places.make_private(folder)
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise PermissionError(f"{path} is not a plain file. Remove it and start again.")
        lock = filelock.FileLock(path, mode=0o600)
        lock.acquire(blocking=False)
    except filelock.Timeout:
        return None
    except (OSError, NotImplementedError) as error:
        raise CalotypeError(
            "NO_RUN_FOLDER",
            f"The engine cannot use its folder {folder} ({error}). Make it writable, or set CALOTYPE_HOME to "
            "a folder on a local disk.",
        ) from error
    return lock


def _log_to_file() -> None:
    path = places.log_file()
    logging.raiseExceptions = False  # a full disk must not stop the engine
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler: logging.Handler = logging.handlers.RotatingFileHandler(
            path, maxBytes=1 << 20, backupCount=2, encoding="utf-8"
        )
    except OSError:
        handler = logging.StreamHandler(sys.stderr)
    sys.excepthook = lambda *failure: log.critical("the engine ends by a bug", exc_info=failure)
    logging.basicConfig(
        level=logging.INFO, handlers=[handler], format="%(asctime)s %(levelname)s %(message)s", force=True
    )
