"""Set up Calotype: the engine's own Python environment, a demo, a check-up, the tests, and the way out.

python3 install.py               install or upgrade the engine
python3 install.py demo          restore a photo and say what was gained
python3 install.py doctor        say what works and what to do about the rest
python3 install.py test          check and test this checkout, in an environment of its own
python3 install.py uninstall     remove the engine; models and styles stay

Standard library only, and Python 3.8 syntax, so that an old Python can still say what is missing.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import html
import http.client
import importlib.util
import json
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Tuple  # noqa: UP035 for Python 3.8

SOURCE = Path(__file__).resolve().parent
sys.path.insert(0, str(SOURCE / "engine"))

from calotype_wire import atomic, connection, places  # noqa: E402
from calotype_wire.errors import CalotypeError  # noqa: E402

TORCH = "2.13.0"
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
PIP = "25.3"  # only where Python came without one
State = Tuple[str, str, str]  # noqa: UP006 ok, missing or broken; of what; what to do
DEV = SOURCE / "build" / "env-dev"
NO_NETWORK = re.compile(
    r"NewConnectionError|ConnectTimeout|name resolution|unreachable|ProxyError|getaddrinfo"
)


def main(arguments: list[str]) -> int:
    """Exit status 0: done; 1: a sentence says what to do; 2: wrong usage; 130: Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace", line_buffering=True)  # type: ignore[union-attr]
    if os.environ.get("CALOTYPE_HOME"):  # what is written down must hold from every folder
        os.environ["CALOTYPE_HOME"] = os.path.abspath(os.environ["CALOTYPE_HOME"])
    try:
        options, rest = parser().parse_known_args(arguments)
        if rest and options.command is not test:
            parser().error("unknown: " + " ".join(rest))
        if sys.version_info < (3, 10) and options.command in (install, demo, test):
            return with_newer_python(arguments)
        options.rest = rest
        status: int = options.command(options)
        return status
    except CalotypeError as failure:
        print(failure.sentence, file=sys.stderr)
    except OSError as error:
        print(disk_sentence(error), file=sys.stderr)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    return 1


def parser() -> argparse.ArgumentParser:
    described = argparse.RawDescriptionHelpFormatter
    root = argparse.ArgumentParser("install.py", description=__doc__, formatter_class=described)
    root.add_argument("--force", action="store_true", help="install again, even if nothing has changed")
    root.add_argument("--dev", action="store_true", help="only set up the environment that 'test' uses")
    root.set_defaults(command=install)
    commands = root.add_subparsers(metavar="COMMAND")
    demo_ = commands.add_parser("demo", help="restore a photo and say what was gained")
    demo_.add_argument("photo", nargs="?", help="a photo of yours; otherwise one that we aged")
    demo_.add_argument("--out", help="folder for the pictures")
    demo_.set_defaults(command=demo)
    doctor_ = commands.add_parser("doctor", help="what works, and what to do about the rest")
    doctor_.set_defaults(command=doctor)
    test_ = commands.add_parser("test", help="ruff, mypy and pytest; arguments go to pytest", add_help=False)
    test_.set_defaults(command=test)
    uninstall_ = commands.add_parser("uninstall", help="remove the engine; models and styles stay")
    uninstall_.add_argument("--everything", action="store_true", help="remove models and styles as well")
    uninstall_.set_defaults(command=uninstall)
    return root


def with_newer_python(arguments: list[str]) -> int:
    for name in ("python3.13", "python3.12", "python3.11", "python3.10", "python3.14", "python3"):
        found = shutil.which(name)
        if found and quiet([found, "-c", "import sys; sys.exit(sys.version_info < (3, 10))"]).returncode == 0:
            print(f"Python {platform.python_version()} is too old for the engine; going on with {found}.")
            return subprocess.call([found, str(SOURCE / "install.py"), *arguments])
    raise CalotypeError(
        "OLD_PYTHON",
        f"The engine needs Python 3.10 or newer, this is {platform.python_version()}. "
        "Install a newer one from python.org or your system's packages, and run install.py with it.",
    )


