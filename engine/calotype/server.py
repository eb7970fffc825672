"""The engine's middle: editors on one socket, workers on another, their jobs between.

It never imports torch and never computes, so it starts in a blink and always answers.
"""

import logging
import secrets
import time
from dataclasses import dataclass

import zmq
from zmq.auth.thread import ThreadAuthenticator

from calotype import catalogue, styledesk
from calotype.frontend import Frontend, received
from calotype.jobs import Jobs, cancelled
from calotype.portfolio import shelf
from calotype.version import VERSION
from calotype.workers import Pool
from calotype_wire import params, places, protocol
from calotype_wire.errors import CalotypeError
from calotype_wire.protocol import Header, get, get_id

log = logging.getLogger(__name__)

ALIVE_S = 0.25
TRIM_S = 10.0
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
        self._jobs = Jobs(self._front, self._pool)
        self._operations = catalogue.load_cached()
        self._fingerprint = catalogue.fingerprint()
        self._stamp = shelf.stamp()
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
            busy = self._jobs.active() or self._front.waiting or self._early
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
        self._jobs.close()

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
            self._jobs.chunk(client, header, payload if payload is not None else memoryview(b""))
            return
        handlers = {
            "ping": self._ping,
            "catalogue": self._catalogue,
            "submit": self._submit,
            "cancel": self._cancel,
            "fetch": self._jobs.fetch,
            "release": self._jobs.release,
            "styles": self._styles,
            "stop": self._stop,
        }
        if kind not in handlers:
            raise protocol.bad_request(f"There is no message '{kind[:40]}'.")
        handlers[kind](client, header)

    def _ping(self, client: bytes, header: Header) -> None:
        self._front.send(client, {"type": "pong", "jobs": len(self._jobs.active())})

    def _stop(self, client: bytes, header: Header) -> None:
        self._front.send(client, {"type": "stopping"})
        self.stop()

    def _catalogue(self, client: bytes, header: Header) -> None:
        self._refresh()
        if self._operations is None:
            self._hold(client, header)
            return
        self._tell_catalogue(client, self._operations)

    def _tell_catalogue(self, client: bytes, operations: list[params.Operation]) -> None:
        wire = [operation.to_wire() for operation in operations]
        self._front.send(client, {"type": "catalogue", "operations": wire})

    def _refresh(self) -> None:
        """Learn of models that the user has added or removed, between jobs."""
        if not self._jobs.foreground and catalogue.fingerprint() != self._fingerprint:
            self._pool.unload(0)  # what a worker declares, it declared when it started
            self._operations, self._fingerprint = catalogue.load_cached(), catalogue.fingerprint()

    def _styles(self, client: bytes, header: Header) -> None:
        styledesk.act(header)
        self._restyle()
        for page in styledesk.pages():
            self._front.send(client, page)

    def _restyle(self) -> None:
        """Tell everybody of styles that have come or gone, whoever brought or took them."""
        stamp = shelf.stamp()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        if self._operations is not None:
            self._operations = catalogue.with_styles(self._operations)
            catalogue.save_cached(self._operations, self._fingerprint)
            for client in list(self._front.clients):
                self._tell_catalogue(client, self._operations)

    def _hold(self, client: bytes, header: Header) -> None:
        if len(self._early) >= EARLY_MAX:
            raise CalotypeError("BUSY", "The engine is still starting. Try again in a moment.")
        self._early.append((client, header))

    def _submit(self, client: bytes, header: Header) -> None:
        self._refresh()
        self._restyle()  # a style that another program has just brought can be asked for
        if self._operations is None:
            self._hold(client, header)
            return
        self._jobs.submit(client, header, self._operations)

    def _cancel(self, client: bytes, header: Header) -> None:
        if not self._jobs.cancel(client, get_id(header), header.get("pause") is True):
            self._cancel_early(client, header["job"])

    def _cancel_early(self, client: bytes, job: str) -> None:
        """Of a job that still waits for the catalogue."""
        for early in self._early:
            asker, asked = early
            if asker == client and asked.get("type") == "submit" and asked.get("job") == job:
                self._early.remove(early)
                self._front.send(client, protocol.error(cancelled(), job))
                return

    def _gone(self, client: bytes) -> None:
        log.info("an editor has gone")
        self._jobs.gone(client)

    # ---- workers

    def _from_worker(self, name: bytes, frames: list[memoryview]) -> None:
        worker = self._pool.named(name)
        if worker is None:
            return  # given up meanwhile
        header = protocol.unpack(frames[0])
        worker.heard_at = time.monotonic()
        if header["type"] == "ready":
            self._pool.ready(worker, header["devices"])
            self._learn(params.catalogue_from_wire(header["operations"]), worker.fingerprint)
            self._jobs.dispatch()
        elif header["serial"] == worker.serial:
            if worker.background and header["type"] == "result":
                self._restyle()  # whoever hears of it may use it at once
            self._jobs.from_worker(worker, header, *frames[1:])

    def _learn(self, operations: list[params.Operation], fingerprint: str) -> None:
        self._operations, self._fingerprint = operations, fingerprint
        catalogue.save_cached(operations, fingerprint)
        early, self._early = self._early, []
        for client, header in early:
            self._answer(client, header)

    # ---- time

    def _tick(self) -> None:
        self._front.flush()
        for serial, why in self._pool.remove_failed(self.settings.silence_s):
            self._jobs.fail(serial, why)
        now = time.monotonic()
        if now - self._alive_at < ALIVE_S:
            return
        self._alive_at = now
        self._front.find_lost()
        self._restyle()
        self._pool.unload(self.settings.unload_s)
        if now - self._used_at > TRIM_S:
            self._jobs.trim()
        self._jobs.check_ages(self.settings.cancel_s, self.settings.keep_s)
        if len(self._jobs) == 0 and now - self._used_at > self.settings.exit_s:
            self.stop()
        if self._early or self._jobs.waiting(background=False):
            self._need_worker(background=False)
        if self._jobs.waiting(background=True):
            self._need_worker(background=True)

    def _need_worker(self, background: bool) -> None:
        if self._pool.count(background):
            return  # it works, or another device does
        if not self._pool.broken:
            self._pool.start_one(background)
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
        for job in self._jobs.active():
            self._jobs.end(job, broken)
