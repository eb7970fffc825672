"""The Calotype docker: what to run, with which parameters, how far it is, how it ended."""

from __future__ import annotations

import os
from typing import Any

from krita import DockWidget, Krita

from calotype_krita import reading
from calotype_krita.choices import LayerField
from calotype_krita.form import Form
from calotype_krita.preview import PreviewPane
from calotype_krita.qt import QtCore, QtGui, QtWidgets
from calotype_krita.studio import Job, key_of, remember, remembered, studio
from calotype_krita.styles import show_styles
from calotype_krita.training import ALARM, TrainingPane, how_far
from calotype_krita.unfinished import wrapped
from calotype_wire import params, places

ENGINE = {
    "ready": "The engine is ready.",
    "starting": "The engine is starting…",
    "asleep": "The engine starts when it is needed.",
}
FORM_PX = 90
"""Height of the form where the docker is at its lowest."""

NOTICE_PX = 150
"""A longer message scrolls."""


class Scrolled(QtWidgets.QScrollArea):
    """Up and down only."""

    def __init__(self) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)


class Notice(Scrolled):
    """A text that takes the height that it needs, up to a limit."""

    def __init__(self, label: Any) -> None:
        super().__init__()
        self.setWidget(label)

    def fit(self) -> None:
        needed = self.widget().heightForWidth(self.viewport().width())
        self.setFixedHeight(min(needed, NOTICE_PX))

    def resizeEvent(self, event: Any) -> None:  # noqa: N802 Qt's name
        super().resizeEvent(event)
        self.fit()


