"""Which photos are trained on, and which are kept to judge by: decided by what they show, not by their names.

Source: why near copies must share one side, Barz and Denzler 2020 (ciFAIR).
"""

from bisect import bisect
from collections.abc import Iterable
from pathlib import Path

from calotype.train import data
from calotype.train.fingerprints import Fingerprint, of_tests, pairs
from calotype_wire import atomic
from calotype_wire.errors import CalotypeError

TRAIN = "train.txt"
HELD_OUT = "held-out.txt"
TEST = "test.txt"


def prepare(folder: Path, held_out: Path | None, run: Path) -> list[str]:
    """Write run's lists of the photos to train on and to judge by; none is in both, nor a copy.

    Without held_out about 5 of 100 photos are kept to judge by and 5 for a test of your own. Which ones
    depends on what they show alone, so that it stays when a folder is renamed. Returns what was left out and
    why, as sentences. Raises CalotypeError BAD_DATA where nothing is left for one of the lists.
    """
    train, notes = _without_tests(data.listed(folder), [])
    test: list[Path] = []
    if held_out is None:
        train, judged, test = _shares(train)
    else:
        judged, notes = _without_tests(data.listed(held_out), notes)
        met = {i for i, _ in pairs(_prints(train), _prints(judged))}
        if met:
            notes.append(_left_out([train[i] for i in sorted(met)], "to judge by, or much like those"))
        train = [path for i, path in enumerate(train) if i not in met]
    if not train or not judged:
        raise CalotypeError(
            "BAD_DATA",
            f"Of the photos in {folder} none are left to {'judge by' if train else 'train on'}. "
            "Name a folder of other photos with --data, or with --held-out.",
        )
    run.mkdir(parents=True, exist_ok=True)
    for name, paths in ((TRAIN, train), (HELD_OUT, judged), (TEST, test)):
        text = "".join(f"{path.resolve()}\n" for path in paths)
        atomic.write(run / name, text.encode(), 0o644)
    return notes


def _shares(paths: list[Path]) -> tuple[list[Path], list[Path], list[Path]]:
    """About 90, 5 and 5 of 100, copies of one photo together; at least one to judge by, of two or more."""
    groups = sorted(_groups(paths), key=_draw)
    draws = [_draw(group) for group in groups]
    first = min(max(1, bisect(draws, 90)), len(groups) - 1)
    second = max(first + 1, bisect(draws, 95))
    parts = groups[:first], groups[first:second], groups[second:]
    train, judged, test = (sorted(path for group in part for path in group) for part in parts)
    return train, judged, test


def _draw(group: list[Path]) -> float:
    """0..100, by the photos' pixels alone."""
    return min(int(data.fingerprint(path).pixels, 16) for path in group) % 10_000 / 100


def _groups(paths: list[Path]) -> Iterable[list[Path]]:
    """Photos that show the same, together."""
    prints = _prints(paths)
    first = list(range(len(paths)))
    for i, j in pairs(prints, prints):
        a, b = _root(first, i), _root(first, j)
        first[max(a, b)] = min(a, b)
    groups: dict[int, list[Path]] = {}
    for i, path in enumerate(paths):
        groups.setdefault(_root(first, i), []).append(path)
    return groups.values()


def _root(first: list[int], index: int) -> int:
    while first[index] != index:
        index = first[index]
    return index


def _without_tests(paths: list[Path], notes: list[str]) -> tuple[list[Path], list[str]]:
    met = of_tests(_prints(paths))
    if met:
        notes = [*notes, _left_out([paths[i] for i in met], "of the test sets that we measure on")]
    return [path for i, path in enumerate(paths) if i not in met], notes


def _left_out(paths: list[Path], why: str) -> str:
    names = ", ".join(path.name for path in paths[:5]) + (", ..." if len(paths) > 5 else "")
    return f"{len(paths)} pictures are left out because they are {why}: {names}."


def _prints(paths: list[Path]) -> list[Fingerprint]:
    return [data.fingerprint(path) for path in paths]
