"""Results become layers, groups, masks and documents; in the image, one step of undo."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import pixels
from gi.repository import Gegl, Gimp
from pixels import Box, Samples, Source
from record import Record

from calotype_wire.errors import CalotypeError
from calotype_wire.protocol import Layer
from calotype_wire.turned import turned

MODES = {
    "normal": Gimp.LayerMode.NORMAL,
    "multiply": Gimp.LayerMode.MULTIPLY,
    "screen": Gimp.LayerMode.SCREEN,
    "overlay": Gimp.LayerMode.OVERLAY,
    "color": Gimp.LayerMode.LCH_COLOR,
    "luminosity": Gimp.LayerMode.LCH_LIGHTNESS,
}

TYPES = {
    (Gimp.ImageBaseType.RGB, False): Gimp.ImageType.RGB_IMAGE,
    (Gimp.ImageBaseType.RGB, True): Gimp.ImageType.RGBA_IMAGE,
    (Gimp.ImageBaseType.GRAY, False): Gimp.ImageType.GRAY_IMAGE,
    (Gimp.ImageBaseType.GRAY, True): Gimp.ImageType.GRAYA_IMAGE,
}


@dataclass(frozen=True)
class Added:
    """layer: the first, lowest one."""

    layer: Gimp.Layer | None = None
    document: Gimp.Image | None = None


@dataclass(frozen=True)
class _Piece:
    """A layer that is finished but not in the image yet. group: the name of the group that it goes into."""

    layer: Gimp.Layer
    group: str = ""


def insert(
    source: Source, layers: Sequence[Layer], record: Record, on_screen: bool, reports: bool = False
) -> Added:
    """Put the results where their places say, above the layer that was worked on, with record in each.

    The first is chosen then, unless the user has chosen another one meanwhile; where they are no pictures,
    but report on one, that stays chosen for the next filter. The image is only touched when everything is
    finished. Raises CalotypeError GONE, BAD_RESULT.
    """
    _check_still_there(source)
    pieces: list[_Piece] = []
    documents: list[Gimp.Image] = []
    with ExitStack() as undo:
        for layer in layers:
            if layer.place.kind == "document":
                documents.append(_document(source, layer, record))
                undo.callback(documents[-1].delete)
            elif layer.place.kind == "mask" and pieces:
                _add_mask(pieces[-1].layer, layer)
            else:
                made = _layer(source, layer)
                record.attach(made)
                _keep_mask(made, source)
                pieces.append(_Piece(made, layer.place.group))
        _check_still_there(source)
        chosen = source.image.get_selected_layers()
        _insert(source, pieces)
        undo.pop_all()
    if on_screen and chosen != [source.drawable]:
        source.image.set_selected_layers(chosen)  # the user is at work somewhere else by now
    elif pieces:
        source.image.set_selected_layers([source.drawable if reports else pieces[0].layer])
    if on_screen:
        for document in documents:
            Gimp.Display.new(document)
    return Added(pieces[0].layer if pieces else None, documents[0] if documents else None)


def _check_still_there(source: Source) -> None:
    """The user goes on working while the engine does."""
    pixels.check_there(source.drawable)
    now, then = pixels.box_of(source.drawable), source.everything
    image_size = source.image.get_width(), source.image.get_height()
    same_size = (now.width, now.height, *image_size) == (then.width, then.height, *source.image_size)
    if not same_size or turned(source.thumbnail, *pixels.thumbnail(source.drawable)):
        raise CalotypeError(
            "GONE",
            "The image or the layer was scaled, cropped, mirrored or turned while Calotype was at work. "
            "Nothing was added. Run the filter again.",
        )
    if Samples.of(source.drawable).kind != source.samples.kind:
        raise CalotypeError(
            "GONE",
            "The image's mode, precision or profile was changed while Calotype worked. Run the filter again.",
        )


def _insert(source: Source, pieces: list[_Piece]) -> None:
    image = source.image
    parent = source.drawable.get_parent()
    position = image.get_item_position(source.drawable)  # each pushes the source, and what is there, down
    now, then = pixels.box_of(source.drawable), source.everything
    groups: dict[str, Gimp.GroupLayer] = {}
    image.undo_group_start()
    try:
        for piece in pieces:
            box = pixels.box_of(piece.layer).moved(now.x - then.x, now.y - then.y)
            piece.layer.set_offsets(box.x, box.y)
            if piece.group and piece.group not in groups:
                group = Gimp.GroupLayer.new(image, piece.group)
                groups[piece.group] = group
                image.insert_layer(group, parent, position)
            above = (groups[piece.group], 0) if piece.group else (parent, position)
            if not image.insert_layer(piece.layer, *above):
                raise CalotypeError("BAD_RESULT", "GIMP did not take the result in. Please report it.")
    finally:
        image.undo_group_end()


def _layer(source: Source, layer: Layer) -> Gimp.Layer:
    """Not in the image yet. Cut to what is selected where it covers just the part that was sent."""
    image = source.image
    box = Box(layer.x, layer.y, layer.width, layer.height)
    shown = source.visible if box == source.box else box
    kind = TYPES[image.get_base_type(), layer.format.channels.endswith("A")]
    opacity, mode = layer.place.opacity * 100, MODES[layer.place.blend]
    made = Gimp.Layer.new(image, layer.name, shown.width, shown.height, kind, opacity, mode)
    made.set_visible(layer.place.visible)
    made.set_offsets(shown.x, shown.y)
    _write(made, shown, layer, _format_name(source.samples, layer))
    if source.kept is not None and box == shown == source.box:
        _restore_unchanged(made, source.kept, source.layer, layer)
    return made


def _format_name(samples: Samples, layer: Layer) -> str:
    """In the source's own space where the result is in it, too; otherwise sRGB."""
    if layer.format.channels not in pixels.MODELS:
        raise CalotypeError(
            "BAD_RESULT", "The result is in colours that GIMP does not know. Please report it."
        )
    grey = (each.channels.startswith("G") for each in (layer.format, samples.format))
    same = layer.profile == samples.profile and layer.format.transfer == samples.format.transfer
    if same and len(set(grey)) == 1:
        return samples.name(layer.format)
    return _srgb_name(layer, "'" if layer.format.transfer == "srgb" else "")


