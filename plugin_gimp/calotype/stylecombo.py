"""A box to choose a style from, by its name and by what it makes of a photo."""

from gi.repository import GdkPixbuf, Gimp, GLib, Gtk

from calotype_wire import params

SWATCH_PX = 40


class StyleCombo(Gtk.ComboBox):
    """Shows and sets the argument name of config."""

    def __init__(self, name: str, parameter: params.Style, config: Gimp.ProcedureConfig) -> None:
        store = Gtk.ListStore(str, str, GdkPixbuf.Pixbuf)
        super().__init__(model=store, id_column=0, hexpand=True)
        self.argument, self._config, self._store = name, config, store
        for renderer, attribute, column in (
            (Gtk.CellRendererPixbuf(), "pixbuf", 2),
            (Gtk.CellRendererText(xpad=6), "text", 1),
        ):
            self.pack_start(renderer, False)
            self.add_attribute(renderer, attribute, column)
        self._changed = self.connect("changed", self._keep)
        config.connect(f"notify::{name}", lambda *_: self._show())
        self.offer(parameter)

    def offer(self, parameter: params.Style) -> None:
        """These styles, and the one that is chosen, unless it has gone."""
        with self.handler_block(self._changed):
            self._store.clear()
            if parameter.optional:
                self._store.append(["", "Automatic", None])
            for value, label in parameter.choices:
                self._store.append([value, label, _swatch(parameter.swatch(value))])
            if not self._show():
                self._config.set_property(self.argument, parameter.default or "")

    def _show(self) -> bool:
        return self.set_active_id(self._config.get_property(self.argument) or "")

    def _keep(self, *_: object) -> None:
        chosen = self.get_active_id()
        if chosen is not None:
            self._config.set_property(self.argument, chosen)


def _swatch(path: str) -> GdkPixbuf.Pixbuf | None:
    try:
        return GdkPixbuf.Pixbuf.new_from_file_at_size(path, SWATCH_PX, SWATCH_PX)
    except GLib.Error:
        return None  # the engine's folder cannot be read from here
