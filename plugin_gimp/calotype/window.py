"""A window of our own while a filter runs: GIMP's Cancel would kill this process."""

import time

from gi.repository import GimpUi, GLib, Gtk

from calotype_wire.client import Progress
from calotype_wire.protocol import Layer

DELAY_S = 0.5
"""A window that only flashes up is worse than none."""

PULSE_S = 0.1


class Window:
    def __init__(self, title: str) -> None:
        GimpUi.init("calotype")
        self.cancelled = self.paused = False
        self._busy = True
        self._opens_at = time.monotonic() + DELAY_S
        self._pulsed_at = 0.0
        self._dialog = GimpUi.Dialog(title=title, role="calotype-progress", resizable=False)
        self._dialog.set_default_size(380, -1)
        self._dialog.set_focus_on_map(False)  # keys that are meant for the picture would press its buttons
        self._add_buttons()
        self._dialog.connect("response", self._on_response)
        self._dialog.connect("delete-event", lambda *_: True)  # closing it is a response, too
        GimpUi.window_set_transient(self._dialog)
        box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6, border_width=12)
        for widget in self._widgets():
            box.pack_start(widget, False, False, 0)
        box.show_all()
        self._dialog.get_content_area().add(box)

    def busy(self, stage: str) -> None:
        self._busy = True
        self._say(stage, "")

    def progress(self, told: Progress) -> None:
        self._busy = False
        self._bar.set_fraction(told.fraction)
        self._say(told.stage, "" if told.seconds_left is None else _duration(told.seconds_left))

    def show(self, picture: Layer) -> None:
        pass  # it looks almost like the layer

    def tick(self) -> None:
        now = time.monotonic()
        if now >= self._opens_at and not self._dialog.get_visible():
            self._dialog.show()
        if self._busy and now - self._pulsed_at > PULSE_S:
            self._pulsed_at = now
            self._bar.pulse()

    def close(self) -> None:
        self._dialog.destroy()
        while GLib.MainContext.default().iteration(False):
            pass  # or it stays on the screen until GIMP has taken the result in

    def _add_buttons(self) -> None:
        self._cancel = self._dialog.add_button("_Cancel", Gtk.ResponseType.CANCEL)

    def _widgets(self) -> list[Gtk.Widget]:
        """From top to bottom."""
        self._stage = Gtk.Label(xalign=0)
        self._bar = Gtk.ProgressBar()
        self._left = Gtk.Label(xalign=0)
        return [self._stage, self._bar, self._left]

    def _say(self, stage: str, left: str) -> None:
        if not (self.cancelled or self.paused):
            self._stage.set_text(stage)
            self._left.set_text(left)

    def _on_response(self, dialog: Gtk.Dialog, response: int) -> None:
        self._say("Cancelling", "")
        self.cancelled = True
        self._cancel.set_sensitive(False)


def _duration(seconds: float) -> str:
    if seconds < 5:
        return "A few seconds left"
    if seconds < 55:
        return f"About {round(seconds / 5) * 5:.0f} seconds left"
    minutes = max(1, round(seconds / 60))
    return f"About {minutes} minute{'s' if minutes > 1 else ''} left"
