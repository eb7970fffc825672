"""Find the engine that runs, or start one."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from pathlib import Path
from typing import Generator, Iterator, List, Optional

from calotype_wire import connection, places
from calotype_wire.client import Client, connect, connecting
from calotype_wire.errors import CalotypeError

START_S = 30.0
"""A cold disk may need that long to bring Python up."""

FLATPAK = Path("/.flatpak-info")
"""There in every Flatpak and nowhere else. Source: KSandbox of KDE Frameworks."""

_started: List["subprocess.Popen[bytes]"] = []
"""Engines outlive the editor that started them; Python must not wait for them, nor warn."""


def engine_python() -> str:
    """The Python that install.py set up. Raises CalotypeError NOT_INSTALLED or SANDBOXED."""
    path = places.installation_file()
    try:
        python = places.native(json.loads(path.read_text("utf-8"))["python"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        python = None
    if isinstance(python, str) and FLATPAK.exists():  # its /usr is another system's: no Python of ours runs
        raise CalotypeError(
            "SANDBOXED",
            "This editor is a Flatpak and cannot start the engine. Run 'python3 install.py serve' in the "
            "Calotype folder, leave it open, and try again.",
        )
    if not isinstance(python, str) or not Path(python).is_file():
        raise CalotypeError(
            "NOT_INSTALLED",
            "The Calotype engine is not installed, or its files are gone. Run 'python3 install.py' in the "
            "Calotype folder; it repairs what is missing.",
        )
    return python


def engine(name: str, python: Optional[str] = None, options: Optional[List[str]] = None) -> Client:
    """Blocking: a Client of the engine that runs, started if need be. Raises CalotypeError."""
    for client in finding(name, python, options):
        if client is not None:
            return client
        time.sleep(0.02)
    raise AssertionError("finding() ends with a client or an error")


def finding(
    name: str, python: Optional[str] = None, options: Optional[List[str]] = None
) -> Iterator[Optional[Client]]:
    """Like engine(), for a host's loop: None while there is nothing yet, then the Client."""
    client = yield from _running(name)
    if client is None:
        process = _start(python or engine_python(), options or [])
        deadline = time.monotonic() + START_S
        while client is None:
            status = process.poll()
            if status:
                raise CalotypeError("NOT_STARTED", _last_words(process))
            if time.monotonic() > deadline:
                raise CalotypeError(
                    "NOT_STARTED",
                    f"The Calotype engine did not start within {START_S:.0f} seconds. The log says more: "
                    f"{places.log_file()}",
                )
            yield None
            client = yield from _running(name, strict=status == 0)
            if client is None and status == 0:  # the engine that was quicker hangs, or is on its way out
                process = _start(python or engine_python(), options or [])
    yield client


def _running(name: str, strict: bool = False) -> Generator[None, None, Optional[Client]]:
    """strict: an engine does run, for it holds the lock. So a wrong password is an error and not a file
    that was left behind, and an engine that does not answer is ended to make room for one that does.
    """
    found = connection.load(places.connection_file())
    if found is None:
        return None
    try:
        client = yield from connecting(found, name)
    except CalotypeError as error:
        if error.code == "VERSION" or (error.code == "REFUSED" and strict):
            raise
        if error.code == "ENGINE_HUNG" and strict:
            _kill(found.pid)
        return None  # of an engine that died; its port may be somebody else's now
    return client


def _start(python: str, options: List[str]) -> "subprocess.Popen[bytes]":
    command = [python, "-m", "calotype", "serve", *options]
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
    # An editor's own Python settings must not reach the engine's Python.
    environment = {
        k: v for k, v in os.environ.items() if k not in ("PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH")
    }
    reap()
    home = places.data_dir()
    environment["CALOTYPE_HOME"] = str(home)  # the engine has no home.txt to read
    environment["PYTHONSAFEPATH"] = "1"  # and cwd, for 3.10: no import from the editor's folder
    try:
        home.mkdir(parents=True, exist_ok=True)
        complaints = tempfile.TemporaryFile()  # noqa: SIM115 lives as long as the process
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=complaints,
            env=environment,
            creationflags=flags,
            cwd=str(home),
            start_new_session=True,
            close_fds=True,
        )
    except OSError as error:
        raise CalotypeError(
            "NOT_STARTED",
            f"The Calotype engine could not be started ({error.strerror or error}). Free some disk space, "
            f"run 'python3 install.py' again, or set CALOTYPE_HOME to another folder than {home}.",
        ) from error
    _started.append(process)
    process.complaints = complaints  # type: ignore[attr-defined]
    weakref.finalize(process, complaints.close)
    return process


def reap() -> None:
    """Let go of engines that have ended: an editor may start many."""
    _started[:] = [process for process in _started if process.poll() is None]


def _last_words(process: "subprocess.Popen[bytes]") -> str:
    complaints = process.complaints  # type: ignore[attr-defined]
    complaints.seek(0)
    lines = complaints.read().decode("utf-8", "replace").strip().splitlines()
    if process.returncode == 1 and len(lines) == 1 and "No module named" not in lines[0]:
        return lines[0][:400]  # the engine's own sentence
    if not lines:
        return "The Calotype engine ended without a word. Free some disk space and memory, and try again."
    return f"The Calotype engine is damaged. Run 'python3 install.py' again to repair it ({lines[-1][:160]})."


def _kill(pid: int) -> None:
    try:
        os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    except OSError:
        pass  # gone already: only its file was left
    try:
        places.connection_file().unlink()
    except FileNotFoundError:
        pass


def stop(timeout_s: float = 10.0) -> bool:
    """End the engine that runs; False where none does. An engine that hangs is killed."""
    found = connection.load(places.connection_file())
    if found is None:
        return False
    try:
        client = connect(found, "stop")
    except CalotypeError as error:
        if error.code == "ENGINE_HUNG":
            _kill(found.pid)
        return error.code == "ENGINE_HUNG"
    client.stop_engine()
    deadline = time.monotonic() + timeout_s
    while places.connection_file().exists() and time.monotonic() < deadline:
        try:
            client.wait(0.05)
            client.pump()
        except CalotypeError:
            time.sleep(0.05)
    client.close()
    return True
