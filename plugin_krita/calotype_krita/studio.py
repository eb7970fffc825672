"""The jobs of all documents, and the one conversation with the engine behind them."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from krita import Krita

from calotype_krita import reading, results, scores
from calotype_krita.learning import Learning, Outcome, report
from calotype_krita.qt import QtCore, QtWidgets
from calotype_wire import params
from calotype_wire.client import Catalogue, Failed, Preview, Progress, Request, Result
from calotype_wire.errors import CalotypeError
from calotype_wire.live import LivePreview
from calotype_wire.session import Session, known_operations

TICK_MS, LEARNING_MS, IDLE_MS = 10, 100, 1000
"""Between two times of listening to the engine: while somebody waits, while a style learns, and while other
programs alone may change something.
"""

NO_DOCUMENT = "No document is open. Open a picture, then run again."


@dataclass
class Job:
    """number: the engine's name for it. last: what the engine last said."""

    number: str
    operation: params.Operation
    document: Any
    source: reading.Reading
    began: float
    last: Progress | None = None


class Studio(QtCore.QObject):
    """One for all windows.

    changed: something that a docker shows is different now. so_far: of a document, by its key, what there is
    of the running job's result.
    """

    changed = QtCore.pyqtSignal()
    so_far = QtCore.pyqtSignal(str, object)

    def __init__(self) -> None:
        super().__init__()
        self.operations = known_operations()
        self.session = Session(f"Krita {Krita.instance().version()}")
        self.jobs: dict[str, Job] = {}
        self.outcomes: dict[str, Outcome] = {}
        self.previews: list[LivePreview] = []
        self.learning = Learning(self.session, self.keep_going)
        self._busy = False
        self._inserting = False
        self._arrived: list[Result] = []
        self._timer = QtCore.QTimer(self)
        self._timer.timeout.connect(self._pump)

    def run(self, document: Any, name: str, values: Mapping[str, Any]) -> None:
        """Start an operation on the active layer; the outcome comes with changed.

        values: a layer is named by its node's unique id.
        """
        self.outcomes.pop("", None)
        key = key_of(document)
        with self._answering(key):
            operation = params.find(self.operations, name)
            if document is not None:
                document.waitForDone()  # a stroke that is still being painted belongs to the picture
            if operation.background:
                self.learning.begin(lesson(document, operation, values))
                self.outcomes.pop(key, None)
            else:
                self._work(document, operation, values)
        self.changed.emit()

    def _work(self, document: Any, operation: params.Operation, values: Mapping[str, Any]) -> None:
        key = key_of(document)
        if document is None:
            raise CalotypeError("NO_DOCUMENT", NO_DOCUMENT)
        if key in self.jobs:
            raise CalotypeError("BUSY", "A filter works on this document already. Wait for it, or cancel it.")
        source, request = read(document, operation, values)
        for preview in self.previews:
            preview.stop_working()
        number = self.session.submit(request)
        self.jobs[key] = Job(number, operation, document, source, time.monotonic())
        self.outcomes.pop(key, None)
        self.keep_going()

    def resume(self, name: str) -> None:
        """Go on with a training that is unfinished."""
        with self._answering(key_of(Krita.instance().activeDocument())):
            operation = next(o for o in self.operations if o.background)
            self.learning.begin(Request(operation.name, [], operation.check({"name": name})))

    def preview(self, changed: Callable[[], None]) -> LivePreview:
        """One more preview."""
        self.previews.append(LivePreview(self.session, changed))
        return self.previews[-1]

    def forget(self, preview: LivePreview) -> None:
        """Its window has closed."""
        preview.stop_working()
        self.previews.remove(preview)

    def keep_going(self) -> None:
        """Something was asked for."""
        self._busy = True
        self._timer.start(TICK_MS)

    def cancel(self, document: Any) -> None:
        key = key_of(document)
        job = self.jobs.get(key)
        if job is None:
            return
        self.session.cancel(job.number)
        if any(result.job == job.number for result in self._arrived):  # it waits for a stroke to end
            self._arrived = [result for result in self._arrived if result.job != job.number]
            del self.jobs[key]
            self._tell(key, False, "Cancelled.")

    def _pump(self) -> None:
        if self._inserting:  # Krita runs its loop, and so this timer, inside of some of its calls
            return
        for event in self.session.pump():
            if any([preview.take(event) for preview in self.previews]) or self.learning.take(event):
                continue
            if isinstance(event, Catalogue):
                self.operations = params.offered(event.operations)
                self.learning.ask()  # the styles may be others
                self.changed.emit()
            elif isinstance(event, Result):
                self._arrived.append(event)
            elif isinstance(event, (Progress, Preview, Failed)):
                self._take(event)
        for preview in self.previews:
            preview.turn()
        for result in list(self._arrived):
            if self._is_free(result.job):
                self._arrived.remove(result)
                self._take(result)
        self._pace()

    def _is_free(self, number: str) -> bool:
        """Whether a layer may come into the job's document: in the midst of a stroke, with whatever it is
        painted, or of a transformation it would end that.
        """
        if QtWidgets.QApplication.mouseButtons():
            return False
        document = next((job.document for job in self.jobs.values() if job.number == number), None)
        if document is None or document.rootNode() is None:
            return True  # it was closed, which is to be said
        free = bool(document.tryBarrierLock())
        if free:
            document.unlock()
        return free

    def _pace(self) -> None:
        """Listen as often as there may be something to hear."""
        busy = self.session.busy or bool(self._arrived) or any(p.busy for p in self.previews)
        rested, self._busy = self._busy and not busy, busy
        learning = self.learning.last is not None and not self.jobs and not any(p.busy for p in self.previews)
        if busy:
            self._tick(LEARNING_MS if self.learning.job and learning else TICK_MS)
        elif self.session.state == "ready":
            self._tick(IDLE_MS)
        else:
            self._timer.stop()
            rested = True
        if rested:
            self.changed.emit()

    def _tick(self, interval_ms: int) -> None:
        if self._timer.interval() != interval_ms or not self._timer.isActive():
            self._timer.start(interval_ms)

    def _take(self, event: Any) -> None:
        key = next((key for key, job in self.jobs.items() if job.number == event.job), "")
        job = self.jobs.get(key)
        if job is None:
            if isinstance(event, Failed):
                self._tell(key_of(Krita.instance().activeDocument()), True, event.sentence)
            return
        if isinstance(event, Progress):
            job.last = event
            self.changed.emit()
            return
        if isinstance(event, Preview):
            self.so_far.emit(key, event.picture)
            return
        if isinstance(event, Failed):
            del self.jobs[key]
            self._tell(key, event.code != "CANCELLED", event.sentence)
            return
        self._inserting = True
        with self._answering(key):
            home = results.insert(job.document, job.source, job.operation, event.layers)
            scored = job.source.layer if job.operation.report else event.layers[0]
            scores.keep(home, scored.name, job.operation.name, event.facts)
            self._tell(key, False, *_success(job, event.facts))
        self._inserting = False
        del self.jobs[key]
        self.changed.emit()

    @contextmanager
    def _answering(self, key: str) -> Iterator[None]:
        """What goes wrong becomes a sentence; Krita would open a dialog with a traceback."""
        try:
            yield
        except CalotypeError as error:
            self._tell(key, True, error.sentence)
        except Exception as error:
            traceback.print_exc()  # a mistake of ours, for Krita's log viewer
            sentence = f"Calotype made a mistake ({type(error).__name__}) and stopped. Please report it."
            self._tell(key, True, sentence)

    def _tell(self, key: str, failed: bool, *sentences: str) -> None:
        if key in self.jobs and key_of(self.jobs[key].document) != key:
            key = key_of(Krita.instance().activeDocument())  # it was closed: say so where the user is
        self.outcomes[key] = Outcome(failed, list(sentences))
        self.changed.emit()


