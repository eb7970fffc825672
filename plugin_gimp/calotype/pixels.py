"""What an operation gets to see of an image: samples as the image itself holds them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from gi.repository import Babl, Gegl, Gimp

from calotype_wire.errors import CalotypeError
from calotype_wire.protocol import Layer, LayerShape, PixelFormat
from calotype_wire.turned import THUMBNAIL_PX

CONTEXT_PX = 128
"""Around a selection: what a network must see to judge the selected part."""

BAND_BYTES = 64 << 20
"""Reads of 2 GiB abort a plug-in, and each passes through one more copy."""

TYPES = {"u8": "u8", "u16": "u16", "f16": "half", "f32": "float"}
"""Babl's words for the wire's depths."""

DEPTHS = {"u8": "u8", "u16": "u16", "half": "f16", "float": "f32", "u32": "f32", "double": "f32"}
"""GIMP's own filters, too, see 32-bit integers and doubles as floats."""

MODELS = {"RGB": "R{0}G{0}B{0}", "RGBA": "R{0}G{0}B{0}A", "G": "Y{0}", "GA": "Y{0}A"}


def bad_input(sentence: str) -> CalotypeError:
    return CalotypeError("BAD_INPUT", sentence)


@dataclass(frozen=True)
class Box:
    x: int
    y: int
    width: int
    height: int

    def moved(self, x: int, y: int) -> "Box":
        return Box(self.x + x, self.y + y, self.width, self.height)

    def grown(self, by: int) -> "Box":
        return Box(self.x - by, self.y - by, self.width + 2 * by, self.height + 2 * by)

    def within(self, other: "Box") -> "Box":
        x, y = max(self.x, other.x), max(self.y, other.y)
        right = min(self.x + self.width, other.x + other.width)
        bottom = min(self.y + self.height, other.y + other.height)
        return Box(x, y, max(0, right - x), max(0, bottom - y))


@dataclass(frozen=True)
class Samples:
    """How a drawable's samples travel: in their own colour space, so that they survive bit for bit.

    Formats named without a space are sRGB to Babl, which would convert, and round.
    """

    marks: str
    """' for the space's own curve, ~ for sRGB's, none for linear light."""
    native: str
    """Babl's type."""
    space: object
    format: PixelFormat
    profile: bytes

    @classmethod
    def of(cls, drawable: Gimp.Drawable) -> "Samples":
        babl = drawable.get_format()
        model, native = Babl.format_get_encoding(babl).rsplit(" ", 1)
        marks = "'" if "'" in model else "~" if "~" in model else ""
        channels = ("G" if model[0] == "Y" else "RGB") + ("A" if model[-1] == "A" else "")
        format = PixelFormat(channels, DEPTHS[native], "srgb" if marks else "linear")
        profile = _profile(drawable.get_image(), marks)
        return cls(marks, native, Babl.format_get_space(babl), format, profile)

    @property
    def kind(self) -> tuple[str, str, str, str]:
        """What belongs to the whole image and not to one layer."""
        return self.marks, self.native, self.format.channels.rstrip("A"), Babl.get_name(self.space)

    @property
    def exact(self) -> bool:
        return TYPES[self.format.depth] == self.native

    def name(self, format: PixelFormat) -> str:
        """Babl's name of format in this space."""
        encoding = MODELS[format.channels].format(self.marks) + " " + TYPES[format.depth]
        return Babl.get_name(Babl.format_with_space(encoding, self.space))


def _profile(image: Gimp.Image, marks: str) -> bytes:
    """The ICC profile that describes the samples; empty where they are sRGB or linear sRGB."""
    assigned = image.get_color_profile()
    if assigned is None or assigned.is_equal(Gimp.ColorProfile.new_rgb_srgb()):
        return b""
    if marks == "~":
        assigned = Gimp.ColorProfile.new_srgb_trc_from_color_profile(assigned)
    elif not marks:
        assigned = Gimp.ColorProfile.new_linear_from_color_profile(assigned)
    return bytes(assigned.get_icc_profile()) if assigned else b""


@dataclass(frozen=True)
class Source:
    """The part of a layer that is sent, in document coordinates.

    everything: all of the layer. visible: where something is selected; all of the box where nothing is.
    selection: None then. kept: the same part in all of its bits, where the wire has too few for them.
    thumbnail: of the layer, in grey.
    """

    image: Gimp.Image
    image_size: tuple[int, int]
    drawable: Gimp.Layer
    samples: Samples
    everything: Box
    box: Box
    visible: Box
    layer: Layer
    kept: Gegl.Buffer | None
    selection: Layer | None
    thumbnail: Sequence[int]


