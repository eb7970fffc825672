"""Old photos in GIMP: scratches found and filled, pictures enlarged."""

from gi.repository import Gimp
from gimp_inside import Base, Precision, box, call, drawn, picture, put, refused, run, samples, selected

LEFT, RIGHT = 100, 103
"""Where the scratch is, in the layer."""


def scratched(base=Base.RGB, precision=Precision.U8_NON_LINEAR, width=240, height=200):
    """A smooth picture with a bright line from top to bottom."""

    def colours(x, y):
        if LEFT <= x < RIGHT:
            return [0.98] * 3
        return [0.2 + 0.5 * x / width, 0.6 - 0.4 * y / height, 0.3 + 0.2 * (x + y) / (width + height)]

    return drawn(colours, width, height, base, precision)


def test_scratches_are_filled_in_a_feathered_selection_alone():
    image, layer = scratched()
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 7 + 60, 5 + 40, 100, 110)
    Gimp.Selection.feather(image, 8)
    _, *bounds = Gimp.Selection.bounds(image)
    left, top, right, bottom = bounds[-4:]
    run("remove-scratches", image, layer)
    group = image.get_layers()[0]
    mask, filled = group.get_children()
    assert (group.get_name(), filled.get_name(), mask.get_name()) == (
        "Scratch repair",
        "Scratches removed",
        "Scratches",
    )
    assert not mask.get_visible()
    assert box(filled) == (left, top, right - left, bottom - top)
    area = (left, top, right - left, bottom - top)
    weights = selected(image, *area)
    assert any(0 < value < 255 for value in weights)
    assert bytes(int(pixel[3]) for pixel in samples(filled)) == weights  # the feather is the transparency
    width = right - left
    for index, pixel in enumerate(samples(filled)):
        x = left + index % width - 7
        if weights[index] == 255 and LEFT <= x < RIGHT:
            assert pixel[0] < 200, (index, pixel)


def test_a_painted_layer_is_filled_instead():
    image, layer = scratched()
    paint = Gimp.Layer.new(image, "paint", 20, 10, Gimp.ImageType.RGBA_IMAGE, 100, Gimp.LayerMode.NORMAL)
    image.insert_layer(paint, None, 0)
    paint.set_offsets(7 + 95, 5 + 50)
    put(paint, bytes((255, 0, 0, 255)) * 200)
    result = run("remove-scratches", image, layer, mask=paint)
    before, after = samples(layer), samples(result)
    changed = {i for i, (old, new) in enumerate(zip(before, after, strict=True)) if old != new}
    painted = {240 * y + x for y in range(50, 60) for x in range(95, 115)}
    assert changed
    assert changed <= painted


def test_restore_gives_a_group_with_the_mask_in_every_precision():
    for base, precision in (
        (Base.RGB, Precision.U16_NON_LINEAR),
        (Base.GRAY, Precision.U8_NON_LINEAR),
        (Base.GRAY, Precision.FLOAT_LINEAR),
    ):
        image, layer = scratched(base, precision)
        run("restore", image, layer)
        group = image.get_layers()[0]
        assert group.is_group(), (base, precision)
        mask, restored = group.get_children()
        assert restored.get_format() == layer.get_format()
        assert any(pixel[-1] for pixel in samples(mask))
        image.delete()


def test_no_scratch_is_explained():
    image, layer = picture(60, 60)
    put(layer, bytes((90, 90, 90, 255)) * 3600)
    refused("execution-error", "No scratches were found", "remove-scratches", image, layer)


def test_an_enlarged_picture_is_an_image_of_its_own():
    for base, precision, scale in (
        (Base.RGB, Precision.U8_NON_LINEAR, 2),
        (Base.GRAY, Precision.U16_LINEAR, 4),
    ):
        image, layer = scratched(base, precision, 60, 50)
        answer = call("upscale", image, layer, scale=str(scale))
        assert answer.status == "success", answer
        larger = answer.document
        assert (larger.get_width(), larger.get_height()) == (60 * scale, 50 * scale)
        assert (larger.get_base_type(), larger.get_precision()) == (base, precision)
        assert len(image.get_layers()) == 1
        larger.delete()
        image.delete()
