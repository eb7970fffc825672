"""What is taken from a document before a job: pixels, and the selection."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from krita import Krita

from calotype_krita.qt import QtCore, QtGui
from calotype_krita.spaces import Space, scratch
from calotype_wire.errors import CalotypeError
from calotype_wire.protocol import LAYERS_MAX, Layer, PixelFormat, reaches
from calotype_wire.turned import THUMBNAIL_PX

CONTEXT_PX = 128
"""What the engine sees around a selection."""

EFFECTS = ("transparencymask", "filtermask", "transformmask", "colorizemask")
MASKS = (*EFFECTS, "selectionmask")

BYTES_MAX = 1 << 31
"""Krita 5.2 crashes where it is asked for more at once."""


@dataclass(frozen=True)
class Reading:
    """node: unique id of the layer that was read. space: of its pixels as they were sent.

    masks: copies of that layer's masks; its pixels were sent without them. position, thumbnail: of the layer,
    and size: of the document, when it was read.
    """

    layer: Layer
    selection: Layer | None
    node: Any
    space: Space
    masks: tuple[Any, ...]
    position: tuple[int, int]
    size: tuple[int, int]
    thumbnail: bytes
    note: str = ""


def target(document: Any, marked: Sequence[Any] = ()) -> Any:
    """The layer to work on: the active one or, while the user paints on one of marked, the next one below it.

    Raises CalotypeError where there is none.
    """
    node = document.activeNode()
    if node is None:
        raise CalotypeError("NO_LAYER", "No layer is active. Click one in the Layers docker, then run again.")
    if node not in marked:
        return node
    beside = [each for each in node.parentNode().childNodes() if each.type() not in MASKS]
    below = [each for each in beside[: beside.index(node)] if each not in marked]
    if not below:
        raise CalotypeError(
            "NO_LAYER", f"There is no picture below '{node.name()}'. Click the layer that holds it."
        )
    return below[-1]


def read_layer(document: Any, node: Any, whole: bool = False) -> Reading:
    """A layer, as far as the selection reaches, with some context, or whole. Raises CalotypeError."""
    _refuse_what_has_no_pixels(node)
    bounds = node.bounds()
    if bounds.isEmpty():
        raise CalotypeError(
            "NO_PIXELS", f"The layer '{node.name()}' is empty. Choose the layer that holds the picture."
        )
    selection, area = _selection(document, bounds)
    note = ""
    if node.animated():
        note = f"Frame {document.currentTime()} was worked on; the new layer shows on every frame."
    layer, space = read(node, bounds if whole else area)
    painted = node.type() == "paintlayer"  # all others are read as they look, masks and all
    masks = [m for m in node.childNodes() if painted and m.type() in EFFECTS and m.visible()]
    copies = tuple(mask.duplicate() for mask in masks)
    there = (*whereabouts(document, node), thumbnail(node))
    return Reading(layer, selection, node.uniqueId(), space, copies, *there, note)


def thumbnail(node: Any) -> bytes:
    """In grey, on grey, THUMBNAIL_PX wide and high."""
    made = QtGui.QImage(THUMBNAIL_PX, THUMBNAIL_PX, QtGui.QImage.Format.Format_RGB32)
    made.fill(QtGui.QColor(128, 128, 128))
    painter = QtGui.QPainter(made)
    painter.drawImage(made.rect(), node.thumbnail(THUMBNAIL_PX, THUMBNAIL_PX))
    painter.end()
    made = made.convertToFormat(QtGui.QImage.Format.Format_Grayscale8)
    return bytes(made.constBits().asstring(THUMBNAIL_PX * THUMBNAIL_PX))


def whereabouts(document: Any, node: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """Position of the node and size of the document."""
    position = node.position()
    return (position.x(), position.y()), (document.width(), document.height())


def others(document: Any) -> list[Any]:
    """Every layer that can be named in a form, top first."""
    found = []

    def visit(parent: Any) -> None:
        for child in reversed(parent.childNodes()):
            if child.type() not in MASKS and child.type() != "filterlayer":
                found.append(child)
            visit(child)

    visit(document.rootNode())
    return found


def read(node: Any, area: Any = None) -> tuple[Layer, Space]:
    """The node's pixels in area (QRect, its bounds by default), in a space that the engine takes."""
    area = area or node.bounds()
    if area.isEmpty():
        raise CalotypeError("NO_PIXELS", f"The layer '{node.name()}' is empty. Choose another one.")
    pixels = node.pixelData if node.type() == "paintlayer" else node.projectionPixelData
    return _sent(node, node.name(), area, pixels)


def _sent(thing: Any, name: str, area: Any, pixels_of: Callable[..., Any]) -> tuple[Layer, Space]:
    """thing: a Node or a Document, of which pixels_of gives what lies in a box."""
    place = _place(area)
    own = Space.of(thing)
    space = own.travelling
    if area.width() * area.height() * max(own.bytes_a_pixel, space.bytes_a_pixel) >= BYTES_MAX:
        raise CalotypeError(
            "TOO_LARGE",
            f"{area.width()} x {area.height()} pixels of '{name}' are more than Krita hands "
            "out in one go. Select a part, or crop the layer to what you see.",
        )
    pixels = pixels_of(*place)
    if space != own:
        with scratch(own) as unseen:
            copy = unseen.createNode("copy", "paintlayer")
            copy.setPixelData(pixels, *place)
            copy.setColorSpace(space.model, space.depth, space.profile)
            pixels = copy.pixelData(*place)
    x, y, width, height = place
    return Layer(width, height, space.format, memoryview(pixels), name, x, y, space.icc), space


