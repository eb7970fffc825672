"""The engine's installation: built beside the former one, recorded last, removed without a trace."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Dict, Iterator, List, Optional

from calotype_setup.editors import remove
from calotype_setup.environment import SOURCE, TORCH, build, quiet, run
from calotype_wire import atomic, connection, places
from calotype_wire.errors import CalotypeError

PROBE = """
import calotype.cli, calotype.version
print(calotype.version.VERSION, flush=True)
import torch
gpu, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
device = torch.cuda.get_device_name() if gpu else "Apple GPU" if mps else "processor"
print(f"{torch.__version__} (CUDA {torch.version.cuda or 'no'}) on: {device}")
"""


def install(force: bool) -> str:
    """The Python of a whole installation of this source. A crash half-way leaves the former one working."""
    home, source = places.data_dir(), source_hash()
    home.mkdir(parents=True, exist_ok=True)
    with alone(home):
        former = installation()
        if not force and former.get("source") == source and works(former["python"]):
            print(f"Calotype {former['version']} is installed already in {home}")
            sweep(Path(former["python"]).parent.parent)
            return former["python"]
        print(f"Installing Calotype in {home}")
        folder = home / f"env-{1 + max(map(number, environments()), default=0)}"
        log = home / "log" / "install.log"
        python = build(folder, [f"{SOURCE}[train]"], log)
        if not works(python):  # writes the editors' catalogue, too
            run([python, "-c", PROBE], log, "The new engine does not start.")
            run([python, "-m", "calotype", "operations"], log, "The new engine does not start.")
        version = quiet([python, "-m", "calotype", "--version"]).stdout.strip()
        record = json.dumps({"python": python, "version": version, "source": source}, indent=1)
        atomic.write(places.installation_file(), record.encode(), 0o644)
        stop(former.get("python", python))
        sweep(folder)
    print(f"Calotype {version} is installed.")
    return python


def sweep(kept: Path) -> None:
    for environment in environments():
        if environment.name != kept.name:
            remove(environment)


def installation() -> Dict[str, str]:
    """What the last complete installation wrote; empty where there is none."""
    try:
        found = json.loads(places.installation_file().read_text("utf-8"))
        return {key: str(found[key]) for key in ("python", "version", "source")}
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return {}


def disk_sentence(error: OSError) -> str:
    where = error.filename or places.data_dir()
    return (
        f"{where} cannot be used: {error.strerror or error}. Free some space, correct its rights, or set "
        "CALOTYPE_HOME to another folder, and run install.py again."
    )


def works(python: str) -> bool:
    """Whether it imports PyTorch, which a cached catalogue would not show, and lists the operations."""
    asked = ["-c", PROBE], ["-m", "calotype", "operations"]
    return Path(python).is_file() and all(quiet([python, *what]).returncode == 0 for what in asked)


def environments() -> List[Path]:
    return [path for path in places.data_dir().glob("env-*") if path.name[4:].isdigit()]


def number(environment: Path) -> int:
    return int(environment.name[4:])


def source_hash() -> str:
    """Of what is built into the engine's environment; the editors' plugins are compared file by file."""
    digest = hashlib.sha256(TORCH.encode())
    packages = [SOURCE / "engine" / name for name in ("calotype", "calotype_wire")]
    for path in [SOURCE / "pyproject.toml", *sorted(path for root in packages for path in root.rglob("*"))]:
        if path.is_file() and "__pycache__" not in path.parts:
            content = path.read_bytes()
            digest.update(f"{path.relative_to(SOURCE).as_posix()} {len(content)} ".encode() + content)
    return digest.hexdigest()


def msgpack(python: str) -> Optional[Path]:
    """The package's folder in the engine's environment; None where there is none, or a broken one."""
    asked = ["-c", "import msgpack; print(msgpack.__path__[0])"]
    found = quiet([python, *asked]).stdout.rstrip("\r\n") if Path(python).is_file() else ""
    return Path(found) if found else None


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One installer at a time. The lock goes with the process, however that ends."""
    with open(folder / "install.lock", "ab") as file:
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            sentence = f"Another install.py is at work in {folder}. Wait until it has ended."
            raise CalotypeError("BUSY", sentence) from error
        yield


def stop(python: str) -> None:
    """By its own command; where its environment is broken, by its process, if that is still an engine."""
    running = connection.load(places.connection_file())
    if not running:
        return
    stopped = Path(python).is_file() and quiet([python, "-m", "calotype", "stop"]).returncode == 0
    if not stopped and is_engine(running.pid):
        os.kill(running.pid, signal.SIGTERM)
    deadline = time.monotonic() + 10
    while is_engine(running.pid):
        if time.monotonic() > deadline:
            sentence = f"The engine does not end. End process {running.pid} and run install.py again."
            raise CalotypeError("STILL_RUNS", sentence)
        time.sleep(0.05)


def is_engine(pid: int) -> bool:
    """Whether the process is alive and names calotype: its number may be somebody else's by now."""
    if sys.platform == "win32":
        return False  # nothing there tells without more than the standard library
    if Path("/proc/self").exists():
        try:
            return b"calotype" in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False
    return "calotype" in quiet(["ps", "-o", "command=", "-p", str(pid)]).stdout