def chosen_layer(image: Gimp.Image, drawables: list[Gimp.Drawable]) -> Gimp.Layer:
    """Raises CalotypeError BAD_INPUT where it is not one that can be worked on."""
    if len(drawables) != 1:
        raise bad_input(
            "Choose a layer first."
            if not drawables
            else "Calotype works on one layer at a time. Choose a single layer, or a group of them."
        )
    drawable = drawables[0]
    if isinstance(drawable, Gimp.LayerMask):  # what a user has active just after adding a mask
        drawable = Gimp.Layer.from_mask(drawable)
    if not isinstance(drawable, Gimp.Layer):
        raise bad_input("Calotype works on layers, not on channels. Choose a layer and try again.")
    if image.get_base_type() == Gimp.ImageBaseType.INDEXED:
        raise bad_input(
            "An indexed image has too few colours for the result. Choose Image > Mode > RGB first; "
            "you can go back to indexed colours afterwards."
        )
    if image.get_floating_sel() is not None:
        raise bad_input("There is a floating selection. Anchor it, or make it a layer, and try again.")
    if drawable.is_group() and not drawable.get_children():
        raise bad_input("This group is empty. Choose a layer with pixels.")
    check_group(drawable)
    return drawable


def target(layer: Gimp.Layer, marked: list[Gimp.Layer]) -> Gimp.Layer:
    """The layer to work on: the chosen one or, while the user paints on one of marked, the next one below it.

    Raises CalotypeError BAD_INPUT where there is none.
    """
    if layer not in marked:
        return layer
    parent = layer.get_parent()
    beside = parent.get_children() if parent else layer.get_image().get_layers()
    below = [each for each in beside[beside.index(layer) + 1 :] if each not in marked]
    if not below:
        raise bad_input(f"There is no picture below '{layer.get_name()}'. Choose the layer that holds it.")
    return below[0]


def check_group(drawable: Gimp.Layer) -> None:
    """GIMP merges filters into layers, not into groups. Raises CalotypeError BAD_INPUT."""
    if drawable.is_group() and _has_effects(drawable):
        raise bad_input(
            "This group has filters of its own, which Calotype cannot see through. Hide or remove them, "
            "or choose Layer > Merge Layer Group first."
        )


def _has_effects(drawable: Gimp.Drawable) -> bool:
    return any(effect.get_visible() for effect in drawable.get_filters())


def check_there(drawable: Gimp.Layer) -> None:
    """The user goes on working, and may close and delete. Raises CalotypeError GONE."""
    image = drawable.get_image() if drawable.is_valid() else None
    if image is None or image.get_item_position(drawable) < 0:
        raise CalotypeError(
            "GONE",
            "The image was closed, or the layer deleted, while Calotype was at work. Nothing was added.",
        )


def source(image: Gimp.Image, drawable: Gimp.Layer, whole: bool = False) -> Source:
    """whole: all of the layer is sent, whatever is selected.

    Raises CalotypeError EMPTY_SELECTION, GONE or TOO_LARGE.
    """
    check_there(drawable)
    image_size = image.get_width(), image.get_height()
    everything = box_of(drawable)
    box = visible = everything
    selection = None
    if not Gimp.Selection.is_empty(image):
        hit, x, y, width, height = drawable.mask_intersect()
        visible = Box(x, y, width, height).moved(everything.x, everything.y)
        selection = selected(image, visible) if hit else None
        if selection is None or not bytes(selection.pixels).strip(b"\0"):
            raise outside()
        box = everything if whole else visible.grown(CONTEXT_PX).within(everything)
    samples = Samples.of(drawable)
    layer, kept = _read(drawable, samples, box)
    small, *_ = thumbnail(drawable)
    return Source(
        image, image_size, drawable, samples, everything, box, visible, layer, kept, selection, small
    )


def thumbnail(drawable: Gimp.Drawable) -> tuple[Sequence[int], int, int]:
    """Sums of each pixel's samples, width and height."""
    thumb, width, height, bytes_a_pixel = drawable.get_thumbnail_data(THUMBNAIL_PX, THUMBNAIL_PX)
    data = bytes(thumb.get_data())
    planes = [data[plane::bytes_a_pixel] for plane in range(bytes_a_pixel)]
    return [sum(samples) for samples in zip(*planes, strict=True)], width, height


