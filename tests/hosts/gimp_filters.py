"""Filters on layers of every kind, inside GIMP."""

import json
import struct

from gi.repository import Gegl, Gimp, Gio
from gimp_inside import (
    Base,
    Precision,
    box,
    call,
    fill,
    home,
    native,
    picture,
    put,
    refused,
    run,
    samples,
    selected,
    tree,
)

PRECISIONS = [
    getattr(Precision, f"{depth}_{curve}")
    for depth in ("U8", "U16", "U32", "HALF", "FLOAT", "DOUBLE")
    for curve in ("NON_LINEAR", "LINEAR", "PERCEPTUAL")
]


def test_the_result_is_a_layer_right_above_the_one_that_was_worked_on():
    image, layer = picture()
    for name, position in (("below", 1), ("above", 0)):
        other = layer.copy()
        other.set_name(name)
        image.insert_layer(other, None, position)
    before = native(layer)
    result = run("invert", image, layer)
    assert tree(image) == ["above", "Inverted", "photo", "below"]
    assert box(result) == box(layer)
    assert native(layer) == before
    assert image.get_selected_layers() == [result]
    for old, new in zip(samples(layer), samples(result), strict=True):
        assert max(abs(255 - o - n) for o, n in zip(old[:3], new[:3], strict=True)) <= 1
        assert new[3] == 255


def test_unchanged_samples_survive_bit_for_bit_in_every_precision_and_profile():
    for precision in PRECISIONS:
        for base, alpha, profile in (
            (Base.RGB, True, Gimp.ColorProfile.new_rgb_adobe()),
            (Base.RGB, False, None),
            (Base.GRAY, True, None),
        ):
            image, layer = picture(30, 20, base, precision, alpha, profile)
            result = run("identity", image, layer)
            assert result.get_format() == layer.get_format()
            assert native(result) == native(layer), (precision, base)
            image.delete()


def test_colours_are_seen_as_the_profile_and_the_precision_mean_them():
    """The inverse of white is black, of black white, and grey stays grey, whatever the numbers behind."""
    for precision in (Precision.U8_NON_LINEAR, Precision.U16_LINEAR, Precision.FLOAT_PERCEPTUAL):
        for base, profile in (
            (Base.RGB, None),
            (Base.RGB, Gimp.ColorProfile.new_rgb_adobe()),
            (Base.GRAY, None),
        ):
            image, layer = picture(40, 40, base, precision, False, profile)
            grey = [image_value(precision, 0.25)] * (3 if base == Base.RGB else 1)
            put(layer, struct.pack(f"<{len(grey)}{code(precision)}", *grey) * 1600)
            before = layer.get_pixel(0, 0)
            after = run("invert", image, layer).get_pixel(0, 0)
            for old, new in zip(encoded(before), encoded(after), strict=True):
                assert abs(1 - old - new) < 0.01, (precision, base, encoded(before), encoded(after))
            image.delete()


def encoded(colour):
    """sRGB as its curve encodes it; GEGL gives linear light."""
    return [1.055 * x ** (1 / 2.4) - 0.055 for x in colour.get_rgba()[:3]]


def image_value(precision, fraction):
    return {"B": round(255 * fraction), "H": round(65535 * fraction), "f": fraction}[code(precision)]


def code(precision):
    return {"u8": "B", "u16": "H", "float": "f"}[precision.value_nick.split("-")[0]]


def test_a_feathered_selection_becomes_the_transparency_of_a_layer_of_its_size():
    image, layer = picture(400, 300)
    image.select_ellipse(Gimp.ChannelOps.REPLACE, 190, 150, 60, 40)
    Gimp.Selection.feather(image, 12)
    _, _, left, top, right, bottom = Gimp.Selection.bounds(image)
    area = (left, top, right - left, bottom - top)
    result = run("invert", image, layer)
    assert box(result) == area
    x, y, width, height = area
    assert bytes(int(pixel[3]) for pixel in samples(result)) == selected(image, *area)
    old = samples(layer, x - 7, y - 5, width, height)
    for before, after in zip(old, samples(result), strict=True):
        if after[3]:
            assert max(abs(255 - b - a) for b, a in zip(before[:3], after[:3], strict=True)) <= 1
    assert not Gimp.Selection.is_empty(image)


