"""Styles learnt from what is open in GIMP, by scripts, and painted with in the same session."""

import json
import struct

from gi.repository import Gegl, Gimp, Gio
from gimp_inside import Base, Precision, box, call, drawn, home, native, refused, run, samples, selected, tree


def stripes(x, y):
    """Broad ones, red and dark."""
    return [0.9, 0.3, 0.1] if (x + y) // 9 % 2 else [0.2, 0.05, 0.1]


def dots(x, y):
    """Blue on pale green."""
    return [0.1, 0.2, 0.7] if (x % 16 - 8) ** 2 + (y % 16 - 8) ** 2 < 25 else [0.8, 0.95, 0.85]


def halves(x, y):
    return stripes(x, y) if x < 160 else dots(x, y)


def painting(colours=stripes, width=200, height=180, base=Base.RGB, precision=Precision.U8_NON_LINEAR):
    """An image of which nothing is unsaved, filled by its one layer."""
    image, layer = drawn(colours, width, height, base, precision)
    image.resize_to_layers()
    image.clean_all()
    return image, layer


def train(image, *drawables, name, **values):
    """The style's file, after a training that must succeed and leave the image as it is."""
    before = tree(image), [native(layer) for layer in image.get_layers()], image.is_dirty()
    answer = call("train-style", image, *drawables, name=name, level="instant", **values)
    assert (answer.status, answer.layer, answer.document) == ("success", None, None), answer
    assert (tree(image), [native(layer) for layer in image.get_layers()], image.is_dirty()) == before
    assert not [layer for layer in image.get_layers() if layer.get_parasite("calotype")]
    with open(home("styles", f"{name}.calostyle"), "rb") as file:
        return file.read()


def header(data):
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])


def sources(data):
    return json.loads(header(data)["__metadata__"]["card"])["sources"]


def apart(one, other):
    """How far the numbers that steer the network lie from each other."""
    rows = []
    for data in (one, other):
        begin, end = header(data)["row"]["data_offsets"]
        start = 8 + int.from_bytes(data[:8], "little")
        rows.append(struct.unpack(f"<{(end - begin) // 2}e", data[start + begin : start + end]))
    return sum((a - b) ** 2 for a, b in zip(*rows, strict=True)) ** 0.5


def above(image, name, colours, alpha=255):
    """A layer that covers the right half, or all where colours is a function."""
    width, height = image.get_width(), image.get_height()
    layer = Gimp.Layer.new(
        image, name, width // 2, height, Gimp.ImageType.RGBA_IMAGE, 100, Gimp.LayerMode.NORMAL
    )
    image.insert_layer(layer, None, 0)
    layer.set_offsets(width // 2, 0)
    pixels = [
        (*(round(255 * part) for part in colours(x, y)), alpha)
        for y in range(height)
        for x in range(width // 2)
    ]
    area = Gegl.Rectangle.new(0, 0, width // 2, height)
    layer.get_buffer().set(area, "R'G'B'A u8", bytes(value for pixel in pixels for value in pixel))
    image.clean_all()
    return layer


def test_a_style_is_learnt_from_the_document_and_painted_in_at_once():
    image, layer = painting()
    style = train(image, layer, name="Zoë 2")
    assert sources(style) == ["Untitled"], sources(style)
    photo, below = painting(lambda x, y: [x / 240, y / 200, 0.4], 240, 200)
    photo.select_ellipse(Gimp.ChannelOps.REPLACE, 60, 50, 110, 90)
    Gimp.Selection.feather(photo, 12)
    _, _, left, top, right, bottom = Gimp.Selection.bounds(photo)
    area = left, top, right - left, bottom - top
    before = native(below)
    painted = run("stylize", photo, below, style="Zoë 2", refine=0)
    assert tree(photo) == [painted.get_name(), "photo"]
    assert (box(painted), native(below)) == (area, before)
    weights = selected(photo, *area)
    assert any(0 < weight < 255 for weight in weights)
    assert bytes(int(pixel[3]) for pixel in samples(painted)) == weights
    other = run("stylize", photo, below, style="starry-night", refine=0)
    assert native(other) != native(painted)


def test_what_is_seen_of_the_document_is_learnt_and_not_its_layers():
    image, layer = painting(width=240)
    alone = train(image, layer, name="alone")
    hidden = above(image, "hidden", dots)
    hidden.set_visible(False)
    image.clean_all()
    assert apart(train(image, name="hidden"), alone) == 0
    tool = Gimp.Channel.new(image, "tool", 240, 180, 50, Gegl.Color.new("red"))
    image.insert_channel(tool, None, 0)
    image.clean_all()
    assert tool.get_visible()
    assert apart(train(image, name="tinted"), alone) == 0
    assert tool.get_visible()
    hidden.set_visible(True)
    image.clean_all()
    assert apart(train(image, hidden, name="seen"), alone) > 0.05


def test_a_selection_limits_what_is_learnt():
    image, layer = painting(halves, 320, 160)
    left, _ = painting(stripes, 160, 160)
    wanted, whole = train(left, name="left"), train(image, layer, name="whole")
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, 160, 160)
    image.clean_all()
    for pictures in ("document", "layer"):
        limited = train(image, layer, name=f"limited {pictures}", pictures=pictures)
        assert apart(limited, wanted) < apart(whole, wanted) / 4, (pictures, apart(limited, wanted))
    assert not Gimp.Selection.is_empty(image)


def test_several_layers_are_learnt_from_and_the_excluded_one_is_not():
    image, layer = painting(width=240)
    other = above(image, "dots", dots)
    alone = train(image, layer, name="one layer", pictures="layer")
    assert sources(alone) == ["photo"]
    both = train(image, layer, other, name="two layers", pictures="layers")
    assert sources(both) == ["photo", "dots"]
    assert sources(train(image, other, layer, name="the other first", pictures="layers")) == ["dots", "photo"]
    assert apart(both, alone) > 0.05
    without = train(image, layer, other, name="without", pictures="layers", exclude_layer=other)
    assert sources(without) == ["photo"]
    painted = train(image, other, name="below", pictures="layer", exclude_layer=other)
    assert sources(painted) == ["photo"]
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, 100, 180)
    image.clean_all()
    assert sources(train(image, other, layer, name="where", pictures="layers")) == ["photo"]
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 60, 0, 180, 180)
    image.clean_all()
    layer.resize(100, 180, 0, 0)  # they lie side by side
    image.clean_all()
    wide = train(image, layer, other, name="wide", pictures="layers")
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 60, 0, 40, 180)
    image.clean_all()
    assert sources(wide) == ["photo", "dots"]
    assert apart(wide, train(image, layer, name="narrow", pictures="layer")) > 0.05, "both are learnt from"
    other.resize(40, 40, 0, 0)
    other.set_offsets(150, 0)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, 60, 180)
    image.select_rectangle(Gimp.ChannelOps.ADD, 0, 120, 240, 60)
    image.clean_all()
    assert sources(train(image, other, layer, name="in a corner", pictures="layers")) == ["photo"]


