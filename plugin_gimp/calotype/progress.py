"""Waiting for the engine while the user sees how far it is and may cancel."""

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Protocol

from gi.repository import Gimp, GLib

from calotype_wire.client import Catalogue, Failed, Preview, Progress, Request, Result
from calotype_wire.errors import CalotypeError
from calotype_wire.protocol import Layer
from calotype_wire.session import Session

PUMP_S = 0.01


class Meter(Protocol):
    """What a user sees while a filter runs."""

    cancelled: bool
    paused: bool
    """Of what learns: the user wants it to stop now and to go on later."""

    def busy(self, stage: str) -> None:
        """At work, and nobody knows for how long."""

    def progress(self, told: Progress) -> None: ...

    def show(self, picture: Layer) -> None:
        """What there is so far."""

    def tick(self) -> None:
        """To be called many times a second."""

    def close(self) -> None: ...


def has_screen() -> bool:
    """False in gimp-console, where run modes that ask come, too."""
    from gi.repository import Gdk

    return Gdk.Display.get_default() is not None


@contextmanager
def shown(title: str, on_screen: bool, learns: bool = False) -> Iterator[Meter]:
    meter: Meter
    if on_screen and learns:
        import training  # needs a screen

        meter = training.Training(title)
    elif on_screen:
        import window

        meter = window.Window(title)
    else:
        meter = Bar(title)
    try:
        yield meter
    finally:
        meter.close()


class Bar:
    """GIMP's own bar, for scripts. Its Cancel kills this process, and the engine drops the job."""

    cancelled = paused = False

    def __init__(self, title: str) -> None:
        Gimp.progress_init(title)
        self._stage = ""

    def busy(self, stage: str) -> None:
        self._say(stage)

    def progress(self, told: Progress) -> None:
        self._say(told.stage)
        Gimp.progress_update(told.fraction)

    def show(self, picture: Layer) -> None:
        pass

    def tick(self) -> None:
        pass

    def close(self) -> None:
        Gimp.progress_end()

    def _say(self, stage: str) -> None:
        if stage != self._stage:
            self._stage = stage
            Gimp.progress_set_text(stage)


def wait(session: Session, request: Request, meter: Meter) -> Result:
    """Raises CalotypeError, with the code CANCELLED or PAUSED where the user wanted it so."""
    steps = waiting(session, request, meter)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: Result = done.value
            return result
        turn(meter)


def waiting(session: Session, request: Request, meter: Meter) -> Generator[None, None, Result]:
    """As wait(), to be resumed many times a second by a loop that turns meter itself."""
    job = session.submit(request)
    told = False
    meter.busy("Waiting for the engine")
    while True:
        for event in session.pump():
            if isinstance(event, Progress):
                meter.progress(event)
            elif isinstance(event, Preview):
                meter.show(event.picture)
            elif isinstance(event, Result) and event.job == job:
                return event
            elif isinstance(event, Failed) and event.job == job:
                raise CalotypeError(event.code, event.sentence)
        if (meter.cancelled or meter.paused) and not told:
            told = True
            session.cancel(job, pause=not meter.cancelled)
        if session.state == "starting":
            meter.busy("Starting the engine")
        yield


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


def wait_for_styles(session: Session, meter: Meter) -> None:
    """Until the engine has written down which styles there are, or has gone."""
    session.ask_styles()
    while session.busy:
        session.pump()
        turn(meter)


def turn(meter: Meter) -> None:
    """The window, and the news that GIMP itself has gone, come through GLib."""
    meter.tick()
    context = GLib.MainContext.default()
    while context.pending():
        context.iteration(False)
    time.sleep(PUMP_S)
