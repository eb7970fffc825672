"""A real engine for tests: its own home, its own process, the trial operations beside the shipped ones."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from calotype_wire import connection, launch, places
from calotype_wire.client import Client, Event, Failed, Request, Result, connect
from calotype_wire.protocol import Layer, PixelFormat
from calotype_wire.session import Session

TRIALS = Path(__file__).parent / "operations"

# Tests that a shell runs in the background ignore Ctrl-C, and so would every program that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


class Engine:
    """The engine of one CALOTYPE_HOME; options as of 'calotype serve'."""

    def __init__(self, *options: str, python: str = sys.executable) -> None:
        self.clients: list[Client] = []
        self.process = subprocess.Popen([python, "-m", "calotype", "serve", *options], stderr=subprocess.PIPE)
        wait_for(lambda: connection.load(places.connection_file()) is not None, 60)

    def client(self) -> Client:
        found = connection.load(places.connection_file())
        assert found is not None
        self.clients.append(connect(found, "test"))
        return self.clients[-1]

    def worker_pids(self) -> list[int]:
        return [child.pid for child in psutil.Process(self.process.pid).children()]

    def rss_bytes(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def stop(self) -> None:
        for client in self.clients:  # those of a test that failed, too
            client.close()
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        self.process.wait(20)
        assert self.process.stderr is not None
        self.process.stderr.close()


def pytest_sessionfinish() -> None:
    """The last engines need a moment to end; left to Python's own end, it would warn of each."""
    deadline = time.monotonic() + 5
    while launch._started and time.monotonic() < deadline:
        launch.reap()
        time.sleep(0.05)


def wait_for(condition, timeout_s: float = 10) -> None:
    """Poll until condition() holds; fail after timeout_s."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def answer(client: Client, job: str, timeout_s: float = 60) -> Result | Failed:
    """Pump until the job's answer has come."""
    return answers(client, [job], timeout_s)[job]


def answers(client: Client, jobs: list[str], timeout_s: float = 60) -> dict[str, Result | Failed]:
    """Each job's answer; fails where one is answered twice."""
    found: dict[str, Result | Failed] = {}
    deadline = time.monotonic() + timeout_s
    while not set(jobs) <= set(found):
        assert time.monotonic() < deadline, f"no answer to {set(jobs) - set(found)}"
        client.wait(0.05)
        for event in client.pump():
            if isinstance(event, Result | Failed) and event.job is not None:
                assert event.job not in found, "answered twice"
                found[event.job] = event
    return found


def run(client: Client, request: Request) -> Result:
    ended = answer(client, client.submit(request))
    assert isinstance(ended, Result), ended
    return ended


def fail(client: Client, request: Request) -> Failed:
    ended = answer(client, client.submit(request))
    assert isinstance(ended, Failed), ended
    return ended


def events_until(client: Client, wanted: type[Event], timeout_s: float = 30) -> Event:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        client.wait(0.05)
        for event in client.pump():
            if isinstance(event, wanted):
                return event
    raise AssertionError(f"no {wanted.__name__} came")


def layer(pixels: np.ndarray, channels: str = "RGB", depth: str = "u8", **more) -> Layer:
    """pixels: (h, w, c)."""
    height, width = pixels.shape[:2]
    return Layer(width, height, PixelFormat(channels, depth), pixels.tobytes(), **more)


def pixels(result: Layer, dtype: type = np.uint8) -> np.ndarray:
    """(h, w, c)."""
    return np.frombuffer(result.pixels, dtype).reshape(result.height, result.width, -1)


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def _home(path: Path, patch: pytest.MonkeyPatch) -> Path:
    patch.setenv("CALOTYPE_HOME", str(path))
    patch.setenv("CALOTYPE_OPERATIONS", str(TRIALS))
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own, with a space and an accent in its path, whose engine is stopped after the test."""
    yield _home(tmp_path / "Zoë's home", monkeypatch)
    launch.stop()


@pytest.fixture(scope="module")
def one_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One home, and so one engine, for all tests of a module."""
    with pytest.MonkeyPatch.context() as patch:
        yield _home(tmp_path_factory.mktemp("home"), patch)
        launch.stop()


@pytest.fixture
def session(home: Path) -> Iterator[Session]:
    """An editor's, that finds no engine yet."""
    home.mkdir(parents=True)
    places.installation_file().write_text(json.dumps({"python": sys.executable}), "utf-8")
    made = Session("test")
    yield made
    made.close()


@pytest.fixture
def start(home: Path) -> Iterator:
    """start('--option', ...): an engine in home."""
    engines: list[Engine] = []

    def start_one(*options: str) -> Engine:
        engines.append(Engine(*options))
        return engines[-1]

    yield start_one
    for engine in engines:
        if engine.process.poll() is None:
            engine.stop()
        elif engine.process.stderr:
            engine.process.stderr.close()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One engine for a module's tests."""
    with pytest.MonkeyPatch.context() as patch:
        _home(tmp_path_factory.mktemp("home"), patch)
        os.environ.setdefault("OMP_NUM_THREADS", "2")
        started = Engine()
        yield started
        assert started.process.poll() is None, "the engine died"
        started.stop()


@pytest.fixture
def client(engine: Engine) -> Iterator[Client]:
    connected = engine.client()
    yield connected
    connected.close()
