"""Start the engine: the only one of its user, its address in a private file, its log bounded."""

import contextlib
import logging
import logging.handlers
import os
import signal
import sys

import filelock

from calotype.server import Server, Settings
from calotype.version import VERSION
from calotype_wire import places
from calotype_wire.connection import Connection, load
from calotype_wire.errors import CalotypeError

log = logging.getLogger(__name__)


def serve(settings: Settings) -> None:
    """Run the engine of this user until it is stopped or nobody needs it.

    Where one runs already, say so and return. Raises CalotypeError where its folder cannot be used.
    """
    with contextlib.ExitStack() as stack:
        try:
            places.make_private(places.run_dir())
            stack.enter_context(_lock())
            _log_to_file()
            server = stack.enter_context(contextlib.closing(Server(settings)))
            connection = Connection(server.endpoint, server.token, os.getpid(), VERSION)
            connection.save(places.connection_file())
        except filelock.Timeout:
            owner = load(places.connection_file())
            print(f"The Calotype engine runs already, process {owner.pid if owner else 'unknown'}.")  # noqa: T201
            return
        except (OSError, NotImplementedError) as error:
            raise CalotypeError(
                "NO_RUN_FOLDER",
                f"The engine cannot use its folder {places.run_dir()} ({error}). Make it writable, or set "
                "CALOTYPE_HOME to a folder on a local disk.",
            ) from error
        stack.callback(places.connection_file().unlink, missing_ok=True)
        signal.signal(signal.SIGTERM, server.stop)
        signal.signal(signal.SIGINT, server.stop)
        log.info("Calotype %s listens at %s", VERSION, server.endpoint)
        server.run()


def _lock() -> filelock.BaseFileLock:
    """Held until this process ends, however it ends. Raises filelock.Timeout where another holds it."""
    path = places.run_dir() / "engine.lock"
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise PermissionError(f"{path} is not a plain file; remove it")
    lock = filelock.FileLock(path, mode=0o600)
    lock.acquire(blocking=False)
    return lock


def _log_to_file() -> None:
    """A full disk, or a log folder that cannot be written, must not stop the engine."""
    logging.raiseExceptions = False
    path = places.log_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    handler: logging.Handler = logging.NullHandler()
    with contextlib.suppress(OSError):
        handler = logging.handlers.RotatingFileHandler(
            path, maxBytes=1 << 20, backupCount=2, encoding="utf-8"
        )
    form = "%(asctime)s %(levelname)s %(message)s"
    logging.basicConfig(level=logging.INFO, handlers=[handler], format=form)
    sys.excepthook = lambda *failure: log.critical("the engine ends by a bug", exc_info=failure)
