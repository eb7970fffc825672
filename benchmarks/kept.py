"""Results that took long are kept in a folder, so that a benchmark can be stopped, goes on, and may be shared
by several processes.
"""

import json
from collections.abc import Callable
from pathlib import Path

Figures = dict[str, float]


def kept(path: Path, make: Callable[[], Figures]) -> Figures:
    """What path holds; where it is not there, what make gives, which is kept."""
    if not path.exists():
        found = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found))
    known: Figures = json.loads(path.read_text())
    return known
