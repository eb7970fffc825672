"""What goes into Krita's filters and what comes out, run inside Krita by krita_driver."""

from krita_stage import *


def undo_entry():
    undo = app.action("edit_undo")
    return undo.isEnabled(), undo.text()


def undone(document, photo, left, entry):
    """One undo leaves the layers in left, photo as it is, and the menu's entry from before the filter."""
    before = whole(photo)
    yield from press(document, "edit_undo")
    yield lambda: names(document) == left
    yield lambda: undo_entry() == entry
    assert whole(photo) == before


def undone_and_redone(document, photo, left, entry):
    """After undone() one redo brings all layers back."""
    there = names(document)
    yield from undone(document, photo, left, entry)
    yield from press(document, "edit_redo")
    yield lambda: names(document) == there


def scenario_a_menu_entry_gives_a_new_layer_above_and_one_undo_takes_it_away():
    document, photo = opened()
    yield settled(document, photo)
    before, entry = whole(photo), undo_entry()
    app.action("calotype_invert").trigger()
    assert key_of(document) in studio().jobs, studio().outcomes
    yield ran(document)
    assert sentences(document)[0] is False, sentences(document)
    assert names(document) == ["Photo", "Inverted"]
    yield lambda: document.activeNode().name() == "Inverted"
    result = document.nodeByName("Inverted")
    assert whole(result) == inverted(before)
    assert whole(photo) == before
    yield from undone_and_redone(document, photo, ["Photo"], entry)
    assert whole(document.nodeByName("Inverted")) == inverted(before)


def scenario_a_feathered_selection_becomes_the_new_layers_transparency():
    document, photo = opened()
    yield settled(document, photo)
    selection = Selection()
    selection.select(30, 20, 40, 24, 255)
    selection.feather(4)
    document.setSelection(selection)
    yield
    mask = bytes(document.selection().pixelData(0, 0, WIDTH, HEIGHT))
    assert any(0 < value < 255 for value in mask)
    studio().run(document, "invert", {})
    yield ran(document)
    result = whole(document.nodeByName("Inverted"))
    assert result[3::4] == mask
    wanted = inverted(whole(photo))
    for index, value in enumerate(mask):
        if value:
            pixel = slice(4 * index, 4 * index + 3)
            assert result[pixel] == wanted[pixel], (index, value)
    document.refreshProjection()
    below, above = whole(photo), bytes(document.pixelData(0, 0, WIDTH, HEIGHT))
    for index, value in enumerate(mask):
        for channel in range(4 * index, 4 * index + 3):
            blended = below[channel] + (wanted[channel] - below[channel]) * value / 255
            assert abs(above[channel] - blended) <= (1.5 if value not in (0, 255) else 0)


def scenario_a_layer_that_hangs_over_the_canvas_comes_back_in_its_place():
    document, photo = opened()
    yield settled(document, photo)
    node = document.createNode("Offset", "paintlayer")
    pixels = gradient(Space.srgb("U8"))
    node.setPixelData(pixels, -20, 30, WIDTH, HEIGHT)
    document.rootNode().addChildNode(node, photo)
    yield settled(document, node)
    studio().run(document, "invert", {})
    yield ran(document)
    result = document.nodeByName("Inverted")
    bounds = result.bounds()
    assert (bounds.x(), bounds.y(), bounds.width(), bounds.height()) == (-20, 30, WIDTH, HEIGHT)
    assert bytes(result.pixelData(-20, 30, WIDTH, HEIGHT)) == inverted(pixels)
    assert names(document) == ["Photo", "Offset", "Inverted"]


def _depth(model, depth, profile=""):
    def scenario():
        document, photo = opened(model, depth, profile)
        yield settled(document, photo)
        before, space, entry = whole(photo), Space.of(photo), undo_entry()
        studio().run(document, "identity", {})
        yield ran(document)
        assert sentences(document)[0] is False, sentences(document)
        assert names(document) == ["Photo", "Identity"]
        result = document.nodeByName("Identity")
        assert Space.of(result) == space.travelling, Space.of(result)
        if space.travelling == space:
            assert whole(result) == before
        yield from undone_and_redone(document, photo, ["Photo"], entry)
        result = document.nodeByName("Identity")
        studio().run(document, "invert", {})
        yield ran(document)
        assert sentences(document)[0] is False, sentences(document)
        assert whole(document.nodeByName("Inverted")) != whole(result)
        document.setActiveNode(photo)
        yield settled(document, photo)
        studio().run(document, "restore", {"noise": 60})
        yield ran(document)
        assert sentences(document)[0] is False, sentences(document)
        document.setModified(False)

    return scenario


