"""What users call their models and styles: names that every system can give to a file."""

import re
import unicodedata
from pathlib import Path

from calotype_wire.errors import CalotypeError


def checked(name: str, what: str, longest: int = 60) -> str:
    """name in the one form that it is kept in. what: that it names, 'model' say.

    Raises CalotypeError BAD_PARAMETER unless it can name a file on every system and a choice in a form.
    """
    known = unicodedata.normalize("NFC", name)
    device = known.split(".")[0].strip().upper()  # Windows opens devices by these names
    if not allowed(known, longest) or re.fullmatch("CON|PRN|AUX|NUL|(COM|LPT)[0-9¹²³]", device):
        raise CalotypeError(
            "BAD_PARAMETER",
            f"'{plain(name, 60)}' cannot be a {what}'s name. Take up to {longest} letters, digits, spaces, "
            "dots, hyphens and underscores, a letter or digit first and last.",
        )
    return known


def near(text: str, longest: int = 60) -> str:
    """What is allowed of text, which may be none of it."""
    kept = "".join(letter if letter.isalnum() or letter in " ._-" else "-" for letter in _composed(text))
    return kept[:longest].strip(" ._-")


def of_file(file_name: str, what: str, longest: int = 60) -> str:
    """A name as near to the file's as is allowed. Raises as checked."""
    return checked(near(Path(file_name).stem, longest), what, longest)


def same(one: str, other: str) -> bool:
    """Whether a system that does not tell cases apart would take them for one."""
    return _composed(one).casefold() == _composed(other).casefold()


def allowed(name: str, longest: int = 60) -> bool:
    inner = all(letter.isalnum() or letter in " ._-" for letter in name)
    return inner and 1 <= len(name) <= longest and name[0].isalnum() and name[-1].isalnum()


def plain(text: str, longest: int) -> str:
    """On one line, without what could move a terminal's cursor."""
    line = " ".join(text.split())
    return "".join(letter if letter.isprintable() else "?" for letter in line)[:longest]


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)  # HFS+ decomposes accents
