"""What may happen while a filter works in Krita, run inside Krita by krita_driver."""

import math

from krita_stage import *
from PyQt5.QtCore import QEvent, QPointF
from PyQt5.QtGui import QTabletEvent
from PyQt5.QtWidgets import QMdiArea


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
    canvas = _canvas()
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
    assert document.activeNode() == other, document.activeNode().name()


def scenario_a_result_waits_for_the_end_of_a_stroke_of_a_pen():
    document, photo = opened()
    yield settled(document, photo)
    studio().run(document, "slow", {"steps": 30, "step_ms": 20})
    yield lambda: studio().jobs[key_of(document)].last is not None
    canvas = _canvas()
    canvas.setFocus()
    _pen(canvas, QEvent.TabletMove, 0)
    for _ in range(5):
        yield
    _pen(canvas, QEvent.TabletPress, 0.8)
    for step in range(150):
        _pen(canvas, QEvent.TabletMove, 0.8, step % 50)
        yield
    waited = names(document), QApplication.mouseButtons() == Qt.NoButton
    _pen(canvas, QEvent.TabletRelease, 0)
    yield ran(document)
    assert waited == (["Photo"], True)
    assert names(document) == ["Photo", "Slow"]


def scenario_a_result_that_waits_can_be_cancelled():
    document, photo = opened()
    yield settled(document, photo)
    studio().run(document, "slow", {"steps": 20, "step_ms": 20})
    yield lambda: studio().jobs[key_of(document)].last is not None
    canvas = _canvas()
    QTest.mousePress(canvas, Qt.LeftButton, Qt.NoModifier, canvas.rect().center())
    yield lambda: studio()._arrived
    studio().cancel(document)
    assert key_of(document) not in studio().jobs and sentences(document) == (False, "Cancelled.")
    QTest.mouseRelease(canvas, Qt.LeftButton, Qt.NoModifier, canvas.rect().center())
    for _ in range(30):
        yield
    assert names(document) == ["Photo"]


def _pen(canvas, kind, pressure, right=0):
    here = QPointF(canvas.rect().center()) + QPointF(right, 0)
    buttons = Qt.LeftButton if pressure else Qt.NoButton
    there = here + QPointF(canvas.mapToGlobal(canvas.rect().topLeft()))
    event = QTabletEvent(
        kind,
        here,
        there,
        20,
        QTabletEvent.Pen,
        pressure,
        0,
        0,
        0,
        0,
        0,
        Qt.NoModifier,
        1,
        Qt.LeftButton,
        buttons,
    )
    QApplication.sendEvent(canvas, event)


def scenario_a_picture_mirrored_or_turned_meanwhile_takes_no_result_and_a_painted_one_does():
    for change, taken in (
        (lambda document, photo: document.rotateImage(math.pi), False),
        (lambda document, photo: photo.setPixelData(mirrored(whole(photo)), 0, 0, WIDTH, HEIGHT), False),
        (lambda document, photo: photo.setPixelData(bytes([9, 9, 9, 255]) * 900, 20, 20, 30, 30), True),
    ):
        document, photo = opened()
        yield settled(document, photo)
        studio().run(document, "slow", {"steps": 30, "step_ms": 20})
        yield lambda document=document: studio().jobs[key_of(document)].last is not None
        change(document, photo)
        document.waitForDone()
        yield ran(document)
        assert ("Slow" in names(document)) == taken, sentences(document)
        assert sentences(document)[0] != taken and ("mirrored" in sentences(document)[1]) != taken


def mirrored(pixels):
    row = 4 * WIDTH
    lines = [pixels[y : y + row] for y in range(0, len(pixels), row)]
    return b"".join(b"".join(line[x : x + 4] for x in range(row - 4, -4, -4)) for line in lines)


def _canvas():
    """Where the active document is painted on."""
    seen = app.activeWindow().qwindow().findChild(QMdiArea).activeSubWindow()
    return next(w for w in seen.findChildren(QWidget) if w.metaObject().className() == "KisQPainterCanvas")


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
