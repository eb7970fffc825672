"""Styles trained in Krita: the pane, and what is learnt from; run inside Krita."""

from unittest import mock

from calotype_krita import studio as studios
from krita_learning import *


def scenario_an_instant_style_of_the_document_is_in_every_list_at_once():
    document = photo_opened()
    yield lambda: app.activeDocument() == document and document.activeNode() is not None
    document.setModified(False)
    docker = trained(name="Kodachrome", level="instant")
    assert learning().job and not docker.preview.isVisible()
    yield
    assert docker.training.isVisible() and docker.training.running.isVisible()
    docker.choose("stylize")
    docker.form.fields["style"].set_value("the-scream")
    chosen = docker.form.values()["style"]
    combo = docker.form.fields["style"].combo
    assert docker.preview.isVisible()
    assert docker.training.isVisible(), "whatever filter is chosen"
    yield from patiently(ended)
    assert not told()[0] and "Kodachrome" in told()[1], told()
    yield lambda: combo.findData("Kodachrome") >= 0
    assert docker.form.values()["style"] == chosen, "what was chosen stays chosen"
    assert not combo.itemIcon(combo.findData("Kodachrome")).pixmap(48, 48).isNull()
    assert docker.training.said.isVisible() and docker.training.said.text() == "\n".join(told()[1:]).replace(
        ". Style", ".\nStyle"
    )
    assert (names(document), document.modified()) == (
        [photo.name() for photo in document.topLevelNodes()],
        False,
    )
    docker.training.dismiss.click()
    yield
    assert not docker.training.isVisible()
    docker.choose(training_operation().name)
    assert docker.form.values()["name"] == "", "the next style needs a name of its own"
    dialog = manager()
    yield lambda: "Kodachrome" in style_names() and dialog.gallery.count() == len(style_names())
    assert dialog.gallery.item(0).text() == "Kodachrome", "the user's own come first"
    dialog.choose("Kodachrome")
    yield
    assert dialog.details.text().startswith("From: photo"), dialog.details.text()
    dialog.close()
    yield from closed(document)


