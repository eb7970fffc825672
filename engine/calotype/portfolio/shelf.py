"""The user's styles on disk: listed, named, moved in and out. What is not finished lies beside them."""

import contextlib
import datetime
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, count
from pathlib import Path
from typing import Any

import filelock
import psutil

from calotype import names, stylebook
from calotype.portfolio import stylefile, trainings
from calotype.portfolio.stylefile import Card, Stylefile
from calotype_wire import atomic, places
from calotype_wire.errors import CalotypeError
from calotype_wire.styles import SUFFIX

COUNT_MAX = 150
LOCKED_S = 2.0
"""How long a change may wait for another one: editors give an engine up that is silent for longer."""

NAME_CHARS_MAX = 40
"""So that all of them fit a message of the wire."""

Stamp = tuple[tuple[str, int, int], ...]
"""Name, time and size of every file: something else as soon as a style is."""


@dataclass(frozen=True)
class Kept:
    """A style on the shelf. bytes: of its file."""

    name: str
    card: Card
    bytes: int
    favourite: bool

    def to_wire(self) -> dict[str, Any]:
        card = self.card
        sources = ", ".join(card.sources)
        return {
            "name": self.name,
            "own": True,
            "favourite": self.favourite,
            "level": card.level,
            "made": card.made,
            "sources": sources if len(sources) <= 120 else sources[:119] + "\N{HORIZONTAL ELLIPSIS}",
            "seconds": round(card.seconds, 1),
            "content": round(card.content, 3),
            "style": round(card.style, 3),
            "bytes": self.bytes,
        }


def folder() -> Path:
    return places.data_dir() / "styles"


def file_of(name: str) -> Path:
    return folder() / f"{name}{SUFFIX}"


def favourites_file() -> Path:
    return folder() / "favourites.json"


def stamp() -> Stamp:
    """Cheap: to be asked for often."""
    found = []
    with contextlib.suppress(OSError), os.scandir(folder()) as entries:
        for entry in entries:
            if entry.name.endswith(SUFFIX) or entry.name == favourites_file().name:
                facts = entry.stat(follow_symlinks=False)
                found.append((entry.name, facts.st_mtime_ns, facts.st_size))
    for name in trainings.run_names():  # what one that goes on writes into its folder is no news
        planned = (trainings.run_folder(name) / trainings.PLAN).exists()
        found.append((f"{name}/", int(planned), int(trainings.is_running(name))))
    return tuple(sorted(found))


def own_names() -> list[str]:
    with contextlib.suppress(OSError), os.scandir(folder()) as entries:
        stems = [entry.name.removesuffix(SUFFIX) for entry in entries if entry.name.endswith(SUFFIX)]
        return sorted((stem for stem in stems if names.allowed(stem, NAME_CHARS_MAX)), key=str.casefold)
    return []


def kept() -> list[Kept]:
    """All that can be read, by name. Files that are damaged are left out."""
    loved = favourites()
    found = []
    for name in own_names():
        with contextlib.suppress(CalotypeError):
            file = get(name)
            found.append(Kept(name, file.card, file.bytes, name in loved))
    return found


def damaged() -> dict[str, str]:
    """Of files that cannot be read: their names, and what is wrong as a sentence."""
    found = {}
    for name in own_names():
        try:
            get(name)
        except CalotypeError as failure:
            found[name] = failure.sentence
    return found


def get(name: str) -> Stylefile:
    """Raises CalotypeError NO_STYLE, BAD_STYLE, BAD_FILE."""
    path = file_of(match(name))
    try:
        facts = path.lstat()
    except OSError as error:  # it was there a moment ago
        raise CalotypeError("NO_STYLE", f"The style '{names.plain(name, 40)}' has gone.") from error
    return _read(path, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=COUNT_MAX)
def _read(path: Path, changed: int, size: int) -> Stylefile:
    return stylefile.read(path)


def match(name: str) -> str:
    """The name as it is on the shelf. Raises CalotypeError NO_STYLE."""
    for known in own_names():
        if names.same(known, name):
            return known
    yours = ", ".join(own_names()) or "none"
    raise CalotypeError(
        "NO_STYLE", f"You have no style '{names.plain(name, 40)}'. Your styles: {names.plain(yours, 250)}."
    )


def choices() -> list[tuple[str, str]]:
    """Name and label of every style, favourites first, then the user's own, then the catalogue's."""
    loved = favourites()
    own = [(name, name) for name in own_names()]
    known = own + [(style.name, style.label) for style in stylebook.catalogue()]
    return sorted(known, key=lambda choice: choice[0] not in loved)


def free_names(wanted: str) -> Iterator[str]:
    """wanted, if no style has it, and then the same with a number. What is unfinished may have them."""
    base = names.near(wanted, NAME_CHARS_MAX - 4) or "Style"
    numbered = (f"{base} {number}" for number in count(2))
    for name in chain([base], numbered):
        with contextlib.suppress(CalotypeError):
            yield check_free(name, learnt=True)


def free_name(wanted: str) -> str:
    """wanted, or with a number where it is taken, be it by what is unfinished."""
    return next(name for name in free_names(wanted) if not trainings.is_unfinished(name))


