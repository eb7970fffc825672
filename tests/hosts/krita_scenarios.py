"""Run inside Krita by krita_driver: each function scenario_NAME is one test of test_krita.py."""

import itertools
import json
import os
import signal
import struct

from calotype_krita import reading
from calotype_krita.docker import docker_of
from calotype_krita.spaces import Space
from calotype_krita.studio import key_of, studio
from krita import InfoObject, Krita, Selection
from PyQt5.QtCore import Qt
from PyQt5.QtTest import QTest
from PyQt5.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QLineEdit,
    QSlider,
    QSpinBox,
    QWidget,
)

from calotype_wire import connection, places, protocol

OUT, PHOTO = (os.fsencode(os.environ[key]).decode() for key in ("DRIVER_OUT", "PHOTO"))
"""As Krita names files; its Python may name them in ASCII."""

app = Krita.instance()
WIDTH, HEIGHT = 96, 64
SAMPLE = {"U8": "B", "U16": "H", "F16": "e", "F32": "f"}
COUNT = {"RGBA": 4, "GRAYA": 2, "CMYKA": 5, "LABA": 4}


def gradient(space, width=WIDTH, height=HEIGHT):
    """Opaque pixels that differ from each other, in the bytes of space."""
    channels = COUNT[space.model]
    code = f"<{channels}{SAMPLE[space.depth]}"
    top = {"U8": 255, "U16": 65535}.get(space.depth, 1.0)
    whole = not space.depth.startswith("F")
    rows = []
    for y in range(height):
        for x in range(width):
            colours = [(x / width), (y / height), ((x + y) / (width + height)), 0.25][: channels - 1]
            values = [v * 0.8 * top + 0.1 * top for v in colours] + [top]
            rows.append(struct.pack(code, *(int(v) if whole else v for v in values)))
    return b"".join(rows)


def opened(model="RGBA", depth="U8", profile="sRGB-elle-V2-srgbtrc.icc", pixels=None):
    """A document in a window of its own with one layer, 'Photo'."""
    document = app.createDocument(WIDTH, HEIGHT, "test", model, depth, profile, 72.0)
    app.activeWindow().addView(document)
    document.setBatchmode(True)
    photo = document.topLevelNodes()[0]
    photo.setName("Photo")
    photo.setPixelData(pixels or gradient(Space.of(photo)), 0, 0, WIDTH, HEIGHT)
    document.refreshProjection()
    document.waitForDone()
    return document, photo


def settled(document, node):
    """Krita knows documents and nodes a few events after they were added, and activates them later still."""
    ticks = itertools.count()

    def active():
        if next(ticks) == 1:
            document.setActiveNode(node)
        return app.activeDocument() == document and document.activeNode() == node

    return active


def closed(document):
    """Krita 5.2's Layers docker crashes where it still has news of a document that is gone."""
    document.waitForDone()
    for _ in range(50):
        yield
    document.setModified(False)
    document.close()
    for _ in range(10):
        yield


def ran(document):
    return lambda: key_of(document) not in studio().jobs and not studio().session.busy


def names(document):
    return [node.name() for node in document.topLevelNodes() if not node.type().endswith("mask")]


def sentences(document):
    outcome = studio().outcomes[key_of(document)]
    return outcome.failed, " ".join(outcome.sentences)


def whole(node):
    return bytes(node.pixelData(0, 0, WIDTH, HEIGHT))


def inverted(pixels):
    flipped = bytearray(pixels.translate(bytes(range(255, -1, -1))))
    flipped[3::4] = pixels[3::4]
    return bytes(flipped)


def shot(name):
    QApplication.processEvents()
    app.activeWindow().qwindow().grab().save(os.path.join(OUT, f"krita-{name}.png"))


def engine_pid():
    return connection.load(places.connection_file()).pid