def test_all_open_documents_are_one_style_and_the_selection_is_the_first_ones():
    one, layer = painting(halves, 320, 160)
    painting(dots, 160, 160)
    one.select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, 160, 160)
    one.clean_all()
    both = train(one, layer, name="all of them", pictures="documents")
    assert sources(both) == ["Untitled", "Untitled"]
    stripes_alone = train(one, layer, name="selected alone")
    one.select_rectangle(Gimp.ChannelOps.REPLACE, 160, 0, 160, 160)
    one.clean_all()
    dots_alone = train(one, layer, name="dots alone", pictures="documents")
    assert apart(both, stripes_alone) > 0.05
    assert apart(dots_alone, both) > 0.05


def test_nothing_is_learnt_from_what_lies_below_the_paint_of_the_excluded_layer():
    image, layer = painting(halves, 320, 160)
    left, _ = painting(stripes, 160, 160)
    wanted, whole = train(left, name="its left"), train(image, layer, name="its whole")
    paint = above(image, "paint", lambda x, y: [1, 1, 1])
    for pictures in ("document", "layer"):
        found = train(image, layer, name=f"unpainted {pictures}", pictures=pictures, exclude_layer=paint)
        assert apart(found, wanted) < apart(whole, wanted) / 4, (pictures, apart(found, wanted))


def test_precisions_grey_and_indexed_documents_can_be_learnt_from():
    for number, (base, precision) in enumerate(
        (
            (Base.RGB, Precision.U16_LINEAR),
            (Base.RGB, Precision.FLOAT_NON_LINEAR),
            (Base.GRAY, Precision.U8_NON_LINEAR),
        )
    ):
        image, layer = painting(base=base, precision=precision)
        train(image, layer, name=f"precision {number}")
    image, layer = painting()
    image.convert_indexed(Gimp.ConvertDitherType.NONE, Gimp.ConvertPaletteType.GENERATE, 16, False, False, "")
    image.clean_all()
    train(image, layer, name="indexed")
    refused("calling-error", "Image > Mode > RGB", "train-style", image, layer, name="no", pictures="layer")


def test_pictures_of_a_folder_are_learnt_from_as_well():
    image, layer = painting()
    folder = Gio.File.new_for_path(home("swatches"))
    assert len(sources(train(image, layer, name="a folder", more=folder))) == 20


def test_names_that_cannot_be_are_told_of():
    image, layer = painting()
    refused(
        "calling-error",
        "There is no style 'starry-nihgt'. There is: starry-night",
        "stylize",
        image,
        layer,
        style="starry-nihgt",
    )
    answer = call("stylize", image, layer, style="nobody's")
    assert answer.sentence.count(",") < 6, answer.sentence
    train(image, layer, name="taken")
    refused(
        "calling-error",
        "There is a style 'taken' already",
        "train-style",
        image,
        layer,
        name="taken",
        level="instant",
    )


def test_what_cannot_be_read_is_told_of():
    image, layer = painting()
    empty = Gimp.Image.new(50, 50, Base.RGB)
    channel = Gimp.Channel.new(image, "channel", 110, 90, 50, Gegl.Color.new("red"))
    image.insert_channel(channel, None, 0)
    train = "train-style"
    refused("calling-error", "has no layers", train, empty, name="no")
    refused("calling-error", "Choose a layer", train, image, name="no", pictures="layer")
    refused(
        "calling-error",
        "one layer at a time",
        train,
        image,
        layer,
        above(image, "x", dots),
        name="no",
        pictures="layer",
    )
    refused("calling-error", "not on channels", train, image, layer, channel, name="no", pictures="layers")
    layer.set_offsets(150, 150)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, 50, 50)
    refused("calling-error", "outside of the layer", train, image, layer, name="no", pictures="layer")
    refused("calling-error", "nothing is left to learn from", train, image, layer, name="no", level="instant")


def test_scripts_are_told_that_styles_are_looked_after_in_a_window():
    answer = call("styles", None)
    assert answer.status == "calling-error", answer
    assert "by its name" in answer.sentence
