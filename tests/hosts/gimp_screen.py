"""GIMP with its windows, under Xvfb in the sandbox: keys, clicks, pictures of the screen, and questions."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hosts import rootfs
from hosts.gimp import HERE, Gimp

START = """
Xvfb -displayfd 3 -screen 0 1100x760x24 -nolisten tcp -noreset 3>display >xvfb.log 2>&1 &
until [ -s display ]; do sleep 0.05; done
export DISPLAY=:$(cat display)
openbox >openbox.log 2>&1 &
exec dbus-run-session -- gimp-3.0 --no-splash --stack-trace-mode=never "$@" >gimp-screen.log 2>&1
"""

SETTINGS = """(show-welcome-dialog no)
(check-updates no)
"""


@contextmanager
def on_screen(gimp: Gimp, photo: Path) -> "Iterator[Screen]":
    """GIMP with the photo, called photo.png, open in a window that fills the screen."""
    screen = Screen(gimp, photo)
    try:
        screen.x("xdotool", "windowsize", screen.window("photo.*GIMP"), "1098", "730")
        yield screen
    finally:
        screen.close()


class Screen:
    def __init__(self, gimp: Gimp, *files: Path) -> None:
        self.gimp = gimp
        self.questions = gimp.work / "questions"
        shutil.rmtree(self.questions, ignore_errors=True)
        self.questions.mkdir()
        (gimp.work / "display").unlink(missing_ok=True)
        self._numbers = itertools.count()
        listener = gimp.home / ".config/GIMP/3.0/plug-ins/gimp_listener"
        shutil.rmtree(listener, ignore_errors=True)
        listener.mkdir()
        shutil.copy(HERE / "gimp_listener.py", listener)
        (listener / "gimp_listener.py").chmod(0o755)
        with open(gimp.home / ".config/GIMP/3.0/gimprc", "a", encoding="utf-8") as settings:
            settings.write(SETTINGS)
        script = gimp.work / "screen.sh"
        script.write_text(START)
        environment = {**gimp.environment, "LISTENER": str(self.questions)}
        self.process = subprocess.Popen(
            rootfs.command(gimp.work, environment, "/bin/bash", str(script), *map(str, files)),
            start_new_session=True,
        )
        self.wait(lambda: (gimp.work / "display").exists() and (gimp.work / "display").read_text())
        self.display = ":" + (gimp.work / "display").read_text().strip()
        self.ask("1")

    def close(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def ask(self, expression: str, timeout_s: float = 30) -> Any:
        """The value of an expression inside GIMP."""
        return self.tell(f"answer = {expression}", timeout_s)

    def tell(self, code: str, timeout_s: float = 30) -> Any:
        question = self.questions / f"{next(self._numbers)}.py"
        question.with_suffix(".new").write_text(code, "utf-8")
        question.with_suffix(".new").rename(question)
        answer = question.with_suffix(".json")
        self.wait(answer.exists, timeout_s)
        found = json.loads(answer.read_text("utf-8"))
        assert "complaint" not in found, found["complaint"]
        return found["answer"]

    def x(self, *words: str) -> str:
        """A program of the sandbox with this screen."""
        command = rootfs.command(self.gimp.work, {"DISPLAY": self.display}, *words)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return done.stdout.strip()

    def key(self, *keys: str) -> None:
        self.x("xdotool", "key", "--delay", "60", *keys)

    def point_at(self, label: str) -> None:
        """A filter in the menu, which is the last one below Filters."""
        known = json.loads((self.gimp.calotype / "catalogue.json").read_text("utf-8"))["operations"]
        labels = sorted(["Styles", *(operation["label"] for operation in known if operation["offered"])])
        self.key("alt+r", "Up", "Right", *["Down"] * labels.index(label))

    def filter(self, label: str, picture: str = "") -> None:
        """Choose it from the menu. picture: of the open menu."""
        self.point_at(label)
        if picture:
            self.picture(picture)
        self.key("Return")

    def click(self, x: int, y: int) -> None:
        self.x("xdotool", "mousemove", str(x), str(y), "sleep", "0.2", "click", "1")

    def window(self, title: str, timeout_s: float = 30) -> str:
        """The id of the window that shows this title, as soon as it does."""
        found = ""

        def seen() -> bool:
            nonlocal found
            found = self.x("xdotool", "search", "--onlyvisible", "--name", title).split("\n")[-1]
            return bool(found)

        self.wait(seen, timeout_s)
        return found

    def shows(self, title: str) -> bool:
        return bool(self.x("xdotool", "search", "--onlyvisible", "--name", title))

    def picture(self, name: str) -> None:
        """Into build/screenshots of the project, without tooltips."""
        self.x("xdotool", "mousemove", "550", "5", "sleep", "0.4")
        folder = HERE.parents[1] / "build/screenshots"
        folder.mkdir(parents=True, exist_ok=True)
        self.x("import", "-window", "root", str(self.gimp.work / "screen.png"))
        shutil.copy(self.gimp.work / "screen.png", folder / f"gimp-{name}.png")

    def wait(self, condition: Any, timeout_s: float = 60) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            log = self.gimp.work / "gimp-screen.log"
            told = log.read_text("utf-8", "replace")[-3000:] if log.exists() else ""
            assert self.process.poll() is None, told
            assert time.monotonic() < deadline, f"it did not happen in time\n{told}"
            time.sleep(0.1)
