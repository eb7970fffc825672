"""Real Krita under Xvfb in the sandbox, with the plugin installed as install.py does it."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hosts import rootfs

HERE = Path(__file__).parent
SCREEN = "1600x1000x24"
START = f"""
rm -f display
Xvfb -displayfd 3 -screen 0 {SCREEN} -nolisten tcp -noreset 3>display >xvfb.log 2>&1 &
until [ -s display ]; do sleep 0.05; done
export DISPLAY=:$(cat display)
openbox >openbox.log 2>&1 &
krita --nosplash "$@" >krita.log 2>&1
status=$?
kill %1 %2
exit $status
"""


class Krita:
    """One home folder of Krita's; run() starts it, again and again if need be."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.home = work / "home"
        if not _template().exists():
            _warm_up()
        shutil.copytree(_template(), self.home, symlinks=True, dirs_exist_ok=True)
        self.add(HERE / "krita_driver")

    def add(self, source: Path) -> None:
        """Install the Python plugin in the folder source."""
        name = next(source.glob("*.desktop")).stem
        data = self.home / ".local/share/krita"
        shutil.copytree(source / name, data / "pykrita" / name)
        shutil.copy(source / f"{name}.desktop", data / "pykrita")
        with open(self.home / ".config/kritarc", "a", encoding="utf-8") as file:
            file.write(f"enable_{name}=true\n")

    def run(
        self, scenarios: Sequence[Path], only: Sequence[str] = (), timeout_s: float = 240, **environment: str
    ) -> dict[str, str]:
        """Each scenario's complaint, empty where it passed; the last one's where Krita itself crashed."""
        out = self.work / "out"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        script = self.work / "start.sh"
        script.write_text(START)
        settings = {
            **environment,
            "DRIVER_OUT": str(out),
            "DRIVER_SCENARIOS": os.pathsep.join(rootfs.OUTSIDE + str(path.resolve()) for path in scenarios),
            "DRIVER_ONLY": " ".join(only),
            "PYTHONWARNINGS": "ignore",
        }
        command = rootfs.command(self.work, settings, "/bin/bash", str(script))
        with subprocess.Popen(command, start_new_session=True) as process:
            try:
                status = process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGABRT)
                status = process.wait()
        log = (self.work / "krita.log").read_text("utf-8", "replace")
        results = out / "results.json"
        found = json.loads(results.read_text("utf-8")) if results.exists() else {}
        fault = (out / "fault.log").read_text("utf-8") if (out / "fault.log").exists() else ""
        if status != 0:
            complaint = f"Krita ended with {status} here; {fault}\n{log[-3000:]}"
            unfinished = (out / "running").read_text("utf-8") if (out / "running").exists() else "start"
            return {unfinished: complaint, **found}
        return found

    def complaints(self) -> list[str]:
        """What Krita itself found wrong in the last run, and where."""
        scenario, found = "start", []
        for line in (self.work / "krita.log").read_text("utf-8", "replace").splitlines():
            if line.startswith("SCENARIO "):
                scenario = line.split()[1]
            elif re.search(r"Error loading plugin|Could not import|ASSERT|Traceback", line):
                found.append(f"{scenario}: {line}")
        return found


def _template() -> Path:
    return rootfs.CACHE / f"krita-home-{rootfs.DIGEST}"


def _warm_up() -> None:
    """Krita's first start fills a cache of 90 MB; every test starts from a copy of it."""
    work = Path(tempfile.mkdtemp())
    home = work / "home"
    for folder in (".config", ".local/share/krita/pykrita", ".local/share/krita/actions"):
        (home / folder).mkdir(parents=True)
    (home / ".config/kritadisplayrc").write_text("[General]\nOpenGLRenderer=none\n")
    (home / ".config/kritarc").write_text("[python]\n")
    krita = object.__new__(Krita)
    krita.work, krita.home = work, home
    krita.add(HERE / "krita_driver")
    empty = work / "nothing.py"
    empty.write_text("")
    krita.run([empty])
    shutil.rmtree(home / ".local/share/krita/pykrita/krita_driver")
    (home / ".config/kritarc").write_text("[python]\n")
    shutil.move(home, _template())
    shutil.rmtree(work)
