"""install.py as a user runs it, in a home of its own."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from calotype_setup import engine

SOURCE = Path(__file__).resolve().parents[2]


class Installer:
    """install.py of a checkout, with a CALOTYPE_HOME of its own, and a HOME without editors beside it."""

    def __init__(self, home, source=SOURCE):
        self.home, self.source = home, source
        self.record = home / "installation.json"

    def surroundings(self):
        user = self.home.with_name("user")
        cache, pip = Path.home() / ".cache", Path.home() / ".config" / "pip" / "pip.conf"
        return {
            "CALOTYPE_HOME": str(self.home),
            "PYTHONUTF8": "1",
            "HOME": str(user),
            "XDG_CONFIG_HOME": str(user / ".config"),
            "XDG_DATA_HOME": str(user / ".local" / "share"),
            "FLATPAK_SYSTEM_DIR": str(user / "flatpak"),
            "FLATPAK_USER_DIR": str(user / "flatpak"),
            "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(cache)),  # what pip has downloaded
            "PIP_CONFIG_FILE": os.environ.get("PIP_CONFIG_FILE", str(pip)),
        }

    def start(self, *arguments, python=(sys.executable,), cwd=None, **more):
        return subprocess.Popen(
            [*python, str(self.source / "install.py"), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            env={**os.environ, **self.surroundings(), **more},
            start_new_session=True,
            cwd=cwd,
        )

    def __call__(self, *arguments, status=0, **more):
        with self.start(*arguments, **more) as process:
            said, _ = process.communicate()
        assert process.returncode == status, said
        assert "Traceback" not in said
        return said

    def record_as(self, python):
        facts = {"python": python, "version": "1", "source": engine.source_hash()}
        self.record.write_text(json.dumps(facts))

    def environments(self):
        return sorted(path.name for path in self.home.glob("env-*"))

    def engine_pid(self):
        return json.loads((self.home / "run" / "connection.json").read_text())["pid"]


def wait_for(path):
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.01)
