"""The live preview: before and after side by side, with a line between them that can be moved."""

from __future__ import annotations

import traceback
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from krita import Krita

from calotype_krita import reading
from calotype_krita import studio as studios
from calotype_krita.qt import QtCore, QtGui, QtWidgets
from calotype_krita.studio import key_of, studio
from calotype_wire import params
from calotype_wire.errors import CalotypeError
from calotype_wire.live import moved
from calotype_wire.protocol import Layer

LOOK_MS = 1000
"""Between two looks at whether the document has changed: Krita tells nobody."""

HEIGHT_PX = 220
GRIP_PX = 10
"""So near to the line the mouse takes hold of it."""

GLANCE_PX = 256
"""Krita's thumbnails show one pixel in so many, not their mean."""

FORMATS = {"RGBA": QtGui.QImage.Format.Format_RGBA8888, "RGB": QtGui.QImage.Format.Format_RGB888}

Shown = Callable[[], "tuple[params.Operation, dict[str, Any]] | None"]


class SplitView(QtWidgets.QWidget):
    """panned: by how much of the picture, in its pixels, the user has dragged it right and down."""

    panned = QtCore.pyqtSignal(float, float)

    def __init__(self) -> None:
        super().__init__()
        self.before: Any = None
        self.after: list[Any] = []
        self.split = 0.5
        self._dragged: Any = None
        self.setFixedHeight(HEIGHT_PX)
        self.setMouseTracking(True)

    def show_pictures(self, before: Layer | None, after: Sequence[Layer]) -> None:
        self.before = image_of(before) if before is not None else None
        self.after = [image_of(layer) for layer in after if layer.format.channels in FORMATS]
        self.update()

    def paintEvent(self, event: Any) -> None:  # noqa: N802 Qt's name
        if self.before is None:
            return
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.SmoothPixmapTransform)
        area = self._area()
        painter.drawImage(area, self.before)
        line = round(area.left() + self.split * area.width())
        if self.after:
            painter.setClipRect(QtCore.QRectF(line, area.top(), area.right() - line + 1, area.height()))
            for picture in self.after:
                painter.drawImage(area, picture)
            painter.setClipping(False)
            painter.setPen(QtGui.QPen(QtGui.QColor("white"), 1))
            painter.drawLine(line, round(area.top()), line, round(area.bottom()))
        painter.end()

    def mousePressEvent(self, event: Any) -> None:  # noqa: N802 Qt's name
        self._dragged = None if self._near(event) else event.pos()
        self.mouseMoveEvent(event)

    def mouseMoveEvent(self, event: Any) -> None:  # noqa: N802 Qt's name
        cursor = QtCore.Qt.CursorShape
        self.setCursor(cursor.SplitHCursor if self._near(event) else cursor.ArrowCursor)
        if event.buttons() and self._dragged is None and self.before is not None:
            area = self._area()
            self.split = min(1.0, max(0.0, (event.pos().x() - area.left()) / area.width()))
            self.update()

    def mouseReleaseEvent(self, event: Any) -> None:  # noqa: N802 Qt's name
        if self._dragged is not None and self.before is not None:
            moved, scale = event.pos() - self._dragged, self.before.width() / self._area().width()
            self.panned.emit(moved.x() * scale, moved.y() * scale)
        self._dragged = None

    def _near(self, event: Any) -> bool:
        if self.before is None:
            return False
        area = self._area()
        return bool(abs(event.pos().x() - area.left() - self.split * area.width()) < GRIP_PX)

    def _area(self) -> Any:
        """Where the picture lies: as large as it fits, in the middle."""
        size = QtCore.QSizeF(self.before.size())
        size.scale(QtCore.QSizeF(self.size()), QtCore.Qt.AspectRatioMode.KeepAspectRatio)
        place = QtCore.QRectF(QtCore.QPointF(0, 0), size)
        place.moveCenter(QtCore.QRectF(self.rect()).center())
        return place


def image_of(layer: Layer) -> Any:
    """A QImage of its own."""
    form, stride = FORMATS[layer.format.channels], layer.width * layer.format.bytes_a_pixel
    return QtGui.QImage(bytes(layer.pixels), layer.width, layer.height, stride, form).copy()


