"""How good a document's layers looked when they were checked, kept in its file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from calotype_krita.qt import QtCore
from calotype_wire import params

KEY = f"calotype/{params.FINISH}"
"""Of the annotation: JSON, by the layer's name the operation and the scores of its last check."""


def kept(document: Any) -> dict[str, Any]:
    try:
        found = json.loads(bytes(document.annotation(KEY)) or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def keep(document: Any, layer: str, operation: str, facts: Mapping[str, Any]) -> None:
    """Nothing is kept where nothing was checked."""
    checked = facts.get(params.FINISH)
    if not isinstance(checked, dict) or "scores" not in checked:
        return
    record = {**kept(document), layer: {"operation": operation, "scores": checked["scores"]}}
    text = json.dumps(record).encode()
    document.setAnnotation(KEY, "Scores of Calotype's checks", QtCore.QByteArray(text))