def disk_sentence(error: OSError) -> str:
    where = error.filename or places.data_dir()
    return (
        f"{where} cannot be used: {error.strerror or error}. Free some space, correct its rights, or set "
        "CALOTYPE_HOME to another folder, and run install.py again."
    )


# The user's environment


def install(options: argparse.Namespace) -> int:
    if options.dev:
        print(f"The development environment is ready: {dev_python(options.force)}")
        return 0
    engine_python(options.force)
    print("See what it does: python3 install.py demo")
    return 0


def demo(options: argparse.Namespace) -> int:
    command = [engine_python(options.force), "-m", "calotype", "demo"]
    command += [options.photo] if options.photo else []
    command += ["--out", options.out] if options.out else []
    return subprocess.call(command, env=clean(PYTHONSAFEPATH="1"))


def engine_python(force: bool) -> str:
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
        stop_engine(former.get("python", python))
        sweep(folder)
    print(f"Calotype {version} is installed.")
    return python


def sweep(kept: Path) -> None:
    for environment in environments():
        if environment.name != kept.name:
            remove(environment)


def installation() -> dict[str, str]:
    """What the last complete installation wrote; empty where there is none."""
    try:
        found = json.loads(places.installation_file().read_text("utf-8"))
        return {key: str(found[key]) for key in ("python", "version", "source")}
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return {}


def works(python: str) -> bool:
    """Whether it imports PyTorch, which a cached catalogue would not show, and lists the operations."""
    asked = ["-c", PROBE], ["-m", "calotype", "operations"]
    return Path(python).is_file() and all(quiet([python, *what]).returncode == 0 for what in asked)


def environments() -> list[Path]:
    return [path for path in places.data_dir().glob("env-*") if path.name[4:].isdigit()]


def number(environment: Path) -> int:
    return int(environment.name[4:])


def source_hash() -> str:
    digest = hashlib.sha256(TORCH.encode())
    for path in [SOURCE / "pyproject.toml", *sorted((SOURCE / "engine").rglob("*"))]:
        if path.is_file() and "__pycache__" not in path.parts:
            content = path.read_bytes()
            digest.update(f"{path.relative_to(SOURCE).as_posix()} {len(content)} ".encode() + content)
    return digest.hexdigest()


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


# Building an environment


