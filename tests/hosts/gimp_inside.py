"""For scenarios that run inside GIMP: images to work on, filters to call, samples to compare."""

import os
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gi

gi.require_version("Gegl", "0.4")
from gi.repository import Babl, Gegl, Gimp  # noqa: E402

Base = Gimp.ImageBaseType
Precision = Gimp.Precision
NONE = Gegl.AbyssPolicy.NONE
TYPES = {
    (Base.RGB, True): Gimp.ImageType.RGBA_IMAGE,
    (Base.RGB, False): Gimp.ImageType.RGB_IMAGE,
    (Base.GRAY, True): Gimp.ImageType.GRAYA_IMAGE,
    (Base.GRAY, False): Gimp.ImageType.GRAY_IMAGE,
}
CODES = {"u8": "B", "u16": "H", "u32": "I", "half": "e", "float": "f", "double": "d"}


@dataclass(frozen=True)
class Answer:
    status: str
    sentence: str
    layer: Gimp.Layer | None = None
    document: Gimp.Image | None = None


def picture(
    width: int = 90,
    height: int = 70,
    base: Gimp.ImageBaseType = Base.RGB,
    precision: Gimp.Precision = Precision.U8_NON_LINEAR,
    alpha: bool = True,
    profile: Gimp.ColorProfile | None = None,
) -> tuple[Gimp.Image, Gimp.Layer]:
    """An image, larger than its one layer 'photo', which holds noise."""
    image = Gimp.Image.new_with_precision(width + 20, height + 20, base, precision)
    if profile:
        assert image.set_color_profile(profile)
    layer = Gimp.Layer.new(image, "photo", width, height, TYPES[base, alpha], 100, Gimp.LayerMode.NORMAL)
    image.insert_layer(layer, None, 0)
    layer.set_offsets(7, 5)
    fill(layer)
    return image, layer


def drawn(
    colours: Callable[[int, int], list[float]],
    width: int,
    height: int,
    base: Gimp.ImageBaseType,
    precision: Gimp.Precision,
) -> tuple[Gimp.Image, Gimp.Layer]:
    """picture() with colours(x, y), red, green and blue, 0..1; a grey image takes the first."""
    image, layer = picture(width, height, base, precision)
    code, channels = form(layer)
    top = {"B": 255, "H": 65535}.get(code, 1.0)
    flat = []
    for y in range(height):
        for x in range(width):
            flat += [value * top for value in (*colours(x, y)[: channels - 1], 1.0)]
    if code in "BH":
        flat = [round(value) for value in flat]
    put(layer, struct.pack(f"<{len(flat)}{code}", *flat))
    return image, layer


def box(drawable: Gimp.Drawable) -> tuple[int, int, int, int]:
    _, x, y = drawable.get_offsets()
    return x, y, drawable.get_width(), drawable.get_height()


def form(drawable: Gimp.Drawable) -> tuple[str, int]:
    """struct's code of a sample, and samples a pixel."""
    model, native = Babl.format_get_encoding(drawable.get_format()).rsplit(" ", 1)
    return CODES[native], len(model.replace("'", "").replace("~", ""))


def fill(drawable: Gimp.Drawable, seed: int = 0) -> None:
    """Noise of every value that the samples can have; the last channel, where it is alpha, opaque."""
    chance = random.Random(seed)
    code, channels = form(drawable)
    pixels = drawable.get_width() * drawable.get_height()
    if code in "BHI":
        top = (1 << 8 * struct.calcsize(code)) - 1
        samples: list[float] = [chance.randint(0, top) for _ in range(pixels * channels)]
    else:
        top = 1
        samples = [chance.uniform(-0.2, 1.5) for _ in range(pixels * channels)]
    if drawable.has_alpha():
        samples[channels - 1 :: channels] = [top] * pixels
    put(drawable, struct.pack(f"<{len(samples)}{code}", *samples))


def put(drawable: Gimp.Drawable, data: bytes) -> None:
    buffer = drawable.get_buffer()
    area = Gegl.Rectangle.new(0, 0, drawable.get_width(), drawable.get_height())
    buffer.set(area, Babl.get_name(drawable.get_format()), data)
    buffer.flush()
    drawable.update(0, 0, drawable.get_width(), drawable.get_height())


def native(drawable: Gimp.Drawable, x: int = 0, y: int = 0, width: int = 0, height: int = 0) -> bytes:
    """Samples as the image holds them, in the drawable's coordinates."""
    area = Gegl.Rectangle.new(x, y, width or drawable.get_width(), height or drawable.get_height())
    return bytes(drawable.get_buffer().get(area, 1.0, None, NONE))


def samples(drawable: Gimp.Drawable, *part: int) -> list[tuple[float, ...]]:
    """The same as numbers, a tuple a pixel."""
    code, channels = form(drawable)
    flat = [value for (value,) in struct.iter_unpack(f"<{code}", native(drawable, *part))]
    return list(zip(*(flat[channel::channels] for channel in range(channels)), strict=True))


def selected(image: Gimp.Image, x: int, y: int, width: int, height: int) -> bytes:
    """The selection, a byte a pixel."""
    area = Gegl.Rectangle.new(x, y, width, height)
    return bytes(image.get_selection().get_buffer().get(area, 1.0, "Y u8", NONE))


def call(
    filter: str,
    image: Gimp.Image,
    *drawables: Gimp.Drawable,
    run_mode: Gimp.RunMode = Gimp.RunMode.NONINTERACTIVE,
    **values: Any,
) -> Answer:
    procedure = Gimp.get_pdb().lookup_procedure(f"plug-in-calotype-{filter}")
    assert procedure is not None, f"no filter {filter}"
    config = procedure.create_config()
    config.set_property("run-mode", run_mode)
    config.set_property("image", image)
    config.set_core_object_array("drawables", list(drawables))
    for name, value in values.items():
        config.set_property(name.replace("_", "-"), value)
    returned = procedure.run(config)
    status = returned.index(0).value_nick
    if status != "success":
        return Answer(status, Gimp.get_pdb().get_last_error())
    return Answer(status, "", returned.index(1), returned.index(2))


def run(filter: str, image: Gimp.Image, *drawables: Gimp.Drawable, **values: Any) -> Gimp.Layer:
    """The new layer of a filter that must succeed."""
    answer = call(filter, image, *drawables, **values)
    assert answer.status == "success", answer
    assert answer.layer is not None
    return answer.layer


def refused(
    status: str, words: str, filter: str, image: Gimp.Image, *drawables: Gimp.Drawable, **values: Any
) -> None:
    """The filter must fail with a sentence that has these words, and leave the image as it was."""
    before = tree(image)
    answer = call(filter, image, *drawables, **values)
    assert answer.status == status, answer
    assert words in answer.sentence, answer.sentence
    assert answer.sentence.rstrip().endswith("."), answer.sentence
    assert "Traceback" not in answer.sentence
    assert tree(image) == before


def tree(image: Gimp.Image) -> list[Any]:
    """Names of the layers, top first; a group is [name, its layers]."""
    return _names(image.get_layers())


def _names(layers: list[Gimp.Layer]) -> list[Any]:
    return [[x.get_name(), _names(x.get_children())] if x.is_group() else x.get_name() for x in layers]


def home(*parts: str) -> str:
    return os.path.join(os.environ["CALOTYPE_HOME"], *parts)