def read(
    document: Any, operation: params.Operation, values: Mapping[str, Any]
) -> tuple[reading.Reading, Request]:
    """The layer to work on, and what the engine is asked to do with it. Raises CalotypeError.

    values: a layer is named by its node's unique id.
    """
    nodes, checked = chosen(document, operation, values)
    source = reading.read_layer(document, reading.target(document, nodes), operation.whole)
    layers = [source.layer, *(reading.read(node)[0] for node in nodes)]
    return source, Request(operation.name, layers, checked, source.selection, "alpha")


def lesson(document: Any, operation: params.Operation, values: Mapping[str, Any]) -> Request:
    """What an operation of the background is to learn from. Raises CalotypeError.

    document: None where it may learn from files alone.
    """
    if document is None:
        files = [values.get(p.name) for p in operation.parameters if isinstance(p, params.File)]
        if operation.layers_min or not any(files):
            raise CalotypeError("NO_DOCUMENT", NO_DOCUMENT)
        return Request(operation.name, [], operation.check(values))
    nodes, checked = chosen(document, operation, values)
    kinds = [checked[p.name] for p in operation.parameters if isinstance(p, params.Pictures)]
    pictures, selection = reading.read_pictures(document, *kinds or ["layer"], nodes)
    marked = [reading.read(node)[0] for node in nodes]
    return Request(operation.name, [pictures[0], *marked, *pictures[1:]], checked, selection)


def chosen(
    document: Any, operation: params.Operation, values: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """The other layers' nodes, and the values with each as its place among them, from 1, all checked."""
    nodes, found = [], dict(values)
    for parameter in operation.parameters:
        name = found.get(parameter.name)
        if isinstance(parameter, params.OtherLayer) and name:
            node = next((n for n in reading.others(document) if n.uniqueId() == name), None)
            if node is None:
                raise CalotypeError("NO_LAYER", f"{parameter.label}: that layer is gone. Choose another one.")
            nodes.append(node)
            found[parameter.name] = len(nodes)
    return nodes, operation.check(found)


def _success(job: Job, facts: Mapping[str, Any]) -> list[str]:
    seconds = time.monotonic() - job.began
    note = [job.source.note] if job.source.note else []
    return [f"{job.operation.label}: done in {seconds:.1f} s.", *note, *report(facts)]


_documents: list[Any] = []


def key_of(document: Any) -> str:
    """Stays the same for a document, and is empty once it is closed. Krita makes new objects all the time."""
    if document is None or document.rootNode() is None:
        return ""
    if document not in _documents:
        _documents.append(document)
    return str(_documents.index(document))


@lru_cache(maxsize=1)
def studio() -> Studio:
    return Studio()


def remembered(operation: str) -> dict[str, Any]:
    """The values that the user last ran it with, in this Krita or an earlier one."""
    try:
        found = json.loads(Krita.instance().readSetting("calotype", operation, "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def remember(operation: str, values: Mapping[str, Any]) -> None:
    kept = {key: value for key, value in values.items() if isinstance(value, (bool, int, float, str, list))}
    Krita.instance().writeSetting("calotype", operation, json.dumps(kept))
