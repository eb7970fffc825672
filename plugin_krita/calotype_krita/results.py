"""What comes back becomes new layers in one undo step, a mask, or a document of its own."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from krita import Krita, Selection

from calotype_krita.qt import QtCore
from calotype_krita.reading import Reading, thumbnail, whereabouts
from calotype_krita.spaces import Space, scratch, space_of
from calotype_wire import params
from calotype_wire.errors import CalotypeError
from calotype_wire.protocol import Layer
from calotype_wire.turned import THUMBNAIL_PX, turned

COLOURING = ("filtermask", "colorizemask")
"""Masks that give colours, which a layer that shows something has of its own."""

BLENDS = {"color": "color", "luminosity": "luminize"}
"""Where Krita's word is not the wire's."""


def insert(document: Any, reading: Reading, operation: params.Operation, layers: Sequence[Layer]) -> Any:
    """The document that the first layer is in now.

    Raises CalotypeError where the document is gone or refuses the layer; then nothing has changed.
    """
    if document.rootNode() is None:
        raise CalotypeError(
            "DOCUMENT_CLOSED", "The document was closed while the filter worked, so its result was dropped."
        )
    below = document.nodeByUniqueID(reading.node)
    if below is not None and below.parentNode() is None:
        below = None  # removed meanwhile
    layers = _moved(document, below, reading, layers)
    inner = [layer for layer in layers if layer.place.kind != "document"]
    outer = [layer for layer in layers if layer.place.kind == "document"]
    if inner:
        with ExitStack() as scratches:
            node = _one_node(document, reading, operation, inner, scratches)
            active = document.activeNode()  # Krita's loop has run in between
            _add(document, below, node)
        stayed = active is not None and active.uniqueId() == reading.node
        if active is None or (stayed and not operation.report):
            active = node.childNodes()[0] if node.type() == "grouplayer" else node
        # Krita makes whatever is added active, a little later, though the user may be at work elsewhere.
        QtCore.QTimer.singleShot(0, lambda: _activate(document, active))
    opened = [
        _open(layer, space_of(layer.format, layer.profile, reading.space), document.resolution())
        for layer in outer
    ]
    return opened[0] if layers[0].place.kind == "document" else document


def _one_node(
    document: Any,
    reading: Reading,
    operation: params.Operation,
    layers: Sequence[Layer],
    scratches: ExitStack,
) -> Any:
    """Krita makes an undo step of all that is done to a node, even before it is added. So only one plain
    layer is made in the user's document; everything else is put together where nobody sees it.
    """
    first = layers[0]
    plain = len(layers) == 1 and not first.place.group and first.place.blend == "normal"
    plain = plain and not reading.masks
    if plain and space_of(first.format, first.profile, reading.space) == Space.of(document):
        return _paint_layer(document, first)
    home = scratches.enter_context(scratch(Space.of(document)))
    tops: list[Any] = []
    groups: dict[str, Any] = {}
    unseen = previous = None
    for layer in layers:
        if layer.place.kind == "mask" and unseen is not None:
            _mask(unseen, previous, layer)
            continue
        space = space_of(layer.format, layer.profile, reading.space)
        unseen = home if space == Space.of(home) else scratches.enter_context(scratch(space))
        previous = _paint_layer(unseen, layer)
        name = layer.place.group
        if name and name not in groups:
            groups[name] = home.createGroupLayer(name)
            tops.append(groups[name])
        if name:
            _put(groups[name], previous)
        else:
            tops.append(previous)
    if len(tops) > 1:
        group = home.createGroupLayer(operation.label)
        for top in tops:
            _put(group, top)
        tops = [group]
    for mask in reading.masks:  # what was hidden stays hidden
        if not operation.report or mask.type() not in COLOURING:
            _put(tops[0], mask)
    return tops[0]


def _put(group: Any, node: Any) -> None:
    """Above all that is in it."""
    inside = group.childNodes()
    group.addChildNode(node, inside[-1] if inside else None)


def _paint_layer(document: Any, layer: Layer) -> Any:
    node = document.createNode(layer.name, "paintlayer")
    node.setPixelData(_samples(layer), layer.x, layer.y, layer.width, layer.height)
    node.setOpacity(round(255 * layer.place.opacity))
    node.setVisible(layer.place.visible)
    if layer.place.blend != "normal":
        node.setBlendingMode(BLENDS.get(layer.place.blend, layer.place.blend))
    return node


def _samples(layer: Layer) -> bytes:
    """The layer's pixels as Krita holds them: whole numbers blue first."""
    if layer.format.channels != "RGBA" or layer.format.depth.startswith("f"):
        return bytes(layer.pixels)
    samples = array("B" if layer.format.depth == "u8" else "H", bytes(layer.pixels))
    samples[0::4], samples[2::4] = samples[2::4], samples[0::4]
    return samples.tobytes()


def _mask(document: Any, node: Any, layer: Layer) -> None:
    chosen = Selection()
    chosen.setPixelData(bytes(layer.pixels), layer.x, layer.y, layer.width, layer.height)
    mask = document.createTransparencyMask(layer.name)
    mask.setSelection(chosen)
    node.addChildNode(mask, None)


def _moved(document: Any, node: Any, reading: Reading, layers: Sequence[Layer]) -> list[Layer]:
    """layers where the one that was read lies now. Raises CalotypeError where they would not fit it."""
    (x, y), size = whereabouts(document, node or document.rootNode())
    now = reading.thumbnail if node is None else thumbnail(node)
    if size != reading.size or turned(reading.thumbnail, now, THUMBNAIL_PX, THUMBNAIL_PX):
        raise CalotypeError(
            "DOCUMENT_CHANGED",
            "The picture was scaled, cropped, mirrored or turned while the filter worked, so its result was "
            "dropped. Run it again.",
        )
    if node is None:
        return list(layers)
    x, y = x - reading.position[0], y - reading.position[1]
    return [replace(layer, x=layer.x + x, y=layer.y + y) for layer in layers]


def _add(document: Any, below: Any, node: Any) -> None:
    """below: None puts the node on top of all layers."""
    if below is None:
        below = document.topLevelNodes()[-1] if document.topLevelNodes() else None
    parent = below.parentNode() if below is not None else document.rootNode()
    parent.addChildNode(node, below)
    if node.parentNode() is None:  # the call answers True even where it is refused
        raise CalotypeError(
            "LAYER_REFUSED",
            f"Krita did not let a new layer into '{parent.name()}'. Unlock that group, then run again.",
        )
    document.refreshProjection()


def _activate(document: Any, node: Any) -> None:
    """Unless the user has gone to another document, where Krita would look for the layer."""
    if Krita.instance().activeDocument() == document:
        document.setActiveNode(node)


def _open(layer: Layer, space: Space, resolution: int) -> Any:
    """A new document of the result's size."""
    app = Krita.instance()
    document = app.createDocument(
        layer.width, layer.height, layer.name, space.model, space.depth, space.profile, float(resolution)
    )
    node = document.topLevelNodes()[0]
    node.setName(layer.name)
    node.setPixelData(_samples(layer), 0, 0, layer.width, layer.height)
    document.refreshProjection()
    app.activeWindow().addView(document)
    document.setModified(True)  # Krita asks before it throws it away
    return document
