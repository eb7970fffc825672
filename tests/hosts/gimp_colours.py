"""Colours and styles in GIMP: a feathered region painted, strokes of hints, a grey image's coloured one."""

from gi.repository import Gimp
from gimp_inside import (
    Base,
    Precision,
    box,
    call,
    drawn,
    native,
    put,
    refused,
    run,
    samples,
    selected,
)

WIDTH, HEIGHT = 160, 120


def scene(base=Base.RGB, precision=Precision.U8_NON_LINEAR, coloured=True):
    """A bright sky over dark ground, with a disc in it."""

    def colours(x, y):
        seen = [0.4, 0.55, 0.8] if y < 70 else [0.3, 0.35, 0.15]
        if (x - 50) ** 2 + (y - 40) ** 2 < 400:
            seen = [0.9, 0.7, 0.2]
        if not coloured or base == Base.GRAY:
            seen = [0.2126 * seen[0] + 0.7152 * seen[1] + 0.0722 * seen[2]] * 3
        return seen

    return drawn(colours, WIDTH, HEIGHT, base, precision)


def painted_layer(image, colour, x, y, width, height):
    paint = Gimp.Layer.new(
        image, "hints", width, height, Gimp.ImageType.RGBA_IMAGE, 100, Gimp.LayerMode.NORMAL
    )
    image.insert_layer(paint, None, 0)
    paint.set_offsets(7 + x, 5 + y)
    put(paint, bytes((*colour, 255)) * (width * height))
    return paint


def test_a_feathered_region_takes_on_a_style_and_nothing_else_changes():
    image, layer = scene()
    before = native(layer)
    whole = samples(run("stylize", image, layer, style="scream"))
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 7 + 40, 5 + 30, 80, 60)
    Gimp.Selection.feather(image, 12)
    _, *bounds = Gimp.Selection.bounds(image)
    left, top, right, bottom = bounds[-4:]
    result = run("stylize", image, layer, style="scream")
    assert native(layer) == before
    area = (left, top, right - left, bottom - top)
    assert box(result) == area
    weights = selected(image, *area)
    assert any(0 < value < 255 for value in weights)
    assert bytes(int(pixel[3]) for pixel in samples(result)) == weights  # the feather is the transparency
    width = right - left
    for index, pixel in enumerate(samples(result)):  # the region is painted as a part of the whole picture
        x, y = left - 7 + index % width, top - 5 + index // width
        if weights[index]:
            assert pixel[:3] == whole[WIDTH * y + x][:3], (x, y)


def test_another_layer_is_a_style_whatever_its_size():
    image, layer = scene()
    other = painted_layer(image, (200, 60, 30), 0, 0, 40, 30)
    one = samples(run("stylize", image, layer, style_layer=other))
    two = samples(run("stylize", image, layer))
    assert one != two


def test_hints_on_a_layer_colour_what_they_lie_on():
    image, layer = scene(coloured=False)
    hints = painted_layer(image, (220, 40, 40), 44, 34, 12, 12)
    result = run("colorize", image, layer, hints=hints)
    made = samples(result)
    inside = made[WIDTH * 40 + 50]
    assert inside[0] > inside[2] + 20, inside
    luma = [round(0.2126 * r + 0.7152 * g + 0.0722 * b) for r, g, b, *_ in made]
    before = [round(0.2126 * r + 0.7152 * g + 0.0722 * b) for r, g, b, *_ in samples(layer)]
    assert luma == before
    image.remove_layer(result)
    below = run("colorize", image, hints, hints=hints)  # as when it is the one that was painted on last
    assert samples(below) == made
    assert image.get_item_position(below) == image.get_item_position(layer) - 1
    refused("calling-error", "no picture below", "colorize", image, layer, hints=layer)
    opaque = Gimp.Layer.new(image, "opaque", 20, 20, Gimp.ImageType.RGB_IMAGE, 100, Gimp.LayerMode.NORMAL)
    image.insert_layer(opaque, None, 0)
    refused("calling-error", "has no transparency", "colorize", image, layer, hints=opaque)


def test_colours_come_as_a_colour_layer_on_request():
    image, layer = scene(coloured=False)
    result = run("colorize", image, layer, colour_layer=True, palette="#c04020, #e0a060")
    assert result.get_mode() == Gimp.LayerMode.LCH_COLOR


def test_a_grey_image_gets_a_coloured_one_of_its_precision():
    for precision in (Precision.U8_NON_LINEAR, Precision.U16_NON_LINEAR, Precision.FLOAT_LINEAR):
        for filter, more in (("colorize", {"palette": "#c04020, #e0a060"}), ("stylize", {"colourise": True})):
            image, layer = scene(Base.GRAY, precision)
            image.select_rectangle(Gimp.ChannelOps.REPLACE, 7 + 40, 5 + 30, 80, 60)
            answer = call(filter, image, layer, **more)
            assert answer.status == "success", answer
            coloured = answer.document
            assert (coloured.get_base_type(), coloured.get_precision()) == (Base.RGB, precision)
            assert (coloured.get_width(), coloured.get_height()) == (WIDTH, HEIGHT)
            pixels = samples(coloured.get_layers()[0])
            apart = [max(pixel[:3]) - min(pixel[:3]) for pixel in pixels]
            top = {Precision.U8_NON_LINEAR: 255, Precision.U16_NON_LINEAR: 65535}.get(precision, 1)
            assert max(apart) > 0.03 * top, (filter, precision)
            assert apart[0] <= 0.01 * top, "only what is selected"
            assert image.get_layers() == [layer]
            coloured.delete()
            image.delete()