def outside() -> CalotypeError:
    return CalotypeError(
        "EMPTY_SELECTION",
        "The selection lies outside of the layer. Select a part of the layer, or nothing at all.",
    )


def box_of(drawable: Gimp.Drawable) -> Box:
    _, x, y = drawable.get_offsets()
    return Box(x, y, drawable.get_width(), drawable.get_height())


def whole(drawable: Gimp.Layer) -> Layer:
    """All of another layer, for a parameter that names one. Raises as chosen_layer and source do."""
    return part(drawable, box_of(drawable))


def part(drawable: Gimp.Layer, box: Box) -> Layer:
    """Of another layer what lies in box, in document coordinates."""
    check_there(drawable)
    check_group(drawable)
    return _read(drawable, Samples.of(drawable), box)[0]


def selected(image: Gimp.Image, box: Box) -> Layer:
    format = PixelFormat("G", "u8", "linear")
    data = read(image.get_selection().get_buffer(), box, "Y u8", 1)
    return Layer(box.width, box.height, format, data, "Selection", box.x, box.y)


def _read(drawable: Gimp.Layer, samples: Samples, box: Box) -> tuple[Layer, Gegl.Buffer | None]:
    """The second one holds what is too fine for the first; None where nothing is."""
    name = drawable.get_name() or ""
    shape = LayerShape(box.width, box.height, samples.format, name, box.x, box.y)
    LayerShape.from_wire(shape.to_wire())  # too large? before gigabytes are read
    with _as_it_looks(drawable) as look:
        _, x, y = look.get_offsets()
        buffer, part = look.get_buffer(), box.moved(-x, -y)
        kept = None if samples.exact else _copy(buffer, part, Babl.get_name(drawable.get_format()))
        format = samples.name(samples.format)
        data = read(buffer if kept is None else kept, part, format, samples.format.bytes_a_pixel)
    layer = Layer(box.width, box.height, samples.format, data, name, box.x, box.y, samples.profile)
    return layer, kept


@contextmanager
def _as_it_looks(drawable: Gimp.Layer) -> Iterator[Gimp.Layer]:
    """With its filters, which GIMP 3 keeps beside the pixels. It may be larger than drawable."""
    if not _has_effects(drawable) or drawable.is_group():
        yield drawable
        return
    image = empty_like(drawable.get_image())  # in the user's own, merging would be a step of undo
    try:
        look = Gimp.Layer.new_from_drawable(drawable, image)
        image.insert_layer(look, None, 0)
        look.merge_filters()
        yield look
    finally:
        image.delete()


def empty_like(image: Gimp.Image) -> Gimp.Image:
    base = image.get_base_type()
    if base == Gimp.ImageBaseType.INDEXED:
        base = Gimp.ImageBaseType.RGB
    made = Gimp.Image.new_with_precision(1, 1, base, image.get_precision())
    made.undo_disable()
    profile = image.get_color_profile()
    if profile is not None:
        made.set_color_profile(profile)
    return made


def _copy(buffer: Gegl.Buffer, box: Box, format: str) -> Gegl.Buffer:
    area = Gegl.Rectangle.new(box.x, box.y, box.width, box.height)
    made = Gegl.Buffer.new(format, box.x, box.y, box.width, box.height)
    buffer.copy(area, Gegl.AbyssPolicy.NONE, made, area)
    return made


def read(buffer: Gegl.Buffer, box: Box, format: str, bytes_a_pixel: int) -> bytearray:
    """box: in the buffer's own coordinates."""
    stride = box.width * bytes_a_pixel
    data = bytearray(stride * box.height)
    for y, rows in bands(box.height, stride):
        part = Gegl.Rectangle.new(box.x, box.y + y, box.width, rows)
        band = buffer.get(part, 1.0, format, Gegl.AbyssPolicy.NONE)
        data[y * stride : (y + rows) * stride] = band
    return data


def bands(height: int, stride: int) -> list[tuple[int, int]]:
    """(first row, rows) of each part that may be moved at once."""
    most = max(1, BAND_BYTES // stride)
    return [(y, min(most, height - y)) for y in range(0, height, most)]
