"""Pixels between server and worker: files mapped by both, on a memory disk where there is one."""

import errno
import mmap
import os
import re
import secrets
import shutil
import tempfile
from pathlib import Path

import psutil

from calotype_wire.errors import CalotypeError

SPARE_BYTES = 1 << 30
"""Memory that stays free for the models and for everybody else."""


class Store:
    """One folder per engine, swept when the engine ends, or by the next one if it was killed."""

    def __init__(self) -> None:
        self._bases = [Path(tempfile.gettempdir())]
        shared = Path("/dev/shm")
        if os.access(shared, os.W_OK):
            self._bases.insert(0, shared)
        for base in self._bases:
            _sweep(base)
        name = f"calotype-{os.getpid()}-{secrets.token_hex(4)}"
        self._folders = [base / name for base in self._bases]
        for folder in self._folders:
            folder.mkdir(mode=0o700)

    def folders(self, job: str) -> list[Path]:
        """Where a job's segments may lie, best first."""
        return [folder / job for folder in self._folders]

    def drop(self, job: str) -> None:
        for folder in self.folders(job):
            shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)


def create(folders: list[Path], name: str, size: int) -> Path:
    """A file of size bytes in the first folder with room. Raises CalotypeError TOO_LARGE."""
    for folder in folders:
        path = folder / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            _allocate(path, size)
        except OSError as error:
            path.unlink(missing_ok=True)
            if error.errno not in (errno.ENOSPC, errno.ENOMEM, errno.EDQUOT):
                raise
        else:
            return path
    raise too_large(size)


def too_large(size: int) -> CalotypeError:
    return CalotypeError(
        "TOO_LARGE",
        f"There is not enough free memory for this picture (about {size / 2**20:,.0f} MB are needed). "
        "Close other programs, or select a part of the picture.",
    )


def _allocate(path: Path, size: int) -> None:
    """Blocks are reserved now: a full memory disk is an OSError here, not a bus error later."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(handle, 0, max(1, size))
        else:
            os.truncate(handle, max(1, size))
    finally:
        os.close(handle)


def check_memory(size: int) -> None:
    """Raises CalotypeError TOO_LARGE where size bytes more would leave too little for everything else."""
    if size + SPARE_BYTES > psutil.virtual_memory().available:
        raise too_large(size)


def open_map(path: Path, write: bool) -> memoryview:
    """The file's bytes. The map closes when the last view of it is gone."""
    with path.open("r+b" if write else "rb") as file:
        return memoryview(
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_WRITE if write else mmap.ACCESS_COPY)
        )


def _sweep(base: Path) -> None:
    for folder in base.glob("calotype-*-*"):
        match = re.fullmatch(r"calotype-(\d+)-[0-9a-f]{8}", folder.name)
        if match and not psutil.pid_exists(int(match[1])) and folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)
