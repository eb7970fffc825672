"""The list of styles, each with a picture of what it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from calotype_krita.qt import QtCore, QtGui, QtWidgets
from calotype_krita.studio import studio
from calotype_wire import params
from calotype_wire.styles import swatch, told

ICON_PX, CELL_PX = 96, (112, 138)
STAR_PX = 22
NAME = QtCore.Qt.ItemDataRole.UserRole


class Gallery(QtWidgets.QListWidget):
    """unwanted, renaming: Delete and F2, which Krita would take for its layers."""

    unwanted = QtCore.pyqtSignal()
    renaming = QtCore.pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.setViewMode(QtWidgets.QListView.ViewMode.IconMode)
        self.setResizeMode(QtWidgets.QListView.ResizeMode.Adjust)
        self.setMovement(QtWidgets.QListView.Movement.Static)
        self.setIconSize(QtCore.QSize(ICON_PX, ICON_PX))
        self.setGridSize(QtCore.QSize(*CELL_PX))
        self.setWordWrap(True)
        self.setEditTriggers(QtWidgets.QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setAccessibleName("Styles")
        self._keys = {QtCore.Qt.Key.Key_Delete: self.unwanted, QtCore.Qt.Key.Key_F2: self.renaming}

    def show_styles(self, styles: Sequence[Mapping[str, Any]], wanted: str) -> None:
        """wanted: to be chosen, instead of what is."""
        item, row = self.currentItem(), self.currentRow()
        wanted = wanted or (item.data(NAME) if item is not None else "")
        blocker = QtCore.QSignalBlocker(self)
        self.clear()
        for style in styles:
            item = QtWidgets.QListWidgetItem(icon_of(style), title_of(style))
            item.setData(NAME, style["name"])
            item.setToolTip(told(style))
            item.setSizeHint(QtCore.QSize(*CELL_PX))
            if style.get("own"):
                item.setFlags(item.flags() | QtCore.Qt.ItemFlag.ItemIsEditable)
            self.addItem(item)
        self.setCurrentRow(max(0, min(row, self.count() - 1)))
        self.choose(wanted)
        del blocker

    def choose(self, name: str) -> None:
        for row in range(self.count()):
            if self.item(row).data(NAME) == name:
                self.setCurrentRow(row)
                self.scrollToItem(self.item(row))

    def event(self, event: Any) -> bool:
        if event.type() == QtCore.QEvent.Type.ShortcutOverride and event.key() in self._keys:
            event.accept()
            return True
        return bool(super().event(event))

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802 Qt's name
        if event.key() in self._keys:
            self._keys[event.key()].emit()
        else:
            super().keyPressEvent(event)


def folder() -> str:
    """Where the styles' pictures are."""
    kinds = (p for o in studio().operations for p in o.parameters if isinstance(p, params.Style))
    return next((p.folder for p in kinds), "")


def title_of(style: Mapping[str, Any]) -> str:
    """The catalogue tells a painting's name and painter."""
    return str(style["name"] if style.get("own") else str(style["sources"]).rsplit(" (", 1)[0])


def icon_of(style: Mapping[str, Any]) -> Any:
    """What it does, with a star where it is a favourite."""
    pixmap = QtGui.QPixmap(swatch(folder(), style))
    if pixmap.isNull():
        pixmap = QtGui.QPixmap(ICON_PX, ICON_PX)
        pixmap.fill(QtGui.QColor("gray"))
    if style.get("favourite"):
        painter = QtGui.QPainter(pixmap)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        font = painter.font()
        font.setPixelSize(STAR_PX)
        path = QtGui.QPainterPath()
        path.addText(4, STAR_PX, font, "★")
        painter.strokePath(path, QtGui.QPen(QtGui.QColor("black"), 3))
        painter.fillPath(path, QtGui.QColor("#ffd34d"))
        painter.end()
    return QtGui.QIcon(pixmap)