def read_pictures(document: Any, what: str, marked: Sequence[Any] = ()) -> tuple[list[Layer], Layer | None]:
    """Pictures to learn from, as far as the selection reaches, and the selection. Raises CalotypeError.

    what: one of params.PICTURES. marked: layers that are no such pictures, whatever is active or selected.
    """
    if what in ("document", "documents"):
        selection, area = _selection(document, document.bounds(), "the picture", 0)
        seen = [_seen(_projection(document, area))]
        if what == "documents":
            others = [each for each in Krita.instance().documents() if each != document]
            seen += [layer for each in others if _is_seen(layer := _projection(each, each.bounds()))]
        return seen, selection
    nodes = [target(document, marked)] if what == "layer" else _selected(document, marked)
    most = LAYERS_MAX - len(marked) - 1  # the selection is one more
    if len(nodes) > most:
        sentence = f"{len(nodes)} layers are selected. Select at most {most}, or merge some."
        raise CalotypeError("TOO_LARGE", sentence)
    everything = QtCore.QRect()
    for node in nodes:
        _refuse_what_has_no_pixels(node)
        everything = everything.united(node.bounds())
    named = f"the layer '{nodes[0].name()}'" if len(nodes) == 1 else "the selected layers"
    selection, area = _selection(document, everything, named, 0)
    parts = [(node, node.bounds().intersected(area)) for node in nodes]
    there = [(node, box) for node, box in parts if not box.isEmpty()]
    touched = [(node, box) for node, box in there if selection is None or reaches(selection, *_place(box))]
    if not touched and not everything.isEmpty():
        raise _untouched(named)
    layers = [read(node, box)[0] for node, box in touched or parts]
    return [layer for layer in layers if _is_seen(layer)] or [_seen(layers[0])], selection


def _projection(document: Any, area: Any) -> Layer:
    name = os.path.splitext(os.path.basename(document.fileName()))[0] or document.name() or "Document"
    return _sent(document, name, area, document.pixelData)[0]


def _selected(document: Any, marked: Sequence[Any]) -> list[Any]:
    view = Krita.instance().activeWindow().activeView()
    found = view.selectedNodes() if view is not None and view.document() == document else []
    nodes = [node for node in found if node not in marked]
    if not nodes:
        raise CalotypeError(
            "NO_LAYER",
            "No layer is selected. Click one in the Layers docker, and more with Ctrl, then run again.",
        )
    return nodes


def _seen(layer: Layer) -> Layer:
    """The layer. Raises CalotypeError where all of it is transparent."""
    if not _is_seen(layer):
        raise CalotypeError(
            "NO_PIXELS",
            f"Nothing is to be seen of '{layer.name}' here. Paint something, or choose another picture.",
        )
    return layer


def _is_seen(layer: Layer) -> bool:
    pixels, step = bytes(layer.pixels), layer.format.bytes_a_pixel
    sample = step // len(layer.format.channels)
    return any(pixels[step - byte :: step].count(0) * step != len(pixels) for byte in range(1, sample + 1))


def _refuse_what_has_no_pixels(node: Any) -> None:
    if node.type() in MASKS:
        raise CalotypeError(
            "MASK_ACTIVE",
            f"'{node.name()}' is a mask. Click the layer that it belongs to, then run again.",
        )
    if node.type() == "filterlayer":
        raise CalotypeError(
            "FILTER_LAYER",
            f"'{node.name()}' is a filter layer and has no pixels. Click a paint layer or a group.",
        )


def _selection(
    document: Any, bounds: Any, what: str = "the active layer", context_px: int = CONTEXT_PX
) -> tuple[Layer | None, Any]:
    """The selection within bounds as it goes over the wire, and the area that is sent with it.

    what: has these bounds.
    """
    live = document.selection()
    if live is None:
        return None, bounds
    selection = live.duplicate()  # the user goes on selecting meanwhile
    box = QtCore.QRect(selection.x(), selection.y(), selection.width(), selection.height())
    if box.isEmpty():
        raise CalotypeError(
            "EMPTY_SELECTION",
            "The selection is empty. Select a part of the picture, or choose Select > Deselect.",
        )
    box = box.intersected(bounds)
    place = _place(box)
    mask = bytes(selection.pixelData(*place)) if not box.isEmpty() else b""
    if mask.count(0) == len(mask):
        raise _untouched(what)
    x, y, width, height = place
    layer = Layer(width, height, PixelFormat("G"), mask, "selection", x, y)
    return layer, box.adjusted(-context_px, -context_px, context_px, context_px).intersected(bounds)


def _place(box: Any) -> tuple[int, int, int, int]:
    return box.x(), box.y(), box.width(), box.height()


def _untouched(what: str) -> CalotypeError:
    return CalotypeError(
        "EMPTY_SELECTION",
        f"The selection does not touch {what}. Select a part of it, or choose another layer.",
    )