def scenario_what_is_learnt_from_is_the_document_the_layer_or_the_selected_layers():
    document, photo = opened()
    spot = document.createNode("Spot", "paintlayer")
    spot.setPixelData(b"\x00\x00\xff\xff" * (20 * 10), 30, 20, 20, 10)
    document.rootNode().addChildNode(spot, photo)
    hidden = document.createNode("Hidden", "paintlayer")
    hidden.setPixelData(gradient(Space.srgb("U8")), 0, 0, WIDTH, HEIGHT)
    hidden.setVisible(False)
    document.rootNode().addChildNode(hidden, spot)
    document.refreshProjection()
    document.waitForDone()
    yield settled(document, photo)
    operation = training_operation()
    before = whole(photo)

    def lesson(**values):
        return studios.lesson(document, operation, values)

    seen = lesson(pictures="document")
    assert [(layer.width, layer.height) for layer in seen.layers] == [(WIDTH, HEIGHT)]
    assert bytes(seen.layers[0].pixels) == bytes(document.pixelData(0, 0, WIDTH, HEIGHT)) != before
    assert [layer.name for layer in lesson(pictures="layer").layers] == ["Photo"]
    photo.setLocked(True)
    assert bytes(lesson(pictures="layer").layers[0].pixels) == before, "a lock keeps nobody from looking"
    assert [layer.name for layer in lesson(pictures="layers").layers] == ["Photo"], "the one that is active"
    app.action("select_all_layers").trigger()
    yield lambda: len(app.activeWindow().activeView().selectedNodes()) == 3
    several = lesson(pictures="layers", exclude_layer=spot.uniqueId())
    assert sorted(layer.name for layer in several.layers) == ["Hidden", "Photo", "Spot"]
    assert several.layers[several.parameters["exclude_layer"]].name == "Spot"
    chosen = Selection()
    chosen.select(10, 10, 40, 30, 255)
    document.setSelection(chosen)
    part = lesson(pictures="document")
    assert (part.layers[0].x, part.layers[0].width, part.layers[0].height) == (10, 40, 30)
    assert bytes(part.selection.pixels) == b"\xff" * (40 * 30)
    with mock.patch.object(reading, "LAYERS_MAX", 3):
        trained(pictures="layers")
    assert "3 layers are selected. Select at most 2" in sentences(document)[1], sentences(document)
    parts = lesson(pictures="layers")
    assert all(layer.width <= 40 for layer in parts.layers) and len(parts.layers) == 3
    reach = parts.selection.x + parts.selection.width, parts.selection.y + parts.selection.height
    for layer in parts.layers:
        assert layer.x + layer.width <= reach[0] and layer.y + layer.height <= reach[1], "all of it is judged"
    beside = chosen.duplicate()  # Krita will not be given the same one twice
    beside.select(30, 20, 20, 10, 0)  # where the spot is
    document.setSelection(beside)
    assert sorted(layer.name for layer in lesson(pictures="layers").layers) == ["Hidden", "Photo"]
    other, _ = opened("GRAYA", "U8", "")
    yield lambda: app.activeDocument() == other
    every = lesson(pictures="documents")
    seen = [(layer.width, layer.format.channels) for layer in every.layers]
    assert seen[0] == (40, "BGRA") and (WIDTH, "GA") in seen[1:], seen
    assert seen.count(seen[0]) == 1, "itself it is not another"
    yield from closed(other)
    app.setActiveDocument(document)
    yield settled(document, photo)
    corner = Selection()
    corner.select(0, 0, 5, 5, 255)
    document.setSelection(corner)
    yield settled(document, spot)
    for values, word in (
        ({"pictures": "layer"}, "does not touch the layer 'Spot'"),
        ({"pictures": "layers", "exclude_layer": spot.uniqueId()}, "No layer is selected"),
    ):
        docker = trained(**values)
        failed, said = sentences(document)
        assert failed and word in said and not learning().job, said
        assert docker.message.text() == said
    document.setSelection(None)
    spot.setPixelData(bytes(4 * 20 * 10), 30, 20, 20, 10)
    trained(pictures="layer")
    assert "empty" in sentences(document)[1] or "Nothing is to be seen" in sentences(document)[1]
    assert (whole(photo), names(document)) == (before, ["Photo", "Spot", "Hidden"])
    photo.setVisible(False)
    document.refreshProjection()
    document.waitForDone()
    trained(pictures="document")
    assert "Nothing is to be seen of" in sentences(document)[1], sentences(document)
    studio().run(None, operation.name, {})
    assert "No document is open" in studio().outcomes[""].sentences[0]
    assert not learning().job
    yield from closed(document)


def scenario_more_pictures_are_a_file_or_a_folder_that_is_chosen():
    document, photo = opened()
    yield settled(document, photo)
    field = docker_on(training_operation().name).form.fields["more"]
    a_file, a_folder = field.findChildren(QToolButton)
    assert field.value() is None
    with mock.patch.object(QFileDialog, "getOpenFileName", return_value=("/pictures/one.png", "")):
        a_file.click()
    assert field.value() == "/pictures/one.png"
    for answer in ("/pictures", ""):  # cancelled, the second time
        with mock.patch.object(QFileDialog, "getExistingDirectory", return_value=answer):
            a_folder.click()
        assert field.value() == "/pictures"
    docker_of(app.activeWindow()).form.grab().save(os.path.join(OUT, "krita-more-form.png"))
    field.set_value(None)
    yield from closed(document)


def scenario_pictures_in_another_colour_space_are_learnt_from_too():
    for model, depth in (("CMYKA", "U8"), ("LABA", "U16"), ("GRAYA", "F32")):
        document, photo = opened(model, depth, "")
        yield settled(document, photo)
        trained(name=f"Of {model}", level="instant", pictures="document" if depth == "U8" else "layers")
        yield from patiently(ended)
        assert not told()[0], told()
        yield from closed(document)