scenario_rgb_16_bit_linear = _depth("RGBA", "U16")
scenario_rgb_16_bit_srgb = _depth("RGBA", "U16", "sRGB-elle-V2-srgbtrc.icc")
scenario_rgb_16_bit_wide_gamut = _depth("RGBA", "U16", "Rec2020-elle-V4-g10.icc")
scenario_rgb_half_float = _depth("RGBA", "F16")
scenario_rgb_float = _depth("RGBA", "F32")
scenario_grey_8_bit = _depth("GRAYA", "U8")
scenario_grey_16_bit = _depth("GRAYA", "U16")
scenario_grey_float = _depth("GRAYA", "F32")
scenario_grey_with_a_profile = _depth("GRAYA", "U8", "Gray-D50-elle-V2-rec709.icc")
scenario_cmyk_8_bit = _depth("CMYKA", "U8")
scenario_cmyk_16_bit = _depth("CMYKA", "U16")
scenario_cmyk_float = _depth("CMYKA", "F32")
scenario_lab = _depth("LABA", "U16")


def scenario_a_layer_of_another_depth_than_the_document_comes_back_in_its_own():
    document, photo = opened("RGBA", "U16", "")
    yield settled(document, photo)
    photo.setColorSpace("GRAYA", "U8", "Gray-D50-elle-V2-srgbtrc.icc")
    yield
    before, entry = whole(photo), undo_entry()
    studio().run(document, "identity", {})
    yield ran(document)
    assert names(document) == ["Photo", "Identity"]
    result = document.nodeByName("Identity")
    assert Space.of(result) == Space("GRAYA", "U8", "Gray-D50-elle-V2-srgbtrc.icc"), Space.of(result)
    assert whole(result) == before
    yield from undone_and_redone(document, photo, ["Photo"], entry)
    document.refreshProjection()
    document.waitForDone()
    assert whole(document.nodeByName("Identity")) == before


def scenario_a_group_and_a_vector_layer_are_read_as_they_look():
    document, photo = opened()
    yield settled(document, photo)
    group = document.createGroupLayer("Group")
    inside = document.createNode("Inside", "paintlayer")
    inside.setPixelData(gradient(Space.srgb("U8")), 0, 0, WIDTH, HEIGHT)
    group.addChildNode(inside, None)
    document.rootNode().addChildNode(group, photo)
    document.refreshProjection()
    document.waitForDone()
    yield settled(document, group)
    studio().run(document, "invert", {})
    yield ran(document)
    assert names(document) == ["Photo", "Group", "Inverted"]
    assert whole(document.nodeByName("Inverted")) == inverted(whole(inside))
    vector = document.createVectorLayer("Vector")
    document.rootNode().addChildNode(vector, photo)
    vector.addShapesFromSvg(
        '<svg width="96px" height="64px"><rect x="4" y="4" width="30" height="20" fill="#ff0000"/></svg>'
    )
    yield lambda: not vector.bounds().isEmpty()
    yield settled(document, vector)
    studio().run(document, "invert", {})
    yield ran(document)
    assert sentences(document)[0] is False, sentences(document)
    assert names(document) == ["Photo", "Vector", "Inverted", "Group", "Inverted"]


def scenario_one_pixel_and_a_locked_layer_work():
    document, photo = opened()
    yield settled(document, photo)
    photo.setLocked(True)
    studio().run(document, "invert", {})
    yield ran(document)
    assert names(document) == ["Photo", "Inverted"]
    dot = document.createNode("Dot", "paintlayer")
    dot.setPixelData(bytes([10, 20, 30, 255]), 5, 6, 1, 1)
    document.rootNode().addChildNode(dot, photo)
    yield settled(document, dot)
    studio().run(document, "invert", {})
    yield ran(document)
    above = document.topLevelNodes()[2]
    assert bytes(above.pixelData(5, 6, 1, 1)) == bytes([245, 235, 225, 255])
    assert above.bounds().width() == above.bounds().height() == 1