def scenario_a_menu_entry_gives_a_new_layer_above_and_one_undo_takes_it_away():
    document, photo = opened()
    yield settled(document, photo)
    before = whole(photo)
    app.action("calotype_invert").trigger()
    assert key_of(document) in studio().jobs, studio().outcomes
    yield ran(document)
    assert sentences(document)[0] is False, sentences(document)
    assert names(document) == ["Photo", "Inverted"]
    yield lambda: document.activeNode().name() == "Inverted"
    result = document.nodeByName("Inverted")
    assert whole(result) == inverted(before)
    assert whole(photo) == before
    app.action("edit_undo").trigger()
    yield lambda: names(document) == ["Photo"]
    assert whole(photo) == before
    app.action("edit_redo").trigger()
    yield lambda: names(document) == ["Photo", "Inverted"]
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
        before, space, undo = whole(photo), Space.of(photo), app.action("edit_undo")
        undoable = undo.isEnabled(), undo.text()
        studio().run(document, "identity", {})
        yield ran(document)
        assert sentences(document)[0] is False, sentences(document)
        result = document.nodeByName("Identity")
        assert Space.of(result) == space.travelling, Space.of(result)
        if space.travelling == space:
            assert whole(result) == before
        undo.trigger()
        yield lambda: names(document) == ["Photo"]
        yield
        assert (undo.isEnabled(), undo.text()) == undoable, undo.text()
        app.action("edit_redo").trigger()
        yield lambda: names(document) == ["Photo", "Identity"]
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
    before, undo = whole(photo), app.action("edit_undo")
    undoable = undo.isEnabled(), undo.text()
    studio().run(document, "identity", {})
    yield ran(document)
    result = document.nodeByName("Identity")
    assert Space.of(result) == Space("GRAYA", "U8", "Gray-D50-elle-V2-srgbtrc.icc"), Space.of(result)
    assert whole(result) == before
    undo.trigger()
    yield lambda: names(document) == ["Photo"]
    yield
    assert (undo.isEnabled(), undo.text()) == undoable, undo.text()
    app.action("edit_redo").trigger()
    yield lambda: names(document) == ["Photo", "Identity"]
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


def scenario_what_cannot_work_is_answered_with_a_sentence_and_changes_nothing():
    studio().run(None, "invert", {})
    assert "No document is open" in studio().outcomes[""].sentences[0]
    document, photo = opened()
    yield settled(document, photo)
    docker = docker_of(app.activeWindow())
    docker.setVisible(True)
    docker.show_state()
    assert not docker.message.isVisible()

    def refused(*words):
        before = names(document), whole(photo)
        studio().run(document, "invert", {})
        failed, said = sentences(document)
        assert failed and all(word in said for word in words), said
        assert key_of(document) not in studio().jobs
        assert (names(document), whole(photo)) == before
        assert docker.message.isVisible() and docker.message.text() == said

    outside = Selection()
    outside.select(WIDTH + 10, 0, 20, 20, 255)
    document.setSelection(outside)
    yield
    refused("does not touch")
    document.setSelection(Selection())
    yield
    refused("selection", "Deselect")
    document.setSelection(None)
    empty = document.createNode("Empty", "paintlayer")
    document.rootNode().addChildNode(empty, photo)
    yield settled(document, empty)
    refused("Empty", "is empty")
    levels = document.createFilterLayer("Levels", app.filter("levels"), Selection())
    document.rootNode().addChildNode(levels, photo)
    yield settled(document, levels)
    refused("filter layer")
    mask = document.createTransparencyMask("Mask")
    photo.addChildNode(mask, None)
    yield settled(document, mask)
    refused("is a mask")
    yield settled(document, photo)
    studio().run(document, "identity", {"amount": 1000})
    assert "Amount" in sentences(document)[1]


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
    values = {"other": other.uniqueId(), "colours": ["#102030", "#405060"], "path": "a b.txt", "look": "x"}
    count, undo = len(app.documents()), app.action("edit_undo")
    undoable = undo.isEnabled(), undo.text()
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
    undo.trigger()
    yield lambda: names(document) == ["Photo", "Other"]
    yield
    assert (undo.isEnabled(), undo.text()) == undoable, undo.text()
    app.action("edit_redo").trigger()
    yield lambda: names(document) == ["Photo", "Parts", "Other"]
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
    undo = app.action("edit_undo")
    undoable = undo.isEnabled(), undo.text()
    studio().run(document, "invert", {})
    yield ran(document)
    assert sentences(document)[0] is False, sentences(document)
    result = document.nodeByName("Inverted")
    assert whole(result) == inverted(whole(photo))
    (copy,) = result.childNodes()
    assert copy.type() == "transparencymask"
    kept, wanted = (bytes(m.selection().pixelData(0, 0, WIDTH, HEIGHT)) for m in (copy, mask))
    assert kept == wanted and kept.count(255) == 900
    undo.trigger()
    yield lambda: names(document) == ["Photo"]
    yield
    assert (undo.isEnabled(), undo.text()) == undoable, undo.text()


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