def scenario_a_style_learns_while_filters_run_is_paused_and_goes_on():
    document = photo_opened()
    yield lambda: app.activeDocument() == document and document.activeNode() is not None
    app.activeWindow().qwindow().showMaximized()
    docker = trained(name="Slow hand", level="standard", seconds=30.0)
    pane = docker.training
    yield from patiently(lambda: len(pane.curve.curve) > 1 and pane.curve.isVisible())
    curve = pane.curve.curve
    yield from patiently(lambda: pane.curve.curve != curve)
    yield from patiently(lambda: pane.sample.picture is not None)
    docker.choose("stylize")
    picture = pane.sample.picture
    job = learning().job
    studio().run(document, "restore", {})
    yield from patiently(lambda: key_of(document) not in studio().jobs)
    assert len(names(document)) == 2, sentences(document)
    assert learning().job == job, "the filter ran while the style learnt"
    docker = trained(name="Second")
    assert "in training already" in sentences(document)[1] and learning().job == job
    docker.choose("stylize")
    yield from patiently(lambda: pane.sample.picture != picture)
    yield from closed(document)
    assert learning().job == job, "no document belongs to it"
    assert pane.bar.value() > 0 and "%" in pane.stage.text()
    document = photo_opened()
    yield lambda: app.activeDocument() == document and pane.isVisible()
    pane.pause.click()
    yield from patiently(ended)
    assert told() == (False, "Paused. What it has learnt is kept: it can go on at any time.")
    yield lambda: at_rest() == ["Slow hand"]
    yield
    assert pane.unfinished.isVisible() and not pane.running.isVisible()
    shot("paused")
    pane.unfinished.rows["Slow hand"].resume.click()
    yield from patiently(lambda: learning().last is not None)
    assert not pane.unfinished.isVisible()
    docker.choose("stylize")
    yield from patiently(lambda: ended() or learning().last.fraction > 0.8)
    shot("training")
    yield from patiently(ended)
    assert not told()[0] and "Slow hand" in told()[1], told()
    yield lambda: "Slow hand" in style_names() and at_rest() == []
    assert not learning().unfinished
    yield from closed(document)


def scenario_a_training_that_is_cancelled_leaves_nothing():
    document = photo_opened()
    yield lambda: app.activeDocument() == document and document.activeNode() is not None
    docker = trained(name="Unwanted", level="standard")
    yield from patiently(lambda: len(docker.training.curve.curve) > 1)
    docker.training.stop.click()
    yield from patiently(ended)
    assert told() == (False, "Cancelled.")
    yield lambda: not studio().session.busy
    assert not learning().unfinished and "Unwanted" not in style_names()
    yield from closed(document)


def scenario_a_learner_that_is_killed_is_told_and_its_training_goes_on():
    document = photo_opened()
    yield lambda: app.activeDocument() == document and document.activeNode() is not None
    docker = trained(name="Killed", level="standard", seconds=20.0)
    yield from patiently(lambda: learning().last is not None and learning().last.fraction > 0.4)
    reached = learning().last.fraction
    os.kill(learner_pid(), signal.SIGKILL)
    yield from patiently(ended)
    assert told()[0] and told()[1].strip(), told()
    yield lambda: at_rest() == ["Killed"]
    yield
    pane = docker.training
    assert pane.said.isVisible() and pane.said.text() == told()[1]
    docker.choose("stylize")
    yield
    shot("killed")
    pane.unfinished.rows["Killed"].resume.click()
    yield from patiently(lambda: learning().last is not None and learning().last.stage == "Learning")
    assert learning().last.fraction > reached / 3, "it goes on where it was"
    yield from patiently(ended)
    assert not told()[0] and "Killed" in told()[1], told()
    pane.dismiss.click()
    yield from closed(document)


def scenario_what_is_unfinished_is_discarded_after_a_question():
    document = photo_opened()
    yield lambda: app.activeDocument() == document and document.activeNode() is not None
    docker = trained(name="Given up", level="standard")
    yield from patiently(lambda: len(docker.training.curve.curve) > 1)
    docker.training.pause.click()
    yield lambda: at_rest() == ["Given up"]
    dialog = manager()
    yield lambda: dialog.isVisible() and "Given up" in dialog.unfinished.rows
    dialog.unfinished.rows["Given up"].discard.click()
    assert dialog.unfinished.question.isVisible() and at_rest() == ["Given up"]
    dialog.unfinished.question.no.click()
    assert not dialog.unfinished.question.isVisible()
    dialog.unfinished.rows["Given up"].discard.click()
    dialog.unfinished.question.yes.click()
    yield lambda: at_rest() == []
    yield
    assert not dialog.unfinished.isVisible() and not docker.training.unfinished.isVisible()
    dialog.close()
    docker.training.dismiss.click()
    yield from closed(document)