def scenario_results_of_every_kind_find_their_place_in_one_undo_step():
    document, photo = opened()
    yield settled(document, photo)
    other = document.createNode("Other", "paintlayer")
    other.setPixelData(bytes([1, 2, 3, 255]) * 64, 8, 8, 8, 8)
    document.rootNode().addChildNode(other, photo)
    yield settled(document, photo)
    values = {"other": other.uniqueId(), "colours": ["#102030", "#405060"], "path": "a b.txt", "look": "kiss"}
    count, entry = len(app.documents()), undo_entry()
    studio().run(document, "parts", values)
    yield ran(document)
    failed, said = sentences(document)
    assert not failed and "#405060" in said and "a b.txt" in said, said
    assert names(document) == ["Photo", "Parts", "Other"]
    group = document.nodeByName("Parts")
    first, second = group.childNodes()
    assert (first.name(), second.name()) == ("First", "Second")
    assert first.blendingMode() == "multiply"
    assert first.opacity() == 128
    assert not second.visible()
    assert bytes(second.pixelData(8, 8, 1, 1)) == bytes([1, 2, 3, 255])
    (mask,) = first.childNodes()
    assert mask.type() == "transparencymask"
    row = bytes(mask.selection().pixelData(0, 0, WIDTH, 1))
    assert row[0] == 0 and row[-1] == 255 and list(row) == sorted(row)
    assert len(app.documents()) == count + 1
    own = next(d for d in app.documents() if d.name() == "Of its own")
    assert own.modified(), "Krita must ask before it throws it away"
    assert (own.width(), own.height()) == (WIDTH, HEIGHT)
    assert whole(own.topLevelNodes()[0]) == whole(photo)
    yield from closed(own)
    app.setActiveDocument(document)
    yield lambda: app.activeDocument() == document
    yield
    yield from undone_and_redone(document, photo, ["Photo", "Other"], entry)
    second = document.nodeByName("Second")
    second.setVisible(True)
    second.setPixelData(bytes([9, 9, 9, 255]), 8, 8, 1, 1)
    document.refreshProjection()
    document.waitForDone()
    assert document.saveAs(os.path.join(OUT, "parts.kra"))


def scenario_what_a_transparency_mask_hides_stays_hidden():
    document, photo = opened()
    yield settled(document, photo)
    chosen = Selection()
    chosen.select(10, 10, 30, 30, 255)
    mask = document.createTransparencyMask("Mask")
    mask.setSelection(chosen)
    photo.addChildNode(mask, None)
    for _ in range(10):
        yield
    yield settled(document, photo)
    entry = undo_entry()
    studio().run(document, "invert", {})
    yield ran(document)
    assert sentences(document)[0] is False, sentences(document)
    result = document.nodeByName("Inverted")
    assert whole(result) == inverted(whole(photo))
    (copy,) = result.childNodes()
    assert copy.type() == "transparencymask"
    kept, wanted = (bytes(m.selection().pixelData(0, 0, WIDTH, HEIGHT)) for m in (copy, mask))
    assert kept == wanted and kept.count(255) == 900
    yield from undone(document, photo, ["Photo"], entry)


def scenario_a_filter_mask_goes_on_working_on_the_result():
    document, photo = opened()
    yield settled(document, photo)
    mask = document.createFilterMask("Invert", app.filter("invert"), photo)
    photo.addChildNode(mask, None)
    for _ in range(20):
        yield
    yield settled(document, photo)
    document.refreshProjection()
    document.waitForDone()
    seen = bytes(document.pixelData(0, 0, WIDTH, HEIGHT))
    assert seen == inverted(whole(photo))
    studio().run(document, "identity", {})
    yield ran(document)
    assert sentences(document)[0] is False, sentences(document)
    (copy,) = document.nodeByName("Identity").childNodes()
    assert copy.type() == "filtermask"
    document.refreshProjection()
    document.waitForDone()
    assert bytes(document.pixelData(0, 0, WIDTH, HEIGHT)) == seen


def scenario_the_current_frame_of_an_animation_is_read():
    document, photo = opened()
    yield settled(document, photo)
    photo.enableAnimation()
    document.setCurrentTime(3)
    yield
    app.action("add_duplicate_frame").trigger()
    for _ in range(10):
        yield
    photo.setPixelData(bytes([7, 8, 9, 255]) * 8, 0, 0, 4, 2)
    before = whole(photo)
    document.setCurrentTime(0)
    for _ in range(10):
        yield
    assert whole(photo) != before, "two frames"
    document.setCurrentTime(3)
    for _ in range(10):
        yield
    assert whole(photo) == before
    studio().run(document, "invert", {})
    yield ran(document)
    failed, said = sentences(document)
    assert not failed and "Frame 3" in said, said
    assert whole(document.nodeByName("Inverted")) == inverted(before)


def scenario_reading_leaves_no_trace():
    document, photo = opened("CMYKA", "F32", "")
    yield settled(document, photo)
    for _ in range(50):
        yield
    document.setModified(False)
    for _ in range(5):
        yield
    assert not document.modified()
    before = undo_entry()
    reading.read_layer(document, document.activeNode())
    for _ in range(5):
        yield
    assert undo_entry() == before, undo_entry()
    assert not document.modified()
    assert names(document) == ["Photo"]
