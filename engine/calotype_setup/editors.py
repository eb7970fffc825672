"""What the plugins of all editors share: their content, how it takes its place, how it leaves."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Collection, Dict, List, Optional, Tuple

from calotype_setup.environment import SOURCE
from calotype_wire.errors import CalotypeError

State = Tuple[str, str, str]
"""ok, missing or broken; of what; the detail and what to do."""

Content = Dict[str, bytes]
"""The files of a folder by their path in it, with slashes."""

MADE = "vendor/made.json"
"""In a plugin's folder: the folders and files around it that were not there before."""


@dataclass(frozen=True)
class Profile(ABC):
    """Where one build of an editor keeps a user's things, and how our plugin gets in and out."""

    editor: str
    build: str
    folder: Path

    def __str__(self) -> str:
        return f"{self.editor} ({self.build})" if self.build else self.editor

    @abstractmethod
    def state(self, vendor: Content) -> State:
        """vendor: from vendored(), without msgpack where there is no engine to take it from."""

    @abstractmethod
    def put(self, vendor: Content) -> None: ...

    @abstractmethod
    def uninstall(self) -> bool:
        """Whether there was something to remove."""

    def install(self, vendor: Content, force: bool = False) -> bool:
        """Whether anything had to be done: an editor notices at its next start."""
        if not force and self.state(vendor)[0] == "ok":
            return False
        self.put(vendor)
        return True


def read(folder: Path) -> Content:
    """Without what Python writes by itself, and empty where there is no folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def plugin(folder: str, module: str, vendored: Content) -> Content:
    """A plugin's files from this source, and in its module what it brings along."""
    own = read(SOURCE / folder)
    if not below(own, module):
        sentence = f"{SOURCE / folder} is missing: this copy of Calotype is incomplete. Fetch it again."
        raise CalotypeError("INCOMPLETE", sentence)
    return {**own, **{f"{module}/vendor/{path}": data for path, data in vendored.items()}}


def below(content: Content, folder: str) -> Content:
    return {path[len(folder) + 1 :]: data for path, data in content.items() if path.startswith(f"{folder}/")}


def vendored(msgpack: Optional[Path], home: Optional[Path]) -> Content:
    """The wire and msgpack, as plain Python: no editor's own Python may load compiled modules of others.

    msgpack: the folder of an installed package. home: Calotype's data folder. Either may be unknown.
    """
    found = {f"calotype_wire/{path.name}": path for path in (SOURCE / "engine/calotype_wire").glob("*.py")}
    if msgpack:
        licences = msgpack.parent.glob("msgpack-*.dist-info/**/COPYING")
        found.update({f"msgpack/{path.name}": path for path in (*msgpack.glob("*.py"), *licences)})
        if not {"msgpack/fallback.py", "msgpack/COPYING"} <= set(found):
            sentence = f"{msgpack} is incomplete. Run: python3 install.py --force"
            raise CalotypeError("NOT_INSTALLED", sentence)
    content = {name: path.read_bytes() for name, path in sorted(found.items())}
    if home:
        content["calotype_wire/home.txt"] = f"{home}\n".encode("utf-8", "surrogateescape")
    return content


def same(folder: Path, content: Content) -> bool:
    """Whether folder holds just that; msgpack is left out of account where content is without it."""
    vendor = "vendor/msgpack/"
    whole = any(name.startswith(vendor) for name in content)
    found = {name: data for name, data in read(folder).items() if whole or not name.startswith(vendor)}
    found.pop(MADE, None)
    return found == content


def present(folder: Path) -> bool:
    return any(os.path.lexists(path) for path in (folder, staging(folder), retired(folder)))


def stored(file: Path) -> bytes:
    """Empty where there is no such file."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""


def place(folder: Path, content: Content, made: List[Path], executable: Collection[str] = ()) -> None:
    """Replace folder by content. A crash leaves the whole old one or the whole new one.

    made: what did not exist before, in the order in which it was made.
    """
    staged = staging(folder)
    sweep(folder)
    record = json.dumps([str(path) for path in [*recorded(folder), *made]], indent=1).encode()
    for name, data in {**content, MADE: record}.items():
        path = staged / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        if name in executable:
            path.chmod(0o755)
    swap(staged, folder)
    sweep(folder)


def withdraw(folder: Path) -> None:
    """Remove folder, and what was made around it where nothing else has moved in."""
    made = recorded(folder)
    sweep(folder)
    if os.path.lexists(folder):
        remove(folder)
    for path in reversed(made):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
        elif path.is_file() and path.stat().st_size == 0:
            path.unlink()


def recorded(folder: Path) -> List[Path]:
    try:
        return [Path(path) for path in json.loads((folder / MADE).read_text("utf-8"))]
    except (FileNotFoundError, ValueError, TypeError):
        return []


def missing(path: Path) -> List[Path]:
    """The folders that making path would make, the outermost first."""
    absent = [folder for folder in (path, *path.parents) if not folder.exists()]
    return absent[::-1]


def staging(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.new")


def retired(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def sweep(folder: Path) -> None:
    for path in (staging(folder), retired(folder)):
        if os.path.lexists(path):
            remove(path)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def swap(staged: Path, folder: Path) -> None:
    if not os.path.lexists(folder):
        os.rename(staged, folder)
    elif not exchange(staged, folder):
        os.rename(folder, retired(folder))
        try:
            os.rename(staged, folder)
        except OSError:
            os.rename(retired(folder), folder)
            raise


def exchange(one: Path, other: Path) -> bool:
    """Give each the other's name in one step. False where the system or its file system cannot.

    Sources: renameat2(2) with RENAME_EXCHANGE; macOS's renamex_np(2) with RENAME_SWAP.
    """
    if sys.platform == "win32":
        return False
    libc = ctypes.CDLL(None)
    paths = os.fsencode(one), os.fsencode(other)
    if sys.platform == "darwin":
        return bool(libc.renamex_np(*paths, ctypes.c_uint(2)) == 0)
    at_fdcwd = -100
    return hasattr(libc, "renameat2") and bool(
        libc.renameat2(at_fdcwd, paths[0], at_fdcwd, paths[1], ctypes.c_uint(2)) == 0
    )


def command(*names: str) -> Optional[Path]:
    """The first of these programs that PATH holds, other than a Snap's."""
    found = (shutil.which(name) for name in names)
    return next((Path(path) for path in found if path and not is_snap(path)), None)


def has_snap(name: str) -> bool:
    found = shutil.which(name)
    return (Path.home() / "snap" / name / "current").exists() or bool(found and is_snap(found))


def is_snap(path: str) -> bool:
    return Path(path).parts[1:2] == ("snap",) or "/snapd/snap/" in path


def config_home() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


def data_home() -> Path:
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")


def windows_folder(variable: str, usual: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / "AppData" / usual)


def store_packages(pattern: str) -> List[Path]:
    """Where Windows keeps what apps from its Store write to AppData. Source: MSIX, "behind the scenes"."""
    packages = windows_folder("LOCALAPPDATA", "Local") / "Packages"
    return [package / "LocalCache" for package in sorted(packages.glob(pattern))]
