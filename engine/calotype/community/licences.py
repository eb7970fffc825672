"""Under which licence a model says that it may be used."""

from collections.abc import Mapping
from pathlib import Path

from calotype.names import plain

UNKNOWN = "unknown"

_KEYS = ("license", "licence", "license_name", "modelspec.license", "general.license")
_FILES = ("license", "licence", "copying")


def licence(given: str | None, metadata: Mapping[str, str], model: Path) -> str:
    """What the user says, else what the file says, else a licence file beside it, else 'unknown'."""
    known = {key.lower(): text for key, text in metadata.items()}
    found = [given or "", *(known.get(key, "") for key in _KEYS)]
    said = next((text for text in (plain(text, 200) for text in found) if text), "")
    return said or _beside(model) or UNKNOWN


def _beside(model: Path) -> str:
    for path in sorted(model.parent.iterdir()):
        if path.stem.lower() in _FILES and path.is_file():
            with path.open("rb") as file:
                lines = file.read(4096).decode("utf-8", "replace").splitlines()
            first = next((plain(line, 120) for line in lines if line.strip()), "")
            return f"{first} (from {plain(path.name, 60)} beside it)" if first else ""
    return ""