def scenario_a_layer_moved_meanwhile_takes_its_result_along_and_a_cropped_document_takes_none():
    document, photo = opened()
    yield settled(document, photo)
    before = whole(photo)
    studio().run(document, "slow", {"steps": 50, "step_ms": 20})
    yield lambda: studio().jobs[key_of(document)].last is not None
    photo.move(5, 7)
    yield ran(document)
    bounds = document.nodeByName("Slow").bounds()
    assert (bounds.x(), bounds.y(), bounds.width(), bounds.height()) == (5, 7, WIDTH, HEIGHT)
    assert bytes(document.nodeByName("Slow").pixelData(5, 7, WIDTH, HEIGHT)) == before
    yield settled(document, photo)
    studio().run(document, "slow", {"steps": 50, "step_ms": 20})
    yield lambda: studio().jobs[key_of(document)].last is not None
    document.crop(20, 10, 60, 40)
    yield ran(document)
    failed, said = sentences(document)
    assert failed and "cropped" in said, said
    assert names(document) == ["Photo", "Slow"]


def scenario_a_result_waits_for_the_end_of_a_stroke_and_leaves_the_user_where_she_is():
    document, photo = opened()
    yield settled(document, photo)
    other = document.createNode("Painting here", "paintlayer")
    document.rootNode().addChildNode(other, photo)
    yield
    yield settled(document, photo)
    studio().run(document, "slow", {"steps": 30, "step_ms": 20})
    yield lambda: studio().jobs[key_of(document)].last is not None
    yield settled(document, other)
    canvas = max(app.activeWindow().qwindow().findChildren(QWidget), key=_canvas_area)
    QTest.mousePress(canvas, Qt.LeftButton, Qt.NoModifier, canvas.rect().center())
    for _ in range(150):
        yield
    pressed = QApplication.mouseButtons() != Qt.NoButton
    waited = names(document) == ["Photo", "Painting here"]
    QTest.mouseRelease(canvas, Qt.LeftButton, Qt.NoModifier, canvas.rect().center())
    yield ran(document)
    assert pressed and waited, (pressed, waited)
    assert names(document) == ["Photo", "Slow", "Painting here"]
    for _ in range(10):
        yield
    assert document.activeNode().name() == "Painting here"


def _canvas_area(widget):
    shown = "Canvas" in widget.metaObject().className() and widget.isVisible()
    return widget.width() * widget.height() if shown else -1


def scenario_more_than_krita_hands_out_is_refused_before_it_crashes():
    document, photo = opened("RGBA", "F32", "")
    yield settled(document, photo)
    dots = document.createNode("Dots", "paintlayer")
    dot = struct.pack("<4f", 1, 1, 1, 1)
    dots.setPixelData(dot, 0, 0, 1, 1)
    dots.setPixelData(dot, 12000, 12000, 1, 1)
    document.rootNode().addChildNode(dots, photo)
    yield
    yield settled(document, dots)
    studio().run(document, "invert", {})
    failed, said = sentences(document)
    assert failed and "Select a part" in said, said


