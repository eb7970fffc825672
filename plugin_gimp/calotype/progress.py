"""Waiting for the engine while the user sees how far it is and may cancel."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from gi.repository import Gimp, GLib

from calotype_wire.client import Catalogue, Failed, Progress, Request, Result
from calotype_wire.errors import CalotypeError
from calotype_wire.session import Session

PUMP_S = 0.01


class Meter(Protocol):
    """What a user sees while a filter runs."""

    cancelled: bool

    def busy(self, stage: str) -> None:
        """At work, and nobody knows for how long."""

    def progress(self, fraction: float, stage: str, seconds_left: float | None) -> None: ...

    def tick(self) -> None:
        """To be called many times a second."""

    def close(self) -> None: ...


def has_screen() -> bool:
    """False in gimp-console, where run modes that ask come, too."""
    from gi.repository import Gdk

    return Gdk.Display.get_default() is not None


@contextmanager
def shown(title: str, on_screen: bool) -> Iterator[Meter]:
    meter: Meter
    if on_screen:
        import window  # needs a screen

        meter = window.Window(title)
    else:
        meter = Bar(title)
    try:
        yield meter
    finally:
        meter.close()


class Bar:
    """GIMP's own bar, for scripts. Its Cancel kills this process, and the engine drops the job."""

    cancelled = False

    def __init__(self, title: str) -> None:
        Gimp.progress_init(title)
        self._stage = ""

    def busy(self, stage: str) -> None:
        self._say(stage)

    def progress(self, fraction: float, stage: str, seconds_left: float | None) -> None:
        self._say(stage)
        Gimp.progress_update(fraction)

    def tick(self) -> None:
        pass

    def close(self) -> None:
        Gimp.progress_end()

    def _say(self, stage: str) -> None:
        if stage != self._stage:
            self._stage = stage
            Gimp.progress_set_text(stage)


def wait(session: Session, request: Request, meter: Meter) -> Result:
    """Raises CalotypeError, with the code CANCELLED where the user wanted it so."""
    job = session.submit(request)
    told = False
    meter.busy("Waiting for the engine")
    while True:
        for event in session.pump():
            if isinstance(event, Progress):
                meter.progress(event.fraction, event.stage, event.seconds_left)
            elif isinstance(event, Result) and event.job == job:
                return event
            elif isinstance(event, Failed) and event.job == job:
                raise CalotypeError(event.code, event.sentence)
        if meter.cancelled and not told:
            told = True
            session.cancel(job)
        if session.state == "starting":
            meter.busy("Starting the engine")
        turn(meter)


def wait_for_catalogue(session: Session, meter: Meter) -> Catalogue:
    """Raises CalotypeError."""
    session.wake()
    meter.busy("Starting the engine")
    while not meter.cancelled:
        for event in session.pump():
            if isinstance(event, Catalogue):
                return event
            if isinstance(event, Failed):
                raise CalotypeError(event.code, event.sentence)
        turn(meter)
    raise CalotypeError("CANCELLED", "Cancelled.")


def turn(meter: Meter) -> None:
    """The window, and the news that GIMP itself has gone, come through GLib."""
    meter.tick()
    context = GLib.MainContext.default()
    while context.pending():
        context.iteration(False)
    time.sleep(PUMP_S)
