"""What editors ask about styles: listed, renamed, duplicated, deleted, loved, brought in and taken out."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from calotype import stylebook
from calotype.portfolio import shelf, trainings
from calotype_wire import protocol
from calotype_wire.errors import CalotypeError
from calotype_wire.protocol import Header, get

PAGE = 50
"""Styles in one message, so that it stays within its limit."""


def act(header: Header) -> None:
    """Do what a 'styles' message asks for. Raises CalotypeError."""
    action = get(header, "action", str)
    if action == "list":
        return
    if action not in _ACTIONS:
        known = ", ".join(["list", *_ACTIONS])
        raise protocol.bad_request(f"There is no action '{action[:40]}' on styles. There is: {known}.")
    _ACTIONS[action](header)


def pages() -> Iterator[Header]:
    """All styles, in messages."""
    loved = shelf.favourites()
    known: list[dict[str, Any]] = [style.to_wire() for style in shelf.kept()]
    for style in stylebook.catalogue():
        told = {"name": style.name, "own": False, "favourite": style.name in loved, "made": style.year}
        known.append({**told, "sources": style.label})
    for start in range(0, len(known), PAGE):
        more = start + PAGE < len(known)
        page = {"type": "styles", "styles": known[start : start + PAGE], "more": more}
        yield {**page, "unfinished": [] if more else trainings.unfinished()}


def _path(header: Header) -> Path:
    path = Path(get(header, "path", str))
    if not path.is_absolute() or len(str(path)) > 4000:
        raise CalotypeError("BAD_PARAMETER", "Name the file with its whole path.")
    return path


def _name(header: Header) -> str:
    return get(header, "name", str)


_ACTIONS: dict[str, Callable[[Header], object]] = {
    "rename": lambda header: shelf.rename(_name(header), get(header, "to", str)),
    "duplicate": lambda header: shelf.duplicate(_name(header)),
    "delete": lambda header: shelf.delete(_name(header)),
    "favour": lambda header: shelf.favour(_name(header), get(header, "on", bool)),
    "import": lambda header: shelf.import_file(_path(header)),
    "export": lambda header: shelf.export_file(_name(header), _path(header)),
    "discard": lambda header: trainings.discard(_name(header)),
}