def scenario_cancel_ends_the_job_and_leaves_the_document_alone():
    document, photo = opened()
    yield settled(document, photo)
    before = whole(photo)
    studio().run(document, "slow", {"steps": 5000, "step_ms": 10})
    yield lambda: studio().jobs[key_of(document)].last is not None
    docker = docker_of(app.activeWindow())
    docker.setVisible(True)
    docker.raise_()
    yield
    assert docker.stop.isVisible() and not docker.start.isVisible()
    stroke = bytes([0, 0, 255, 255]) * 2
    photo.setPixelData(stroke, 0, 0, 2, 1)  # painting goes on meanwhile
    docker.stop.click()
    yield ran(document)
    assert sentences(document) == (False, "Cancelled.")
    assert names(document) == ["Photo"]
    assert whole(photo) == stroke + before[len(stroke) :]
    assert docker.start.isVisible()


def scenario_a_document_closed_or_a_layer_removed_meanwhile_harms_nothing():
    document, photo = opened()
    yield settled(document, photo)
    key = key_of(document)
    studio().run(document, "slow", {"steps": 150, "step_ms": 20})
    yield lambda: studio().jobs[key].last is not None
    yield from closed(document)
    document, photo = opened()
    yield settled(document, photo)
    yield lambda: key not in studio().jobs
    assert "closed" in sentences(document)[1]
    doomed = document.createNode("Doomed", "paintlayer")
    doomed.setPixelData(gradient(Space.srgb("U8")), 0, 0, WIDTH, HEIGHT)
    document.rootNode().addChildNode(doomed, photo)
    yield settled(document, doomed)
    studio().run(document, "slow", {"steps": 50, "step_ms": 20})
    yield lambda: studio().jobs[key_of(document)].last is not None
    doomed.remove()
    yield ran(document)
    assert names(document) == ["Photo", "Slow"], (names(document), sentences(document))


def scenario_two_documents_work_side_by_side():
    first, one = opened()
    yield settled(first, one)
    studio().run(first, "slow", {"steps": 30, "step_ms": 10})
    second, two = opened("GRAYA", "U8", "")
    yield settled(second, two)
    studio().run(second, "invert", {})
    assert len(studio().jobs) == 2
    studio().run(first, "invert", {})
    assert "already" in sentences(first)[1]
    copy = first.clone()
    app.activeWindow().addView(copy)
    assert key_of(copy) not in studio().jobs, "a copy is another document"
    yield lambda: not studio().jobs
    assert (names(first), names(second)) == (["Photo", "Slow"], ["Photo", "Inverted"])


def scenario_an_engine_killed_mid_job_is_told_and_the_next_run_works():
    document, photo = opened()
    yield settled(document, photo)
    before = whole(photo)
    studio().run(document, "slow", {"steps": 5000, "step_ms": 10})
    yield lambda: studio().jobs[key_of(document)].last is not None
    os.kill(engine_pid(), signal.SIGKILL)
    yield ran(document)
    failed, said = sentences(document)
    assert failed and "lost" in said, said
    assert (names(document), whole(photo)) == (["Photo"], before)
    docker = docker_of(app.activeWindow())
    docker.setVisible(True)
    docker.show_state()
    yield
    assert docker.message.isVisible() and docker.log.isVisible()
    shot("error")
    studio().run(document, "invert", {})
    yield ran(document)
    assert names(document) == ["Photo", "Inverted"]


def scenario_an_engine_that_hangs_is_told_and_replaced():
    document, photo = opened()
    yield settled(document, photo)
    studio().run(document, "slow", {"steps": 5000, "step_ms": 10})
    yield lambda: studio().jobs[key_of(document)].last is not None
    hung = engine_pid()
    os.kill(hung, signal.SIGSTOP)
    yield ran(document)
    failed, said = sentences(document)
    assert failed and "does not answer" in said, said
    assert names(document) == ["Photo"]
    studio().run(document, "invert", {})
    yield ran(document)
    assert names(document) == ["Photo", "Inverted"], sentences(document)
    assert engine_pid() != hung


