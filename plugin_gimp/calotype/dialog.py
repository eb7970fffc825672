"""The dialog of a filter: GIMP's own, with widgets for what GIMP has none for."""

import os
from collections.abc import Callable

import form
import preview
import record
from gi.repository import Gdk, Gimp, GimpUi, GLib, GObject, Gtk
from stylecombo import StyleCombo

from calotype_wire import params
from calotype_wire.client import Catalogue
from calotype_wire.params import Operation
from calotype_wire.session import Session

PUMP_MS = 20
HELP_CHARS = 100
WIDTH_PX = 860
PLAIN_WIDTH_PX, PLAIN_HELP_CHARS = 520, 60
"""Of a dialog without a preview."""

AROUND_PX = 300
"""Title, help, last result and buttons of a dialog."""


def ask(
    operation: Operation,
    procedure: Gimp.Procedure,
    config: Gimp.ProcedureConfig,
    image: Gimp.Image,
    layer: Gimp.Layer | None,
    session: Session,
) -> Operation | None:
    """Fill in config, for layer; with a preview where there is one. The engine starts meanwhile.

    Returns the operation as the engine declares it by then; None where the user cancels.
    """
    GimpUi.init("calotype")
    dialog = GimpUi.ProcedureDialog.new(procedure, config, operation.label)
    width_px, chars = (WIDTH_PX, HELP_CHARS) if layer else (PLAIN_WIDTH_PX, PLAIN_HELP_CHARS)
    dialog.set_default_size(width_px, -1)
    area = dialog.get_content_area()
    area.pack_start(_text(operation.help, chars), False, False, 0)
    last = record.newest(_all_layers(image.get_layers()))
    if last is not None:
        told = _text(last.sentence, chars)
        told.set_tooltip_text("\n".join(last.report))
        area.pack_start(told, False, False, 0)
    pane = preview.Pane(operation, config, image, layer, session) if layer else None
    fields = _fields(operation, dialog, config, image)
    beside = Gtk.Box(spacing=12)
    if pane:
        beside.pack_start(pane.widget, False, False, 0)
    beside.pack_start(_scrolled(fields), True, True, 0)
    beside.show()
    area.pack_start(beside, True, True, 0)
    session.wake()
    newest = operation

    def pump() -> bool:
        nonlocal newest
        events = session.pump()
        for event in events:
            if isinstance(event, Catalogue):
                newest = _offered(event, newest, fields)
        if pane:
            pane.operation = newest
            pane.pump(events)
        return True

    timer = GLib.timeout_add(PUMP_MS, pump)
    try:
        return newest if dialog.run() else None
    finally:
        GLib.source_remove(timer)
        if pane:
            pane.close()
        dialog.destroy()


def _offered(catalogue: Catalogue, operation: Operation, fields: Gtk.Box) -> Operation:
    """The operation as the catalogue has it; what there is to choose from in fields is what it says."""
    newest = next((each for each in catalogue.operations if each.name == operation.name), operation)
    choices = {name: p for name, p in form.arguments(newest).items() if isinstance(p, params.Style)}
    for combo in _combos(fields):
        if combo.argument in choices:
            combo.offer(choices[combo.argument])
    return newest


def _combos(widget: Gtk.Widget) -> list[StyleCombo]:
    if isinstance(widget, StyleCombo):
        return [widget]
    children = widget.get_children() if isinstance(widget, Gtk.Container) else []
    return [combo for child in children for combo in _combos(child)]


def _text(words: str, chars: int) -> Gtk.Label:
    text = Gtk.Label(label=words, xalign=0, wrap=True, max_width_chars=chars, margin_bottom=6)
    text.show()
    return text


