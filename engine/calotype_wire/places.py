"""Where Calotype keeps its files on each system.

CALOTYPE_HOME, when set, takes the place of all of them: tests and portable installations use it. Beside the
copy of this module in an editor's plugin, install.py writes home.txt with the same meaning: a sandboxed
editor sees other XDG folders than the engine does.
"""

import os
import stat
import sys
from pathlib import Path

HOME_FILE = Path(__file__).with_name("home.txt")


def data_dir() -> Path:
    """The engine environment, models, styles, logs: what an upgrade must keep."""
    home = os.environ.get("CALOTYPE_HOME") or _written_home()
    if home:
        return Path(home)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "Calotype"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "Calotype"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "calotype"


def _written_home() -> str:
    try:
        return native(HOME_FILE.read_text("utf-8", "surrogateescape").rstrip("\n"))
    except FileNotFoundError:
        return ""


def native(path: str) -> str:
    """A path from a file of ours as this Python names it: under Krita's LANG=C it knows ASCII only."""
    return os.fsdecode(path.encode("utf-8", "surrogateescape"))


def run_dir() -> Path:
    """Lock and connection file of the engine that runs."""
    return data_dir() / "run"


def connection_file() -> Path:
    return run_dir() / "connection.json"


def log_file() -> Path:
    return data_dir() / "log" / "engine.log"


def installation_file() -> Path:
    """Written last by install.py: {"python": path of the engine's Python, "version": ...}."""
    return data_dir() / "installation.json"


def make_private(folder: Path) -> None:
    """Create folder with mode 0700, or check that nobody else can reach into it.

    Raises PermissionError where it is a symbolic link, no folder, or another user's; modes that are too
    wide are narrowed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        pass
    facts = os.lstat(folder)
    if not stat.S_ISDIR(facts.st_mode):
        raise PermissionError(f"{folder} is not a folder of its own. Move it away and start again.")
    if os.name == "posix":
        if facts.st_uid != os.getuid():
            raise PermissionError(f"{folder} belongs to another user. Move it away and start again.")
        if facts.st_mode & 0o077:
            os.chmod(folder, 0o700)


def swatches_dir() -> Path:
    """Pictures of what each style does, beside the catalogue: an editor in a sandbox may see no more."""
    return data_dir() / "swatches"


def catalogue_file() -> Path:
    """The operations, written by the engine for editors that need them before an engine runs."""
    return data_dir() / "catalogue.json"