def scenario_an_engine_with_another_password_or_version_is_told():
    document, photo = opened()
    yield settled(document, photo)
    studio().run(document, "identity", {})
    yield ran(document)
    studio().session.close()
    path = places.connection_file()
    good = path.read_text()
    path.write_text(json.dumps({**json.loads(good), "token": "0" * 64}))
    studio().run(document, "invert", {})
    yield ran(document)
    failed, said = sentences(document)
    assert failed and "did not accept" in said, said
    path.write_text(good)
    studio().session.close()
    spoken, protocol.VERSIONS = protocol.VERSIONS, (99,)
    studio().run(document, "invert", {})
    yield ran(document)
    protocol.VERSIONS = spoken
    failed, said = sentences(document)
    assert failed and "versions" in said and "install.py" in said, said
    studio().run(document, "invert", {})
    yield ran(document)
    assert names(document) == ["Photo", "Identity", "Inverted"]


def scenario_an_engine_that_is_not_installed_or_whose_files_are_gone_is_told():
    document, photo = opened()
    yield settled(document, photo)
    record, hidden = places.installation_file(), places.installation_file().with_suffix(".hidden")
    if places.connection_file().exists():
        pid = engine_pid()
        studio().session.close()
        os.kill(pid, signal.SIGTERM)
        yield lambda: not places.connection_file().exists()
    record.rename(hidden)
    studio().run(document, "invert", {})
    yield ran(document)
    failed, said = sentences(document)
    assert failed and "not installed" in said and "install.py" in said, said
    record.write_text(json.dumps({"python": "/nowhere/bin/python"}))
    studio().run(document, "invert", {})
    yield ran(document)
    assert "install.py" in sentences(document)[1]
    hidden.replace(record)
    studio().run(document, "invert", {})
    yield ran(document)
    assert names(document) == ["Photo", "Inverted"]


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


def scenario_the_menu_and_the_form_come_from_the_catalogue():
    document, photo = opened()
    yield settled(document, photo)
    bar = app.activeWindow().qwindow().menuBar()
    filters = next(a.menu() for a in bar.actions() if a.menu() and a.menu().objectName().lower() == "filter")
    ours = next(a.menu() for a in filters.actions() if a.menu() and a.text().replace("&", "") == "Calotype")
    ours.aboutToShow.emit()
    entries = [a.text().replace("&", "") for a in ours.actions() if not a.isSeparator()]
    assert entries == [o.label for o in studio().operations] + ["Run Again", "Cancel"], entries
    assert app.action("calotype_run").shortcut().toString() == "Ctrl+Alt+Shift+R"
    assert app.action("calotype_invert").shortcut().toString() == "Ctrl+Alt+I", "the user's own"
    docker = docker_of(app.activeWindow())
    docker.setVisible(True)
    docker.raise_()
    docker.choice.setCurrentIndex(docker.choice.findData("identity"))
    yield
    form = docker.form
    assert list(form.fields) == ["amount", "count", "flag", "kind", "words"]
    kinds = [(QSlider, QDoubleSpinBox), (QSlider, QSpinBox), (QCheckBox,), (QComboBox,), (QLineEdit,)]
    for field, wanted in zip(form.fields.values(), kinds, strict=True):
        assert all(field.findChildren(kind) for kind in wanted)
    changed = {"amount": 25.0, "count": 7, "flag": True, "kind": "b", "words": "é"}
    form.set_values(changed)
    assert form.values() == changed
    docker.choice.setCurrentIndex(docker.choice.findData("parts"))
    yield
    assert docker.form.values() == {"other": None, "colours": None, "path": None, "look": None}
    combo = docker.form.fields["other"].combo
    assert [combo.itemText(i) for i in range(combo.count())] == ["None", "Photo"]
    combo.setCurrentIndex(1)
    later = document.createNode("Later", "paintlayer")
    document.rootNode().addChildNode(later, photo)
    yield
    combo.showPopup()
    combo.hidePopup()
    assert [combo.itemText(i) for i in range(combo.count())] == ["None", "Later", "Photo"]
    docker.canvasChanged(None)
    yield
    yield
    assert docker.form.values()["other"] == photo.uniqueId(), "what was chosen stays"
    docker.form.reset()
    docker.choice.setCurrentIndex(docker.choice.findData("identity"))
    yield
    assert docker.form.values() == changed, "the docker remembers"
    docker.reset.click()
    assert docker.form.values() == {"amount": 50.0, "count": 3, "flag": False, "kind": "a", "words": ""}


