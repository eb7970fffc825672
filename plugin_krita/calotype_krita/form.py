"""A form made from an operation's parameters: one widget for each kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from calotype_krita.choices import ChoiceField, Field, LayerField, StyleField
from calotype_krita.qt import QtCore, QtGui, QtWidgets
from calotype_wire import params

STEPS = 1000
"""Of a slider."""


class NumberField(Field):
    """A slider and a spin box that follow each other; a tick for 'automatic' where there is such a thing."""

    def __init__(self, parameter: params.Number) -> None:
        super().__init__()
        self.whole = parameter.whole
        span = parameter.maximum - parameter.minimum
        self.slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal)
        self.slider.setRange(0, int(span) if parameter.whole and span < STEPS else STEPS)
        self.spin = QtWidgets.QSpinBox() if parameter.whole else QtWidgets.QDoubleSpinBox()
        convert = int if parameter.whole else float
        self.spin.setRange(convert(parameter.minimum), convert(parameter.maximum))
        self.spin.setSuffix(f" {parameter.unit}" if parameter.unit else "")
        if not parameter.whole:
            self.spin.setDecimals(0 if span >= 50 else 2)
            self.spin.setSingleStep(1.0 if span >= 50 else span / 100)

        def from_slider(step: int) -> None:
            self.spin.setValue(convert(parameter.minimum + span * step / self.slider.maximum()))

        def from_spin(value: float) -> None:
            blocker = QtCore.QSignalBlocker(self.slider)
            self.slider.setValue(round((value - parameter.minimum) / span * self.slider.maximum()))
            del blocker

        self.slider.valueChanged.connect(from_slider)
        self.spin.valueChanged.connect(from_spin)
        self.spin.valueChanged.connect(lambda _: self.changed.emit())
        self.automatic: Any | None = None
        if parameter.optional:
            self.automatic = QtWidgets.QCheckBox("Automatic")
            self.automatic.toggled.connect(self._enable)
            self.box.addWidget(self.automatic)
        self.box.addWidget(self.slider, 1)
        self.box.addWidget(self.spin)

    def value(self) -> Any:
        if self.automatic is not None and self.automatic.isChecked():
            return None
        return self.spin.value()

    def set_value(self, value: Any) -> None:
        if self.automatic is not None:
            self.automatic.setChecked(value is None)
            self._enable(value is None)
        if isinstance(value, (int, float)):
            self.spin.setValue(int(value) if self.whole else float(value))

    def _enable(self, automatic: bool) -> None:
        self.slider.setVisible(not automatic)
        self.spin.setVisible(not automatic)
        self.changed.emit()


class ToggleField(Field):
    def __init__(self) -> None:
        super().__init__()
        self.tick = QtWidgets.QCheckBox()
        self.tick.toggled.connect(lambda _: self.changed.emit())
        self.box.addWidget(self.tick)

    def value(self) -> Any:
        return self.tick.isChecked()

    def set_value(self, value: Any) -> None:
        self.tick.setChecked(bool(value))


class TextField(Field):
    """An empty optional text is None."""

    def __init__(self, optional: bool) -> None:
        super().__init__()
        self.optional = optional
        self.line = QtWidgets.QLineEdit()
        self.line.editingFinished.connect(self.changed.emit)
        self.box.addWidget(self.line, 1)

    def value(self) -> Any:
        return self.line.text() or (None if self.optional else "")

    def set_value(self, value: Any) -> None:
        self.line.setText(value or "")


class FileField(TextField):
    """With buttons that choose a file and, where that may be, a folder."""

    def __init__(self, optional: bool, folder: bool) -> None:
        super().__init__(optional)
        icons = QtWidgets.QStyle.StandardPixmap
        self._button(icons.SP_FileIcon, "Choose a file", self._file)
        if folder:
            self._button(icons.SP_DirIcon, "Choose a folder", self._folder)

    def _button(self, icon: Any, title: str, ask: Callable[[str], str]) -> None:
        button = QtWidgets.QToolButton()
        button.setIcon(self.style().standardIcon(icon))
        button.setToolTip(title)
        button.clicked.connect(lambda: self._choose(ask(title)))
        self.box.addWidget(button)

    def _file(self, title: str) -> str:
        return QtWidgets.QFileDialog.getOpenFileName(self, title, self.line.text())[0]

    def _folder(self, title: str) -> str:
        return QtWidgets.QFileDialog.getExistingDirectory(self, title, self.line.text())

    def _choose(self, path: str) -> None:
        if path:
            self.line.setText(path)
            self.changed.emit()


class PaletteField(Field):
    """Two to eight colours: click one to change it."""

    def __init__(self, optional: bool) -> None:
        super().__init__()
        self.optional = optional
        self.colours: list[str] = []
        self.more, self.fewer = QtWidgets.QToolButton(), QtWidgets.QToolButton()
        self.more.setText("+")
        self.fewer.setText("−")
        self.more.setToolTip("Add a colour")
        self.fewer.setToolTip("Remove the last colour")
        self.more.clicked.connect(self._add)
        self.fewer.clicked.connect(lambda: self.set_value(self.colours[:-1] if len(self.colours) > 2 else []))
        self.swatches: list[Any] = []
        self.box.addWidget(self.more)
        self.box.addWidget(self.fewer)
        self.box.addStretch(1)

    def value(self) -> Any:
        return self.colours or (None if self.optional else [])

    def set_value(self, value: Any) -> None:
        self.colours = [str(colour) for colour in value or []][:8]
        for swatch in self.swatches:
            swatch.deleteLater()
        self.swatches = []
        for index, colour in enumerate(self.colours):
            swatch = QtWidgets.QToolButton()
            swatch.setStyleSheet(f"background-color: {colour}")
            swatch.clicked.connect(lambda _=False, i=index: self._change(i))
            self.box.insertWidget(index, swatch)
            self.swatches.append(swatch)
        self.more.setEnabled(len(self.colours) < 8)
        self.fewer.setEnabled(bool(self.colours))
        self.changed.emit()

    def _add(self) -> None:
        self.set_value([*self.colours, "#808080"] if self.colours else ["#2b2b2b", "#e0d8c8"])

    def _change(self, index: int) -> None:
        chosen = QtWidgets.QColorDialog.getColor(QtGui.QColor(self.colours[index]), self)
        if chosen.isValid():
            self.set_value([*self.colours[:index], chosen.name(), *self.colours[index + 1 :]])


class Form(QtWidgets.QWidget):
    """changed: a value is another one now."""

    changed = QtCore.pyqtSignal()

    def __init__(
        self, operation: params.Operation, layers: Callable[[], list[Any]], manage: Callable[[], None]
    ) -> None:
        """layers: (unique id, name) of the layers that can be chosen now. manage: opens the styles."""
        super().__init__()
        self.operation = operation
        self.fields: dict[str, Field] = {}
        rows = QtWidgets.QFormLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setRowWrapPolicy(QtWidgets.QFormLayout.RowWrapPolicy.WrapLongRows)
        for parameter in operation.parameters:
            field = _field(parameter, layers, manage)
            if field is None:
                continue
            field.set_value(parameter.default)
            field.changed.connect(self.changed)
            field.setToolTip(parameter.help)
            field.setAccessibleName(parameter.label)
            label = QtWidgets.QLabel(parameter.label)
            label.setToolTip(parameter.help)
            rows.addRow(label, field)
            self.fields[parameter.name] = field

    def values(self) -> dict[str, Any]:
        return {name: field.value() for name, field in self.fields.items()}

    def set_values(self, values: dict[str, Any]) -> None:
        """Those that the operation, as it is now, would refuse are left out."""
        for parameter in self.operation.parameters:
            if parameter.name not in values or parameter.name not in self.fields:
                continue
            try:
                self.fields[parameter.name].set_value(parameter.check(values[parameter.name]))
            except params.CalotypeError:
                continue

    def renew(self, operation: params.Operation) -> bool:
        """Take what the engine says now, where styles at most have come or gone; False where it is more."""
        if operation.with_styles([]) != self.operation.with_styles([]):
            return False
        self.operation = operation
        for parameter in operation.parameters:
            if isinstance(parameter, params.Style):
                self.fields[parameter.name].renew(parameter)
        return True

    def refresh(self) -> None:
        """Another document, and with it other layers."""
        for field in self.fields.values():
            if isinstance(field, LayerField):
                field.refresh()

    def reset(self) -> None:
        for parameter in self.operation.parameters:
            if parameter.name in self.fields:
                self.fields[parameter.name].set_value(parameter.default)


def _field(
    parameter: params.Parameter, layers: Callable[[], list[Any]], manage: Callable[[], None]
) -> Field | None:
    """None for a kind that this plugin does not know: it stays at its default."""
    if isinstance(parameter, params.Number):
        return NumberField(parameter)
    if isinstance(parameter, params.Style):
        return StyleField(parameter, manage)
    if isinstance(parameter, params.Choice):
        return ChoiceField(parameter.choices)
    if isinstance(parameter, params.Toggle):
        return ToggleField()
    if isinstance(parameter, params.OtherLayer):
        return LayerField(layers, parameter)
    if isinstance(parameter, params.Palette):
        return PaletteField(parameter.optional)
    if isinstance(parameter, params.File):
        return FileField(parameter.optional, parameter.folder)
    if isinstance(parameter, params.Text):
        return TextField(parameter.optional)
    return None