class CalotypeDocker(DockWidget):
    def __init__(self) -> None:
        super().__init__()
        self.setWindowTitle("Calotype")
        self.form: Form | None = None
        self._layers_chosen: dict[str, dict[str, Any]] = {}
        self.preview, self.training = PreviewPane(self._shown), TrainingPane()
        self.choice = QtWidgets.QComboBox()
        self.help = wrapped()
        self.holder = QtWidgets.QVBoxLayout()
        self.start, self.stop = QtWidgets.QPushButton("Run"), QtWidgets.QPushButton("Cancel")
        self.reset = QtWidgets.QPushButton("Reset")
        self.bar = QtWidgets.QProgressBar()
        self.bar.setRange(0, 1000)
        self.stage, self.message, self.engine = wrapped(), wrapped(), wrapped()
        self.scrolled, self.notice = Scrolled(), Notice(self.message)
        self.log = QtWidgets.QPushButton("Show log")
        self._arrange()
        self.choice.currentIndexChanged.connect(self._choose)
        self.start.clicked.connect(lambda: self.run())
        self.stop.clicked.connect(lambda: studio().cancel(Krita.instance().activeDocument()))
        self.reset.clicked.connect(lambda: self.form and self.form.reset())
        self.log.clicked.connect(_show_log)
        studio().changed.connect(self.show_state)
        studio().learning.learnt.connect(self._learnt)
        QtCore.QCoreApplication.instance().aboutToQuit.connect(self._remember)
        self._offer()
        self.show_state()

    def canvasChanged(self, canvas: Any) -> None:  # noqa: N802 Krita's name
        QtCore.QTimer.singleShot(0, self._look_again)  # the document may be on its way out at this moment

    def _look_again(self) -> None:
        if self.form is not None:
            self.form.refresh()
        self.show_state()

    def showEvent(self, event: Any) -> None:  # noqa: N802 Qt's name
        super().showEvent(event)
        self._look_again()

    def choose(self, name: str) -> None:
        self.choice.setCurrentIndex(self.choice.findData(name))

    def run(self, name: str = "") -> None:
        """The operation that is chosen, or the one named, on the active layer of the active document."""
        if name:
            self.choose(name)
        if self.form is None:
            return
        self._remember()
        studio().run(Krita.instance().activeDocument(), self.form.operation.name, self.form.values())

    def _remember(self) -> None:
        """What the form says: layers for as long as this docker is there."""
        if self.form is None:
            return
        name, fields = self.form.operation.name, self.form.fields
        remember(name, self.form.values())
        chosen = {key: field.wanted for key, field in fields.items() if isinstance(field, LayerField)}
        self._layers_chosen[name] = chosen

    def show_state(self) -> None:
        document = Krita.instance().activeDocument()
        key = key_of(document)
        job = studio().jobs.get(key)
        self._offer()
        free = job is None or (self.form is not None and self.form.operation.background)
        self.start.setVisible(free)
        self.reset.setVisible(free)
        self.start.setEnabled(self.form is not None)
        self.stop.setVisible(job is not None)
        self.bar.setVisible(job is not None)
        self.stage.setVisible(job is not None)
        if job is not None:
            self.bar.setValue(round(1000 * job.last.fraction) if job.last else 0)
            self.stage.setText(_progress(job))
        outcome = studio().outcomes.get(key)
        self.notice.setVisible(bool(outcome))
        self.engine.setVisible(not outcome)
        self.log.setVisible(bool(outcome and outcome.failed) and job is None and places.log_file().exists())
        if outcome:
            self.message.setText("\n".join(outcome.sentences))
            self.message.setStyleSheet(ALARM if outcome.failed else "")
            self.notice.fit()
        self.engine.setText(ENGINE[studio().session.state])

    def _arrange(self) -> None:
        """Only the form scrolls: Run, how far it is and how it ended can always be seen."""
        inside = QtWidgets.QWidget()
        scrolling = QtWidgets.QVBoxLayout(inside)
        scrolling.setContentsMargins(0, 0, 0, 0)
        scrolling.addWidget(self.help)
        scrolling.addLayout(self.holder)
        scrolling.addStretch(1)
        buttons = QtWidgets.QHBoxLayout()
        for button in (self.start, self.stop, self.reset):
            buttons.addWidget(button)
        whole = QtWidgets.QWidget()
        column = QtWidgets.QVBoxLayout(whole)
        column.addWidget(self.choice)
        column.addWidget(self.preview)
        self.scrolled.setWidget(inside)
        self.scrolled.setMinimumHeight(FORM_PX)
        column.addWidget(self.scrolled, 1)
        column.addLayout(buttons)
        self.engine.setEnabled(False)
        for widget in (self.bar, self.stage, self.notice, self.log, self.training, self.engine):
            column.addWidget(widget)
        self.setWidget(whole)

    def _shown(self) -> tuple[params.Operation, dict[str, Any]] | None:
        """What the preview shows."""
        return None if self.form is None else (self.form.operation, self.form.values())

    def _offer(self) -> None:
        """The engine's operations, if they are not what the list shows already."""
        operations = studio().operations
        shown = [self.choice.itemData(i) for i in range(self.choice.count())]
        if shown == [operation.name for operation in operations] and (shown or self.help.text()):
            self._renew(operations)
            return
        chosen = self.choice.currentData()
        blocker = QtCore.QSignalBlocker(self.choice)
        self.choice.clear()
        for operation in operations:
            self.choice.addItem(operation.label, operation.name)
        self.choice.setCurrentIndex(max(0, self.choice.findData(chosen)))
        del blocker
        self._choose()

    def _renew(self, operations: list[params.Operation]) -> None:
        """The form, where the engine says something else of its operation now."""
        if self.form is not None:
            now = params.find(operations, self.form.operation.name)
            if now is not self.form.operation and not self.form.renew(now):
                self._choose()

    def _choose(self, *_: Any) -> None:
        """The form of the operation that is chosen now, with the values of the last run."""
        name = self.choice.currentData()
        self._remember()
        if self.form is not None:
            self.holder.removeWidget(self.form)
            self.form.setParent(None)
            self.form.deleteLater()
            self.form = None
        if name is None:
            self.help.setText("The engine is not installed. Run 'python3 install.py' in the Calotype folder.")
            return
        operation = params.find(studio().operations, name)
        self.help.setText(operation.help)
        self.form = Form(operation, _layers, show_styles)
        self._fill(self.form, remembered(name))
        self.form.changed.connect(self.preview.look)
        self.holder.addWidget(self.form)
        self.preview.setVisible(not operation.background)
        if operation.background:
            self.preview.live.stop()
            studio().learning.ask()  # what is unfinished
        self.show_state()
        self.preview.look()

    def _fill(self, form: Form, values: dict[str, Any]) -> None:
        form.set_values(values)
        for name, layer in self._layers_chosen.get(form.operation.name, {}).items():
            if name in form.fields:
                form.fields[name].set_value(layer)

    def _learnt(self, operation: str, name: str) -> None:
        """The next style needs a name of its own."""
        form = self.form if self.form is not None and self.form.operation.name == operation else None
        if form is not None:
            self._remember()
        values = remembered(operation)
        if name and values.get("name") == name:
            values["name"] = ""
            remember(operation, values)
        if form is not None:
            self._fill(form, values)


def docker_of(window: Any) -> CalotypeDocker | None:
    """Each window has its own."""
    return next((d for d in window.dockers() if isinstance(d, CalotypeDocker)), None) if window else None


def _layers() -> list[Any]:
    document = Krita.instance().activeDocument()
    return [(node.uniqueId(), node.name()) for node in reading.others(document)] if document else []


def _progress(job: Job) -> str:
    if job.last is None:
        return f"{job.operation.label}: sending…"
    return how_far(job.last)


def _show_log() -> None:
    QtGui.QDesktopServices.openUrl(QtCore.QUrl.fromLocalFile(os.fsencode(str(places.log_file())).decode()))