def check_free(name: str, learnt: bool = False) -> str:
    """The name in the form that it is kept in. learnt: what is unfinished of that name may take it.

    Raises CalotypeError BAD_PARAMETER.
    """
    known = names.checked(name, "style", NAME_CHARS_MAX)
    if any(names.same(known, each) for each in _taken()):
        raise CalotypeError(
            "BAD_PARAMETER", f"There is a style '{known}' already. Choose another name, or rename that one."
        )
    if not learnt and trainings.is_unfinished(known):
        raise trainings.unfinished_already(known)
    return known


def _taken() -> list[str]:
    return [*own_names(), *(style.name for style in stylebook.catalogue())]


def add(name: str, data: bytes, learnt: bool = False) -> str:
    """Put a style's file on the shelf under that name, or not at all. Returns the name.

    learnt: as of check_free. Raises CalotypeError BAD_STYLE, BAD_PARAMETER, NOT_WRITTEN.
    """
    stylefile.parse(data)
    with _shelf():
        known = check_free(name, learnt)
        if len(own_names()) >= COUNT_MAX:
            raise CalotypeError(
                "BAD_PARAMETER",
                f"You have {COUNT_MAX} styles already. Export and delete some, then try again.",
            )
        atomic.write(file_of(known), data, 0o644)
    return known


def import_file(path: Path, name: str = "") -> str:
    """Returns the name that it got. Raises CalotypeError BAD_STYLE, BAD_FILE, BAD_PARAMETER, NOT_WRITTEN."""
    try:
        file = stylefile.read(path)
    except CalotypeError as error:
        if error.code != "BAD_STYLE":  # then it is named
            raise
        raise CalotypeError(error.code, f"{path.name}: {error.sentence}") from None
    return add(name or free_name(path.stem), file.data)


def export_file(name: str, path: Path) -> None:
    """path: a file, or a folder. Raises CalotypeError NO_STYLE, BAD_STYLE, NOT_WRITTEN."""
    data = get(name).data
    try:
        if path.is_dir():
            path = path / f"{match(name)}{SUFFIX}"
        if path.suffix.lower() != SUFFIX or not path.parent.is_dir():
            sentence = f"{path} could not be written: name a {SUFFIX} file in a folder that is there."
            raise CalotypeError("NOT_WRITTEN", sentence)
        atomic.write(path, data, 0o644)
    except OSError as error:
        raise _not_written(path, error) from error


def rename(name: str, to: str) -> str:
    with _shelf():
        old = match(name)
        new = names.checked(to, "style", NAME_CHARS_MAX)
        if not names.same(old, new):
            check_free(new)
        os.replace(file_of(old), file_of(new))
        told, there = trainings.logs_folder() / old, trainings.logs_folder() / new
        if there.exists() and not (told.exists() and there.samefile(told)):  # of a file that somebody removed
            shutil.rmtree(there)
        if told.exists():
            os.replace(told, there)
        _love(lambda loved: {new if each == old else each for each in loved})
    return new


def duplicate(name: str) -> str:
    with _shelf():
        known = match(name)
        data = stylefile.read(file_of(known)).data
    return add(free_name(known), data)


def delete(name: str) -> None:
    with _shelf():
        known = match(name)
        file_of(known).unlink()
        shutil.rmtree(trainings.logs_folder() / known, ignore_errors=True)
        _love(lambda loved: loved - {known})


def favourites() -> frozenset[str]:
    try:
        found = json.loads(favourites_file().read_text("utf-8"))
        return frozenset(each for each in found if isinstance(each, str))
    except (OSError, ValueError, TypeError):
        return frozenset()


def favour(name: str, loved: bool) -> None:
    """Also one of the catalogue."""
    if name not in [style.name for style in stylebook.catalogue()]:
        name = match(name)
    with _shelf():
        _love(lambda known: known | {name} if loved else known - {name})


def _love(change: Any) -> None:
    loved = sorted(change(set(favourites())))
    atomic.write(favourites_file(), json.dumps(loved, ensure_ascii=False).encode(), 0o644)


def today() -> str:
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")


@contextlib.contextmanager
def _shelf() -> Iterator[None]:
    """One at a time."""
    try:
        folder().mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder() / ".lock", LOCKED_S, mode=0o600):
            _sweep()
            yield
    except filelock.Timeout as error:
        sentence = "Another program is changing the styles. Try again in a moment."
        raise CalotypeError("BUSY", sentence) from error
    except OSError as error:
        raise _not_written(folder(), error) from error


def _sweep() -> None:
    """What writers have left that were killed: calotype_wire.atomic names their process in it."""
    for path in folder().glob(".*.tmp"):
        writer = path.suffixes[-2].lstrip(".")
        if writer.isdecimal() and not psutil.pid_exists(int(writer)):
            path.unlink(missing_ok=True)


def _not_written(path: Path, error: OSError) -> CalotypeError:
    return CalotypeError(
        "NOT_WRITTEN",
        f"{path} could not be written ({error.strerror or error}). Free some disk space, or choose another "
        "folder, and try again. Your styles are as they were.",
    )
