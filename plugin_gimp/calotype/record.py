"""How a layer was made: kept in it, and in the .xcf, for scripts, for the dialog and for the status bar."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from gi.repository import Gimp

from calotype_wire.client import Request, Result
from calotype_wire.params import FINISH, Operation, OtherLayer

PARASITE = "calotype"
LINE_CHARS = 40
"""GIMP puts a message into the status bar where it has room for it, and into a box where it has not."""

SCORES = ("scores", "before")
"""Of what tells how it was found to be, so much is kept."""

ARROW = " \N{RIGHTWARDS ARROW} "


@dataclass(frozen=True)
class Record:
    """JSON as it is in the layer, in which 'operation' and 'result' are texts that are always there."""

    told: Mapping[str, Any]

    @classmethod
    def of(cls, operation: Operation, request: Request, result: Result) -> "Record":
        made = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        name = next((layer.name for layer in result.layers), operation.label)
        known = {"operation": operation.name, "result": name, "made": made}
        facts = dict(result.facts)
        found = facts.get(FINISH)
        if isinstance(found, dict):  # places and repairs are many; the report sums them up
            facts[FINISH] = {key: found[key] for key in SCORES if key in found}
        return cls({**facts, **known, "parameters": _parameters(operation, request)})

    def attach(self, layer: Gimp.Layer) -> None:
        """To be called before layer is in an image: it would be a step that cannot be undone."""
        data = json.dumps(self.told, default=str).encode("ascii")  # GIMP takes signed bytes
        layer.attach_parasite(Gimp.Parasite.new(PARASITE, Gimp.PARASITE_PERSISTENT, data))

    @property
    def report(self) -> list[str]:
        told = self.told.get("report")
        return [line for line in told if isinstance(line, str)] if isinstance(told, list) else []

    @property
    def line(self) -> str:
        """The most important of the report, short; empty where there is none."""
        figures = self._figures
        if ARROW in figures:
            return figures.capitalize()
        line = self.report[0] if self.report else ""
        return line if len(line) <= LINE_CHARS else line[: LINE_CHARS - 1] + "\N{HORIZONTAL ELLIPSIS}"

    @property
    def sentence(self) -> str:
        figures = self._figures
        return f"Last result: {self.told['result']}{figures and ', '}{figures}."

    @property
    def _figures(self) -> str:
        """Each score before and after, or as it is; empty where there is none."""
        quality, check = (_inside(self.told, name) for name in ("quality", FINISH))
        found = {
            "quality": [quality.get(when) for when in ("before", "after")],
            FINISH: [_inside(check, when).get("total") for when in ("before", "scores") if when in check],
        }
        figures = [
            f"{name} {ARROW.join(f'{score:.0f}' for score in scores)}"
            for name, scores in found.items()
            if scores and all(isinstance(score, (int, float)) for score in scores)
        ]
        return f"{', '.join(figures)} of 100" if figures else ""


def _inside(facts: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = facts.get(name)
    return found if isinstance(found, dict) else {}


def newest(layers: Iterable[Gimp.Layer]) -> Record | None:
    """Of all that is in these layers."""
    found = [record for layer in layers if (record := _read(layer)) is not None]
    return max(found, key=lambda record: str(record.told.get("made", "")), default=None)


def _read(layer: Gimp.Layer) -> Record | None:
    """None where the layer has none, or one that is not ours."""
    parasite = layer.get_parasite(PARASITE)
    try:
        told = json.loads(bytes(parasite.get_data())) if parasite is not None else None
    except ValueError:
        return None
    if not isinstance(told, dict) or not all(isinstance(told.get(n), str) for n in ("operation", "result")):
        return None
    return Record(told)


def _parameters(operation: Operation, request: Request) -> dict[str, Any]:
    """As they were used, other layers by their names."""
    named = {p.name for p in operation.parameters if isinstance(p, OtherLayer)}
    return {
        name: request.layers[value].name if name in named and value else value
        for name, value in request.parameters.items()
    }
