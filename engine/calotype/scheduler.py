"""Which job runs next: priorities, fair shares, previews superseded, limits. It knows no socket."""

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from calotype.segments import Upload
from calotype_wire.errors import CalotypeError
from calotype_wire.protocol import BACKGROUND, PRIORITIES

QUEUE_MAX = 256
CLIENT_QUEUE_MAX = 128

Key = tuple[bytes, str]
"""Client and job id: ids need to be unique within a client only."""


@dataclass
class Job:
    """What the engine knows of a job from its submission to its release.

    fields: what the worker is told. state: 'uploading', 'queued', 'running', 'done'. serial: its number
    in this engine. paused: its cancel is to keep what it has learnt. paced_from: when, and at which fraction,
    what learns began: it may go on where it was. Times in monotonic seconds.
    """

    client: bytes
    id: str
    priority: str
    supersedes: str
    fields: dict[str, Any] = field(default_factory=dict)
    serial: int = 0
    state: str = "uploading"
    uploads: list[Upload] = field(default_factory=list)
    missing_bytes: int = 0
    results: list[memoryview] = field(default_factory=list)
    unfetched_bytes: int = 0
    began_at: float = 0.0
    paced_from: tuple[float, float] | None = None
    progressed_at: float = 0.0
    touched_at: float = 0.0
    cancelled_at: float | None = None
    paused: bool = False

    def close_uploads(self) -> None:
        for upload in self.uploads:
            upload.close()
        self.uploads = []

    @property
    def key(self) -> Key:
        return (self.client, self.id)


class Scheduler:
    """Jobs in their queues. Within a priority clients take turns; a client's jobs keep their order."""

    def __init__(self) -> None:
        self._jobs: dict[Key, Job] = {}
        self._serials: dict[int, Job] = {}
        self._last_serial = 0
        self._turns: dict[str, OrderedDict[bytes, deque[Job]]] = {
            priority: OrderedDict() for priority in (*PRIORITIES, BACKGROUND)
        }

    def __iter__(self) -> Iterator[Job]:
        return iter(list(self._jobs.values()))

    def __len__(self) -> int:
        return len(self._jobs)

    def get(self, client: bytes, job: str) -> Job | None:
        return self._jobs.get((client, job))

    def by_serial(self, serial: int) -> Job | None:
        return self._serials.get(serial)

    def of(self, client: bytes) -> list[Job]:
        return [job for job in self._jobs.values() if job.client == client]

    def active(self) -> list[Job]:
        """Not answered yet."""
        return [job for job in self._jobs.values() if job.state != "done"]

    def add(self, job: Job) -> list[Job]:
        """Take job in and number it; the older previews that it supersedes.

        Raises CalotypeError DUPLICATE_JOB, BUSY.
        """
        if job.key in self._jobs:
            raise CalotypeError("DUPLICATE_JOB", f"There is a job '{job.id}' already.")
        active = self.active()
        mine = sum(j.client == job.client for j in self._jobs.values())  # results hold memory, too
        if len(active) >= QUEUE_MAX or mine >= CLIENT_QUEUE_MAX:
            raise CalotypeError("BUSY", "Too many jobs are waiting. Let some finish, then try again.")
        older = [
            j for j in active if job.supersedes and j.client == job.client and j.supersedes == job.supersedes
        ]
        self._last_serial += 1
        job.serial = self._last_serial
        self._jobs[job.key] = self._serials[job.serial] = job
        return older

    def enqueue(self, job: Job) -> None:
        job.state = "queued"
        self._turns[job.priority].setdefault(job.client, deque()).append(job)

    def next(self, background: bool) -> Job | None:
        """Take the next job out of its queue to run it; one of the background is taken for itself."""
        for priority, turns in self._turns.items():
            if turns and background == (priority == BACKGROUND):
                client, waiting = next(iter(turns.items()))
                job = waiting.popleft()
                turns.move_to_end(client)
                if not waiting:
                    del turns[client]
                job.state = "running"
                return job
        return None

    def waiting(self, background: bool) -> bool:
        return any(turns for p, turns in self._turns.items() if background == (p == BACKGROUND))

    def more_than_previews(self) -> bool:
        """Whether anything waits that a user has asked for with more than a slider."""
        passing = ("preview", BACKGROUND)
        return any(turns for priority, turns in self._turns.items() if priority not in passing)

    def withdraw(self, job: Job) -> None:
        """Take a queued job out of its queue."""
        turns = self._turns[job.priority]
        if job.client in turns and job in turns[job.client]:
            turns[job.client].remove(job)
            if not turns[job.client]:
                del turns[job.client]

    def forget(self, job: Job) -> None:
        self.withdraw(job)
        self._jobs.pop(job.key, None)
        self._serials.pop(job.serial, None)