def build(folder: Path, project: list[str], log: Path) -> str:
    """The Python of a new environment in folder. A failure leaves nothing but the log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("", "utf-8")
    needed_gb = 10 if nvidia() else 2
    if shutil.disk_usage(log.parent).free < needed_gb * 10**9:
        sentence = f"The disk is too full: {folder.parent} needs {needed_gb} GB. Free some space, or set "
        raise CalotypeError("NO_SPACE", sentence + "CALOTYPE_HOME to a folder on another disk.")
    try:
        python = create(folder, log)
        size = "3 GB" if nvidia() else "200 MB"
        pip(python, log, f"PyTorch {TORCH}, about {size} to download", torch_arguments(python))
        pip(python, log, "Calotype and its libraries, about 60 MB to download", project)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder / "tmp")
    return python


def create(folder: Path, log: Path) -> str:
    print("  A Python environment")
    python = str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
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
    temporary = (
        Path(python).parent.parent / "tmp"
    )  # the system's may be small, and a crash would leave it full
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


# Checking


def dev_python(force: bool = False) -> str:
    """The Python of an environment in the checkout that runs the checkout's own files."""
    stamp, python = (
        DEV / "calotype.json",
        str(DEV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")),
    )
    project = (SOURCE / "pyproject.toml").read_text("utf-8").split("[tool.")[0]
    wanted = json.dumps([project, TORCH, sys.version])
    DEV.parent.mkdir(exist_ok=True)
    with alone(DEV.parent):
        if force or not stamp.exists() or stamp.read_text("utf-8") != wanted or not Path(python).exists():
            print(f"Setting up the development environment in {DEV}")
            build(DEV, ["--editable", f"{SOURCE}[dev]"], DEV.parent / "install.log")
            atomic.write(stamp, wanted.encode())
    return python


def test(options: argparse.Namespace) -> int:
    python = dev_python()
    types = [["mypy"], ["mypy", "install.py"]]
    steps = [["ruff", "check"], ["ruff", "format", "--check"], *types, ["pytest", *options.rest]]
    failed: list[str] = []
    for step in steps:
        if step[0] == "pytest" and failed:
            print("FAILED before pytest: " + ", ".join(failed))
        print("$ " + shlex.join(step))
        if subprocess.call([python, "-m", *step], cwd=SOURCE, env=clean()) != 0:
            failed.append(" ".join(step))
    return 1 if failed else 0


PROBE = """
import calotype.cli, calotype.version
print(calotype.version.VERSION, flush=True)
import torch
gpu, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
device = torch.cuda.get_device_name() if gpu else "Apple GPU" if mps else "processor"
print(f"{torch.__version__} (CUDA {torch.version.cuda or 'no'}) on: {device}")
"""


def doctor(options: argparse.Namespace) -> int:
    healthy = True
    for state, name, detail in [python_state(), *engine_states(), *disk_states(), running_state()]:
        print(f"{state:8}{name}: {detail}")
        healthy &= state == "ok"
    print(f"{'ok':8}log: {places.log_file()}{'' if places.log_file().exists() else ' (nothing in it yet)'}")
    return 0 if healthy else 1


def python_state() -> State:
    if sys.version_info < (3, 10):  # noqa: UP036 install.py alone runs on older ones
        return "broken", "Python", f"{platform.python_version()}; run install.py with 3.10 or newer"
    return "ok", "Python", platform.python_version()


def engine_states() -> list[State]:
    python = installation().get("python", "")
    if not python:
        return [("missing", name, "run: python3 install.py") for name in ("engine", "PyTorch")]
    remedy = "run: python3 install.py --force"
    if not Path(python).is_file():
        return [("broken", "engine", f"{python} is gone; {remedy}")]
    asked = quiet([python, "-c", PROBE])
    engine, torch, *_ = [*asked.stdout.splitlines(), "", ""]
    complaint = " ".join(asked.stderr.strip().splitlines()[-1:])
    if not engine:
        return [("broken", "engine", f"{complaint}; {remedy}")]
    whole = "ok", "engine", f"{engine} in {Path(python).parent.parent}"
    if not torch:
        return [whole, ("broken", "PyTorch", f"{complaint}; {remedy}")]
    if nvidia() and torch.endswith("processor"):
        return [whole, ("broken", "PyTorch", f"{torch}, not on the GPU; update its driver and {remedy}")]
    return [whole, ("ok", "PyTorch", torch)]


def disk_states() -> list[State]:
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


# The way out


def uninstall(options: argparse.Namespace) -> int:
    home = places.data_dir()
    known = [places.installation_file(), places.catalogue_file(), *environments(), places.run_dir()]
    known += [places.log_file().parent]
    if options.everything:
        known += [home / "models", home / "styles"]
    found = [path for path in known if os.path.lexists(path)]
    if not found:
        print(f"There is no installation in {home}")
        return 0
    with alone(home):
        stop_engine(installation().get("python", ""))
        for path in found:
            remove(path)
    (home / "install.lock").unlink()
    kept = sorted(path.name for path in home.iterdir())
    print(f"Removed from {home}: " + ", ".join(path.name for path in found))
    if kept:
        print("Kept there: " + ", ".join(kept))
    else:
        home.rmdir()
    return 0


def stop_engine(python: str) -> None:
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


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
