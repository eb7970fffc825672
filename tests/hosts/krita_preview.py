"""The live preview in Krita: it follows sliders, strokes and selections, and leaves the document alone."""

from krita_stage import *


def _previewing(operation, **values):
    """The pane of a docker that shows operation."""
    docker = docker_of(app.activeWindow())
    docker.setVisible(True)
    docker.raise_()
    docker.choice.setCurrentIndex(docker.choice.findData(operation))
    docker.form.reset()
    docker.form.set_values(values)
    docker.preview.tick.setChecked(True)
    return docker, docker.preview


def _settled(pane):
    return lambda: not pane.live.busy and (pane.live.after or pane.live.sentence)


def _pixel(image, x, y):
    """Red, green, blue; x and y 0..1 of the picture."""
    colour = image.pixelColor(int(x * image.width()), int(y * image.height()))
    return colour.red(), colour.green(), colour.blue()


def scenario_the_preview_shows_before_and_after_and_leaves_the_document_alone():
    document, photo = opened(depth="U16")
    yield settled(document, photo)
    before = whole(photo)
    document.setModified(False)
    _, pane = _previewing("invert")
    yield _settled(pane)
    assert (pane.view.before.width(), pane.view.before.height()) == (WIDTH, HEIGHT)
    was, now = _pixel(pane.view.before, 0.7, 0.3), _pixel(pane.view.after[0], 0.7, 0.3)
    assert all(abs(a + b - 255) <= 1 for a, b in zip(was, now, strict=True)), (was, now)
    assert (whole(photo), names(document), document.modified()) == (before, ["Photo"], False)
    picture = pane.view.grab().toImage()
    middle = pane.view.height() // 2
    left, right = (picture.pixelColor(x, middle) for x in (40, pane.view.width() - 40))
    assert left.red() < right.red(), "dark, and beside it bright where it is inverted"
    pane.tick.setChecked(False)
    assert pane.view.before is None
    yield from closed(document)


