"""What is known of each model that the user has added. Reads JSON alone: the server starts with it, too."""

import dataclasses
import hashlib
import json
import logging
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calotype import names
from calotype_wire import places
from calotype_wire.errors import CalotypeError

log = logging.getLogger(__name__)

KINDS = ("restorer", "upscaler")
FORMATS = {"onnx": ".onnx", "compact": ".safetensors", "spandrel": ".safetensors"}
RANGES = {"0..1": (1.0, 0.0), "0..255": (255.0, 0.0), "-1..1": (2.0, -1.0)}
"""Of the values that models work in: factor and offset from 0..1."""
RESERVED = ("automatic", "calotype", "none")
"""Never a model's name: operations offer these beside the models."""


@dataclass(frozen=True)
class Card:
    """kind: 'restorer' keeps the size, 'upscaler' multiplies it by scale.

    side_px: a model of fixed size takes (height, width); otherwise (0, 0), and any multiple of multiple.
    values: the range that it works in. source: the name of the file that was added. sha256: of the file
    that is kept. added: the day, as ISO 8601.
    """

    name: str
    kind: str
    scale: int
    channels: int
    multiple: int
    halo_px: int
    bytes_a_pixel: int
    side_px: tuple[int, int]
    values: str
    dtype: str
    format: str
    licence: str
    source: str
    sha256: str
    added: str

    @property
    def label(self) -> str:
        return f"{self.name} ({self.scale}x)" if self.kind == "upscaler" else self.name

    @property
    def file(self) -> Path:
        return folder() / (self.name + FORMATS[self.format])

    def to_json(self) -> bytes:
        return (json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False) + "\n").encode()

    def checked_bytes(self) -> bytes:
        """The model's file. Raises CalotypeError BAD_WEIGHTS where it is not as it was when it was added."""
        try:
            data = self.file.read_bytes()
        except OSError as error:
            raise _damaged(self.name, f"cannot be read ({error.strerror})") from error
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise _damaged(self.name, "is not what it was when you added it")
        return data


def folder() -> Path:
    return places.data_dir() / "models"


def card_file(name: str) -> Path:
    return folder() / f"{name}.json"


def installed(kind: str | None = None) -> list[Card]:
    """The models of that kind, or all, by name. Cards that cannot be read are left out: see damaged()."""
    cards = [card for card in map(_read, known_names()) if card is not None]
    return [card for card in cards if kind in (None, card.kind)]


def choices(kind: str) -> dict[str, str]:
    """Name to label, for an operation's choice."""
    return {card.name: card.label for card in installed(kind)}


def known_names() -> list[str]:
    """Of all, also of those whose card cannot be read."""
    stems = (path.stem for path in folder().glob("*.json") if not path.name.startswith("."))
    return sorted(unicodedata.normalize("NFC", stem) for stem in stems)  # HFS+ decomposes accents


def damaged() -> list[str]:
    """Names whose card cannot be read."""
    return [name for name in known_names() if _read(name) is None]


def find(name: str) -> Card:
    """Raises CalotypeError NO_MODEL, BAD_WEIGHTS."""
    known = match(name)
    card = _read(known)
    if card is None:
        raise _damaged(known, "has a card that cannot be read")
    return card


def match(name: str) -> str:
    """The name as it was given when the model was added. Raises CalotypeError NO_MODEL."""
    for known in known_names():
        if names.same(known, name):
            return known
    added = ", ".join(known_names()) or "none"
    raise CalotypeError("NO_MODEL", f"There is no model '{names.plain(name, 60)}'. You have added: {added}.")


def checked_name(name: str) -> str:
    """Raises CalotypeError BAD_PARAMETER unless it can name a file on every system and a choice in a form."""
    known = names.checked(name, "model")
    if known.casefold() in RESERVED:
        raise CalotypeError("BAD_PARAMETER", f"A model cannot be called '{known}'. Choose with --name NAME.")
    return known


def name_from(file_name: str) -> str:
    """A name as near to the file's as is allowed."""
    return checked_name(names.of_file(file_name, "model"))


def _read(name: str) -> Card | None:
    try:
        return _from_wire(json.loads(card_file(name).read_bytes()), name)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        log.warning("the card of the model %s cannot be read: %s", name, error)
        return None


def _from_wire(wire: Any, name: str) -> Card:
    values = {field.name: wire[field.name] for field in dataclasses.fields(Card)}
    height, width = values["side_px"]
    card = Card(**{**values, "side_px": (height, width)})
    for field in dataclasses.fields(card):
        if field.name != "side_px" and type(getattr(card, field.name)) is not field.type:
            raise TypeError(field.name)
    whole = (card.scale, card.channels, card.multiple, card.halo_px, card.bytes_a_pixel, height, width)
    if any(type(number) is not int or number < 0 for number in whole) or not card.multiple:
        raise ValueError("a number")
    known = card.kind in KINDS and card.format in FORMATS and card.values in RANGES
    if not known or card.channels not in (1, 3) or not 1 <= card.scale <= 4:
        raise ValueError("a kind")
    if unicodedata.normalize("NFC", name) != card.name or not names.allowed(card.name):
        raise ValueError("a name")
    return card


def _damaged(name: str, how: str) -> CalotypeError:
    return CalotypeError(
        "BAD_WEIGHTS",
        f"The model '{name}' {how}. Remove it with 'calotype models remove \"{name}\"' and add it again.",
    )
