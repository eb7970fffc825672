"""How a layer was made: kept in it, and in the .xcf, for scripts, for the dialog and for the status bar."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from gi.repository import Gimp

from calotype_wire.client import Request, Result
from calotype_wire.params import Operation, OtherLayer

PARASITE = "calotype"
LINE_CHARS = 40
"""GIMP puts a message into the status bar where it has room for it, and into a box where it has not."""


@dataclass(frozen=True)
class Record:
    """JSON as it is in the layer, in which 'operation' and 'result' are texts that are always there."""

    told: Mapping[str, Any]

    @classmethod
    def of(cls, operation: Operation, request: Request, result: Result) -> "Record":
        made = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        name = next((layer.name for layer in result.layers), operation.label)
        known = {"operation": operation.name, "result": name, "made": made}
        return cls({**result.facts, **known, "parameters": _parameters(operation, request)})

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
        quality = self._quality
        if quality is not None:
            return f"Quality {quality[0]:.0f} \N{RIGHTWARDS ARROW} {quality[1]:.0f} of 100"
        line = self.report[0] if self.report else ""
        return line if len(line) <= LINE_CHARS else line[: LINE_CHARS - 1] + "\N{HORIZONTAL ELLIPSIS}"

    @property
    def sentence(self) -> str:
        quality = self._quality
        if quality is None:
            return f"Last result: {self.told['result']}."
        return (
            f"Last result: {self.told['result']}, quality {quality[0]:.0f} before, {quality[1]:.0f} after, "
            "of 100."
        )

    @property
    def _quality(self) -> tuple[float, float] | None:
        """Before and after."""
        told = self.told.get("quality")
        scores = [told.get(when) for when in ("before", "after")] if isinstance(told, dict) else []
        if len(scores) != 2 or not all(isinstance(score, (int, float)) for score in scores):
            return None
        return scores[0], scores[1]


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
