"""Trainings that were stopped in their midst, each to go on with or to throw away; and a question."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from calotype_krita.qt import QtCore, QtWidgets
from calotype_krita.studio import studio


class Question(QtWidgets.QWidget):
    """Asked within a window, so that nothing waits for the answer. Hidden until there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.sentence = wrapped()
        self.yes, self.no = button("Yes"), button("Keep")
        self._then: Callable[[], None] | None = None
        buttons = QtWidgets.QHBoxLayout()
        buttons.addWidget(self.yes)
        buttons.addWidget(self.no)
        buttons.addStretch(1)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.sentence)
        column.addLayout(buttons)
        self.yes.clicked.connect(self._answer)
        self.no.clicked.connect(self.hide)
        self.hide()

    def ask(self, sentence: str, verb: str, then: Callable[[], None]) -> None:
        """verb: on the button that does it."""
        self._then = then
        self.sentence.setText(sentence)
        self.yes.setText(verb)
        self.setVisible(True)
        self.no.setFocus(QtCore.Qt.FocusReason.OtherFocusReason)

    def _answer(self) -> None:
        self.hide()
        if self._then is not None:
            self._then()


class Unfinished(QtWidgets.QWidget):
    """A row for each; nothing is to be seen where there is none."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, Any] = {}
        self.question = Question()
        self.column = QtWidgets.QVBoxLayout(self)
        self.column.setContentsMargins(0, 0, 0, 0)
        self.column.addWidget(self.question)
        self._shown: Any = None
        studio().learning.changed.connect(self.show_state)
        self.show_state()

    def show_state(self) -> None:
        learning = studio().learning
        shown = [(each["name"], each["level"]) for each in learning.at_rest], bool(learning.job)
        if shown == self._shown:
            return
        self._shown = shown
        for row in self.rows.values():
            self.column.removeWidget(row)
            row.hide()
            row.deleteLater()
        self.rows = {}
        for place, (name, level) in enumerate(shown[0]):
            self.rows[name] = row = Row(name, level, learning.job == "")
            row.discard.clicked.connect(partial(self._ask, name))
            self.column.insertWidget(place, row)
        self.question.hide()
        self.setVisible(bool(self.rows))

    def _ask(self, name: str) -> None:
        sentence = f"Throw away what '{name}' has learnt so far?"
        self.question.ask(sentence, "Discard", partial(studio().learning.ask, "discard", name=name))


class Row(QtWidgets.QWidget):
    def __init__(self, name: str, level: str, free: bool) -> None:
        """free: nothing is in training, so that this can go on."""
        super().__init__()
        self.resume, self.discard = button("Resume"), button("Discard")
        self.resume.setEnabled(free)
        self.resume.setToolTip(f"Go on with the training of '{name}'" if free else "A style is in training")
        self.discard.setToolTip(f"Throw away what '{name}' has learnt so far")
        self.resume.setAccessibleName(f"Resume {name}")
        self.discard.setAccessibleName(f"Discard {name}")
        self.resume.clicked.connect(lambda: studio().resume(name))
        buttons = QtWidgets.QHBoxLayout()
        buttons.addWidget(self.resume)
        buttons.addWidget(self.discard)
        buttons.addStretch(1)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(wrapped(f"The training of '{name}' ({level}) is unfinished."))
        column.addLayout(buttons)


def button(text: str) -> Any:
    """One that Return in another field does not press."""
    made = QtWidgets.QPushButton(text)
    made.setAutoDefault(False)
    return made


def wrapped(text: str = "") -> Any:
    label = QtWidgets.QLabel(text)
    label.setTextFormat(QtCore.Qt.TextFormat.PlainText)  # names are anybody's
    label.setWordWrap(True)
    label.setTextInteractionFlags(QtCore.Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