def _fields(
    operation: Operation, dialog: GimpUi.ProcedureDialog, config: Gimp.ProcedureConfig, image: Gimp.Image
) -> Gtk.Box:
    labels = Gtk.SizeGroup(mode=Gtk.SizeGroupMode.HORIZONTAL)
    fields = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=3)
    for name, parameter in form.arguments(operation).items():
        widget = _own_widget(name, parameter, config, image, labels)
        if widget is not None:
            widget.set_tooltip_text(parameter.help)
            widget.show_all()
        else:
            kind = GimpUi.ScaleEntry if isinstance(parameter, params.Number) else GObject.TYPE_NONE
            widget = dialog.get_widget(name, kind)
            if isinstance(widget, GimpUi.Labeled):
                labels.add_widget(widget.get_label())
            widget.show()
        fields.pack_start(widget, False, False, 0)
    return fields


def _scrolled(fields: Gtk.Box) -> Gtk.ScrolledWindow:
    """As high as fields, unless the dialog would be higher than the screen."""
    display = Gdk.Display.get_default()
    screen = (display.get_primary_monitor() or display.get_monitor(0)).get_workarea()
    scrolled = Gtk.ScrolledWindow(hscrollbar_policy=Gtk.PolicyType.NEVER, overlay_scrolling=False)
    scrolled.set_propagate_natural_height(True)
    scrolled.set_max_content_height(max(screen.height - AROUND_PX, 1))
    scrolled.add(fields)
    fields.show()
    scrolled.show()
    return scrolled


def _own_widget(
    name: str,
    parameter: params.Parameter,
    config: Gimp.ProcedureConfig,
    image: Gimp.Image,
    labels: Gtk.SizeGroup,
) -> Gtk.Widget | None:
    if isinstance(parameter, params.Number) and parameter.optional:
        return _optional_number(name, parameter, config, labels)
    if isinstance(parameter, params.OtherLayer):
        return _other_layer(name, parameter, config, image, labels)
    if isinstance(parameter, params.Palette):
        return _palette(name, parameter, config, labels)
    if isinstance(parameter, params.File):
        return _file(name, parameter, config, labels)
    if isinstance(parameter, params.Style):
        return _labelled(parameter.label, labels, StyleCombo(name, parameter, config))
    return None


def _follow(config: Gimp.ProcedureConfig, name: str, show: Callable[[], None]) -> None:
    """show() now, and whenever the Reset button changes the value."""
    show()
    config.connect(f"notify::{name}", lambda *_: show())


def _labelled(text: str, labels: Gtk.SizeGroup, *widgets: Gtk.Widget) -> Gtk.Box:
    box = Gtk.Box(spacing=6)
    label = Gtk.Label(label=text, xalign=0)
    labels.add_widget(label)
    box.pack_start(label, False, False, 0)
    for widget in widgets:
        box.pack_start(widget, widget.get_hexpand(), True, 0)
    return box


def _optional_number(
    name: str, number: params.Number, config: Gimp.ProcedureConfig, labels: Gtk.SizeGroup
) -> Gtk.Widget:
    """A scale, and a box to leave it to the engine."""
    digits = 0 if number.whole else 1
    scale = GimpUi.ScaleEntry.new(number.label, number.minimum, number.minimum, number.maximum, digits)
    scale.set_value((number.minimum + number.maximum) / 2)
    scale.set_hexpand(True)
    labels.add_widget(scale.get_label())
    check = Gtk.CheckButton(label="Automatic")

    def show() -> None:
        value = config.get_property(name)
        check.set_active(value == form.automatic(number))
        if not check.get_active() and scale.get_value() != value:
            scale.set_value(value)
        scale.set_sensitive(not check.get_active())

    def store(*_: object) -> None:
        value = form.automatic(number) if check.get_active() else scale.get_value()
        config.set_property(name, int(value) if number.whole else value)

    _follow(config, name, show)
    check.connect("toggled", store)
    scale.connect("value-changed", store)
    box = Gtk.Box(spacing=6)
    box.pack_start(scale, True, True, 0)
    box.pack_start(check, False, False, 0)
    return box


