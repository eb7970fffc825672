"""Layers that the last run of a filter was given: for Filters > Repeat GIMP keeps all values but these.

They are kept with the image, for as long as it is open.
"""

import json

import form
from gi.repository import Gimp
from pixels import bad_input

from calotype_wire import params
from calotype_wire.params import Operation


def keep(image: Gimp.Image, operation: Operation, config: Gimp.ProcedureConfig) -> None:
    chosen = {name: config.get_property(name) for name in _arguments(operation)}
    ids = {name: layer.get_id() for name, layer in chosen.items() if layer is not None}
    neither_saved_nor_undone = 0
    data = json.dumps(ids).encode()
    image.attach_parasite(Gimp.Parasite.new(_parasite(operation), neither_saved_nor_undone, data))


def bring_back(image: Gimp.Image, operation: Operation, config: Gimp.ProcedureConfig) -> None:
    """Into config. Raises CalotypeError BAD_INPUT where one is no longer there."""
    parasite = image.get_parasite(_parasite(operation))
    ids = json.loads(bytes(parasite.get_data())) if parasite is not None else {}
    for name, parameter in _arguments(operation).items():
        if name not in ids or config.get_property(name) is not None:
            continue
        layer = Gimp.Item.get_by_id(ids[name]) if Gimp.Item.id_is_valid(ids[name]) else None
        if layer is None or image.get_item_position(layer) < 0:
            raise bad_input(f"{parameter.label}: the layer of the last time is gone. Run the filter itself.")
        config.set_property(name, layer)


def _arguments(operation: Operation) -> dict[str, params.OtherLayer]:
    found = form.arguments(operation).items()
    return {name: each for name, each in found if isinstance(each, params.OtherLayer)}


def _parasite(operation: Operation) -> str:
    return f"calotype-layers-{operation.name}"
