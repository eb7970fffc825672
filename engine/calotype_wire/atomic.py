"""Files that are old or new, never torn."""

import contextlib
import os
from pathlib import Path
from typing import Union


def write(path: Path, data: Union[bytes, memoryview], mode: int = 0o600) -> None:
    """Replace path with data, or leave it as it was and raise OSError.

    Temporary file in the same folder, fsync, rename, fsync of the folder. A symbolic link at path is
    replaced, never followed.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()  # of a process with our number that died here
    with contextlib.ExitStack() as undo:
        undo.callback(_remove, temporary)
        handle = os.open(temporary, flags, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        undo.pop_all()
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