def scenario_a_photo_is_restored_from_the_menu():
    document = app.openDocument(PHOTO)
    app.activeWindow().addView(document)
    document.setBatchmode(True)
    document.waitForDone()
    yield lambda: app.activeDocument() == document and document.activeNode() is not None
    docker = docker_of(app.activeWindow())
    docker.setVisible(True)
    docker.raise_()
    docker.choice.setCurrentIndex(docker.choice.findData("restore"))
    app.activeWindow().qwindow().showMaximized()
    for _ in range(20):
        yield
    shot("idle")
    bar = app.activeWindow().qwindow().menuBar()
    filters = next(a for a in bar.actions() if a.menu() and a.menu().objectName().lower() == "filter")
    filters.menu().popup(bar.mapToGlobal(bar.actionGeometry(filters).bottomLeft()))
    ours = next(a for a in filters.menu().actions() if a.menu() and a.text().replace("&", "") == "Calotype")
    filters.menu().setActiveAction(ours)
    for _ in range(20):
        yield
    screen = app.activeWindow().qwindow().windowHandle().screen()
    screen.grabWindow(0).save(os.path.join(OUT, "krita-menu.png"))
    ours.menu().close()
    filters.menu().close()
    app.action("calotype_restore").trigger()
    jobs, key = studio().jobs, key_of(document)
    yield lambda: key not in jobs or (jobs[key].last is not None and jobs[key].last.fraction > 0.3)
    shot("running")
    yield ran(document)
    assert names(document)[-1] == "Restored", sentences(document)
    for _ in range(20):
        yield
    shot("result")
    assert document.exportImage(os.path.join(OUT, "restored.png"), InfoObject())


def scenario_reading_leaves_no_trace():
    document, photo = opened("CMYKA", "F32", "")
    yield settled(document, photo)
    for _ in range(50):
        yield
    document.setModified(False)
    for _ in range(5):
        yield
    assert not document.modified()
    undo = app.action("edit_undo")
    before = undo.isEnabled(), undo.text()
    reading.active(document)
    for _ in range(5):
        yield
    assert (undo.isEnabled(), undo.text()) == before, undo.text()
    assert not document.modified()
    assert names(document) == ["Photo"]


def scenario_a_second_window_has_a_docker_and_a_menu_of_its_own():
    document, photo = opened()
    yield settled(document, photo)
    first = app.activeWindow()
    second = app.openWindow()
    second.qwindow().show()
    second.activate()
    yield lambda: len(app.windows()) == 2 and docker_of(second) is not None
    assert docker_of(second) is not docker_of(first)
    bar = second.qwindow().menuBar()
    filters = next(a.menu() for a in bar.actions() if a.menu() and a.menu().objectName().lower() == "filter")
    assert "Calotype" in [a.text().replace("&", "") for a in filters.actions()]
    second.addView(document)
    docker = docker_of(second)
    docker.choice.setCurrentIndex(docker.choice.findData("invert"))
    yield lambda: app.activeDocument() == document
    docker.run()
    yield ran(document)
    assert names(document) == ["Photo", "Inverted"]
    assert docker.message.text() == docker_of(first).message.text() != ""
