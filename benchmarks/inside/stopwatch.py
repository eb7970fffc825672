"""Runs inside the editors: where the time from click to new layer goes, seen from the plugin itself."""

import json
import os
import time
from collections.abc import Callable
from typing import Any

from calotype_wire.session import Session

spent: dict[str, float] = {}
"""Seconds by phase, and the longest single step of ours in the host's loop."""


def reset() -> None:
    spent.clear()
    spent.update({"read": 0.0, "send": 0.0, "compute": 0.0, "receive": 0.0, "insert": 0.0, "longest": 0.0})


def watch(reader: Any, read: str, inserter: Any, insert: str) -> None:
    """reader.read and inserter.insert are the functions in which the plugin calls its host."""
    reset()
    _time(reader, read, "read")
    _time(inserter, insert, "insert")
    pump = Session.pump
    state = {"phase": "", "since": 0.0}

    def pumped(session: Session) -> Any:
        began = time.perf_counter()
        if state["phase"]:
            spent[state["phase"]] += began - state["since"]
        events = pump(session)
        state["phase"], state["since"] = _phase(session), began
        return events

    Session.pump = pumped  # type: ignore[method-assign]


def own(slot: Callable[..., Any]) -> Callable[..., Any]:
    """slot, called by the host's loop, with the time noted that it takes outside of the host's own calls."""

    def timed(*arguments: Any) -> Any:
        host, began = spent["read"] + spent["insert"], time.perf_counter()
        try:
            return slot(*arguments)
        finally:
            took = time.perf_counter() - began - (spent["read"] + spent["insert"] - host)
            spent["longest"] = max(spent["longest"], took)

    return timed


def _phase(session: Session) -> str:
    client = session._client
    if session._waiting or client is None or client._waiting or client._uploads:
        return "send" if session._waiting or session._running else ""
    if client._downloads:
        return "receive"
    return "compute" if session._running else ""


def _time(owner: Any, name: str, phase: str) -> None:
    function: Callable[..., Any] = getattr(owner, name)

    def timed(*arguments: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*arguments)
        finally:
            spent[phase] += time.perf_counter() - began
            if phase == "insert" and os.environ.get("STOPWATCH"):
                with open(os.environ["STOPWATCH"], "w", encoding="utf-8") as file:
                    json.dump({**spent, "peak_mib": peak_mib()}, file)

    setattr(owner, name, timed)


def peak_mib() -> float:
    """Of this process since its start."""
    with open("/proc/self/status", encoding="ascii") as file:
        kib = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    return kib / 1024
