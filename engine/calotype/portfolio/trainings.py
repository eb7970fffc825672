"""Trainings of styles that are not finished: what each is to learn, and whether it runs."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock

from calotype import names
from calotype.portfolio import stylefile
from calotype_wire import places
from calotype_wire.errors import CalotypeError

PLAN, LESSON = "plan.json", "lesson.safetensors"
"""In the folder of a training: what was asked for, and what there is to learn."""


def unfinished_folder() -> Path:
    """A folder for each style that is in training, or was when something stopped it."""
    return places.data_dir() / "styles" / "unfinished"


def run_folder(name: str) -> Path:
    return unfinished_folder() / name


def logs_folder() -> Path:
    """What trainings told: figures, samples, TensorBoard's events."""
    return places.data_dir() / "styles" / "logs"


def unfinished_already(name: str) -> CalotypeError:
    return CalotypeError(
        "BAD_PARAMETER",
        f"A training of '{name}' is unfinished. Let it go on or discard it under Styles, or choose another "
        "name.",
    )


@contextlib.contextmanager
def training(name: str, patience_s: float = 1.0) -> Iterator[None]:
    """While a style learns: nobody else trains or discards it. Raises CalotypeError BUSY.

    patience_s: whoever only looks whether it learns holds it for a moment.
    """
    unfinished_folder().mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(unfinished_folder() / f".{name}.lock", mode=0o600)
    try:
        lock.acquire(patience_s)
    except filelock.Timeout as error:
        raise CalotypeError(
            "BUSY", f"'{name}' is being trained already. Wait for it, or pause it."
        ) from error
    try:
        yield
    finally:
        lock.release()


def is_running(name: str) -> bool:
    try:
        with training(name, 0):
            return False
    except CalotypeError:
        return True
    except OSError:  # no lock can be made, on a full disk say: so nothing could train
        return False


def clear(name: str) -> None:
    """What is unfinished of that name, if anything is."""
    shutil.rmtree(run_folder(name), ignore_errors=True)


def finish(name: str) -> None:
    """A style has learnt all: what the training told stays, for whoever wants to know."""
    run, kept = run_folder(name), logs_folder() / name
    for part in [*run.glob("*.safetensors"), run / "lesson.json", *run.glob(".*.tmp")]:
        part.unlink(missing_ok=True)
    shutil.rmtree(kept, ignore_errors=True)
    kept.parent.mkdir(exist_ok=True)
    os.replace(run, kept)


def plan(name: str) -> dict[str, Any]:
    """Of what is unfinished: level, one of stylefile.LEVELS; seconds; network, its fingerprint.

    Raises ValueError where it cannot be read.
    """
    try:
        told = json.loads((run_folder(name) / PLAN).read_text("utf-8"))
        known = {"level": str(told["level"]), "seconds": float(told["seconds"])}
        known["network"] = str(told.get("network"))
    except (OSError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError("no plan") from error
    if known["level"] not in stylefile.LEVELS:
        raise ValueError("no level")
    return known


def unfinished() -> list[dict[str, Any]]:
    """What is in training, or was stopped in the midst of it: name, level, seconds, and whether it runs.

    What is damaged has the level 'damaged', so that it can be discarded.
    """
    found = []
    for name in run_names():
        try:
            known = plan(name)
        except ValueError:
            if not (run_folder(name) / LESSON).exists():
                continue  # nothing was learnt yet
            known = {"level": "damaged", "seconds": 0.0}
        told = {"name": name, "level": known["level"], "seconds": known["seconds"]}
        found.append({**told, "running": is_running(name)})
    return found


def run_names() -> list[str]:
    with contextlib.suppress(OSError), os.scandir(unfinished_folder()) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    return []


def is_unfinished(name: str) -> bool:
    return any(names.same(name, each["name"]) for each in unfinished())


def discard(name: str) -> None:
    """What is unfinished of that name. Raises CalotypeError NO_STYLE, BUSY."""
    known = next((each["name"] for each in unfinished() if names.same(name, each["name"])), None)
    if known is None:
        sentence = f"No training of '{names.plain(name, 40)}' is unfinished."
        raise CalotypeError("NO_STYLE", sentence)
    with training(known):
        clear(known)
