"""The operations' declarations on disk, so that server and editors know them before torch is imported."""

import hashlib
import json
import os
import shutil
from pathlib import Path

from calotype import stylebook
from calotype.community import cards
from calotype.version import VERSION
from calotype_wire import atomic, params, places


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


def load_cached() -> list[params.Operation] | None:
    """None where there is none, or one of another version."""
    try:
        cached = json.loads(places.catalogue_file().read_text("utf-8"))
        if cached["fingerprint"] != fingerprint():
            return None
        return params.catalogue_from_wire(cached["operations"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save_cached(operations: list[params.Operation], fingerprint: str) -> None:
    """fingerprint: taken before they were declared."""
    wire = {"fingerprint": fingerprint, "operations": [operation.to_wire() for operation in operations]}
    try:
        atomic.write(places.catalogue_file(), json.dumps(wire, indent=1).encode(), 0o644)
        pictures = shutil.ignore_patterns("*.json")
        shutil.copytree(stylebook.FOLDER, places.swatches_dir(), ignore=pictures, dirs_exist_ok=True)
    except OSError:
        pass  # a cache: the next start asks a worker again