def test_unchanged_samples_survive_below_a_selection_in_every_precision():
    for precision in (
        Precision.U8_LINEAR,
        Precision.U16_NON_LINEAR,
        Precision.HALF_LINEAR,
        Precision.FLOAT_LINEAR,
    ):
        for alpha in (True, False):
            profile = Gimp.ColorProfile.new_rgb_adobe()
            image, layer = picture(60, 50, Base.RGB, precision, alpha, profile)
            image.select_ellipse(Gimp.ChannelOps.REPLACE, 20, 20, 25, 15)
            result = run("restore", image, layer, strength=0.0)
            x, y, width, height = box(result)
            before = samples(layer, x - 7, y - 5, width, height)
            assert (x, y, width, height) == (20, 20, 25, 15)
            for old, new in zip(before, samples(result), strict=True):
                assert not new[3] or old[:3] == new[:3]
            image.delete()


def test_a_selection_that_reaches_over_the_layer_is_cut_to_it():
    image, layer = picture()
    layer.set_offsets(-30, 40)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, 30, 90)
    result = run("invert", image, layer)
    assert box(result) == (0, 40, 30, 50)


def test_layers_of_one_pixel_and_of_one_row_work():
    for width, height in ((1, 1), (300, 1), (1, 300)):
        image, layer = picture(width, height)
        put(layer, bytes((10, 200, 30, 255)) * (width * height))
        assert box(run("invert", image, layer)) == (7, 5, width, height)


def test_transparent_pixels_stay_transparent():
    image, layer = picture(50, 50)
    put(layer, bytes((200, 100, 50, 0)) * 1250 + bytes((200, 100, 50, 128)) * 1250)
    result = samples(run("invert", image, layer))
    assert {pixel[3] for pixel in result[:1250]} == {0}
    assert {pixel[3] for pixel in result[1250:]} == {128}


def test_grey_images_get_grey_layers():
    for alpha in (True, False):
        image, layer = picture(base=Base.GRAY, alpha=alpha)
        result = run("invert", image, layer)
        assert result.type() == layer.type()
        for old, new in zip(samples(layer), samples(result), strict=True):
            assert abs(255 - old[0] - new[0]) <= 1
        image.select_rectangle(Gimp.ChannelOps.REPLACE, 20, 20, 10, 10)
        assert run("invert", image, layer).type() == Gimp.ImageType.GRAYA_IMAGE


def test_indexed_images_are_refused_with_what_to_do():
    image, layer = picture()
    image.convert_indexed(Gimp.ConvertDitherType.NONE, Gimp.ConvertPaletteType.GENERATE, 16, False, False, "")
    refused("calling-error", "Image > Mode > RGB", "invert", image, layer)


def test_a_group_is_taken_as_it_looks_and_the_result_lies_above_it():
    image, layer = picture()
    group = Gimp.GroupLayer.new(image, "group")
    image.insert_layer(group, None, 0)
    image.reorder_item(layer, group, 0)
    top = layer.copy()
    image.insert_layer(top, group, 0)
    top.set_offsets(-10, 30)
    put(top, bytes((1, 2, 3, 255)) * 6300)
    result = run("invert", image, group)
    assert tree(image) == ["Inverted", ["group", ["photo copy", "photo"]]]
    assert box(result) == box(group) == (-10, 5, 107, 95)
    assert samples(result, 40, 30, 1, 1) == [(254, 253, 252, 255)]


def test_the_result_of_a_layer_in_a_group_stays_in_the_group_locked_or_not():
    image, layer = picture()
    group = Gimp.GroupLayer.new(image, "group")
    image.insert_layer(group, None, 0)
    image.reorder_item(layer, group, 0)
    for item in (layer, group):
        item.set_lock_content(True)
        item.set_lock_position(True)
    layer.set_lock_alpha(True)
    run("invert", image, layer)
    assert tree(image) == [["group", ["Inverted", "photo"]]]


