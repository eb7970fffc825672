"""Hours of use in minutes: many jobs, several editors, cancels, kills, reconnections. Nothing may grow.

    python benchmarks/soak.py [--minutes 10] [--seed 0]

Prints Markdown for docs/benchmarks.md. Linux, because it reads /proc. The long form of the tests in
tests/engine: fair answers, killed engines and workers, flat memory, files, threads and temporary files.
"""

import argparse
import os
import random
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
from stage import Pixels, header, layer, photo, private_home, server_process, start, table

from calotype_wire.client import Client, Failed, Request, Result
from calotype_wire.errors import CalotypeError

EDITORS = 3
SAMPLE_S = 2.0


@dataclass
class Tally:
    """answered: by code, RESULT for results. wrong: results that differ from what was sent."""

    submitted: int = 0
    answered: dict[str, int] = field(default_factory=dict)
    wrong: int = 0
    reconnected: int = 0
    workers_killed: int = 0
    engines_killed: int = 0
    restart_s: list[float] = field(default_factory=list)

    def count(self, code: str) -> None:
        self.answered[code] = self.answered.get(code, 0) + 1


class Editor:
    """One client that submits pictures of random size, cancels some, and looks at what comes back."""

    def __init__(self, rng: random.Random, source: Pixels, tally: Tally) -> None:
        self.rng, self.source, self.tally = rng, source, tally
        self.client: Client = start()
        self.sent: dict[str, Pixels] = {}

    def step(self) -> None:
        if len(self.sent) < 4:
            self._submit()
        if self.sent and self.rng.random() < 0.05:
            self.client.cancel(self.rng.choice(sorted(self.sent)))
        if self.rng.random() < 0.002:
            self.reconnect()
        self.client.wait(0.001)
        for event in self.client.pump():
            if isinstance(event, Result | Failed) and event.job is not None:
                self._check(event.job, event)

    def reconnect(self) -> None:
        """As an editor that is closed in the middle of its work: those jobs have nobody to be answered."""
        self.client.close()
        self.tally.submitted -= len(self.sent)
        self.tally.reconnected += 1
        self.sent.clear()
        self.client = start()

    def _submit(self) -> None:
        large = self.rng.random() < 0.02
        side = self.rng.randrange(1500, 3464) if large else self.rng.randrange(1, 300)
        pixels = np.ascontiguousarray(self.source[:side, :side])
        self.sent[self.client.submit(Request("identity", [layer(pixels)]))] = pixels
        self.tally.submitted += 1

    def _check(self, job: str, event: Result | Failed) -> None:
        pixels = self.sent.pop(job)
        self.tally.count("RESULT" if isinstance(event, Result) else event.code)
        if isinstance(event, Result):
            self.tally.wrong += bytes(event.layers[0].pixels) != pixels.tobytes()


@dataclass(frozen=True)
class Sample:
    """Of the server: seconds since the start, MiB, counts; and of the temporary files of all engines."""

    at_s: float
    rss_mib: float
    files: int
    threads: int
    segments: int


def sample(began: float) -> Sample:
    server = server_process()
    bases = (Path("/dev/shm"), Path(tempfile.gettempdir()))
    folders = [f for base in bases for f in base.glob(f"calotype-{server.pid}-*")]
    return Sample(
        time.monotonic() - began,
        server.memory_info().rss / 2**20,
        server.num_fds(),
        server.num_threads(),
        sum(len(files) for folder in folders for _, _, files in os.walk(folder)),
    )


def soak(minutes: float, seed: int) -> tuple[Tally, list[list[Sample]]]:
    """The tally, and the samples of each engine's life: every kill begins a new one."""
    rng, tally = random.Random(seed), Tally()
    source = photo(3464, 3464)
    lives: list[list[Sample]] = [[]]
    began = sampled = time.monotonic()
    until = began + 60 * minutes
    kills = iter([began + 60 * minutes * share for share in (0.70, 0.80, 0.90)])
    next_kill = next(kills)
    editors = [Editor(random.Random(seed + n), source, tally) for n in range(EDITORS)]
    while (now := time.monotonic()) < until:
        for editor in editors:
            editor.step()
        if now - sampled > SAMPLE_S:
            sampled = now
            lives[-1].append(sample(began))
            if rng.random() < 0.05:
                tally.workers_killed += _kill_worker()
        if now > next_kill:
            next_kill = next(kills, until)
            tally.restart_s.append(_kill_engine(editors))
            tally.engines_killed += 1
            lives.append([])
    for editor in editors:
        editor.client.close()
    return tally, lives


def _kill_worker() -> bool:
    children = server_process().children()
    for child in children:
        child.kill()
    return bool(children)


def _kill_engine(editors: list[Editor]) -> float:
    """Seconds from the kill until every editor works with the next engine."""
    began = time.monotonic()
    server_process().kill()
    for editor in editors:
        try:
            while True:
                editor.client.wait(0.01)
                editor.client.pump()
        except CalotypeError as lost:
            if lost.code != "ENGINE_LOST":
                raise
        editor.reconnect()
    return time.monotonic() - began


def slope(samples: list[Sample]) -> float:
    """MiB an hour, least squares, without the first fifth: the libraries warm up."""
    kept = samples[len(samples) // 5 :]
    if len(kept) < 3:
        return 0.0
    return float(np.polyfit([s.at_s for s in kept], [s.rss_mib for s in kept], 1)[0] * 3600)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print("## Soak\n")
    print(header("one a process", "pyzmq", "msgpack"))
    with private_home(Path(__file__).parent / "operations"):
        tally, lives = soak(options.minutes, options.seed)
    longest = max(lives, key=len)
    answered = sum(tally.answered.values())
    rows = [
        ["jobs submitted", f"{tally.submitted:,}"],
        [
            "answers: " + ", ".join(sorted(tally.answered)),
            ", ".join(f"{tally.answered[c]:,}" for c in sorted(tally.answered)),
        ],
        ["jobs without an answer, but for those still running at the end", f"{tally.submitted - answered}"],
        ["results that differ from what was sent", f"{tally.wrong}"],
        ["editors closed in the middle of their work", f"{tally.reconnected}"],
        ["workers killed, engines killed", f"{tally.workers_killed}, {tally.engines_killed}"],
        [
            "seconds until all work again after an engine was killed, worst",
            f"{max(tally.restart_s, default=0):.2f}",
        ],
        [
            "server's memory, longest life: first, last MiB",
            f"{longest[0].rss_mib:.1f}, {longest[-1].rss_mib:.1f}",
        ],
        ["slope, MiB an hour", f"{slope(longest):.1f}"],
        ["open files, most and last", f"{max(s.files for s in longest)}, {longest[-1].files}"],
        ["threads, most and last", f"{max(s.threads for s in longest)}, {longest[-1].threads}"],
        ["temporary files, most and last", f"{max(s.segments for s in longest)}, {longest[-1].segments}"],
        ["engines' folders left at the end", str(_left())],
    ]
    print(
        f"{options.minutes:g} minutes, {EDITORS} editors, identity on pictures of 1 pixel to 12 megapixels, "
        f"seed {options.seed}.\n"
    )
    print(table(["", ""], rows))


def _left() -> int:
    return sum(
        not psutil.pid_exists(int(folder.name.split("-")[1]))
        for base in (Path("/dev/shm"), Path(tempfile.gettempdir()))
        for folder in base.glob("calotype-[0-9]*-*")
    )


if __name__ == "__main__":
    main()