def scenario_the_preview_follows_the_form_strokes_and_the_selection():
    document, photo = opened()
    hints = document.createNode("Hints", "paintlayer")
    hints.setPixelData(b"\x28\x28\xdc\xff" * (12 * 10), 10, 12, 12, 10)  # red
    document.rootNode().addChildNode(hints, photo)
    yield settled(document, hints)  # where the user paints; the photo is what lies below
    docker, pane = _previewing("colorize")
    docker.form.fields["hints"].set_value(hints.uniqueId())
    yield lambda: pane.view.before and pane.view.before.width() == WIDTH
    yield _settled(pane)
    red, _, blue = _pixel(pane.view.after[-1], 0.17, 0.27)
    assert red > blue + 20, (red, blue)
    hints.setPixelData(b"\xdc\x28\x28\xff" * (12 * 10), 10, 12, 12, 10)  # blue
    document.refreshProjection()
    yield lambda: _pixel(pane.view.after[-1], 0.17, 0.27)[2] > red
    docker.form.fields["strength"].set_value(0.0)
    yield lambda: not pane.live.busy and pane.view.after[-1] == pane.view.before
    docker.choice.setCurrentIndex(docker.choice.findData("invert"))
    document.setActiveNode(photo)
    chosen = Selection()
    chosen.select(0, 0, WIDTH // 2, HEIGHT, 255)
    document.setSelection(chosen)

    def same(x):
        return _pixel(pane.view.after[0], x, 0.5) == _pixel(pane.view.before, x, 0.5)

    yield lambda: pane.view.after and not same(0.05) and same(0.95)
    assert names(document) == ["Photo", "Hints"]
    pane.tick.setChecked(False)
    yield from closed(document)


def scenario_a_run_goes_before_the_preview_and_shows_what_there_is_so_far():
    document, photo = opened()
    yield settled(document, photo)
    docker, pane = _previewing("slow", steps=10000)
    yield lambda: pane.view.after  # a preview that would take minutes
    docker.form.fields["steps"].set_value(300)
    docker.run()
    studio_job = studio().jobs[key_of(document)]
    seen = []
    studio().so_far.connect(lambda key, picture: seen.append(key))
    yield lambda: studio_job.last is not None
    yield lambda: seen
    assert seen[0] == key_of(document)
    assert _pixel(pane.view.after[0], 0.5, 0.5) == (128, 128, 128)
    yield lambda: key_of(document) not in studio().jobs
    assert names(document) == ["Photo", "Slow"], sentences(document)
    pane.tick.setChecked(False)
    yield lambda: not studio().session.busy
    yield from closed(document)


def scenario_what_a_preview_cannot_show_is_said():
    document, photo = opened()
    yield settled(document, photo)
    docker, pane = _previewing("fail", how="sentence")
    yield _settled(pane)
    assert pane.sentence.isVisible() and pane.sentence.text().startswith("This was expected."), (
        pane.sentence.text()
    )
    docker.choice.setCurrentIndex(docker.choice.findData("invert"))
    yield lambda: pane.view.after
    assert not pane.sentence.isVisible()
    assert key_of(document) not in studio().outcomes, "a preview is no run"
    pane.tick.setChecked(False)
    yield from closed(document)


def scenario_a_photo_is_painted_in_the_preview_while_the_slider_moves():
    document = photo_opened()
    yield lambda: app.activeDocument() == document and document.activeNode() is not None
    window = app.activeWindow().qwindow()
    window.showMaximized()
    docker, pane = _previewing("stylize", refine=0)
    yield _settled(pane)
    pictures = []
    for step in range(1000):  # many times longer than a picture takes, on however slow a machine
        docker.form.fields["strength"].set_value(100.0 - 2 * (step % 35))
        yield
        pictures.append(_pixel(pane.view.after[-1], 0.5, 0.2))
        if len(set(pictures)) > 1:
            break
    assert len(set(pictures)) > 1, "something to see while it moves"
    docker.form.fields["strength"].set_value(30.0)
    yield _settled(pane)
    assert _pixel(pane.view.after[-1], 0.5, 0.2) != pictures[0]
    docker.form.fields["strength"].set_value(100.0)
    yield _settled(pane)
    QTest.mousePress(pane.view, Qt.LeftButton, Qt.NoModifier, pane.view.rect().center())
    QTest.mouseRelease(pane.view, Qt.LeftButton, Qt.NoModifier, pane.view.rect().center())
    for _ in range(20):
        yield
    shot("preview")
    pane.actual.setChecked(True)
    yield _settled(pane)
    pane.view.panned.emit(80.0, 0.0)
    assert pane._part[0] < 50
    yield _settled(pane)
    pane.actual.setChecked(False)
    pane.tick.setChecked(False)
    yield from closed(document)


def scenario_strokes_on_a_grey_photo_are_seen_in_the_preview():
    document = photo_opened()
    photo = document.topLevelNodes()[0]
    width, height = document.width(), document.height()
    grey = app.filter("desaturate")
    grey.apply(photo, 0, 0, width, height)
    hints = document.createNode("Hints", "paintlayer")
    for colour, x, y in ((b"\x1e\x5a\xe6", 0.42, 0.75), (b"\x96\xaa\xe6", 0.45, 0.27)):  # orange, skin
        side = width // 20
        hints.setPixelData((colour + b"\xff") * side * side, int(x * width), int(y * height), side, side)
    document.rootNode().addChildNode(hints, photo)
    document.refreshProjection()
    yield settled(document, hints)
    docker, pane = _previewing("colorize")
    docker.form.fields["hints"].set_value(hints.uniqueId())
    yield lambda: pane.view.before and pane.view.before.width() == min(width, 512)
    yield _settled(pane)
    red, _, blue = _pixel(pane.view.after[-1], 0.44, 0.77)
    assert red > blue + 40, (red, blue)
    pane.view.split = 0.0
    pane.view.update()
    for _ in range(20):
        yield
    shot("hints")
    pane.view.split = 0.5
    pane.tick.setChecked(False)
    yield from closed(document)


def scenario_a_mask_that_is_active_is_explained_and_its_layer_shown_again():
    document, photo = opened()
    mask = document.createTransformMask("Turned")
    photo.addChildNode(mask, None)
    yield settled(document, mask)
    _, pane = _previewing("invert")
    yield lambda: pane.live.sentence
    assert "is a mask" in pane.live.sentence, pane.live.sentence
    document.setActiveNode(photo)
    yield lambda: pane.view.after
    assert pane.live.sentence == ""
    pane.tick.setChecked(False)
    yield from closed(document)


def scenario_a_closed_window_takes_its_preview_along():
    document, photo = opened()
    yield settled(document, photo)
    count = len(studio().previews)
    window = app.openWindow()
    yield lambda: len(studio().previews) > count
    window.qwindow().close()
    window.qwindow().deleteLater()
    yield lambda: len(studio().previews) == count
    studio().run(document, "invert", {})
    yield ran(document)
    assert names(document) == ["Photo", "Inverted"], sentences(document)
    yield from closed(document)
