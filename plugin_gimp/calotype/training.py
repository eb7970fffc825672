"""The window while something is learnt: how it looks by now, and how its loss falls."""

import time

import drawing
from gi.repository import Gtk
from window import Window

from calotype_wire.client import Progress
from calotype_wire.protocol import Layer

SIDE_PX = 192
CURVE_PX = 260, 192
DRAW_S = 0.2


class Training(Window):
    """Closing it pauses: nothing that was learnt is lost by it."""

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self._curve: tuple[float, ...] = ()
        self._drawn_at = 0.0
        self._dialog.set_default_size(2 * SIDE_PX, -1)

    def progress(self, told: Progress) -> None:
        super().progress(told)
        if told.curve:
            self._curve = told.curve

    def show(self, picture: Layer) -> None:
        self._sample.set_from_pixbuf(drawing.fitted(drawing.pixbuf(picture), SIDE_PX))

    def tick(self) -> None:
        super().tick()
        now = time.monotonic()
        if self._curve and now - self._drawn_at > DRAW_S:
            self._drawn_at = now
            self._graph.set_from_pixbuf(drawing.curve(self._curve, *CURVE_PX))
            self._figure.set_text(f"{self._curve[0]:.3g} at first, {self._curve[-1]:.3g} now")
            self._curve = ()

    def _add_buttons(self) -> None:
        self._pause = self._dialog.add_button("_Pause", Gtk.ResponseType.CLOSE)
        self._pause.set_tooltip_text("Stop now and keep what is learnt. Styles can resume it at any time.")
        super()._add_buttons()
        self._cancel.set_tooltip_text("Stop and forget what is learnt.")
        self._dialog.set_default_response(Gtk.ResponseType.CLOSE)

    def _widgets(self) -> list[Gtk.Widget]:
        self._sample, self._graph = Gtk.Image(), Gtk.Image()
        self._sample.set_size_request(SIDE_PX, SIDE_PX)
        self._graph.set_size_request(*CURVE_PX)
        self._figure = Gtk.Label(label="", xalign=0)
        seen = Gtk.Grid(column_spacing=12, row_spacing=6, margin_top=6)
        for column, (title, widget) in enumerate((("What it paints", self._sample), ("Loss", self._graph))):
            seen.attach(Gtk.Label(label=title, xalign=0), column, 0, 1, 1)
            seen.attach(widget, column, 1, 1, 1)
        seen.attach(self._figure, 1, 2, 1, 1)
        return [*super()._widgets(), seen]

    def _on_response(self, dialog: Gtk.Dialog, response: int) -> None:
        if response == Gtk.ResponseType.CANCEL:
            super()._on_response(dialog, response)
        elif not self.cancelled:
            self._say("Pausing", "")
            self.paused = True
        for button in (self._pause, self._cancel):
            button.set_sensitive(False)
