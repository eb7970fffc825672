#!/usr/bin/env python3
"""Calotype in GIMP 3: every operation of the engine is a filter below Filters > Calotype."""

# ruff: noqa: E402 paths and versions must be set before imports

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent / "vendor"))  # calotype_wire and msgpack

import gi

gi.require_versions({"Gimp": "3.0", "GimpUi": "3.0", "Gegl": "0.4", "Gtk": "3.0", "Gdk": "3.0"})
from gi.repository import Gimp, GLib, GObject

try:
    import filters

    DAMAGE = ""
except ImportError as error:  # GIMP would leave the whole menu out, without a word
    DAMAGE = f"Calotype's files in GIMP are incomplete ({error}). Run 'python3 install.py' again."

MENU = "<Image>/Filters/Calotype"
PREFIX = "plug-in-calotype-"
SET_UP = PREFIX + "set-up"
STYLES = PREFIX + "styles"

Status = Gimp.PDBStatusType
Sensitivity = Gimp.ProcedureSensitivityMask
LAYERS = Sensitivity.DRAWABLE
DOCUMENTS = Sensitivity.DRAWABLE | Sensitivity.DRAWABLES | Sensitivity.NO_DRAWABLES


Action = Callable[[Gimp.RunMode], "filters.Outcome"]


class Calotype(Gimp.PlugIn):
    """GIMP remembers what query tells until this file changes, but asks init at each start.

    So everything comes from init, and an operation that the engine learns is there at the next start.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations = {} if DAMAGE else filters.by_name()

    def do_set_i18n(self, name: str) -> bool:
        return False

    def do_query_procedures(self) -> list[str]:
        return []

    def do_init_procedures(self) -> list[str]:
        known = [*(PREFIX + name for name in self.operations), SET_UP]
        return [*known, STYLES] if self.operations else known

    def do_create_procedure(self, name: str) -> Gimp.Procedure:
        operation = self.operations.get(name.removeprefix(PREFIX))
        if name == STYLES:
            blurb = "Your styles and those of the catalogue: look after them."
            return _other(self, name, "Styles...", blurb, lambda mode: filters.styles(mode))
        if operation is None:  # also of a filter that the engine has lost since GIMP started
            blurb, in_menu = "Starts the engine and says what is missing.", not self.operations
            return _other(self, name, "Set up Calotype...", blurb, lambda mode: filters.set_up(mode), in_menu)
        procedure = Gimp.ImageProcedure.new(self, name, Gimp.PDBProcType.PLUGIN, run, operation)
        procedure.set_image_types("*")
        procedure.set_sensitivity_mask(DOCUMENTS if operation.background else LAYERS)
        procedure.set_menu_label(filters.menu_label(operation))
        procedure.set_documentation(operation.help, None, None)
        _describe(procedure)
        filters.add_arguments(procedure, operation)
        return procedure


def _other(
    plugin: Calotype, name: str, label: str, blurb: str, action: Action, in_menu: bool = True
) -> Gimp.Procedure:
    """What is no filter and needs no image."""
    procedure = Gimp.ImageProcedure.new(plugin, name, Gimp.PDBProcType.PLUGIN, run_other, action)
    procedure.set_sensitivity_mask(Sensitivity.ALWAYS)
    procedure.set_menu_label(label)
    procedure.set_documentation(blurb, None, None)
    _describe(procedure, in_menu)
    return procedure


def _describe(procedure: Gimp.Procedure, in_menu: bool = True) -> None:
    procedure.set_attribution("The Calotype authors", "Apache-2.0", "2026")
    procedure.add_layer_return_value(
        "layer", "Layer", "The first of the new layers", True, GObject.ParamFlags.READWRITE
    )
    procedure.add_image_return_value(
        "document", "Document", "The new document, if there is one", True, GObject.ParamFlags.READWRITE
    )
    if in_menu:
        procedure.add_menu_path(MENU)


def run(
    procedure: Gimp.Procedure,
    run_mode: Gimp.RunMode,
    image: Gimp.Image,
    drawables: list[Gimp.Drawable],
    config: Gimp.ProcedureConfig,
    operation: Any,
) -> Gimp.ValueArray:
    outcome = filters.run(operation, procedure, run_mode, image, drawables, config)
    return _answer(procedure, outcome)


def run_other(
    procedure: Gimp.Procedure,
    run_mode: Gimp.RunMode,
    image: Gimp.Image | None,
    drawables: list[Gimp.Drawable],
    config: Gimp.ProcedureConfig,
    action: Action,
) -> Gimp.ValueArray:
    if DAMAGE:
        return _failed(procedure, Status.EXECUTION_ERROR, DAMAGE)
    return _answer(procedure, action(run_mode))


def _answer(procedure: Gimp.Procedure, outcome: "filters.Outcome") -> Gimp.ValueArray:
    if outcome.status != Status.SUCCESS:
        return _failed(procedure, outcome.status, outcome.sentence)
    values = procedure.new_return_values(Status.SUCCESS, None)
    for index, (kind, value) in enumerate(((Gimp.Layer, outcome.layer), (Gimp.Image, outcome.document)), 1):
        values.remove(index)
        values.insert(index, GObject.Value(kind, value))
    return values


def _failed(procedure: Gimp.Procedure, status: Gimp.PDBStatusType, sentence: str) -> Gimp.ValueArray:
    error = GLib.Error.new_literal(Gimp.PlugIn.error_quark(), sentence, 0) if sentence else None
    return procedure.new_return_values(status, error)


Gimp.main(Calotype.__gtype__, sys.argv)
