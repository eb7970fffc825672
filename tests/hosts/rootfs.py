"""A Debian that holds real Krita and real GIMP 3, and the sandbox that programs run in it.

The engine stays outside, as it does for a user: inside, its Python is a script that leaves the sandbox.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

RELEASE = "trixie"
EDITORS = ["gimp", "krita", "python3-pyqt5", "gir1.2-gtk-3.0"]
SCREEN = ["xvfb", "openbox", "dbus", "xdotool", "imagemagick", "fonts-dejavu-core", "adwaita-icon-theme"]
PACKAGES = EDITORS + SCREEN
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
DIGEST = hashlib.sha256(" ".join([RELEASE, *PACKAGES]).encode()).hexdigest()[:12]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "calotype-hosts"
OUTSIDE = "/outside"
"""Where a program in the sandbox sees the machine's own files."""


def why_not() -> str | None:
    """The reason why the editors cannot run here, or None."""
    if sys.platform != "linux":
        return "the editors' sandbox needs Linux"
    if os.geteuid() != 0:
        return "building and entering the editors' sandbox needs root"
    if not KEYRING.exists():
        return f"no {KEYRING}: the editors are fetched from Debian's archive"
    return None


def path() -> Path:
    """The root file system, built when it is not there yet: about 90 seconds, 450 MB to download."""
    CACHE.mkdir(parents=True, exist_ok=True)
    root = CACHE / f"{RELEASE}-{DIGEST}"
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            _build(root)
    return root


def _build(root: Path) -> None:
    if not (shutil.which("mmdebstrap") and shutil.which("bwrap")):
        apt = ["apt-get", "-o", "DPkg::Lock::Timeout=600"]
        subprocess.run([*apt, "update"], check=True, stdout=subprocess.DEVNULL)
        tools = ["mmdebstrap", "bubblewrap"]
        subprocess.run(
            [*apt, "install", "-y", "--no-install-recommends", *tools], check=True, stdout=subprocess.DEVNULL
        )
    unfinished = root.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    excluded = [f"--dpkgopt=path-exclude=/usr/share/{n}/*" for n in ("man", "doc", "locale", "help")]
    command = ["mmdebstrap", "--variant=essential", f"--keyring={KEYRING}", *excluded]
    command += ["--aptopt=Acquire::Languages none", "--aptopt=Acquire::Retries 5"]
    command += [f"--include={','.join(PACKAGES)}", RELEASE, str(unfinished)]
    command += [f"deb [signed-by={KEYRING}] {_mirror()} {RELEASE} main"]
    subprocess.run(command, check=True)
    (unfinished / OUTSIDE.lstrip("/")).mkdir()
    unfinished.rename(root)


def _mirror() -> str:
    """The Debian mirror that this machine's apt uses, or Debian's own."""
    files = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    text = "\n".join(file.read_text("utf-8") for file in files if file.is_file())
    found = re.search(r"https?://\S+/debian/?(?=\s|$)", text)
    return found[0] if found else "http://deb.debian.org/debian"


def command(work: Path, environment: Mapping[str, str], *program: str) -> list[str]:
    """program inside the sandbox, with work, a folder below /tmp, writable at its own path; HOME is in it.

    The root file system is read-only. Network, process numbers and /dev/shm are the machine's own.
    """
    home = work / "home"
    for folder in (home, work / "run", work / "tmp"):
        folder.mkdir(parents=True, exist_ok=True)
    (work / "run").chmod(0o700)
    sandbox = ["bwrap", "--ro-bind", str(path()), "/", "--proc", "/proc", "--dev", "/dev"]
    sandbox += ["--tmpfs", "/tmp", "--tmpfs", "/run", "--tmpfs", "/var/tmp"]
    sandbox += ["--dev-bind", "/", OUTSIDE, "--bind", str(work), str(work), "--bind", "/dev/shm", "/dev/shm"]
    sandbox += ["--cap-add", "CAP_SYS_CHROOT", "--die-with-parent", "--chdir", str(work), "--clearenv"]
    settings = {
        "PATH": "/usr/bin:/bin",  # a virtual environment in front would break Krita's own Python
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_RUNTIME_DIR": str(work / "run"),
        "TMPDIR": str(work / "tmp"),
        "LANG": "C.UTF-8",
        "NO_AT_BRIDGE": "1",
        "LIBGL_ALWAYS_SOFTWARE": "1",
        **environment,
    }
    for key, value in settings.items():
        sandbox += ["--setenv", key, value]
    return [*sandbox, "--", *program]


def engine_python(work: Path, python: str = sys.executable) -> Path:
    """A program that is python outside of the sandbox, for installation.json."""
    script = work / "engine-python"
    script.write_text(f'#!/bin/sh\nexec /usr/sbin/chroot {OUTSIDE} /usr/bin/env "{python}" "$@"\n')
    script.chmod(0o755)
    return script


def learn(calotype: Path, operations: Path) -> None:
    """What install.py ends with: the engine of the folder calotype writes its catalogue."""
    settings = {**os.environ, "CALOTYPE_HOME": str(calotype), "CALOTYPE_OPERATIONS": str(operations)}
    listing = [sys.executable, "-m", "calotype", "operations"]
    subprocess.run(listing, env=settings, check=True, stdout=subprocess.DEVNULL)
