"""The engine's own cost: start, first result, overhead over the bare model, cancel, memory.

    python benchmarks/engine.py [--only start,first,overhead,cancel,memory]

Prints Markdown for docs/benchmarks.md. Linux, because it reads /proc.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from stage import (
    SEED,
    Pixels,
    denoise,
    finish,
    header,
    photo,
    private_home,
    server_process,
    start,
    stop,
    table,
    timed,
    verdict,
    worker_process,
)

from calotype_wire import places
from calotype_wire.client import Client, Failed, Progress, Request, Result

SERVER_START_S = 0.5
OVERHEAD = 0.05
CANCEL_S = 0.5
MEMORY_GROWTH = 1.5
MEMORY_MP = (4, 12, 48, 100)


# ---- start


def measure_start(runs: int) -> None:
    rows = []
    with private_home():
        first_s, first_torch = _start_once()
        _let_worker_declare()
        later = [_start_once() for _ in range(runs)]
        control = _let_worker_declare()
    later_s = median(seconds for seconds, _ in later)
    later_torch = any(torch for _, torch in later)
    for label, seconds, torch in (
        ("first start ever, no catalogue on disk yet", first_s, first_torch),
        (f"every later start (median of {runs})", later_s, later_torch),
    ):
        met = seconds <= SERVER_START_S and not torch
        rows.append(
            [label, f"{seconds:.2f}", "yes" if torch else "no", f"≤ {SERVER_START_S} s, no", verdict(met)]
        )
    print("### Server start\n")
    print(
        "From process start to the connection file. torch: whether libtorch is mapped in the server's memory "
        f"(/proc/PID/maps) 1 s later; the same look at its worker says {'yes' if control else 'no'}.\n"
    )
    print(table(["server", "seconds", "torch", "goal", ""], rows))


def _start_once() -> tuple[float, bool]:
    """Seconds, and whether the server has torch."""
    path = places.connection_file()
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "calotype", "serve"])
    while not path.exists():
        if process.poll() is not None:
            raise RuntimeError("the engine did not start")
        time.sleep(0.001)
    seconds = time.perf_counter() - began
    time.sleep(1.0)
    torch = has_torch(process.pid)
    stop()
    process.wait()
    return seconds, torch


def _let_worker_declare() -> bool:
    """Start an engine, wait for its catalogue; whether its worker has torch."""
    client = start()
    finish(client, denoise(photo(64, 64)))
    torch = has_torch(worker_process().pid)
    client.close()
    stop()
    return torch


def has_torch(pid: int) -> bool:
    return "libtorch" in Path(f"/proc/{pid}/maps").read_text()


# ---- first result


def measure_first(runs: int) -> None:
    request = denoise(photo(1000, 1000))
    cold, warm = [], []
    with private_home():
        _let_worker_declare()  # the catalogue is on disk, as after an installation
        for _ in range(runs):
            cold.append(timed(lambda: _from_nothing(request)))
            stop()
        client = start()
        finish(client, request)
        warm = [timed(lambda: finish(client, request)) for _ in range(runs)]
        client.close()
    print("### First result\n\nDenoise on 1 megapixel RGBA, 8 bits; medians of", runs, "runs.\n")
    rows = [
        ["cold: no engine runs", f"{median(cold):.2f}", f"{max(cold):.2f}"],
        ["warm: an engine that has done it before", f"{median(warm):.2f}", f"{max(warm):.2f}"],
    ]
    print(table(["", "seconds", "worst"], rows))


def _from_nothing(request: Request) -> None:
    client = start()
    finish(client, request)
    client.close()


# ---- overhead


def measure_overhead(runs: int) -> None:
    pixels = photo(4000, 3000)
    bare = bare_model()
    request = denoise(pixels)
    ours_s, bare_s = [], []
    with private_home():
        client = start()
        result = np.frombuffer(finish(client, request).layers[0].pixels, np.uint8).reshape(pixels.shape)
        apart = int(np.abs(result[..., :3].astype(np.int16) - bare(pixels)).max())
        for _ in range(runs):  # interleaved, so that other load hits both
            bare_s.append(timed(lambda: bare(pixels)))
            ours_s.append(timed(lambda: finish(client, request)))
        client.close()
    overhead = median(a / b for a, b in zip(ours_s, bare_s, strict=True)) - 1
    print("### Overhead over the bare model\n")
    print(
        f"Denoise on 12 megapixels, {runs} interleaved pairs. Bare: the same network, device, precision and "
        "tiling code in one process, from one numpy array of 8 bits to another. The two results differ by "
        f"at most {apart}/255.\n"
    )
    rows = [
        ["bare model", f"{median(bare_s):.2f}", "", "", ""],
        [
            "engine",
            f"{median(ours_s):.2f}",
            f"{overhead:+.1%}",
            f"≤ {OVERHEAD:.0%}",
            verdict(overhead <= OVERHEAD),
        ],
    ]
    print(table(["", "seconds", "overhead, median of pairs", "goal", ""], rows))


def bare_model() -> Callable[[Pixels], Pixels]:
    """The restorer as a plain function of (H, W, 3 or more), giving (H, W, 3)."""
    import torch
    from torch import Tensor

    from calotype.image import tiles
    from calotype.image.codec import Box
    from calotype.models import device as devices
    from calotype.models.restorer import BLIND, CONTRACT, between

    restorer = between(0, devices.choose(0))
    levels = torch.full((1, 3), BLIND)

    def run(picture: Tensor, box: Box) -> Tensor:
        return restorer(picture, levels).clamp(0, 1)  # out here, as in Task: tiles blend in place

    def bare(pixels: Pixels) -> Pixels:
        height, width = pixels.shape[:2]
        out = np.empty((height, width, 3), np.uint8)

        def read(box: Box) -> Tensor:
            tile = torch.from_numpy(pixels[box.y0 : box.y1, box.x0 : box.x1, :3])
            return tile.permute(2, 0, 1).float() / 255

        def write(box: Box, picture: Tensor) -> None:
            rows = (picture * 255).round().to(torch.uint8)
            out[box.y0 : box.y1, box.x0 : box.x1] = rows.permute(1, 2, 0).numpy()

        tiles.process(Box(0, 0, width, height), read, run, write, CONTRACT.halo_px, CONTRACT.multiple)
        return out

    return bare


# ---- cancel


def measure_cancel(runs: int) -> None:
    request = denoise(photo(4000, 3000))
    rng = np.random.default_rng(SEED)
    with private_home():
        client = start()
        whole_s = timed(lambda: finish(client, request))
        whole_s = min(whole_s, timed(lambda: finish(client, request)))
        delays = rng.uniform(0, 0.7 * whole_s, runs)
        latencies = [s for delay in delays if (s := _cancel_after(client, request, delay)) is not None]
        client.close()
    middle, late = median(latencies), float(np.percentile(latencies, 95))
    print("### Cancel\n")
    print(
        f"Denoise on 12 megapixels ({whole_s:.1f} s when left alone), cancelled at {len(latencies)} random "
        "moments while tiles run: from the user's click to the answer that it is cancelled.\n"
    )
    rows = [
        ["median", f"{middle:.3f}", f"≤ {CANCEL_S} s", verdict(middle <= CANCEL_S)],
        ["95th percentile", f"{late:.3f}", "", ""],
        ["worst", f"{max(latencies):.3f}", "", ""],
    ]
    print(table(["", "seconds", "goal", ""], rows))


def _cancel_after(client: Client, request: Request, delay_s: float) -> float | None:
    """Seconds from the cancel to its answer; None where the result was quicker."""
    job = client.submit(request)
    running_since = cancelled_at = 0.0
    while True:
        client.wait(0.002)
        events = client.pump()
        now = time.perf_counter()
        if any(isinstance(event, Result) for event in events):
            return None
        if any(isinstance(event, Failed) for event in events):
            return now - cancelled_at
        if not running_since and any(isinstance(event, Progress) for event in events):
            running_since = now
        if running_since and not cancelled_at and now - running_since >= delay_s:
            client.cancel(job)
            cancelled_at = now


# ---- memory


@dataclass
class Peak:
    """Of a process, in MiB. pictures: pages of shared memory, where layers and results lie."""

    total: float = 0.0
    pictures: float = 0.0
    rest: float = 0.0

    def see(self, pid: int) -> None:
        kib = {}
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            key, _, value = line.partition(":")
            if key in ("VmRSS", "RssShmem"):
                kib[key] = int(value.split()[0])
        self.total = max(self.total, kib["VmRSS"] / 1024)
        self.pictures = max(self.pictures, kib["RssShmem"] / 1024)
        self.rest = max(self.rest, (kib["VmRSS"] - kib["RssShmem"]) / 1024)


@contextlib.contextmanager
def watched(*pids: int) -> Iterator[list[Peak]]:
    peaks = [Peak() for _ in pids]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.005):
            for pid, peak in zip(pids, peaks, strict=True):
                peak.see(pid)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peaks
    finally:
        over.set()
        thread.join()


def measure_memory() -> None:
    rows, rests = [], {}
    for megapixels in MEMORY_MP:
        seconds, worker, server = _memory_of(megapixels)
        rests[megapixels] = worker.rest
        figures = (worker.total, worker.pictures, worker.rest, server.rest)
        rows.append([str(megapixels), *(f"{mib:,.0f}" for mib in figures), f"{seconds:.1f}"])
    growth = rests[100] / rests[12]
    print("### Memory\n")
    print(
        "Denoise, RGBA of 8 bits, a fresh engine for each size; peaks in MiB, read every 5 ms from "
        "/proc/PID/status. Pictures: resident shared memory, that is the layer and its result. Rest: all "
        "else, weights and libraries included.\n"
    )
    heads = ["megapixels", "worker in all", "pictures", "**worker's rest**", "server's rest", "seconds"]
    print(table(heads, rows))
    print(f"Rest at 100 over rest at 12 megapixels: {growth:.2f}; goal ≤ {MEMORY_GROWTH}: ", end="")
    print(verdict(growth <= MEMORY_GROWTH) + ".\n")


def _memory_of(megapixels: int) -> tuple[float, Peak, Peak]:
    """Seconds, worker, server."""
    height = round((megapixels * 1e6 * 2 / 3) ** 0.5)
    request = denoise(photo(height * 3 // 2, height))
    with private_home():
        client = start()
        with watched(worker_process().pid, server_process().pid) as (worker, server):
            seconds = timed(lambda: finish(client, request))
        client.close()
    return seconds, worker, server


def main() -> None:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in the engine's workers, before torch loads
    import torch

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parts = ("start", "first", "overhead", "cancel", "memory")
    parser.add_argument("--only", default=",".join(parts), help=f"some of {','.join(parts)}")
    parser.add_argument("--runs", type=int, default=7, help="of start, first result and overhead")
    parser.add_argument("--cancels", type=int, default=21)
    options = parser.parse_args()
    only = options.only.split(",")
    if unknown := set(only) - set(parts):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    print("## Engine\n")
    print(header(f"{torch.get_num_threads()} of torch", "torch", "pyzmq", "numpy"))
    measures: dict[str, Callable[[], None]] = {
        "start": lambda: measure_start(options.runs),
        "first": lambda: measure_first(options.runs),
        "overhead": lambda: measure_overhead(options.runs),
        "cancel": lambda: measure_cancel(options.cancels),
        "memory": measure_memory,
    }
    for part in only:
        measures[part]()


if __name__ == "__main__":
    main()
