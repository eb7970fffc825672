"""Python environments: built whole or not at all, with PyTorch for the machine at hand."""

from __future__ import annotations

import contextlib
import hashlib
import html
import http.client
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path

from calotype_wire.errors import CalotypeError

SOURCE = Path(__file__).resolve().parents[2]
TORCH = "2.13.0"
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
PIP = "25.3"  # only where Python came without one
NO_NETWORK = re.compile(
    r"NewConnectionError|ConnectTimeout|name resolution|unreachable|ProxyError|getaddrinfo"
)


def build(folder: Path, project: list[str], log: Path) -> str:
    """The Python of a new environment in folder. A failure leaves nothing but the log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("", "utf-8")
    needed_gb = 10 if nvidia() else 2
    if shutil.disk_usage(log.parent).free < needed_gb * 10**9:
        sentence = f"The disk is too full: {folder.parent} needs {needed_gb} GB. Free some space, or set "
        raise CalotypeError("NO_SPACE", sentence + "CALOTYPE_HOME to a folder on another disk.")
    with contextlib.ExitStack() as undo:
        undo.callback(shutil.rmtree, folder, ignore_errors=True)
        python = create(folder, log)
        size = "3 GB" if nvidia() else "200 MB"
        pip(python, log, f"PyTorch {TORCH}, about {size} to download", torch_arguments(python))
        pip(python, log, "Calotype and its libraries, about 60 MB to download", project)
        undo.pop_all()
    shutil.rmtree(folder / "tmp")
    return python


def python_of(folder: Path) -> str:
    return str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))


def create(folder: Path, log: Path) -> str:
    print("  A Python environment")
    python = python_of(folder)
    venv = [sys.executable, "-m", "venv", "--clear", str(folder)]
    if importlib.util.find_spec("ensurepip") and quiet(venv).returncode == 0:
        return python
    remedy = "This Python cannot make environments: apt install python3-venv (or your system's like of it)."
    run([*venv, "--without-pip"], log, remedy)
    if quiet([sys.executable, "-m", "pip", "--python", python, "install", "pip"]).returncode != 0:
        try:
            wheel = pip_wheel(folder)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise CalotypeError("NO_PIP", f"pip could not be fetched ({error}). {remedy}") from error
        run([python, f"{wheel}/pip", "install", "--no-index", str(wheel)], log, remedy)
        wheel.unlink()
    return python


def pip_wheel(folder: Path) -> Path:
    """pip, checked against the sha256 that the index states. Source: PEP 503."""
    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/") + "/pip/"
    request = urllib.request.Request(index, headers={"Accept": "text/html"})
    name = f"pip-{PIP}-py3-none-any.whl"
    with urllib.request.urlopen(request, timeout=60) as page:
        link = re.search(rf'href="([^"#]*{re.escape(name)})#sha256=(\w{{64}})"', page.read().decode())
    if not link:
        raise ValueError(f"{index} has no {name}")
    with urllib.request.urlopen(urllib.parse.urljoin(index, html.unescape(link[1])), timeout=60) as file:
        content = file.read()
    if hashlib.sha256(content).hexdigest() != link[2]:
        raise ValueError(f"{name} arrived damaged")
    (folder / name).write_bytes(content)
    return folder / name


def torch_arguments(python: str) -> list[str]:
    """pip's own choice, except where that brings gigabytes of CUDA that no GPU here can use.

    PyPI's wheels for Linux require CUDA on every processor; those for other systems do not.
    """
    plain = [f"torch=={TORCH}"]
    if nvidia() or platform.system() != "Linux":
        return plain
    asked = quiet(
        [python, "-m", "pip", "install", "--dry-run", "--no-deps", "--quiet", "--report", "-", *plain]
    )
    if asked.returncode == 0:
        chosen = json.loads(asked.stdout)["install"][0]
        if chosen["metadata"]["version"].endswith("+cpu") or chosen["download_info"]["url"].startswith(
            "file:"
        ):
            return plain
    return [f"torch=={TORCH}+cpu", "--index-url", TORCH_CPU_INDEX]


def nvidia() -> bool:
    return Path("/proc/driver/nvidia").exists() or shutil.which("nvidia-smi") is not None


def pip(python: str, log: Path, what: str, arguments: list[str]) -> None:
    print(f"  {what}")
    temporary = Path(python).parent.parent / "tmp"  # the system's may be small; a crash would leave it full
    temporary.mkdir(exist_ok=True)
    command = [python, "-m", "pip", "install", "--progress-bar", "off", *arguments]
    run(command, log, f"pip could not install {what.split(',')[0]}.", TMPDIR=str(temporary))


def run(command: list[str], log: Path, failed: str, **more: str) -> None:
    """Output goes to the log. Raises CalotypeError with its last lines, what failed and what to do."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env=clean(PYTHONIOENCODING="utf-8", **more),
        cwd=SOURCE,
    )
    with process, open(log, "a", encoding="utf-8") as file:
        for line in process.stdout or ():
            file.write(line)
            if line.lstrip().startswith("Downloading "):
                print("    " + line.strip())
    if process.returncode == 0:
        return
    written = log.read_text("utf-8")
    if "No space left on device" in written:
        failed = "The disk is full. Free some space, or set CALOTYPE_HOME to a folder on another disk."
    elif NO_NETWORK.search(written):
        failed += " The package index cannot be reached: check the network and try again."
    last = "".join(written.splitlines(keepends=True)[-4:]).rstrip()
    raise CalotypeError("NOT_INSTALLED", f"{last}\n{failed} The whole log: {log}")


def quiet(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env=clean(PYTHONIOENCODING="utf-8"),
        cwd=SOURCE,  # Python would import from the user's folder first
    )


def clean(**more: str) -> dict[str, str]:
    """The surroundings, without settings that would lead an environment's Python and pip astray."""
    astray = ("PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "__PYVENV_LAUNCHER__")
    kept = {key: value for key, value in os.environ.items() if key not in astray}
    return {**kept, "PYTHONNOUSERSITE": "1", "PIP_USER": "0", "PIP_NO_INPUT": "1", **more}
