"""Pixels between server and worker: files mapped by both, on a memory disk where there is one."""

import errno
import io
import mmap
import os
import re
import secrets
import shutil
import tempfile
from pathlib import Path

import psutil

from calotype_wire.errors import CalotypeError
from calotype_wire.protocol import Buffer

SPARE = "spare"
SPARE_BYTES_MIN, SPARE_BYTES_MAX = 1 << 20, 512 << 20
"""Kept for the next job: pages that exist already are quicker to fill."""

LEFT_FREE_BYTES = 1 << 30
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

    def drop(self, job: str, reuse: bool) -> None:
        """Give up a job's segments. reuse: nobody reads them any more, so the next job may have them."""
        for folder in self.folders(job):
            if reuse and folder.is_dir():
                self._keep(folder)
            shutil.rmtree(folder, ignore_errors=True)

    def trim(self) -> None:
        """Free the segments that are kept for the next job."""
        for folder in self._folders:
            shutil.rmtree(folder / SPARE, ignore_errors=True)

    def _keep(self, folder: Path) -> None:
        spare = folder.parent / SPARE
        for file in folder.iterdir():
            size = file.stat().st_size
            if size < SPARE_BYTES_MIN or size > SPARE_BYTES_MAX:
                continue
            spare.mkdir(mode=0o700, exist_ok=True)
            if size + sum(int(name.partition("-")[0]) for name in os.listdir(spare)) > SPARE_BYTES_MAX:
                self.trim()  # of other sizes: the user went on to another picture
                spare.mkdir(mode=0o700, exist_ok=True)
            try:
                file.rename(spare / f"{size}-{folder.name}-{file.name}")
            except OSError:
                continue  # Windows, while it is mapped

    def close(self) -> None:
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)


def create(folders: list[Path], name: str, size: int, content: Buffer | None = None) -> Path:
    """A file of size bytes, or of that content, in the first folder with room.

    Raises CalotypeError TOO_LARGE.
    """
    for folder in folders:
        path = folder / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            if content is None:
                _allocate(path, size)
            else:
                with _take_or_make(path, size) as file:
                    _write(file, content)
        except OSError as error:
            path.unlink(missing_ok=True)
            if error.errno not in (errno.ENOSPC, errno.ENOMEM, errno.EDQUOT):
                raise
        else:
            return path
    raise too_large(size)


class Upload:
    """A file of size bytes that is filled piece by piece.

    Written, not mapped: the kernel neither clears pages first nor faults them in one by one. Where
    the disk turns out to be full, that is an error and not a bus error.
    """

    def __init__(self, folders: list[Path], name: str, size: int) -> None:
        """In the first folder with room. Raises CalotypeError TOO_LARGE."""
        with_room = [folder for folder in folders if shutil.disk_usage(folder.parent).free > size]
        if not with_room:
            raise too_large(size)
        self.path = with_room[0] / name
        self.size = size
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        self._file = _take_or_make(self.path, size)

    def write(self, offset: int, data: Buffer) -> None:
        """Raises CalotypeError TOO_LARGE."""
        try:
            self._file.seek(offset)
            _write(self._file, data)
        except OSError as error:
            raise too_large(self.size) from error

    def close(self) -> None:
        self._file.close()


def _take_or_make(path: Path, size: int) -> io.FileIO:
    """A file of that size: a spare one, whose old content is to be overwritten, or a fresh one."""
    for spare in (path.parent.parent / SPARE).glob(f"{size}-*"):
        try:
            spare.rename(path)  # atomic: server and worker may want the same
        except FileNotFoundError:
            continue
        return io.FileIO(path, "r+")
    file = io.FileIO(path, "x+")
    file.truncate(max(1, size))
    return file


def _write(file: io.FileIO, data: Buffer) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


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
    if size + LEFT_FREE_BYTES > psutil.virtual_memory().available:
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
