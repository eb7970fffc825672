"""What an operation that learns gets to see: all of the document, a layer, or several of them."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import astuple
from pathlib import PurePath

import pixels
from gi.repository import Gimp
from pixels import Box, bad_input

from calotype_wire.client import Request
from calotype_wire.params import Operation
from calotype_wire.protocol import LAYERS_MAX, Layer, reaches

Seen = tuple[list[Layer], Layer | None]
"""Layers, and what is selected of them; None where nothing is."""


def request(
    operation: Operation,
    parameters: dict[str, object],
    what: str,
    image: Gimp.Image,
    drawables: list[Gimp.Drawable],
    marked: list[Gimp.Layer],
) -> Request:
    """what: one of params.PICTURES. marked: the layers that parameters name.

    The image stays as it is. Raises CalotypeError BAD_INPUT, EMPTY_SELECTION, TOO_LARGE, GONE.
    """
    one_by_one = what in ("layer", "layers")
    if (one_by_one or marked) and image.get_base_type() == Gimp.ImageBaseType.INDEXED:
        instead = "take the document as it is seen" if one_by_one else "leave out nothing"
        raise bad_input(
            "The layers of an indexed image cannot be read one by one. Choose Image > Mode > RGB first, or "
            f"{instead}."
        )
    if what in ("document", "documents"):
        (first, *rest), selection = _document(image)
        if what == "documents":
            rest += _others(image)
    else:
        (first, *rest), selection = _layers(image, _chosen(image, drawables, what, marked))
    named = [pixels.whole(layer) for layer in marked]
    return Request(operation.name, [first, *named, *rest], parameters, selection)


def _document(image: Gimp.Image) -> Seen:
    """As it is seen, filters, groups, modes and all, within the canvas."""
    if not image.get_layers():
        raise bad_input("This image has no layers. Open a picture first.")
    with _merged(image) as layer:
        box = pixels.box_of(layer)
        if Gimp.Selection.is_empty(image):
            return [pixels.part(layer, box)], None
        _, _, left, top, right, bottom = Gimp.Selection.bounds(image)
        box = Box(left, top, right - left, bottom - top).within(box)
        return [pixels.part(layer, box)], pixels.selected(image, box)


def _others(image: Gimp.Image) -> list[Layer]:
    """What is seen of every other image that is open."""
    found = []
    for other in Gimp.get_images():
        if other != image and other.get_layers():
            with _merged(other) as layer:
                found.append(pixels.whole(layer))
    return found


def _name(image: Gimp.Image) -> str:
    file = image.get_file()
    return PurePath(file.get_basename()).stem if file else "Untitled"


@contextmanager
def _merged(image: Gimp.Image) -> Iterator[Gimp.Layer]:
    """All that is seen as one layer, elsewhere. Channels are tools: their tint is no part of the picture."""
    with ExitStack() as afterwards:
        seen = image
        if any(channel.get_visible() for channel in image.get_channels()):
            seen = image.duplicate()
            afterwards.callback(seen.delete)
            for channel in seen.get_channels():
                channel.set_visible(False)
        made = pixels.empty_like(image)
        afterwards.callback(made.delete)
        layer = Gimp.Layer.new_from_visible(seen, made, _name(image))
        made.insert_layer(layer, None, 0)
        yield layer


def _chosen(
    image: Gimp.Image, drawables: list[Gimp.Drawable], what: str, marked: list[Gimp.Layer]
) -> list[Gimp.Layer]:
    """The layers to learn from, none of marked unless there is no other."""
    if what == "layer" or len(drawables) < 2:
        return [pixels.target(pixels.chosen_layer(image, drawables), marked)]
    most = LAYERS_MAX - len(marked) - 1  # the selection is one more
    count = sum(drawable not in marked for drawable in drawables)
    if count > most:
        raise bad_input(f"{count} layers are selected. Select at most {most}, or merge some.")
    layers = [pixels.chosen_layer(image, [drawable]) for drawable in drawables]
    return [layer for layer in layers if layer not in marked] or [pixels.target(layers[0], marked)]


def _layers(image: Gimp.Image, layers: list[Gimp.Layer]) -> Seen:
    """What lies in the rectangle around the selection, and of which layers anything does."""
    if Gimp.Selection.is_empty(image):
        return [pixels.whole(layer) for layer in layers], None
    _, _, left, top, right, bottom = Gimp.Selection.bounds(image)
    area = Box(left, top, right - left, bottom - top)
    selection = pixels.selected(image, area)
    boxes = [(layer, area.within(pixels.box_of(layer))) for layer in layers]
    found = [pixels.part(layer, box) for layer, box in boxes if reaches(selection, *astuple(box))]
    if not found:
        raise pixels.outside()
    return found, selection
