"""Models come onto the user's shelf, and leave it."""

import datetime
import hashlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from calotype import names
from calotype.community import cards, licences
from calotype.community.cards import Card
from calotype.community.refusal import BYTES_MAX, refused
from calotype.names import plain
from calotype_wire import atomic
from calotype_wire.errors import CalotypeError

log = logging.getLogger(__name__)

PROBE_S = 300.0
"""A large transformer needs a minute for the pictures that it is tried on."""


@dataclass(frozen=True)
class Candidate:
    """A model that was examined and found good, not yet on the shelf."""

    card: Card
    data: bytes


def examine(
    file: Path, name: str | None = None, licence: str | None = None, timeout_s: float = PROBE_S
) -> Candidate:
    """Raises CalotypeError BAD_MODEL, BAD_FILE, BAD_PARAMETER, NOT_INSTALLED; writes nothing."""
    name = cards.checked_name(name) if name is not None else cards.name_from(file.name)
    _check_free(name)
    data = _bytes(file)
    facts, metadata, kept = _probe(data, timeout_s)
    card = Card(
        name=name,
        kind="restorer" if facts["scale"] == 1 else "upscaler",
        licence=licences.licence(licence, metadata, file),
        source=plain(file.name, 120),
        sha256=hashlib.sha256(kept).hexdigest(),
        added=datetime.date.today().isoformat(),
        **{**facts, "side_px": tuple(facts["side_px"])},
    )
    return Candidate(card, kept)


def add(candidate: Candidate) -> None:
    """Raises CalotypeError NOT_WRITTEN, and BAD_PARAMETER where the name is taken."""
    card = candidate.card
    with _shelf():
        _check_free(card.name)
        try:
            atomic.write(card.file, candidate.data, 0o644)
            atomic.write(cards.card_file(card.name), card.to_json(), 0o644)
        except OSError:
            card.file.unlink(missing_ok=True)
            raise


def remove(name: str) -> None:
    """Also a model whose card or file is damaged. Raises CalotypeError NO_MODEL, NOT_WRITTEN."""
    with _shelf():
        known = cards.match(name)
        for suffix in (".json", *set(cards.FORMATS.values())):  # without its card it is gone
            (cards.folder() / (known + suffix)).unlink(missing_ok=True)


@contextmanager
def _shelf() -> Iterator[None]:
    """One at a time."""
    try:
        cards.folder().mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(cards.folder() / ".lock", mode=0o600):
            yield
    except OSError as error:
        raise CalotypeError(
            "NOT_WRITTEN",
            f"The folder {cards.folder()} could not be changed ({error.strerror or error}). Free some disk "
            "space, or set CALOTYPE_HOME to another folder.",
        ) from error


def _check_free(name: str) -> None:
    if any(names.same(name, known) for known in cards.known_names()):
        raise CalotypeError(
            "BAD_PARAMETER",
            f"You have a model '{name}' already. Choose another name with --name, or remove that one first: "
            f'calotype models remove "{name}".',
        )


def _bytes(file: Path) -> bytes:
    try:
        if not file.is_file():
            raise CalotypeError("BAD_FILE", f"There is no file {plain(str(file), 300)}.")
        with file.open("rb") as opened:
            large = os.fstat(opened.fileno()).st_size > BYTES_MAX
            data = b"" if large else opened.read(BYTES_MAX)
    except OSError as error:
        sentence = f"{plain(str(file), 300)} could not be read ({error.strerror}). Choose another."
        raise CalotypeError("BAD_FILE", sentence) from error
    if large:
        raise refused(f"The file has more than {BYTES_MAX >> 20} MiB, too much for a model of pictures.")
    return data


def _probe(data: bytes, timeout_s: float) -> tuple[dict[str, Any], dict[str, str], bytes]:
    command = [sys.executable, "-B", "-m", "calotype.community.probe"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ORT_")}
    ours = Path(__file__).parents[2]  # -m imports from the working folder first: never the user's
    try:
        ended = subprocess.run(
            command, input=data, capture_output=True, timeout=timeout_s, cwd=ours, env=environment
        )
    except subprocess.TimeoutExpired as error:
        raise refused(
            f"The model needed more than {timeout_s:.0f} seconds for a picture of 128 pixels and was "
            "stopped. Take a smaller one."
        ) from error
    line, _, kept = ended.stdout.partition(b"\n")
    if ended.returncode or not line:
        log.warning(
            "the probe ended with %s: %s", ended.returncode, ended.stderr[-2000:].decode(errors="replace")
        )
        raise refused(
            f"The model brought down the process that tried it ({ended.returncode}); nothing was added. Take "
            "another export of it."
        )
    answer = json.loads(line)
    if "sentence" in answer:
        raise CalotypeError(answer["code"], plain(answer["sentence"], 600))
    return answer["facts"], answer["metadata"], kept if answer["converted"] else data
