"""The file by which an editor finds the engine that runs: where it listens and the password."""

import json
import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Optional

from calotype_wire import atomic


@dataclass(frozen=True)
class Connection:
    """token: 64 hexadecimal digits, new with each engine. pid: of the engine."""

    endpoint: str
    token: str
    pid: int
    engine: str

    def save(self, path: Path) -> None:
        """Atomically, mode 0600, checked after the write. The folder must be private already."""
        atomic.write(path, json.dumps(asdict(self)).encode(), 0o600)
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) != 0o600:
            path.unlink()
            raise PermissionError(
                f"{path} would not be private on this file system. Set CALOTYPE_HOME to another."
            )


def load(path: Path) -> Optional[Connection]:
    """None where there is no file, or none that can be trusted: a link, another user's, or damaged."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        handle = os.open(str(path), flags)
    except OSError:
        return None
    try:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode) or (os.name == "posix" and facts.st_uid != os.getuid()):
            return None
        data = os.read(handle, 4096)
    finally:
        os.close(handle)
    try:
        fields = json.loads(data)
        connection = Connection(*(fields[key] for key in ("endpoint", "token", "pid", "engine")))
    except (ValueError, KeyError, TypeError):
        return None
    kinds = (str, str, int, str)
    values = (connection.endpoint, connection.token, connection.pid, connection.engine)
    return connection if tuple(map(type, values)) == kinds else None
