"""The training pane: how far a style is, its loss curve, and what it paints by now."""

from __future__ import annotations

from typing import Any

from calotype_krita.preview import image_of
from calotype_krita.qt import QtCore, QtGui, QtWidgets
from calotype_krita.studio import studio
from calotype_krita.unfinished import Unfinished, button, wrapped
from calotype_wire.client import Progress
from calotype_wire.protocol import Layer
from calotype_wire.styles import polyline

HEIGHT_PX, LEAST_PX = 112, 48
"""Of curve and sample, and where the docker is low."""

MARGIN_PX = 4
ALARM = "color: #e06c5a"


class Drawn(QtWidgets.QWidget):
    """A picture that is drawn here: as high as there is room for, within limits."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setMinimumSize(LEAST_PX, LEAST_PX)
        self.setMaximumHeight(HEIGHT_PX)
        policy = QtWidgets.QSizePolicy.Policy
        self.setSizePolicy(policy.Preferred, policy.Preferred)

    def sizeHint(self) -> Any:  # noqa: N802 Qt's name
        return QtCore.QSize(HEIGHT_PX, HEIGHT_PX)


class Curve(Drawn):
    """The loss from the start until now."""

    def __init__(self) -> None:
        super().__init__("Loss")
        self.curve: tuple[float, ...] = ()

    def show_curve(self, curve: tuple[float, ...]) -> None:
        if curve == self.curve:
            return
        self.curve = curve
        if curve:
            said = f"Loss: {curve[0]:.2f} at first, {curve[-1]:.2f} now. It falls while the style is learnt."
            self.setToolTip(said)
            self.setAccessibleDescription(said)
        self.update()

    def paintEvent(self, event: Any) -> None:  # noqa: N802 Qt's name
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), self.palette().base())
        line = self.fontMetrics().height()
        wide, high = self.width() - 2 * MARGIN_PX, self.height() - 2 * MARGIN_PX - line
        points = polyline(self.curve, wide, high)
        if points:
            painter.setPen(QtGui.QPen(self.palette().highlight().color(), 2))
            moved = (QtCore.QPointF(x + MARGIN_PX, y + MARGIN_PX + line) for x, y in points)
            painter.drawPolyline(QtGui.QPolygonF(list(moved)))
        painter.setPen(self.palette().text().color())
        said = f"Loss {self.curve[-1]:.2f}" if self.curve else "Loss"
        corner = QtCore.Qt.AlignmentFlag.AlignTop | QtCore.Qt.AlignmentFlag.AlignRight
        painter.drawText(self.rect().adjusted(0, 1, -MARGIN_PX, 0), corner, said)
        painter.end()


class Sample(Drawn):
    """A photo painted with what was learnt so far."""

    def __init__(self) -> None:
        super().__init__("Sample")
        self.setToolTip("A photo painted with what was learnt so far")
        self.setMaximumWidth(HEIGHT_PX)
        self.picture: Any = None
        self._layer: Layer | None = None

    def show_picture(self, layer: Layer | None) -> None:
        if layer is not self._layer:
            self._layer = layer
            self.picture = image_of(layer) if layer is not None else None
            self.update()

    def paintEvent(self, event: Any) -> None:  # noqa: N802 Qt's name
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.SmoothPixmapTransform)
        side = min(self.width(), self.height())
        place = QtCore.QRect((self.width() - side) // 2, (self.height() - side) // 2, side, side)
        if self.picture is None:
            painter.fillRect(place, self.palette().base())
        else:
            painter.drawImage(place, self.picture)
        painter.end()


class TrainingPane(QtWidgets.QWidget):
    """To be seen while a style is in training, is unfinished, or has just ended."""

    def __init__(self) -> None:
        super().__init__()
        self.title, self.stage, self.said = wrapped(), wrapped(), wrapped()
        self.bar = QtWidgets.QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.setAccessibleName("Progress of the training")
        self.curve, self.sample = Curve(), Sample()
        self.pause, self.stop, self.dismiss = button("Pause"), button("Cancel"), QtWidgets.QToolButton()
        self.pause.setToolTip("Stop training and keep what was learnt: it can go on at any time")
        self.stop.setToolTip("Stop training and throw away what was learnt")
        self.dismiss.setText("✕")
        self.dismiss.setToolTip("Hide this message")
        self.dismiss.setAccessibleName("Hide this message")
        self.unfinished = Unfinished()
        self._arrange()
        learning = studio().learning
        self.pause.clicked.connect(lambda: self._stop(pause=True))
        self.stop.clicked.connect(lambda: self._stop(pause=False))
        self.dismiss.clicked.connect(learning.dismiss)
        learning.changed.connect(self.show_state)
        self.show_state()

    def show_state(self) -> None:
        learning = studio().learning
        running = bool(learning.job)
        self.setVisible(running or bool(learning.outcome) or bool(learning.at_rest))
        self.running.setVisible(running)
        if running:
            self.title.setText(f"Training '{learning.name}'" if learning.name else "Training a style")
            self.bar.setValue(round(1000 * learning.last.fraction) if learning.last else 0)
            self.stage.setText(how_far(learning.last) if learning.last else "Waiting for its turn…")
            self.curve.show_curve(learning.last.curve if learning.last else ())
            self.sample.show_picture(learning.sample)
        else:
            self.pause.setEnabled(True)
            self.stop.setEnabled(True)
        outcome = learning.outcome
        self.ended.setVisible(outcome is not None)
        if outcome is not None:
            self.said.setText("\n".join(outcome.sentences))
            self.said.setStyleSheet(ALARM if outcome.failed else "")

    def _arrange(self) -> None:
        seen, buttons = QtWidgets.QHBoxLayout(), QtWidgets.QHBoxLayout()
        seen.addWidget(self.sample)
        seen.addWidget(self.curve, 1)
        buttons.addWidget(self.pause)
        buttons.addWidget(self.stop)
        self.running, self.ended = QtWidgets.QWidget(), QtWidgets.QWidget()
        rows = QtWidgets.QVBoxLayout(self.running)
        rows.addWidget(self.title)
        rows.addLayout(seen)
        rows.addWidget(self.bar)
        rows.addWidget(self.stage)
        rows.addLayout(buttons)
        line = QtWidgets.QHBoxLayout(self.ended)
        line.addWidget(self.said, 1)
        line.addWidget(self.dismiss, 0, QtCore.Qt.AlignmentFlag.AlignTop)
        column = QtWidgets.QVBoxLayout(self)
        for layout in (rows, line, column):
            layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.running, self.ended, self.unfinished):
            column.addWidget(widget)

    def _stop(self, pause: bool) -> None:
        self.pause.setEnabled(False)  # it takes a moment
        self.stop.setEnabled(False)
        studio().learning.stop(pause)


def how_far(progress: Progress) -> str:
    """In words."""
    said, left_s = f"{progress.stage}, {100 * progress.fraction:.0f} %", progress.seconds_left
    if left_s is None:
        return said
    return f"{said}, {left_s:.0f} s left" if left_s < 100 else f"{said}, {left_s / 60:.0f} min left"