def test_what_a_mask_hides_stays_hidden():
    image, layer = picture()
    mask = layer.create_mask(Gimp.AddMaskType.WHITE)
    layer.add_mask(mask)
    fill(mask)
    assert image.get_selected_drawables() == [mask]
    result = run("invert", image, mask)  # the active drawable just after adding one
    assert tree(image) == ["Inverted", "photo"]
    assert native(result.get_mask()) == native(mask)
    assert not result.get_edit_mask()
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 17, 15, 20, 10)
    part = run("invert", image, layer)
    assert native(part.get_mask()) == native(mask, 10, 10, 20, 10)
    Gimp.Selection.none(image)
    layer.set_apply_mask(False)
    assert run("invert", image, layer).get_mask() is None


def looks(image):
    """The image as it is seen, in 8 bits."""
    copy = image.duplicate()
    seen = native(copy.merge_visible_layers(Gimp.MergeType.CLIP_TO_IMAGE))
    copy.delete()
    return seen


def add_effect(layer, operation="gegl:invert-gamma"):
    effect = Gimp.DrawableFilter.new(layer, operation, "effect")
    layer.append_filter(effect)
    return effect


def test_filters_on_a_layer_are_in_the_result_as_they_look_and_stay_on_the_layer():
    for precision, profile in (
        (Precision.U8_NON_LINEAR, None),
        (Precision.U16_LINEAR, Gimp.ColorProfile.new_rgb_adobe()),
        (Precision.DOUBLE_LINEAR, None),
    ):
        image, layer = picture(precision=precision, profile=profile)
        plain = looks(image)
        effect = add_effect(layer)
        before, shown = native(layer), looks(image)
        assert shown != plain
        result = run("identity", image, layer)
        assert looks(image) == shown
        assert (native(layer), layer.get_filters(), result.get_filters()) == (before, [effect], [])
        assert tree(image) == ["Identity", "photo"]
        image.clean_all()
        refused("execution-error", "unchanged", "fail", image, layer, how="unchanged")
        assert not image.is_dirty()
        image.remove_layer(result)
        effect.set_visible(False)
        assert native(run("identity", image, layer)) == before
        image.delete()


def test_a_filter_that_reaches_out_of_the_layer_leaves_the_result_in_its_place():
    image, layer = picture()
    layer.add_mask(layer.create_mask(Gimp.AddMaskType.WHITE))
    add_effect(layer, "gegl:dropshadow")
    result = run("identity", image, layer)
    assert box(result) == box(layer)
    assert native(result) == native(layer)
    assert result.get_mask() is not None


def test_filters_on_another_layer_and_in_a_group_are_seen_and_those_of_a_group_are_refused():
    image, layer = picture()
    other = layer.copy()
    image.insert_layer(other, None, 1)
    add_effect(other)
    inverted = run("identity", image, other)
    call("parts", image, layer, other=other, colours="#102030, #ffffff", path=None)
    second = [item for item in image.get_layers()[0].get_children() if item.get_name().startswith("Second")]
    assert native(second[0]) == native(inverted)
    group = Gimp.GroupLayer.new(image, "group")
    image.insert_layer(group, None, 0)
    image.reorder_item(other, group, 0)
    assert native(run("identity", image, group)) == native(inverted)
    effect = add_effect(group)
    refused("calling-error", "Merge Layer Group", "identity", image, group)
    refused("calling-error", "Merge Layer Group", "parts", image, layer, other=group)
    effect.set_visible(False)
    run("identity", image, group)


def test_text_layers_work_and_stay_text():
    image, _ = picture()
    text = Gimp.TextLayer.new(image, "Zoë", Gimp.context_get_font(), 20, Gimp.Unit.pixel())
    image.insert_layer(text, None, 0)
    put(text, native(text).replace(b"\0\0\0\xff", b"\x80\0\0\xff"))
    result = run("identity", image, text)
    assert type(result) is Gimp.Layer
    assert isinstance(text, Gimp.TextLayer)


