"""The window that styles are looked after in: found, named, loved, brought in and taken out, trained on."""

import traceback
from collections import deque
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import progress
from drawing import fitted
from gi.repository import GdkPixbuf, Gimp, GimpUi, GLib, Gtk, Pango
from record import Record

from calotype_wire import params, styles
from calotype_wire.client import Catalogue, Event, Failed, Request, Result, Styles
from calotype_wire.errors import CalotypeError
from calotype_wire.session import Session, known_operations

PUMP_MS = 20
LOOK_MS = 2000
"""Between two looks at what is in training."""

PICTURE_PX = 112
WIDTH_PX, HEIGHT_PX = 830, 600
SIDE_PX = 230
"""Of the column beside the styles."""

EMPTY = 0x80808040
NAME, LABEL, PICTURE = range(3)
"""Columns."""

Told = Mapping[str, Any]
"""A style, or what is unfinished, as docs/protocol.md has it."""


class Window:
    def __init__(self, session: Session) -> None:
        GimpUi.init("calotype")
        self._session = session
        self._operations = known_operations()
        self._styles: list[Told] = []
        self._unfinished: list[Told] = []
        self._chosen = ""
        self._asked: deque[str] = deque()  # what to say when it is done; empty where nobody asked
        self._pictures: dict[tuple[str, float], GdkPixbuf.Pixbuf] = {}
        self._lesson: _Lesson | None = None
        self._dialog = GimpUi.Dialog(title="Styles", role="calotype-styles")
        self._dialog.set_default_size(WIDTH_PX, HEIGHT_PX)
        self._dialog.add_button("_Close", Gtk.ResponseType.CLOSE)
        self._dialog.get_content_area().pack_start(self._arranged(), True, True, 0)
        self._show_details()

    def run(self) -> None:
        """Until the user closes it, and what was resumed has ended."""
        self._ask("list", "")
        timers = GLib.timeout_add(PUMP_MS, self._pump), GLib.timeout_add(LOOK_MS, self._look)
        try:
            self._dialog.run()
            self._dialog.hide()
            while self._lesson is not None:
                progress.turn(self._lesson.meter)
        finally:
            for timer in timers:
                GLib.source_remove(timer)
            self._dialog.destroy()

    # ---- widgets

    def _arranged(self) -> Gtk.Widget:
        self._search = Gtk.SearchEntry(placeholder_text="Search", hexpand=True)
        self._search.connect("search-changed", lambda *_: self._show_styles())
        self._search.connect("stop-search", lambda *_: self._dialog.response(Gtk.ResponseType.CLOSE))
        above = Gtk.Box(spacing=6)
        above.pack_start(self._search, True, True, 0)
        above.pack_start(_button("_Import...", self._import), False, False, 0)
        self._store = Gtk.ListStore(str, str, GdkPixbuf.Pixbuf)
        self._icons = Gtk.IconView(
            model=self._store,
            tooltip_column=NAME,
            item_width=PICTURE_PX,
            item_padding=6,
            selection_mode=Gtk.SelectionMode.BROWSE,
        )
        for renderer, attribute, column in (
            (Gtk.CellRendererPixbuf(), "pixbuf", PICTURE),
            (Gtk.CellRendererText(ellipsize=Pango.EllipsizeMode.END, xalign=0.5), "text", LABEL),
        ):
            self._icons.pack_start(renderer, False)
            self._icons.add_attribute(renderer, attribute, column)
        self._icons.connect("selection-changed", lambda *_: self._choose())
        scrolled = Gtk.ScrolledWindow(
            hscrollbar_policy=Gtk.PolicyType.NEVER, overlay_scrolling=False, shadow_type=Gtk.ShadowType.IN
        )
        scrolled.add(self._icons)
        beside = Gtk.Box(spacing=12)
        beside.pack_start(scrolled, True, True, 0)
        beside.pack_start(self._details(), False, False, 0)
        self._sentence = Gtk.Label(xalign=0, wrap=True, max_width_chars=90)
        self._rows = Gtk.Grid(column_spacing=6, row_spacing=3)
        column = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=9, border_width=12)
        for widget in (above, beside, self._rows, self._sentence):
            column.pack_start(widget, widget is beside, True, 0)
        column.show_all()
        return column

    def _details(self) -> Gtk.Widget:
        self._picture = Gtk.Image()
        self._title = Gtk.Label(xalign=0, ellipsize=Pango.EllipsizeMode.MIDDLE)
        self._told = Gtk.Label(xalign=0, wrap=True, width_chars=28, max_width_chars=28)
        self._loved = Gtk.CheckButton(label="_Favourite", use_underline=True)
        self._toggled = self._loved.connect("toggled", lambda *_: self._favour())
        self._own = [
            _button("_Rename...", self._rename),
            _button("D_uplicate", self._duplicate),
            _button("_Delete...", self._delete),
            _button("E_xport...", self._export),
        ]
        buttons = Gtk.Grid(column_spacing=6, row_spacing=6, column_homogeneous=True)
        for index, button in enumerate(self._own):
            buttons.attach(button, index % 2, index // 2, 1, 1)
        column = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        column.set_size_request(SIDE_PX, -1)
        for widget in (self._picture, self._title, self._told, self._loved, buttons):
            column.pack_start(widget, False, False, 0)
        return column

    # ---- the engine

    def _pump(self) -> bool:
        try:
            for event in self._session.pump():
                self._take(event)
            if self._lesson is not None and self._lesson.turn():
                self._ended(self._lesson)
        except Exception as error:  # noqa: BLE001 GLib would forget this window without a word
            traceback.print_exc()
            self._say(f"Calotype made a mistake ({type(error).__name__}). Please report it.")
        return True

    def _look(self) -> bool:
        if self._unfinished and self._session.state == "ready":
            self._ask("list", "")
        return True

    def _ask(self, action: str, done: str, **fields: Any) -> None:
        """done: what to say then; empty where nobody wants to know."""
        if self._session.state != "ready":
            self._say("Starting the engine.")
        self._asked.append(done)
        self._session.ask_styles(action, **fields)

    def _take(self, event: Event) -> None:
        if isinstance(event, Catalogue):
            self._operations = event.operations
            if not self._asked:
                self._ask("list", "")
        elif isinstance(event, Styles):
            done = self._asked.popleft() if self._asked else ""
            if done or self._sentence.get_text() == "Starting the engine.":
                self._say(done)
            self._follow(event)
        elif isinstance(event, Failed):
            if self._session.state == "ready" and self._asked:
                self._asked.popleft()
            else:
                self._asked.clear()  # the engine has gone
            self._say(event.sentence)

    def _follow(self, told: Styles) -> None:
        """Show what there is now. A style that is new is chosen."""
        new = {style["name"] for style in told.styles} - {style["name"] for style in self._styles}
        if self._styles and len(new) == 1:
            self._chosen = new.pop()
            self._search.set_text("")
        if told.styles != self._styles:
            self._styles = list(told.styles)
            self._show_styles()
        if told.unfinished != self._unfinished:
            self._unfinished = list(told.unfinished)
            self._show_unfinished()

    # ---- what is seen

    def _say(self, sentence: str) -> None:
        self._sentence.set_text(sentence)

    def _show_styles(self) -> None:
        shown = styles.matching(self._styles, self._search.get_text())
        chosen = self._chosen
        self._store.clear()
        for style in shown:
            star = "\N{BLACK STAR} " if style.get("favourite") else ""
            self._store.append([style["name"], star + style["name"], self._swatch(style)])
        names = [style["name"] for style in shown]
        if names:
            path = Gtk.TreePath(names.index(chosen) if chosen in names else 0)
            self._icons.select_path(path)
            self._icons.scroll_to_path(path, False, 0, 0)
        self._choose()

    def _choose(self) -> None:
        selected = self._icons.get_selected_items()
        if selected:
            self._chosen = self._store[selected[0]][NAME]
        self._show_details()

    @property
    def _style(self) -> Told | None:
        """The one that is chosen, where it is seen."""
        if not self._icons.get_selected_items():
            return None
        return next((style for style in self._styles if style["name"] == self._chosen), None)

    def _show_details(self) -> None:
        style = self._style
        self._title.set_markup(f"<b>{GLib.markup_escape_text(style['name'])}</b>" if style else "")
        self._told.set_text(styles.told(style) if style else "")
        if style:
            self._picture.set_from_pixbuf(self._swatch(style))
        else:
            self._picture.clear()
        with self._loved.handler_block(self._toggled):
            self._loved.set_active(bool(style and style.get("favourite")))
        self._loved.set_sensitive(style is not None)
        for button in self._own:
            button.set_sensitive(bool(style and style.get("own")))

    def _swatch(self, style: Told) -> GdkPixbuf.Pixbuf:
        """One picture a file: thumbnails are read again when they change, and only then."""
        folders = (p.folder for o in self._operations for p in o.parameters if isinstance(p, params.Style))
        path = styles.swatch(next(folders, ""), style)
        try:
            key = path, Path(path).stat().st_mtime
            if key not in self._pictures:
                self._pictures[key] = fitted(GdkPixbuf.Pixbuf.new_from_file(path), PICTURE_PX)
            return self._pictures[key]
        except (OSError, GLib.Error):  # the engine's folder cannot be read from here
            made = GdkPixbuf.Pixbuf.new(GdkPixbuf.Colorspace.RGB, True, 8, PICTURE_PX, PICTURE_PX)
            made.fill(EMPTY)
            return made

    def _show_unfinished(self) -> None:
        for old in self._rows.get_children():
            old.destroy()
        for row, told in enumerate(self._unfinished):
            name, running = told["name"], bool(told.get("running"))
            state = "in training now" if running else "unfinished"
            text = f"'{name}': level {told['level']}, {told['seconds']:.0f} s, {state}"
            label = Gtk.Label(label=text, xalign=0, hexpand=True, ellipsize=Pango.EllipsizeMode.MIDDLE)
            self._rows.attach(label, 0, row, 1, 1)
            buttons = _button("Re_sume", self._resume, name), _button("Disc_ard...", self._discard, name)
            for column, button in enumerate(buttons, 1):
                button.set_sensitive(not running)
                self._rows.attach(button, column, row, 1, 1)
        self._rows.show_all()

    # ---- what the user does

    def _favour(self) -> None:
        style = self._style
        if style:
            on = self._loved.get_active()
            done = f"'{style['name']}' is {'among' if on else 'no longer among'} your favourites."
            self._ask("favour", done, name=style["name"], on=on)

    def _rename(self) -> None:
        name = self._chosen  # the list goes on changing, and may choose another
        dialog = self._question("Rename", "_Rename", f"A new name for '{name}':")
        entry = Gtk.Entry(text=name, activates_default=True, max_length=60)
        dialog.get_message_area().add(entry)
        entry.show()
        entry.grab_focus()
        agreed, wanted = _agreed(dialog), entry.get_text().strip()
        dialog.destroy()
        if agreed:
            self._ask("rename", f"'{name}' is called '{wanted}' now.", name=name, to=wanted)

    def _duplicate(self) -> None:
        self._ask("duplicate", f"There is a copy of '{self._chosen}'.", name=self._chosen)

    def _delete(self) -> None:
        name = self._chosen
        text = f"Delete the style '{name}'? Its file is removed and cannot be brought back."
        if self._sure("Delete", "_Delete", text):
            self._ask("delete", f"'{name}' is deleted.", name=name)

    def _discard(self, name: str) -> None:
        text = f"Discard what '{name}' has learnt so far? It cannot be brought back."
        if self._sure("Discard", "_Discard", text):
            self._ask("discard", f"What '{name}' had learnt is discarded.", name=name)

    def _import(self) -> None:
        path = self._file("Import a style", Gtk.FileChooserAction.OPEN, "_Import")
        if path:
            self._ask("import", f"{Path(path).name} is among your styles.", path=path)

    def _export(self) -> None:
        name = self._chosen
        path = self._file("Export a style", Gtk.FileChooserAction.SAVE, "_Export")
        if path:
            self._ask("export", f"'{name}' is in {path}.", name=name, path=path)

    def _resume(self, name: str) -> None:
        if self._lesson is not None:
            self._say("Something is being trained from here already. Wait for it, or pause it.")
            return
        try:
            self._lesson = _Lesson(self._operations, name)
        except CalotypeError as error:
            self._say(error.sentence)

    def _ended(self, lesson: "_Lesson") -> None:
        self._lesson = None
        if self._dialog.get_visible():
            self._ask("list", lesson.sentence)
        elif lesson.line:
            Gimp.message(lesson.line)

    # ---- questions

    def _question(self, title: str, button: str, text: str) -> Gtk.MessageDialog:
        dialog = Gtk.MessageDialog(
            transient_for=self._dialog, modal=True, title=title, text=text, message_type=Gtk.MessageType.OTHER
        )
        dialog.add_buttons("_Cancel", Gtk.ResponseType.CANCEL, button, Gtk.ResponseType.OK)
        dialog.set_default_response(Gtk.ResponseType.OK)
        return dialog

    def _sure(self, title: str, button: str, text: str) -> bool:
        dialog = self._question(title, button, text)
        agreed = _agreed(dialog)
        dialog.destroy()
        return agreed

    def _file(self, title: str, action: Gtk.FileChooserAction, button: str) -> str | None:
        chooser = Gtk.FileChooserDialog(title=title, transient_for=self._dialog, modal=True, action=action)
        chooser.add_buttons("_Cancel", Gtk.ResponseType.CANCEL, button, Gtk.ResponseType.OK)
        chooser.set_default_response(Gtk.ResponseType.OK)
        if action == Gtk.FileChooserAction.SAVE:
            chooser.set_do_overwrite_confirmation(True)
            chooser.set_current_name(self._chosen + styles.SUFFIX)
        for name, pattern in (("Styles", f"*{styles.SUFFIX}"), ("All files", "*")):
            kind = Gtk.FileFilter()
            kind.set_name(name)
            kind.add_pattern(pattern)
            chooser.add_filter(kind)
        path: str | None = chooser.get_filename() if _agreed(chooser) else None
        chooser.destroy()
        return path


class _Lesson:
    """A training that goes on, in a window and with a session of its own."""

    def __init__(self, operations: list[params.Operation], name: str) -> None:
        """Raises CalotypeError where the engine knows no operation of the background."""
        operation = next((each for each in operations if each.background), None)
        if operation is None:
            raise CalotypeError("UNKNOWN_OPERATION", "This engine cannot train. Run 'python3 install.py'.")
        self.sentence = self.line = ""
        self._name, self._operation = name, operation
        self._request = Request(operation.name, [], operation.check({"name": name}))
        self._session = Session("GIMP")
        self._shown = progress.shown(f"{operation.label}: {name}", True, learns=True)
        self.meter = self._shown.__enter__()
        self._steps: Generator[None, None, Result] = progress.waiting(
            self._session, self._request, self.meter
        )

    def turn(self) -> bool:
        """Whether it has ended; sentence says how, and line in short."""
        try:
            self.meter.tick()
            next(self._steps)
            return False
        except StopIteration as done:
            record = Record.of(self._operation, self._request, done.value)
            self.sentence, self.line = " ".join(record.report), record.line
        except CalotypeError as error:
            self.sentence = self.line = error.sentence
        self._shown.__exit__(None, None, None)
        self._session.close()
        return True


def _button(label: str, clicked: Callable[..., None], *values: str) -> Gtk.Button:
    button = Gtk.Button(label=label, use_underline=True)
    button.connect("clicked", lambda *_: clicked(*values))
    return button


def _agreed(dialog: Gtk.Dialog) -> bool:
    return bool(dialog.run() == Gtk.ResponseType.OK)
