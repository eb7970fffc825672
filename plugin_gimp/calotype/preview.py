"""The live preview in a filter's dialog: before and after, with a line between them that can be moved."""

import traceback
from collections.abc import Sequence
from typing import Any

import drawing
import form
import pixels
from gi.repository import Gdk, GdkPixbuf, Gimp, GLib, Gtk

from calotype_wire.client import Event, Request
from calotype_wire.errors import CalotypeError
from calotype_wire.live import LivePreview, moved
from calotype_wire.params import Operation
from calotype_wire.session import Session

LOOK_MS = 1000
"""Between two looks at whether the image has changed: GIMP tells no plug-in."""

WIDTH_PX, HEIGHT_PX = 380, 340
GRIP_PX = 10
"""So near to the line the mouse takes hold of it."""

GLANCE_PX = 64
SENTENCE_CHARS = 44
TILE_PX, TILES = 8, (0x999999, 0x666666)
"""What shows through where a layer is transparent."""

LINE = 0xFFFFFFFF
SMOOTH = GdkPixbuf.InterpType.BILINEAR


class Pane:
    """widget: for the dialog."""

    def __init__(
        self,
        operation: Operation,
        config: Gimp.ProcedureConfig,
        image: Gimp.Image,
        layer: Gimp.Layer,
        session: Session,
    ) -> None:
        self.live = LivePreview(session, self._draw)
        self.operation, self._config = operation, config
        self._image, self._layer = image, layer
        self._part, self._size = (50.0, 50.0), (1, 1)
        self._split, self._place = 0.5, pixels.Box(0, 0, 1, 1)
        self._pressed: tuple[float, float] | None = None
        self._tick = Gtk.CheckButton(label="Preview", active=True)
        self._actual = Gtk.CheckButton(label="Actual pixels")
        self._actual.set_tooltip_text("Show a part in its own pixels; drag it to see another one.")
        self._picture = Gtk.Image()
        self._sentence = Gtk.Label(xalign=0, wrap=True, max_width_chars=SENTENCE_CHARS)
        self.widget = self._arranged()
        self._tick.connect("toggled", self._switch)
        self._actual.connect("toggled", lambda *_: self.look())
        self._handler = config.connect("notify", lambda *_: self.look())
        self._timer = GLib.timeout_add(LOOK_MS, lambda: self.look(patient=True) or True)
        GLib.idle_add(self.look)  # once the dialog is there

    def close(self) -> None:
        """The engine is free for the filter itself."""
        GLib.source_remove(self._timer)
        self._config.disconnect(self._handler)
        self.live.stop()

    def pump(self, events: list[Event]) -> None:
        """To be called many times a second."""
        for event in events:
            self.live.take(event)
        self.live.turn()

    def look(self, patient: bool = False) -> None:
        """Bring the picture up to date. patient: layers that look different are read when at rest."""
        if not self._tick.get_active():
            return
        try:
            self._look(patient)
        except CalotypeError as error:
            self.live.fail(error.sentence)
        except Exception as error:  # noqa: BLE001 GLib would forget this pane without a word
            traceback.print_exc()
            self.live.fail(f"Calotype made a mistake ({type(error).__name__}). Please report it.")

    def _look(self, patient: bool) -> None:
        part = self._part if self._actual.get_active() else None
        try:
            pixels.check_there(self._layer)
            values, others = form.values(self.operation, self._config)
            checked = self.operation.check(values)
            layer = pixels.target(self._layer, others)
            scene = (_glance(self._image, [layer, *others]), part)
        except CalotypeError:
            self.live.forget()
            raise
        if not self.live.due(scene, self.operation.name, checked, patient):
            return
        source = pixels.source(self._image, layer, self.operation.whole)
        layers = [source.layer, *(pixels.whole(other) for other in others)]
        self._size = source.layer.width, source.layer.height
        request = Request(self.operation.name, layers, checked, source.selection)
        self.live.look(request, self.operation.alone(checked), part)

    def _arranged(self) -> Gtk.Box:
        ticks = Gtk.Box(spacing=12)
        ticks.pack_start(self._tick, False, False, 0)
        ticks.pack_start(self._actual, False, False, 0)
        area = Gtk.EventBox(valign=Gtk.Align.START)
        area.set_size_request(WIDTH_PX, HEIGHT_PX)
        area.add(self._picture)
        area.add_events(Gdk.EventMask.BUTTON_PRESS_MASK | Gdk.EventMask.BUTTON1_MOTION_MASK)
        area.connect("button-press-event", self._press)
        area.connect("motion-notify-event", self._move)
        area.connect("button-release-event", self._release)
        column = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        for widget in (ticks, area, self._sentence):
            column.pack_start(widget, False, False, 0)
        column.show_all()
        return column

    def _switch(self, *_: object) -> None:
        self._actual.set_sensitive(self._tick.get_active())
        if self._tick.get_active():
            self.look()
        else:
            self.live.stop()
            self._draw()

    def _draw(self) -> None:
        self._sentence.set_text(self.live.sentence)
        if self.live.before is None:
            self._picture.clear()
            return
        before = drawing.pixbuf(self.live.before)
        factor = min(WIDTH_PX / before.get_width(), HEIGHT_PX / before.get_height())
        width, height = (max(1, round(n * factor)) for n in (before.get_width(), before.get_height()))
        self._place = pixels.Box((WIDTH_PX - width) // 2, (HEIGHT_PX - height) // 2, width, height)
        shown = before.composite_color_simple(width, height, SMOOTH, 255, TILE_PX, *TILES)
        made = shown.copy()
        for layer in self.live.after:
            over = drawing.pixbuf(layer)
            scale = width / over.get_width(), height / over.get_height()
            over.composite(made, 0, 0, width, height, 0, 0, *scale, SMOOTH, 255)
        line = min(round(self._split * width), width - 1)
        if self.live.after:
            made.copy_area(line, 0, width - line, height, shown, line, 0)
            shown.new_subpixbuf(line, 0, 1, height).fill(LINE)
        self._picture.set_from_pixbuf(shown)

    def _press(self, area: Gtk.Widget, event: Gdk.EventButton) -> bool:
        line = self._place.x + self._split * self._place.width
        self._pressed = None if abs(event.x - line) < GRIP_PX else (event.x, event.y)
        return True

    def _move(self, area: Gtk.Widget, event: Gdk.EventMotion) -> bool:
        if self._pressed is None:
            self._split = min(1.0, max(0.0, (event.x - self._place.x) / self._place.width))
            self._draw()
        return True

    def _release(self, area: Gtk.Widget, event: Gdk.EventButton) -> bool:
        if self._pressed is not None and self.live.before is not None:
            scale = self.live.before.width / self._place.width
            by = (event.x - self._pressed[0]) * scale, (event.y - self._pressed[1]) * scale
            self._part = moved(self._part, by, self._size)
            self.look()
        return True


def _glance(image: Gimp.Image, layers: Sequence[Gimp.Layer]) -> tuple[Any, ...]:
    """Something else as soon as the layers or the selection look different. Raises CalotypeError GONE."""
    found: list[Any] = []
    for layer in layers:
        pixels.check_there(layer)
        found.append((layer.get_id(), pixels.box_of(layer), _thumbnail(layer)))
    selected = None if Gimp.Selection.is_empty(image) else _thumbnail(image.get_selection())
    return tuple(found), selected, tuple(Gimp.Selection.bounds(image))


def _thumbnail(drawable: Gimp.Drawable) -> bytes:
    data, *_ = drawable.get_thumbnail_data(GLANCE_PX, GLANCE_PX)
    return bytes(data.get_data())
