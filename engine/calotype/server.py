"""The engine's middle: takes jobs from editors, gives them to workers, hands results back.

It never imports torch and never computes, so it starts in a blink and always answers.
"""

import logging
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

import zmq
from zmq.auth.thread import ThreadAuthenticator

from calotype import catalogue, segments, submission
from calotype.frontend import Frontend, received
from calotype.scheduler import Job, Scheduler
from calotype.version import VERSION
from calotype.workers import Pool
from calotype_wire import params, places, protocol
from calotype_wire.errors import CalotypeError
from calotype_wire.protocol import Header, LayerShape, get, get_count, get_id

log = logging.getLogger(__name__)

ALIVE_S = 0.25
PROGRESS_S = 0.05
TRIM_S = 10.0
UPLOADS_MAX = 256
"""Layers under way: each holds a file open."""
EARLY_MAX = 256
"""Requests that may wait for the first worker to tell the catalogue."""


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


def cancelled() -> CalotypeError:
    return CalotypeError("CANCELLED", "Cancelled.")


class Server:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.token = secrets.token_hex(32)
        worker_token = secrets.token_hex(32)
        self._context = zmq.Context()
        self._authenticator = ThreadAuthenticator(self._context)
        self._authenticator.start()
        self._authenticator.configure_plain("editors", {protocol.USER.decode(): self.token})
        self._authenticator.configure_plain("workers", {protocol.USER.decode(): worker_token})
        self._front = Frontend(self._context, self._gone)
        self._pool = Pool(self._context, worker_token)
        self._store = segments.Store()
        self._scheduler = Scheduler()
        self._operations = catalogue.load_cached()
        self._fingerprint = catalogue.fingerprint()
        self._early: list[tuple[bytes, Header]] = []
        self._used_at = self._alive_at = time.monotonic()
        self._stopping = False

    @property
    def endpoint(self) -> str:
        return self._front.endpoint

    def stop(self, *_: object) -> None:
        self._stopping = True

    def run(self) -> None:
        """Until stop(), or until nobody has needed the engine for settings.exit_s."""
        poller = zmq.Poller()
        poller.register(self._front.socket, zmq.POLLIN)
        poller.register(self._pool.socket, zmq.POLLIN)
        self._pool.start_one()
        while not self._stopping:
            busy = self._scheduler.active() or self._front.waiting or self._early
            poller.poll(20 if busy else 250)
            for name, frames in received(self._pool.socket):
                self._from_worker(name, frames)
            for client, frames in received(self._front.socket):
                self._from_client(client, frames)
            self._tick()
        log.info("the engine ends")

    def close(self) -> None:
        self._pool.close()
        self._authenticator.stop()
        self._context.destroy(linger=500)
        self._store.close()

    # ---- editors

    def _from_client(self, client: bytes, frames: list[memoryview]) -> None:
        try:
            if not 1 <= len(frames) <= 2:
                raise protocol.bad_request("A message has a header and at most one payload.")
            header = protocol.unpack(frames[0])
        except CalotypeError as failure:
            log.info("refused: %s %s", failure.code, failure.sentence)
            self._front.send(client, protocol.error(failure))
        else:
            self._answer(client, header, frames[1] if len(frames) == 2 else None)

    def _answer(self, client: bytes, header: Header, payload: memoryview | None = None) -> None:
        job: str | None = None
        try:
            if header.get("job") is not None:
                job = get_id(header)
            self._handle(client, header, payload)
        except CalotypeError as failure:
            log.info("refused: %s %s", failure.code, failure.sentence)
            self._front.send(client, protocol.error(failure, job))

    def _handle(self, client: bytes, header: Header, payload: memoryview | None) -> None:
        kind = get(header, "type", str)
        if kind == "hello":
            version = protocol.negotiate(get(header, "versions", list))
            self._front.welcome(client, get(header, "name", str)[:80])
            log.info("hello from %s", self._front.clients[client])
            self._front.send(client, {"type": "welcome", "version": version, "engine": VERSION})
            return
        if client not in self._front.clients:
            raise CalotypeError(
                "VERSION", "The first message must be a 'hello' with the versions that you speak."
            )
        if kind != "ping":
            self._used_at = time.monotonic()
        if kind == "chunk":
            self._chunk(client, header, payload if payload is not None else memoryview(b""))
            return
        handlers = {
            "ping": self._ping,
            "catalogue": self._catalogue,
            "submit": self._submit,
            "cancel": self._cancel,
            "fetch": self._fetch,
            "release": self._release,
            "stop": self._stop,
        }
        if kind not in handlers:
            raise protocol.bad_request(f"There is no message '{kind[:40]}'.")
        handlers[kind](client, header)

    def _ping(self, client: bytes, header: Header) -> None:
        self._front.send(client, {"type": "pong", "jobs": len(self._scheduler.active())})

    def _stop(self, client: bytes, header: Header) -> None:
        self._front.send(client, {"type": "stopping"})
        self.stop()

    def _catalogue(self, client: bytes, header: Header) -> None:
        self._refresh()
        if self._operations is None:
            self._hold(client, header)
            return
        wire = [operation.to_wire() for operation in self._operations]
        self._front.send(client, {"type": "catalogue", "operations": wire})

    def _refresh(self) -> None:
        """Learn of models that the user has added or removed, between jobs."""
        if len(self._scheduler) == 0 and catalogue.fingerprint() != self._fingerprint:
            self._pool.unload(0)  # what a worker declares, it declared when it started
            self._operations, self._fingerprint = catalogue.load_cached(), catalogue.fingerprint()

    def _hold(self, client: bytes, header: Header) -> None:
        if len(self._early) >= EARLY_MAX:
            raise CalotypeError("BUSY", "The engine is still starting. Try again in a moment.")
        self._early.append((client, header))

    def _submit(self, client: bytes, header: Header) -> None:
        self._refresh()
        if self._operations is None:
            self._hold(client, header)
            return
        job, shapes = submission.read(client, header, self._operations)
        size = sum(shape.total_bytes for shape in shapes)
        promised = sum(waiting.missing_bytes for waiting in self._scheduler)
        segments.check_memory(2 * size + promised)  # the result is about as large as the picture
        if sum(len(waiting.uploads) for waiting in self._scheduler) + len(shapes) > UPLOADS_MAX:
            raise CalotypeError("BUSY", "Too many pictures are under way. Let some finish, then try again.")
        older = self._scheduler.add(job)
        try:
            self._make_room(job, shapes)
        except CalotypeError:
            self._forget(job)
            raise
        except OSError as error:
            self._forget(job)
            log.exception("no segment can be made")
            raise CalotypeError(
                "INTERNAL",
                f"The engine has no room for the picture ({error.strerror}). Run 'calotype stop' and try "
                "again.",
            ) from error
        for superseded in older:
            self._cancel(client, {"job": superseded.id})
        self._front.send(client, {"type": "accepted", "job": job.id})

    def _make_room(self, job: Job, shapes: list[LayerShape]) -> None:
        folders = self._store.folders(str(job.serial))
        job.fields["folders"] = [str(folder) for folder in folders]
        job.fields["layers"] = []
        for index, shape in enumerate(shapes):
            upload = segments.Upload(folders, f"in-{index}", shape.total_bytes)
            job.uploads.append(upload)
            job.fields["layers"].append({**shape.to_wire(), "path": str(upload.path)})
        job.missing_bytes = sum(shape.total_bytes for shape in shapes)
        protocol.pack({"type": "run", "serial": job.serial, **job.fields})  # it must fit a message later
        job.touched_at = time.monotonic()

    def _chunk(self, client: bytes, header: Header, payload: memoryview) -> None:
        job = self._scheduler.get(client, get_id(header))
        if job is None or job.state != "uploading":
            return  # of a job that was cancelled while its chunks were under way
        upload = job.uploads[get_count(header, "layer", len(job.uploads) - 1)]
        offset = get_count(header, "offset", upload.size)
        if not payload or offset + len(payload) > upload.size or len(payload) > job.missing_bytes:
            self._end(job, protocol.bad_request("The layer's bytes do not match its size."))
            return
        try:
            upload.write(offset, payload)
        except CalotypeError as full:
            self._end(job, full)
            return
        job.missing_bytes -= len(payload)
        job.touched_at = time.monotonic()
        if job.missing_bytes == 0:
            job.close_uploads()
            self._scheduler.enqueue(job)
            self._dispatch()

    def _cancel(self, client: bytes, header: Header) -> None:
        job = self._scheduler.get(client, get_id(header))
        if job is None:
            self._cancel_early(client, header)
            return
        if job.state == "done":
            return  # the answer is under way
        if job.state != "running":
            self._end(job, cancelled())
            return
        job.cancelled_at = job.cancelled_at or time.monotonic()
        worker = self._pool.running(job.serial)
        if worker is not None:
            worker.cancel()

    def _cancel_early(self, client: bytes, header: Header) -> None:
        """Of a job that still waits for the catalogue."""
        for early in self._early:
            if (
                early[0] == client
                and early[1].get("type") == "submit"
                and early[1].get("job") == header["job"]
            ):
                self._early.remove(early)
                self._front.send(client, protocol.error(cancelled(), header["job"]))
                return

    def _fetch(self, client: bytes, header: Header) -> None:
        job = self._scheduler.get(client, get_id(header))
        if job is None or job.state != "done":
            raise CalotypeError("EXPIRED", "The result is no longer there. Run the filter again.")
        result = job.results[get_count(header, "layer", len(job.results) - 1)]
        size = get_count(header, "bytes", min(protocol.CHUNK_BYTES, len(result)))
        offset = get_count(header, "offset", len(result) - size)
        job.unfetched_bytes -= size
        job.touched_at = time.monotonic()
        answer = {"type": "chunk", "job": job.id, "layer": header["layer"], "offset": offset}
        self._front.send(client, answer, result[offset : offset + size])

    def _release(self, client: bytes, header: Header) -> None:
        job = self._scheduler.get(client, get_id(header))
        if job is not None and job.state == "done":
            self._forget(job, reuse=job.unfetched_bytes == 0)

    def _gone(self, client: bytes) -> None:
        log.info("an editor has gone")
        for job in self._scheduler.of(client):
            if job.state == "running":
                self._cancel(client, {"job": job.id})
            else:
                self._forget(job)

    # ---- workers

    def _from_worker(self, name: bytes, frames: list[memoryview]) -> None:
        worker = self._pool.named(name)
        if worker is None:
            return  # given up meanwhile
        header = protocol.unpack(frames[0])
        worker.heard_at = time.monotonic()
        if header["type"] == "ready":
            self._pool.ready(worker, header["devices"])
            self._learn(params.catalogue_from_wire(header["operations"]))
            self._dispatch()
            return
        job = self._scheduler.by_serial(header["serial"])
        if job is None or worker.serial != job.serial:
            return
        if header["type"] == "progress":
            self._progress(job, header)
            return
        worker.finished()
        if header["type"] == "result":
            self._result(job, header)
        else:
            self._end(job, CalotypeError(header["code"], header["sentence"]))
        self._dispatch()

    def _learn(self, operations: list[params.Operation]) -> None:
        self._operations, self._fingerprint = operations, catalogue.fingerprint()
        catalogue.save_cached(operations)
        early, self._early = self._early, []
        for client, header in early:
            self._answer(client, header)

    def _dispatch(self) -> None:
        for worker in self._pool.idle():
            job = self._scheduler.next()
            if job is None:
                return
            job.began_at = time.monotonic()
            worker.run(job.serial, job.fields)
        if self._scheduler.waiting() and not self._pool.broken:
            self._pool.start_one()

    def _progress(self, job: Job, header: Header) -> None:
        now = time.monotonic()
        if now - job.progressed_at < PROGRESS_S:
            return
        job.progressed_at = now
        fraction = header["fraction"]
        message = {"type": "progress", "job": job.id, "fraction": fraction, "stage": header["stage"]}
        if fraction > 0.02:
            message["seconds_left"] = (now - job.began_at) * (1 - fraction) / fraction
        self._front.send(job.client, message)

    def _result(self, job: Job, header: Header) -> None:
        if job.client not in self._front.clients or job.cancelled_at is not None:
            self._end(job, cancelled())
            return
        try:
            job.results = [segments.open_map(Path(path), False) for path in header["paths"]]
        except OSError:
            log.exception("a result cannot be opened")
            self._end(job, CalotypeError("WORKER_LOST", "The result was lost on its way. Try again."))
            return
        job.unfetched_bytes = sum(map(len, job.results))
        job.touched_at = time.monotonic()
        job.state = "done"
        seconds = job.touched_at - job.began_at
        log.info("%s done in %.2f s", job.fields["operation"], seconds)
        facts = {**header["facts"], "seconds": seconds}
        message = {"type": "result", "job": job.id, "layers": header["layers"], "facts": facts}
        self._front.send(job.client, message)

    def _end(self, job: Job, failure: CalotypeError) -> None:
        """Answer a job that has no result."""
        if job.cancelled_at is not None:
            failure = cancelled()
        log.info("job ended: %s %s", failure.code, failure.sentence)
        self._forget(job)
        if job.client in self._front.clients:
            self._front.send(job.client, protocol.error(failure, job.id))

    def _forget(self, job: Job, reuse: bool = False) -> None:
        self._scheduler.forget(job)
        job.close_uploads()
        self._store.drop(str(job.serial), reuse)

    # ---- time

    def _tick(self) -> None:
        self._front.flush()
        for serial, why in self._pool.remove_failed(self.settings.silence_s):
            self._fail(serial, why)
        now = time.monotonic()
        if now - self._alive_at < ALIVE_S:
            return
        self._alive_at = now
        self._front.find_lost()
        self._pool.unload(self.settings.unload_s)
        if now - self._used_at > TRIM_S:
            self._store.trim()
        for job in self._scheduler:
            self._check_age(job, now)
        if len(self._scheduler) == 0 and now - self._used_at > self.settings.exit_s:
            self.stop()
        if self._early or self._scheduler.waiting():
            self._need_worker()

    def _fail(self, serial: int | None, why: CalotypeError) -> None:
        job = None if serial is None else self._scheduler.by_serial(serial)
        if job is not None:
            self._end(job, why)

    def _check_age(self, job: Job, now: float) -> None:
        if job.state == "running" and job.cancelled_at and now - job.cancelled_at > self.settings.cancel_s:
            worker = self._pool.running(job.serial)
            if worker is not None:
                self._fail(self._pool.remove(worker, cancelled()), cancelled())
        elif job.state == "uploading" and now - job.touched_at > self.settings.keep_s:
            self._end(job, CalotypeError("TIMEOUT", "The picture did not arrive. Run the filter again."))
        elif job.state == "done" and now - job.touched_at > self.settings.keep_s:
            self._forget(job)

    def _need_worker(self) -> None:
        if len(self._pool):
            return  # another device works
        if not self._pool.broken:
            self._pool.start_one()
            return
        self._pool.forgive()
        broken = CalotypeError(
            "ENGINE_BROKEN",
            "The Calotype engine is damaged. Run 'python3 install.py' again to repair it. Details are in "
            f"{places.log_file().parent}.",
        )
        early, self._early = self._early, []
        for client, header in early:
            self._front.send(client, protocol.error(broken, header.get("job")))
        for job in self._scheduler.active():
            self._end(job, broken)
