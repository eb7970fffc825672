"""The stage that all benchmarks play on: what they print, a photo, and an engine of their own."""

import contextlib
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray
from PIL import Image, ImageOps

import calotype
from calotype_wire import connection, launch, places
from calotype_wire.client import Client, Failed, Request, Result
from calotype_wire.protocol import Layer, PixelFormat

Pixels = NDArray[np.uint8]

PHOTO = Path(calotype.__file__).parent / "photos" / "astronaut.png"
SEED = 1840


# ---- what every benchmark prints


def header(threads: str, *packages: str) -> str:
    """One line: machine, date, versions, threads. The load tells whether the machine was quiet."""
    versions = [f"{name} {version(name)}" for name in ("calotype", *packages)]
    return (
        f"{_cpu()}, {psutil.cpu_count(logical=True)} cores, {platform.system()} {platform.release()}; "
        f"{date.today().isoformat()}; Python {platform.python_version()}, {', '.join(versions)}; "
        f"threads: {threads}; load average {os.getloadavg()[0]:.1f} at the start.\n"
    )


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def verdict(met: bool) -> str:
    return "met" if met else "**missed**"


def photo(width: int, height: int, noise_sigma: float = 2.0) -> Pixels:
    """(height, width, 4): a photo scaled up, opaque, with the mild noise of a camera."""
    with Image.open(PHOTO) as small:
        large = ImageOps.fit(small.convert("RGB"), (width, height), Image.Resampling.LANCZOS)
    rng = np.random.default_rng(SEED)
    pixels = np.full((height, width, 4), 255, np.uint8)
    for y in range(0, height, 256):  # whole floats of 100 megapixels would take gigabytes
        rows = np.asarray(large.crop((0, y, width, min(y + 256, height))), np.float32)
        noise = rng.standard_normal(rows.shape, np.float32) * noise_sigma
        pixels[y : y + 256, :, :3] = np.rint((rows + noise).clip(0, 255))
    return pixels


def layer(pixels: Pixels) -> Layer:
    height, width = pixels.shape[:2]
    return Layer(width, height, PixelFormat(), pixels.data.cast("B"), "photo")


# ---- a private engine


@contextlib.contextmanager
def private_home(operations: Path | None = None) -> Iterator[None]:
    """An engine of our own, away from the user's; it has ended when the block ends."""
    with tempfile.TemporaryDirectory(prefix="calotype-benchmark-") as home, _environment(home, operations):
        try:
            yield
        finally:
            stop()


@contextlib.contextmanager
def _environment(home: str, operations: Path | None) -> Iterator[None]:
    before = dict(os.environ)
    os.environ["CALOTYPE_HOME"] = home
    if operations:
        os.environ["CALOTYPE_OPERATIONS"] = str(operations)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def start() -> Client:
    return launch.engine("benchmark", sys.executable)


def stop() -> None:
    """End the engine and wait until its processes have gone."""
    found = connection.load(places.connection_file())
    if found is None:
        return
    processes = _family(found.pid)
    launch.stop()
    psutil.wait_procs(processes, timeout=10)


def _family(pid: int) -> list[psutil.Process]:
    try:
        server = psutil.Process(pid)
        return [server, *server.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def server_process() -> psutil.Process:
    found = connection.load(places.connection_file())
    assert found is not None
    return psutil.Process(found.pid)


def worker_process() -> psutil.Process:
    server = server_process()
    while not (children := server.children()):
        time.sleep(0.005)
    return children[0]


def finish(client: Client, request: Request) -> Result:
    """Raises RuntimeError where the job ends in anything but its result."""
    for event in client.run(request):
        if isinstance(event, Result):
            return event
        if isinstance(event, Failed):
            raise RuntimeError(event.sentence)
    raise RuntimeError("a job without an answer")


def denoise(pixels: Pixels) -> Request:
    return Request("denoise", [layer(pixels)])


def timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
