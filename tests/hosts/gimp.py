"""Real GIMP in the sandbox, with the plug-in installed as install.py does it."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgpack
import pytest

from calotype_setup import editors
from calotype_setup.gimp import Gimp as Profile
from calotype_wire import launch
from hosts import rootfs

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
CONSOLE = ["gimp-console-3.0", "-i", "--batch-interpreter=python-fu-eval", "--quit"]


@contextmanager
def with_engine(work: Path) -> "Iterator[Gimp]":
    """GIMP in a folder, and an engine of its own, which is stopped at the end."""
    gimp = Gimp(work)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in gimp.environment.items():
            patch.setenv(name, value)
        try:
            yield gimp
        finally:
            launch.stop()


class Gimp:
    """One home folder of GIMP's, and of Calotype's; run() starts GIMP, again and again if need be."""

    def __init__(self, work: Path) -> None:
        self._runs = itertools.count()
        self.work = work
        self.home = work / "home"
        self.plugin = self.home / ".config/GIMP/3.0/plug-ins/calotype"
        self.calotype = work / "Zoë's engine"
        self.calotype.mkdir(parents=True)
        if not _template().exists():
            _warm_up()
        shutil.copytree(_template(), self.home, symlinks=True, dirs_exist_ok=True)
        self.operations = work / "operations"
        shutil.copytree(PROJECT / "tests/operations", self.operations, ignore=_CACHES)
        self.environment = {
            "CALOTYPE_HOME": str(self.calotype),
            "CALOTYPE_OPERATIONS": str(self.operations),
            "OMP_NUM_THREADS": "2",
        }
        self.install_engine()
        self.install_plugin()

    def install_engine(self) -> None:
        python = rootfs.engine_python(self.work)
        (self.calotype / "installation.json").write_text(json.dumps({"python": str(python)}), "utf-8")

    def install_plugin(self) -> None:
        vendor = editors.vendored(Path(msgpack.__file__).parent, self.calotype)
        Profile("GIMP", "", self.home / ".config/GIMP/3.0").put(vendor)

    def learn(self, operation: Path | None = None) -> None:
        """Have the engine tell its catalogue, with one operation more."""
        if operation is not None:
            launch.stop()
            shutil.copy(operation, self.operations)
        rootfs.learn(self.calotype, self.operations)

    def run(
        self, scenarios: Path, only: Sequence[str] = (), timeout_s: float = 240, **environment: str
    ) -> dict[str, str]:
        """Each scenario's complaint, empty where it passed. AssertionError where GIMP itself failed."""
        results = self.work / f"results-{next(self._runs)}.json"
        settings = {
            **self.environment,
            **environment,
            "SCENARIOS": rootfs.OUTSIDE + str(scenarios.resolve()),
            "SCENARIOS_ONLY": " ".join(only),
            "RESULTS": str(results),
        }
        folder = rootfs.OUTSIDE + str(HERE)
        code = (
            f"import sys; sys.dont_write_bytecode = True; sys.path.insert(0, {folder!r}); import gimp_driver"
        )
        status, log = self.start(settings, timeout_s, "-b", code)
        assert results.exists(), f"GIMP ended with {status}:\n{log[-4000:]}"
        assert status == 0, log[-4000:]
        found: dict[str, str] = json.loads(results.read_text("utf-8"))
        return found

    def start(self, environment: dict[str, str], timeout_s: float, *arguments: str) -> tuple[int, str]:
        """GIMP without a screen: its status and its log."""
        log = self.work / f"gimp-{next(self._runs)}.log"
        command = rootfs.command(self.work, {**self.environment, **environment}, *CONSOLE, *arguments)
        with (
            open(log, "wb") as file,
            subprocess.Popen(
                command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
            ) as process,
        ):
            try:
                status = process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                status = process.wait()
        return status, log.read_text("utf-8", "replace")


_CACHES = shutil.ignore_patterns("__pycache__", "*.so", "*.pyx", "*.pyd")


def _template() -> Path:
    return rootfs.CACHE / f"gimp-home-{rootfs.DIGEST}"


def _warm_up() -> None:
    """At its first start GIMP asks all of its plug-ins what they can; tests start from a copy of that."""
    work = Path(tempfile.mkdtemp())
    command = rootfs.command(work, {}, *CONSOLE, "-b", "pass")
    subprocess.run(command, check=True, timeout=300, capture_output=True)
    unfinished = _template().with_suffix(f".{os.getpid()}")
    shutil.copytree(work / "home", unfinished, symlinks=True)
    unfinished.rename(_template())
    shutil.rmtree(work)