def _srgb_name(layer: Layer, marks: str) -> str:
    return pixels.MODELS[layer.format.channels].format(marks) + " " + pixels.TYPES[layer.format.depth]


def _write(drawable: Gimp.Drawable, shown: Box, layer: Layer, format: str) -> None:
    """Fill drawable, which covers shown, from layer."""
    size = layer.format.bytes_a_pixel
    stride = layer.width * size
    left, top = shown.x - layer.x, shown.y - layer.y
    buffer = drawable.get_buffer()
    view = memoryview(layer.pixels)
    for y, rows in pixels.bands(shown.height, stride):
        band = view[(top + y) * stride : (top + y + rows) * stride]
        if shown.width != layer.width:
            starts = range(left * size, len(band), stride)
            data = b"".join(band[start : start + shown.width * size] for start in starts)
        else:
            data = bytes(band)  # anything else than bytes takes forty times as long
        buffer.set(Gegl.Rectangle.new(0, y, shown.width, rows), format, data)
    buffer.flush()
    drawable.update(0, 0, shown.width, shown.height)


def _restore_unchanged(made: Gimp.Layer, kept: Gegl.Buffer, sent: Layer, layer: Layer) -> None:
    """Rows that came back as they went keep the bits that were too many for the wire."""
    if layer.format != sent.format:
        return
    stride = layer.width * layer.format.bytes_a_pixel
    before, after = memoryview(sent.pixels), memoryview(layer.pixels)
    area, buffer = kept.get_extent(), made.get_buffer()
    for row in range(layer.height):
        part = slice(row * stride, (row + 1) * stride)
        if bytes(before[part]) == bytes(after[part]):
            from_row = Gegl.Rectangle.new(area.x, area.y + row, layer.width, 1)
            to_row = Gegl.Rectangle.new(0, row, layer.width, 1)
            kept.copy(from_row, Gegl.AbyssPolicy.NONE, buffer, to_row)
    buffer.flush()


def _keep_mask(made: Gimp.Layer, source: Source) -> None:
    """What the source's mask hides stays hidden: the result gets a copy of it."""
    mask = source.drawable.get_mask()
    whole, shown = source.everything, pixels.box_of(made)
    if mask is None or not source.drawable.get_apply_mask() or shown.within(whole) != shown:
        return
    copy = _white_mask(made)
    part = Gegl.Rectangle.new(shown.x - whole.x, shown.y - whole.y, shown.width, shown.height)
    buffer = copy.get_buffer()
    mask.get_buffer().copy(
        part, Gegl.AbyssPolicy.NONE, buffer, Gegl.Rectangle.new(0, 0, shown.width, shown.height)
    )
    buffer.flush()
    copy.update(0, 0, shown.width, shown.height)


def _add_mask(made: Gimp.Layer, layer: Layer) -> None:
    """Numbers go into a mask as they are, whatever the curve: white is opaque."""
    shown = pixels.box_of(made)
    part = shown.within(Box(layer.x, layer.y, layer.width, layer.height))
    if part != shown:
        raise CalotypeError("BAD_RESULT", "The result's mask does not fit its layer. Please report it.")
    if made.get_mask() is not None:
        made.remove_mask(Gimp.MaskApplyMode.DISCARD)
    _write(_white_mask(made), shown, layer, _srgb_name(layer, ""))


def _white_mask(made: Gimp.Layer) -> Gimp.LayerMask:
    made.add_mask(made.create_mask(Gimp.AddMaskType.WHITE))
    made.set_edit_mask(False)
    return made.get_mask()


def _document(source: Source, layer: Layer, record: Record) -> Gimp.Image:
    """A new document in the colours of the one that was worked on."""
    old = source.image
    base = old.get_base_type()
    if not layer.format.channels.startswith("G"):
        base = Gimp.ImageBaseType.RGB  # a grey image's, if the result has colours
    image = Gimp.Image.new_with_precision(layer.width, layer.height, base, old.get_precision())
    image.undo_disable()
    profile = old.get_color_profile()
    if profile is not None and base == old.get_base_type():
        image.set_color_profile(profile)
    _, x_resolution, y_resolution = old.get_resolution()
    image.set_resolution(x_resolution, y_resolution)
    alpha = layer.format.channels.endswith("A")
    made = Gimp.Layer.new(
        image, layer.name, layer.width, layer.height, TYPES[base, alpha], 100, MODES["normal"]
    )
    record.attach(made)
    image.insert_layer(made, None, 0)
    _write(made, Box(layer.x, layer.y, layer.width, layer.height), layer, _format_name(source.samples, layer))
    image.undo_enable()
    return image
