"""What learns behind the filters, and the styles that there are: the same in all windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from calotype_krita.qt import QtCore
from calotype_wire.client import Event, Failed, Preview, Progress, Request, Result, Styles
from calotype_wire.errors import CalotypeError
from calotype_wire.protocol import Layer
from calotype_wire.session import Session

WANTED = ("CANCELLED", "PAUSED")
"""Codes of what the user asked for."""


@dataclass(frozen=True)
class Outcome:
    """How a job ended. sentences: for the user."""

    failed: bool
    sentences: list[str]


class Learning(QtCore.QObject):
    """job: the engine's name for the training of this Krita, empty where there is none. name: of its style,
    as far as it is known. last: what the engine last said of it. sample: a photo painted with what it has
    learnt. styles, unfinished: as docs/protocol.md has them; styles is None until the engine has told them.
    watchers: windows that show the styles, and what the engine refuses of them.

    changed: something of these is different now. listed: the engine did what was asked of the styles.
    refused: it did not, with a sentence. learnt: the operation, and what the style was to be called.
    """

    changed = QtCore.pyqtSignal()
    listed = QtCore.pyqtSignal()
    refused = QtCore.pyqtSignal(str)
    learnt = QtCore.pyqtSignal(str, str)

    def __init__(self, session: Session, keep_going: Callable[[], None]) -> None:
        super().__init__()
        self.job = ""
        self.name = ""
        self.last: Progress | None = None
        self.sample: Layer | None = None
        self.outcome: Outcome | None = None
        self.styles: list[dict[str, Any]] | None = None
        self.unfinished: list[dict[str, Any]] = []
        self.watchers: set[Any] = set()
        self._session, self._keep_going = session, keep_going
        self._operation = ""

    def begin(self, request: Request) -> None:
        """Raises CalotypeError where one is in training."""
        if self.job:
            raise CalotypeError("BUSY", "A style is in training already. Wait for it, or pause it.")
        self.job = self._session.submit(request)
        self._operation = request.operation
        self.name = str(request.parameters.get("name") or "")
        self.last = self.sample = self.outcome = None
        self._keep_going()
        self.changed.emit()

    def stop(self, pause: bool = False) -> None:
        """pause: what was learnt is kept."""
        if self.job:
            self._session.cancel(self.job, pause)
            self._keep_going()

    def dismiss(self) -> None:
        """The outcome was read."""
        self.outcome = None
        self.changed.emit()

    def ask(self, action: str = "list", **fields: Any) -> None:
        """Of styles, as Client.ask_styles; what comes is told by changed or refused."""
        self._session.ask_styles(action, **fields)
        self._keep_going()

    @property
    def at_rest(self) -> list[dict[str, Any]]:
        """What is unfinished, and in training nowhere."""
        mine = self.name if self.job else ""
        return [each for each in self.unfinished if not each.get("running") and each["name"] != mine]

    def take(self, event: Event) -> bool:
        """Whether the event belongs here."""
        job = getattr(event, "job", None)
        if isinstance(event, Styles):
            self.styles, self.unfinished = event.styles, event.unfinished
            self.listed.emit()
        elif isinstance(event, Failed) and job is None and self.watchers:
            self.refused.emit(event.sentence)
        elif not job or job != self.job:
            return False
        elif isinstance(event, Progress):
            self.last = event
        elif isinstance(event, Preview):
            self.sample = event.picture
        elif isinstance(event, Result):
            self.outcome = Outcome(False, report(event.facts) or ["It is learnt."])
            self._end()
            self.learnt.emit(self._operation, self.name)
        elif isinstance(event, Failed):
            self.outcome = Outcome(event.code not in WANTED, [event.sentence])
            self._end()
        self.changed.emit()
        return True

    def _end(self) -> None:
        self.job = ""
        self.ask()  # what is unfinished now


def report(facts: Mapping[str, Any]) -> list[str]:
    return [sentence for sentence in facts.get("report", []) if isinstance(sentence, str)]
