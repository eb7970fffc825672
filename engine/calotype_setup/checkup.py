"""What works, what is missing, and what to do about it."""

from __future__ import annotations

import platform
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Iterator, List

from calotype_setup import flatpak, gimp, krita
from calotype_setup.editors import Content, Profile, State, vendored
from calotype_setup.engine import PROBE, disk_sentence, installation, is_engine, msgpack
from calotype_setup.environment import nvidia, quiet
from calotype_wire import connection, places
from calotype_wire.errors import CalotypeError

NO_EDITOR = "there is no Krita and no GIMP 3; when there is one, run: python3 install.py"


def states() -> Iterator[State]:
    yield python_state()
    yield from engine_states()
    yield from disk_states()
    yield running_state()
    yield from editor_states()


def python_state() -> State:
    if sys.version_info < (3, 10):  # install.py alone runs on older ones
        return "broken", "Python", f"{platform.python_version()}; run install.py with 3.10 or newer"
    return "ok", "Python", platform.python_version()


def engine_states() -> List[State]:
    python = installation().get("python", "")
    if not python:
        return [("missing", name, "run: python3 install.py") for name in ("engine", "PyTorch")]
    remedy = "run: python3 install.py --force"
    if not Path(python).is_file():
        return [("broken", "engine", f"{python} is gone; {remedy}")]
    asked = quiet([python, "-c", PROBE])
    version, torch, *_ = [*asked.stdout.splitlines(), "", ""]
    complaint = " ".join(asked.stderr.strip().splitlines()[-1:])
    if not version:
        return [("broken", "engine", f"{complaint}; {remedy}")]
    whole = "ok", "engine", f"{version} in {Path(python).parent.parent}"
    if not torch:
        return [whole, ("broken", "PyTorch", f"{complaint}; {remedy}")]
    if nvidia() and torch.endswith("processor"):
        return [whole, ("broken", "PyTorch", f"{torch}, not on the GPU; update its driver and {remedy}")]
    return [whole, ("ok", "PyTorch", torch)]


def disk_states() -> List[State]:
    home = places.data_dir()
    if not home.exists():
        return [("missing", "data folder", f"{home}; run: python3 install.py")]
    try:
        with tempfile.TemporaryFile(dir=home):
            writable = "ok", "data folder", str(home)
    except OSError as error:
        writable = "broken", "data folder", disk_sentence(error)
    free_gb = shutil.disk_usage(home).free / 10**9
    if free_gb < 1:
        return [writable, ("broken", "disk space", f"{free_gb:.1f} GB free; free at least 1 GB")]
    return [writable, ("ok", "disk space", f"{free_gb:.0f} GB free")]


def running_state() -> State:
    path = places.connection_file()
    running = connection.load(path)
    if running and is_engine(running.pid):
        return "ok", "running", f"engine {running.engine}, process {running.pid}, {path}"
    if path.exists() and not running:
        return "broken", "running", f"{path} is damaged or not yours; remove it"
    return "ok", "running", "no engine now; editors and commands start it"


def editor_states() -> Iterator[State]:
    home = places.data_dir()
    vendor = vendored(msgpack(installation().get("python", "")), home)
    found = [plugin_state(profile, vendor) for profile in (*krita.profiles(), *gimp.profiles())]
    found += [*krita.unserved(), *gimp.unserved(), *flatpak.states(home)]
    yield from found or [("ok", "editors", NO_EDITOR)]


def plugin_state(profile: Profile, vendor: Content) -> State:
    try:
        return profile.state(vendor)
    except (CalotypeError, OSError) as error:
        return "broken", str(profile), str(error)
