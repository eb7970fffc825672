"""Jobs on their way through the engine: uploaded, queued, run, fetched, forgotten."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path

from calotype import segments, submission
from calotype.frontend import Frontend
from calotype.scheduler import Job, Scheduler
from calotype.workers import Pool, Worker
from calotype_wire import params, protocol
from calotype_wire.errors import CalotypeError
from calotype_wire.protocol import Header, LayerShape, get_count, get_id

log = logging.getLogger(__name__)

PROGRESS_S = 0.05
LEARNER_CANCEL_S = 30.0
"""It works behind all others, and puts what it has learnt away."""

UPLOADS_MAX = 256
"""Layers under way: each holds a file open."""


def cancelled(job: Job | None = None) -> CalotypeError:
    if job is not None and job.paused:
        return CalotypeError("PAUSED", "Paused. What it has learnt is kept: it can go on at any time.")
    return CalotypeError("CANCELLED", "Cancelled.")


LATER = CalotypeError(
    "CANCELLED", "Cancelled before it went on: what it had learnt is still among what is unfinished."
)


class Jobs:
    """Every job that is not forgotten yet. Editors ask through front, workers of pool do the work."""

    def __init__(self, front: Frontend, pool: Pool) -> None:
        self._front = front
        self._pool = pool
        self._scheduler = Scheduler()
        self._store = segments.Store()

    def __len__(self) -> int:
        return len(self._scheduler)

    def active(self) -> list[Job]:
        return self._scheduler.active()

    def waiting(self, background: bool) -> bool:
        """Whether any of that kind is uploaded and has no worker yet."""
        return self._scheduler.waiting(background)

    @property
    def foreground(self) -> bool:
        """Whether there is any that is not of the background."""
        return any(job.priority != protocol.BACKGROUND for job in self._scheduler)

    # ---- editors

    def submit(self, client: bytes, header: Header, operations: Sequence[params.Operation]) -> None:
        job, shapes = submission.read(client, header, operations)
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
            self._cancel(superseded)
        self._front.send(client, {"type": "accepted", "job": job.id})
        if not shapes:
            self._start(job)

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

    def chunk(self, client: bytes, header: Header, payload: memoryview) -> None:
        job = self._scheduler.get(client, get_id(header))
        if job is None or job.state != "uploading":
            return  # of a job that was cancelled while its chunks were under way
        upload = job.uploads[get_count(header, "layer", len(job.uploads) - 1)]
        offset = get_count(header, "offset", upload.size)
        if not payload or offset + len(payload) > upload.size or len(payload) > job.missing_bytes:
            self.end(job, protocol.bad_request("The layer's bytes do not match its size."))
            return
        try:
            upload.write(offset, payload)
        except CalotypeError as full:
            self.end(job, full)
            return
        job.missing_bytes -= len(payload)
        job.touched_at = time.monotonic()
        self._start(job)

    def _start(self, job: Job) -> None:
        """As soon as all of it has come."""
        if job.missing_bytes == 0:
            job.close_uploads()
            self._scheduler.enqueue(job)
            self.dispatch()

    def cancel(self, client: bytes, name: str, pause: bool) -> bool:
        """False where there is no such job."""
        job = self._scheduler.get(client, name)
        if job is not None:
            self._cancel(job, pause)
        return job is not None

    def _cancel(self, job: Job, pause: bool = False) -> None:
        if job.state == "done":
            return  # the answer is under way
        if job.state != "running":
            more = job.fields["layers"] or job.fields["parameters"].get("more")
            resumed = job.priority == protocol.BACKGROUND and not more  # all it has learnt is kept already
            job.paused = pause and resumed
            self.end(job, LATER if resumed and not pause else cancelled(job))
            return
        job.paused = pause and job.priority == protocol.BACKGROUND
        job.cancelled_at = job.cancelled_at or time.monotonic()
        worker = self._pool.running(job.serial)
        if worker is not None:
            worker.cancel(job.paused)

    def fetch(self, client: bytes, header: Header) -> None:
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

    def release(self, client: bytes, header: Header) -> None:
        job = self._scheduler.get(client, get_id(header))
        if job is not None and job.state == "done":
            self._forget(job, reuse=job.unfetched_bytes == 0)

    def gone(self, client: bytes) -> None:
        """Nobody waits for this client's jobs any longer."""
        for job in self._scheduler.of(client):
            if job.state == "running":
                self._cancel(job, pause=True)
            else:
                self._forget(job)

    # ---- workers

    def dispatch(self) -> None:
        """Give waiting jobs to idle workers."""
        for worker in self._pool.idle():
            job = self._scheduler.next(worker.background)
            if job is not None:
                job.began_at = time.monotonic()
                worker.run(job.serial, job.fields)
        for background in (False, True):
            if self._scheduler.waiting(background) and not self._pool.broken:
                self._pool.start_one(background)

    def from_worker(self, worker: Worker, header: Header, picture: memoryview | None = None) -> None:
        """How far worker is with its job, what it has so far, or how the job ended."""
        job = self._scheduler.by_serial(header["serial"])
        if header["type"] == "progress":
            if job is not None:
                self._progress(job, header)
            return
        if header["type"] == "preview":
            if job is not None and job.cancelled_at is None:
                size = {"width": header["width"], "height": header["height"]}
                self._front.send(job.client, {"type": "preview", "job": job.id, **size}, picture)
            return
        worker.finished()
        if job is not None and header["type"] == "result":
            self._result(job, header)
        elif job is not None:
            self.end(job, CalotypeError(header["code"], header["sentence"]))
        self.dispatch()

    def _progress(self, job: Job, header: Header) -> None:
        now = time.monotonic()
        if now - job.progressed_at < PROGRESS_S:
            return
        job.progressed_at = now
        fraction = header["fraction"]
        message = {"type": "progress", "job": job.id, "fraction": fraction, "stage": header["stage"]}
        if header.get("curve"):
            message["curve"] = header["curve"]
            job.paced_from = job.paced_from or (now, fraction)
        since, first = job.paced_from or (job.began_at, 0.0)
        if fraction - first > 0.02:
            message["seconds_left"] = (now - since) * (1 - fraction) / (fraction - first)
        self._front.send(job.client, message)

    def _result(self, job: Job, header: Header) -> None:
        late = job.cancelled_at is not None and not job.paused  # what learns has kept what it has learnt
        if job.client not in self._front.clients or late:
            self.end(job, cancelled(job))
            return
        try:
            job.results = [segments.open_map(Path(path), False) for path in header["paths"]]
        except OSError:
            log.exception("a result cannot be opened")
            self.end(job, CalotypeError("WORKER_LOST", "The result was lost on its way. Try again."))
            return
        job.unfetched_bytes = sum(map(len, job.results))
        job.touched_at = time.monotonic()
        job.state = "done"
        seconds = job.touched_at - job.began_at
        log.info("%s done in %.2f s", job.fields["operation"], seconds)
        facts = {**header["facts"], "seconds": seconds}
        message = {"type": "result", "job": job.id, "layers": header["layers"], "facts": facts}
        self._front.send(job.client, message)

    def end(self, job: Job, failure: CalotypeError) -> None:
        """Answer a job that has no result."""
        if job.cancelled_at is not None:
            job.paused = job.paused and failure.code != "CANCELLED"  # nothing was learnt yet
            failure = cancelled(job)
        log.info("job ended: %s %s", failure.code, failure.sentence)
        self._forget(job)
        if job.client in self._front.clients:
            self._front.send(job.client, protocol.error(failure, job.id))

    def fail(self, serial: int | None, why: CalotypeError) -> None:
        """End the job that a lost worker ran, if it ran one."""
        job = None if serial is None else self._scheduler.by_serial(serial)
        if job is not None:
            self.end(job, why)

    def _forget(self, job: Job, reuse: bool = False) -> None:
        self._scheduler.forget(job)
        job.close_uploads()
        self._store.drop(str(job.serial), reuse)

    # ---- time

    def check_ages(self, cancel_s: float, keep_s: float) -> None:
        """cancel_s: how long a worker may take to notice a cancel. keep_s: how long nothing may happen."""
        now = time.monotonic()
        for job in self._scheduler:
            hurry = job.priority != "preview" or self._scheduler.more_than_previews()
            patience_s = LEARNER_CANCEL_S if job.priority == protocol.BACKGROUND else cancel_s
            late = job.cancelled_at is not None and now - job.cancelled_at > patience_s
            if job.state == "running" and late and hurry:
                worker = self._pool.running(job.serial)
                if worker is not None:
                    self.fail(self._pool.remove(worker, cancelled(job)), cancelled(job))
            elif job.state == "uploading" and now - job.touched_at > keep_s:
                self.end(job, CalotypeError("TIMEOUT", "The picture did not arrive. Run the filter again."))
            elif job.state == "done" and now - job.touched_at > keep_s:
                self._forget(job)

    def trim(self) -> None:
        """Give memory back that is kept for the next picture."""
        self._store.trim()

    def close(self) -> None:
        self._store.close()