class PreviewPane(QtWidgets.QWidget):
    """Off until the user ticks it: the engine sleeps as long as nobody wants anything."""

    def __init__(self, shown: Shown) -> None:
        """shown: the operation and the values that the form has now, or None."""
        super().__init__()
        self.live = studio().preview(self._draw)
        self.view = SplitView()
        self._shown = shown
        self._key = ""  # of the document that is seen
        self._looking = False
        self._part, self._size = (50.0, 50.0), (1, 1)
        self.tick, self.actual = QtWidgets.QCheckBox("Preview"), QtWidgets.QCheckBox("Actual pixels")
        self.actual.setToolTip("Show a part in its own pixels; drag it to see another one.")
        self.sentence = QtWidgets.QLabel()
        self.sentence.setWordWrap(True)
        ticks = QtWidgets.QHBoxLayout()
        ticks.addWidget(self.tick)
        ticks.addWidget(self.actual)
        ticks.addStretch(1)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(ticks)
        column.addWidget(self.view)
        column.addWidget(self.sentence)
        self._timer = QtCore.QTimer(self)
        self._timer.timeout.connect(self._look_again)
        self.tick.toggled.connect(self._switch)
        self.actual.toggled.connect(self.look)
        self.view.panned.connect(self._pan)
        studio().so_far.connect(self._draw_so_far)
        self.destroyed.connect(partial(studio().forget, self.live))
        self._switch(False)

    def look(self, *_: Any) -> None:
        """Bring the picture up to date."""
        self._look(patient=False)

    def _look(self, patient: bool) -> None:
        """patient: layers that look different are read when they have come to rest."""
        document = Krita.instance().activeDocument()
        if self._looking or document is None or not self.tick.isChecked() or not self.isVisible():
            return
        if key_of(document) in studio().jobs:
            self.live.forget()
            return  # what there is of its result is shown
        self._looking = True  # Krita runs its loop, and so our timer, inside of some of its calls
        try:
            self._look_at(document, patient)
        except CalotypeError as error:
            self.live.fail(error.sentence)
        except Exception as error:  # noqa: BLE001 Krita would open a dialog with a traceback
            traceback.print_exc()  # a mistake of ours, for Krita's log viewer
            self.live.fail(f"Calotype made a mistake ({type(error).__name__}). Please report it.")
        finally:
            self._looking = False
        if self.live.busy:
            studio().keep_going()

    def _look_at(self, document: Any, patient: bool) -> None:
        shown = self._shown()
        if shown is None:
            return
        operation, values = shown
        if self._key != key_of(document):
            self._key = key_of(document)
            self.live.stop()
        part = self._part if self.actual.isChecked() else None
        try:
            nodes, checked = studios.chosen(document, operation, values)
            scene = (_glance(document, nodes), operation.whole, part)
        except CalotypeError:
            self.live.forget()
            raise
        if not self.live.due(scene, operation.name, checked, patient):
            return
        if not document.tryBarrierLock():
            self.live.forget()
            return  # a stroke is being painted, and must not be ended by us
        try:
            _, request = studios.read(document, operation, values)
        finally:
            document.unlock()
        self._size = request.layers[0].width, request.layers[0].height
        self.live.look(request, operation.alone(checked), part)

    def _switch(self, on: bool) -> None:
        for widget in (self.actual, self.view):
            widget.setVisible(on)
        if on:
            self._timer.start(LOOK_MS)
            self.look()
        else:
            self._timer.stop()
            self.live.stop()
        self._draw()

    def _look_again(self) -> None:
        if not QtWidgets.QApplication.mouseButtons():  # a stroke is being painted
            self._look(patient=True)

    def _pan(self, right: float, down: float) -> None:
        self._part = moved(self._part, (right, down), self._size)
        self.look()

    def _draw(self) -> None:
        self.view.show_pictures(self.live.before, self.live.after)
        self.sentence.setText(self.live.sentence)
        self.sentence.setVisible(self.tick.isChecked() and bool(self.live.sentence))

    def _draw_so_far(self, key: str, picture: Layer) -> None:
        """Of the document's own job."""
        if self.tick.isChecked() and self._key == key and self.live.before and not self.actual.isChecked():
            self.view.show_pictures(self.live.before, [picture])


def _glance(document: Any, others: Sequence[Any]) -> tuple[Any, ...]:
    """Something else as soon as the layers or the selection look different. Raises CalotypeError."""
    found = []
    for node in (reading.target(document, others), *others):
        bounds, image = node.bounds(), node.thumbnail(GLANCE_PX, GLANCE_PX)
        box = bounds.x(), bounds.y(), bounds.width(), bounds.height()
        found.append((node.uniqueId().toString(), box, _bytes(image)))
    live = document.selection()
    selected = None
    if live is not None:
        box = live.x(), live.y(), live.width(), live.height()
        selected = box, zlib.crc32(live.pixelData(*box))
    return tuple(found), selected


def _bytes(image: Any) -> bytes:
    if image.isNull():  # of some masks
        return b""
    bits = image.constBits()
    bits.setsize(image.sizeInBytes())
    return bytes(bits)
