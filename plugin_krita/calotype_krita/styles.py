"""The style manager: all styles with their pictures, and what can be done with the user's own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import Any

from krita import Krita

from calotype_krita.gallery import NAME, Gallery, folder, title_of
from calotype_krita.qt import QtCore, QtGui, QtWidgets
from calotype_krita.studio import studio
from calotype_krita.training import ALARM
from calotype_krita.unfinished import Question, Unfinished, button, wrapped
from calotype_wire.styles import SUFFIX, matching, swatch, told

DETAILS_PX = 210
FILES = f"Calotype styles (*{SUFFIX})"


class StylesDialog(QtWidgets.QDialog):
    def __init__(self, parent: Any) -> None:
        super().__init__(parent)
        self.setWindowTitle("Calotype: Styles")
        self.resize(820, 580)
        self.search = QtWidgets.QLineEdit()
        self.search.setPlaceholderText("Search names and sources")
        self.search.setAccessibleName("Search styles")
        self.search.setClearButtonEnabled(True)
        self.gallery = Gallery()
        self.picture, self.name, self.details = QtWidgets.QLabel(), wrapped(), wrapped()
        self.name.setStyleSheet("font-weight: bold")
        self.picture.setAlignment(QtCore.Qt.AlignmentFlag.AlignCenter)
        self.star = button("★ Favourite")
        self.star.setCheckable(True)
        self.rename, self.duplicate = button("Rename"), button("Duplicate")
        self.delete, self.export = button("Delete"), button("Export…")
        self.bring, self.shut = button("Import…"), button("Close")
        self.question, self.said, self.unfinished = Question(), wrapped(), Unfinished()
        self._action = self._done = ""
        self._wrong: list[str] = []
        self._shown: Any = None
        self._explain()
        self._arrange()
        self._connect()
        self.show_state()

    def showEvent(self, event: Any) -> None:  # noqa: N802 Qt's name
        super().showEvent(event)
        studio().learning.watchers.add(self)
        self._do("list")

    def hideEvent(self, event: Any) -> None:  # noqa: N802 Qt's name
        super().hideEvent(event)
        studio().learning.watchers.discard(self)
        self.question.hide()

    @property
    def chosen(self) -> Mapping[str, Any] | None:
        item = self.gallery.currentItem()
        known = studio().learning.styles or []
        return next((s for s in known if item is not None and s["name"] == item.data(NAME)), None)

    def choose(self, name: str) -> None:
        self.gallery.choose(name)

    def import_from(self, path: str) -> None:
        self._do("import", path=path)

    def export_to(self, path: str, name: str) -> None:
        self._do("export", f"'{name}' is in {path} now.", name=name, path=path)

    # ---- what is seen

    def show_state(self) -> None:
        """The styles as they are now, unless they are what is shown already: somebody may be typing."""
        known = studio().learning.styles
        shown = known, self.search.text()
        if shown == self._shown:
            return
        before = {style["name"] for style in self._shown[0] or []} if self._shown else set()
        self._shown = shown
        if self._action == "list" and known is not None:
            self._say("")
        new = [style["name"] for style in known or [] if before and style["name"] not in before]
        self.gallery.show_styles(matching(known or [], self.search.text()), new[-1] if new else "")
        self._show_chosen()

    def _show_chosen(self) -> None:
        style = self.chosen
        own = style is not None and bool(style.get("own"))
        self.question.hide()
        for each in (self.rename, self.duplicate, self.delete, self.export):
            each.setEnabled(own)
        self.star.setEnabled(style is not None)
        self.star.setChecked(style is not None and bool(style.get("favourite")))
        self.name.setText(title_of(style) if style is not None else "")
        self.details.setText(told(style) if style is not None else "")
        pixmap = QtGui.QPixmap(swatch(folder(), style)) if style is not None else QtGui.QPixmap()
        self.picture.setPixmap(pixmap)
        self.picture.setAccessibleName(f"What {self.name.text()} makes of a photo")

    def _refused(self, sentence: str) -> None:
        self._action = self._done = ""
        self._wrong.append(sentence)
        self._say("\n".join(self._wrong), failed=True)
        self._shown = None  # a name that was typed is not to be
        self.show_state()

    def _say(self, sentence: str, failed: bool = False) -> None:
        self.said.setText(sentence)
        self.said.setVisible(bool(sentence))
        self.said.setStyleSheet(ALARM if failed else "")

    # ---- what is done

    def _do(self, action: str, done: str = "", **fields: Any) -> None:
        """done: what to say when it is."""
        self._action, self._done, self._wrong = action, done, []
        self._say("" if studio().learning.styles is not None else "The engine is starting…")
        studio().learning.ask(action, **fields)

    def _listed(self) -> None:
        if self._done:
            self._say(self._done)
            self._done = ""

    def _named(self, item: Any) -> None:
        name, to = item.data(NAME), item.text().strip()
        if to and to != name:
            self._do("rename", name=name, to=to)
        elif item.text() != name:
            self._shown = None  # no name is none
            self.show_state()

    def _rename(self) -> None:
        if self.rename.isEnabled():
            self.gallery.setFocus()
            self.gallery.editItem(self.gallery.currentItem())

    def _delete(self) -> None:
        style = self.chosen
        if style is not None and style.get("own"):
            sentence = f"Delete the style '{style['name']}'? Its file is removed for good."
            self.question.ask(sentence, "Delete", partial(self._do, "delete", name=style["name"]))

    def _duplicate(self) -> None:
        style = self.chosen
        if style is not None:
            self._do("duplicate", name=style["name"])

    def _favour(self, on: bool) -> None:
        style = self.chosen
        if style is not None:
            self._do("favour", name=style["name"], on=on)

    def _import(self) -> None:
        paths, _ = QtWidgets.QFileDialog.getOpenFileNames(self, "Import styles", "", FILES)
        for path in paths:
            self.import_from(path)

    def _export(self) -> None:
        style = self.chosen
        if style is not None:
            proposed = os.path.join(QtCore.QDir.homePath(), f"{style['name']}{SUFFIX}")
            path, _ = QtWidgets.QFileDialog.getSaveFileName(self, "Export the style", proposed, FILES)
            if not path:
                return
            whole = path if path.endswith(SUFFIX) else path + SUFFIX
            export = partial(self.export_to, whole, style["name"])
            if whole != path and QtCore.QFileInfo(whole).exists():  # which nobody was asked about
                self.question.ask(f"{whole} is there already.", "Replace", export)
            else:
                export()

    # ---- how it is put together

    def _explain(self) -> None:
        own = "; the styles that come with Calotype stay as they are"
        for widget, tip in (
            (self.search, "Show the styles whose name or source has these words"),
            (self.star, "Put the style first wherever styles are listed"),
            (self.rename, f"Give the style another name (F2){own}"),
            (self.duplicate, f"Make a copy of the style{own}"),
            (self.delete, f"Remove the style's file (Delete){own}"),
            (self.export, f"Write the style into a file, for another computer or person{own}"),
            (self.bring, f"Take in styles from {SUFFIX} files"),
        ):
            widget.setToolTip(tip)
            widget.setAccessibleDescription(tip)

    def _arrange(self) -> None:
        left, right, below = (QtWidgets.QVBoxLayout() for _ in range(3))
        left.addWidget(self.search)
        left.addWidget(self.gallery, 1)
        details = QtWidgets.QWidget()
        details.setFixedWidth(DETAILS_PX)
        details.setLayout(right)
        right.setContentsMargins(0, 0, 0, 0)
        for widget in (self.picture, self.name, self.details):
            right.addWidget(widget)
        right.addStretch(1)
        for widget in (self.star, self.rename, self.duplicate, self.delete, self.export):
            right.addWidget(widget)
        last = QtWidgets.QHBoxLayout()
        last.addWidget(self.bring)
        last.addStretch(1)
        last.addWidget(self.shut)
        for widget in (self.question, self.said, self.unfinished):
            below.addWidget(widget)
        below.addLayout(last)
        upper = QtWidgets.QHBoxLayout()
        upper.addLayout(left, 1)
        upper.addWidget(details)
        whole = QtWidgets.QVBoxLayout(self)
        whole.addLayout(upper, 1)
        whole.addLayout(below)

    def _connect(self) -> None:
        self.search.textChanged.connect(lambda _: self.show_state())
        self.gallery.currentItemChanged.connect(lambda *_: self._show_chosen())
        self.gallery.itemChanged.connect(self._named)
        self.gallery.unwanted.connect(self._delete)
        self.gallery.renaming.connect(self._rename)
        self.star.clicked.connect(self._favour)
        self.rename.clicked.connect(self._rename)
        self.duplicate.clicked.connect(self._duplicate)
        self.delete.clicked.connect(self._delete)
        self.export.clicked.connect(self._export)
        self.bring.clicked.connect(self._import)
        self.shut.clicked.connect(self.close)
        learning = studio().learning
        learning.changed.connect(self.show_state)
        learning.listed.connect(self._listed)
        learning.refused.connect(self._refused)


def show_styles() -> None:
    """One window of them for each of Krita's."""
    main_window = Krita.instance().activeWindow().qwindow()
    dialog = main_window.findChild(StylesDialog) or StylesDialog(main_window)
    dialog.show()
    dialog.raise_()
    dialog.activateWindow()
