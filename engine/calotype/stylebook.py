"""The catalogue of styles: what they are called, and the paintings that they were learnt from."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent / "styles"
CATALOGUE = FOLDER / "catalogue.json"


@dataclass(frozen=True)
class Style:
    """name: as users type it. painting: the file that it was learnt from, in the folder of paintings."""

    name: str
    title: str
    artist: str
    year: str
    painting: str

    @property
    def label(self) -> str:
        return f"{self.title} ({self.artist})"


@lru_cache(maxsize=1)
def catalogue() -> tuple[Style, ...]:
    return tuple(Style(**entry) for entry in json.loads(CATALOGUE.read_text("utf-8")))