def _file(
    name: str, parameter: params.File, config: Gimp.ProcedureConfig, labels: Gtk.SizeGroup
) -> Gtk.Widget:
    """GIMP's own, which it makes for none but arguments that take files alone."""
    chooser = GimpUi.FileChooser.new(Gimp.FileChooserAction.OPEN, parameter.label, parameter.label, None)
    labels.add_widget(chooser.get_label_widget())
    both = GObject.BindingFlags.BIDIRECTIONAL | GObject.BindingFlags.SYNC_CREATE
    config.bind_property(name, chooser, "file", both)
    if not parameter.folder:
        return chooser
    folder = Gtk.CheckButton(label="A _folder", use_underline=True)
    actions = Gimp.FileChooserAction.OPEN, Gimp.FileChooserAction.SELECT_FOLDER
    folder.connect("toggled", lambda _: chooser.set_action(actions[folder.get_active()]))
    chosen = config.get_property(name)
    folder.set_active(bool(chosen) and os.path.isdir(chosen.get_path() or ""))
    box = Gtk.Box(spacing=6)
    box.pack_start(chooser, True, True, 0)
    box.pack_start(folder, False, False, 0)
    return box


def _other_layer(
    name: str,
    parameter: params.OtherLayer,
    config: Gimp.ProcedureConfig,
    image: Gimp.Image,
    labels: Gtk.SizeGroup,
) -> Gtk.Widget:
    choice = Gtk.ComboBoxText(hexpand=True)
    choice.append("", parameter.none)
    layers = {str(layer.get_id()): layer for layer in _all_layers(image.get_layers())}
    for key, layer in layers.items():
        choice.append(key, layer.get_name())

    def show() -> None:
        layer = config.get_property(name)
        choice.set_active_id(str(layer.get_id()) if layer else "")

    _follow(config, name, show)
    choice.connect("changed", lambda *_: config.set_property(name, layers.get(choice.get_active_id())))
    return _labelled(parameter.label, labels, choice)


def _all_layers(layers: list[Gimp.Layer]) -> list[Gimp.Layer]:
    found = []
    for layer in layers:
        found.append(layer)
        if layer.is_group():
            found += _all_layers(layer.get_children())
    return found


def _palette(
    name: str, parameter: params.Palette, config: Gimp.ProcedureConfig, labels: Gtk.SizeGroup
) -> Gtk.Widget:
    """Two to eight colours to click on, or none: the engine decides."""
    swatches = Gtk.Box(spacing=3)
    fewer, more = (
        Gtk.Button.new_from_icon_name(icon, Gtk.IconSize.BUTTON) for icon in ("list-remove", "list-add")
    )

    def show() -> None:
        chosen = form.colours(config.get_property(name) or "")
        for old in swatches.get_children():
            old.destroy()
        for colour in chosen:
            rgba = Gdk.RGBA()
            rgba.parse(colour)
            swatch = Gtk.ColorButton(rgba=rgba)
            swatch.connect("color-set", lambda *_: store())
            swatches.pack_start(swatch, False, False, 0)
        if not chosen:
            swatches.pack_start(Gtk.Label(label="Automatic"), False, False, 0)
        swatches.show_all()
        fewer.set_sensitive(bool(chosen))
        more.set_sensitive(len(chosen) < 8)

    def stored() -> list[str]:
        buttons = [child for child in swatches.get_children() if isinstance(child, Gtk.ColorButton)]
        return [_hex(button.get_rgba()) for button in buttons]

    def store(change: Callable[[list[str]], list[str]] = list) -> None:
        config.set_property(name, ", ".join(change(stored())))

    _follow(config, name, show)
    fewer.connect("clicked", lambda *_: store(lambda old: old[:-1] if len(old) > 2 else []))
    more.connect(
        "clicked", lambda *_: store(lambda old: [*old, "#808080"] if old else ["#000000", "#ffffff"])
    )
    return _labelled(parameter.label, labels, swatches, fewer, more)


def _hex(colour: Gdk.RGBA) -> str:
    return "#" + "".join(f"{round(part * 255):02x}" for part in (colour.red, colour.green, colour.blue))
