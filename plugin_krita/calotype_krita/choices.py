"""Fields of a form where one of several is chosen: of a list, a style, a layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from calotype_krita.qt import QtCore, QtGui, QtWidgets
from calotype_wire import params

SWATCH_PX = 48
CHOICE_CHARS = 8


class Field(QtWidgets.QWidget):
    """One parameter. value: what the operation gets, None for automatic."""

    changed = QtCore.pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.box = QtWidgets.QHBoxLayout(self)
        self.box.setContentsMargins(0, 0, 0, 0)

    def value(self) -> Any:
        raise NotImplementedError

    def set_value(self, value: Any) -> None:
        raise NotImplementedError


class ChoiceField(Field):
    def __init__(self, choices: Sequence[Any]) -> None:
        """choices: (value, label) pairs."""
        super().__init__()
        self.combo = QtWidgets.QComboBox()
        self.combo.setSizeAdjustPolicy(
            QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.combo.setMinimumContentsLength(CHOICE_CHARS)  # a long choice must not widen the docker
        for value, label in choices:
            self.combo.addItem(label, value)
        self.combo.currentIndexChanged.connect(lambda _: self.changed.emit())
        self.box.addWidget(self.combo, 1)

    def value(self) -> Any:
        return self.combo.currentData()

    def set_value(self, value: Any) -> None:
        index = self.combo.findData(value)
        self.combo.setCurrentIndex(max(0, index))


class StyleField(ChoiceField):
    """With a picture of what each style does. manage: where all that is done with styles is offered."""

    def __init__(self, parameter: params.Style, manage: Callable[[], None]) -> None:
        super().__init__([])
        self.combo.setIconSize(QtCore.QSize(SWATCH_PX, SWATCH_PX))
        self.button = QtWidgets.QToolButton()
        self.button.setText("…")
        self.button.setToolTip("All styles: search, rename, import and export them")
        self.button.setAccessibleName("All styles")
        self.button.clicked.connect(lambda: manage())
        self.box.addWidget(self.button)
        self.renew(parameter)

    def renew(self, parameter: params.Style) -> None:
        """The styles that there are now. What is chosen stays chosen, if it is still there."""
        chosen = self.value()
        known = [value for value, _ in parameter.choices]
        blocker = QtCore.QSignalBlocker(self.combo)
        if known != [self.combo.itemData(index) for index in range(self.combo.count())]:
            self.combo.clear()
            for value, label in parameter.choices:
                self.combo.addItem(label, value)
            self.set_value(chosen if chosen in known else parameter.default)
        for index, value in enumerate(known):
            if value:  # no style has no picture, and needs no room for one
                self.combo.setItemIcon(index, QtGui.QIcon(parameter.swatch(value)))
        del blocker
        if self.value() != chosen:
            self.changed.emit()


class LayerField(ChoiceField):
    """The document's layers as they are when the list is opened."""

    def __init__(self, layers: Callable[[], list[Any]], parameter: params.OtherLayer) -> None:
        """layers: (unique id, name) pairs. wanted: what was chosen, though its document may not be active."""
        super().__init__([])
        self.layers, self.parameter = layers, parameter
        self.wanted: Any = None
        self.combo.showPopup = self._open
        self.combo.currentIndexChanged.connect(self._choose)
        self.refresh()

    def set_value(self, value: Any) -> None:
        super().set_value(value)
        self.wanted = value

    def _choose(self, _: int) -> None:
        self.wanted = self.value()

    def refresh(self) -> None:
        """What was chosen is chosen wherever it is there, as it is again when its document comes back."""
        chosen = self.value()
        blocker = QtCore.QSignalBlocker(self.combo)
        self.combo.clear()
        for value, label in [(None, self.parameter.none)] * self.parameter.optional + self.layers():
            self.combo.addItem(label, value)
        super().set_value(self.wanted)
        del blocker
        if self.value() != chosen:
            self.changed.emit()

    def _open(self) -> None:
        self.refresh()
        QtWidgets.QComboBox.showPopup(self.combo)