def test_results_of_every_kind_find_their_place():
    image, layer = picture()
    other_image, other = picture(20, 30, Base.GRAY, Precision.FLOAT_LINEAR)
    answer = call("parts", image, layer, other=other, colours="#102030, #ffffff", path=None)
    assert answer.status == "success", answer
    assert tree(image) == [["Parts", ["Second", "First"]], "photo"]
    group = image.get_layers()[0]
    second, first = group.get_children()
    assert answer.layer == first
    assert (first.get_mode(), first.get_opacity()) == (Gimp.LayerMode.MULTIPLY, 50)
    assert not second.get_visible()
    assert first.get_visible()
    assert native(first) == native(layer)
    assert first.get_mask() is not None
    assert second.get_mask() is None
    assert box(second) == box(other)
    assert answer.document is not None
    assert native(answer.document.get_layers()[0]) == native(layer)
    assert answer.document.is_dirty()  # GIMP asks before it is thrown away
    assert other_image.is_valid()


def test_parameters_of_every_kind_arrive():
    image, layer = picture()
    other = layer.copy()
    image.insert_layer(other, None, 1)
    plain = json.loads(run("echo", image, layer).get_name())
    assert plain == {"flag": False, "kind": "a", "level": 50.0, "look": "starry-night", "whole": 3}
    given = run(
        "echo",
        image,
        layer,
        level=7.5,
        whole=9,
        auto=42.0,
        flag=True,
        kind="b",
        words="Zoë's, {}",
        look="scream",
        other=other,
        colours="#102030 #fFffff",
        path=Gio.File.new_for_path(home("catalogue.json")),
    )
    assert json.loads(given.get_name()) == {
        "auto": 42.0,
        "colours": ["#102030", "#fFffff"],
        "flag": True,
        "kind": "b",
        "level": 7.5,
        "look": "scream",
        "other": 1,
        "path": home("catalogue.json"),
        "whole": 9,
        "words": "Zoë's, {}",
    }


def test_run_modes_that_ask_work_without_a_screen():
    image, layer = picture()
    for mode in (Gimp.RunMode.INTERACTIVE, Gimp.RunMode.WITH_LAST_VALS):
        assert call("echo", image, layer, run_mode=mode).status == "success"


def test_bad_input_is_answered_with_a_sentence_and_changes_nothing():
    image, layer = picture()
    group = Gimp.GroupLayer.new(image, "empty")
    image.insert_layer(group, None, 0)
    channel = Gimp.Channel.new(image, "channel", 110, 90, 50, Gegl.Color.new("red"))
    image.insert_channel(channel, None, 0)
    refused("calling-error", "Choose a layer", "invert", image)
    refused("calling-error", "one layer at a time", "invert", image, layer, group)
    refused("calling-error", "group is empty", "invert", image, group)
    refused("calling-error", "not on channels", "invert", image, channel)
    refused("calling-error", "not on channels", "invert", image, image.get_selection())
    refused("calling-error", "on this computer", "echo", image, layer, path=Gio.File.new_for_uri("ftp://a/b"))
    refused("calling-error", "two to eight colours", "parts", image, layer, colours="#102030")
    refused("calling-error", "#rrggbb", "parts", image, layer, colours="red, blue")
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, 5, 5)
    refused("calling-error", "outside of the layer", "invert", image, layer)
    image.select_polygon(Gimp.ChannelOps.REPLACE, [0, 0, 20, 0, 0, 20])
    layer.set_offsets(15, 15)
    refused("calling-error", "outside of the layer", "invert", image, layer)
    Gimp.Selection.none(image)
    refused("execution-error", "unchanged", "fail", image, layer, how="unchanged")
    refused("execution-error", "report it", "fail", image, layer, how="nan")
    refused("execution-error", "Details are in the log folder", "fail", image, layer, how="bug")
    refused("execution-error", "stopped the model", "fail", image, layer, how="kill")
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 20, 20, 30, 30)
    floating = Gimp.Selection.float(image, [layer], 0, 0)
    refused("calling-error", "Anchor it", "invert", image, layer)
    Gimp.floating_sel_anchor(floating)
