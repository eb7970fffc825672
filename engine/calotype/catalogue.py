"""The operations' declarations on disk, so that server and editors know them before torch is imported."""

import contextlib
import hashlib
import json
import os
import shutil
from pathlib import Path

from calotype import stylebook
from calotype.community import cards
from calotype.portfolio import shelf
from calotype.version import VERSION
from calotype_wire import atomic, params, places
from calotype_wire.errors import CalotypeError


def fingerprint() -> str:
    """Changes whenever the source of an operation does, the catalogue of styles, or the user's models."""
    digest = hashlib.sha256(VERSION.encode())
    folders = [Path(__file__).parent / "ops"]
    if os.environ.get("CALOTYPE_OPERATIONS"):
        folders.append(Path(os.environ["CALOTYPE_OPERATIONS"]))
    for folder in folders:
        for path in sorted(folder.glob("*.py")):
            digest.update(path.read_bytes())
    digest.update(stylebook.CATALOGUE.read_bytes())
    for card in cards.installed():
        digest.update(repr(card).encode())
    return digest.hexdigest()


def with_styles(operations: list[params.Operation]) -> list[params.Operation]:
    """With the styles that there are now."""
    choices = shelf.choices()
    return [operation.with_styles(choices) for operation in operations]


def load_cached() -> list[params.Operation] | None:
    """None where there is none, or one of another version."""
    try:
        cached = json.loads(places.catalogue_file().read_text("utf-8"))
        if cached["fingerprint"] != fingerprint():
            return None
        return with_styles(params.catalogue_from_wire(cached["operations"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save_cached(operations: list[params.Operation], fingerprint: str) -> None:
    """fingerprint: taken before they were declared."""
    wire = {"fingerprint": fingerprint, "operations": [operation.to_wire() for operation in operations]}
    try:
        atomic.write(places.catalogue_file(), json.dumps(wire, indent=1).encode(), 0o644)
        _save_swatches()
    except OSError:
        pass  # a cache: the next start asks a worker again


def _save_swatches() -> None:
    """What each style does: where sandboxed editors see it."""
    folder, pictures = places.swatches_dir(), shutil.ignore_patterns("*.json")
    shutil.copytree(stylebook.FOLDER, folder, ignore=pictures, dirs_exist_ok=True)
    known = {style.name for style in stylebook.catalogue()} | set(shelf.own_names())
    for path in folder.glob("*.jpg"):
        if path.stem not in known:
            path.unlink()
    for name in shelf.own_names():
        with contextlib.suppress(CalotypeError):  # a damaged file has none
            picture, path = shelf.get(name).thumbnail, folder / f"{name}.jpg"
            if not path.exists() or path.read_bytes() != picture:
                atomic.write(path, picture, 0o644)
