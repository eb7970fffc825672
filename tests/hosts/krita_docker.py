"""Menu, docker and form in Krita, run inside Krita by krita_driver."""

from krita_stage import *


def scenario_the_menu_and_the_form_come_from_the_catalogue():
    document, photo = opened()
    yield settled(document, photo)
    bar = app.activeWindow().qwindow().menuBar()
    filters = next(a.menu() for a in bar.actions() if a.menu() and a.menu().objectName().lower() == "filter")
    ours = next(a.menu() for a in filters.actions() if a.menu() and a.text().replace("&", "") == "Calotype")
    ours.aboutToShow.emit()
    entries = [a.text().replace("&", "") for a in ours.actions() if not a.isSeparator()]
    filters = [o.label + "…" * o.background for o in studio().operations]
    assert entries == [*filters, "Run Again", "Cancel", "Styles…"], entries
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
    assert docker.form.values() == {"other": None, "colours": None, "path": None, "look": "starry-night"}
    swatch = docker.form.fields["look"].combo.itemIcon(31)
    assert not swatch.pixmap(48, 48).isNull()
    combo = docker.form.fields["other"].combo
    assert [combo.itemText(i) for i in range(combo.count())] == ["Automatic", "Photo"]
    combo.setCurrentIndex(1)
    later = document.createNode("Later", "paintlayer")
    document.rootNode().addChildNode(later, photo)
    yield
    combo.showPopup()
    combo.hidePopup()
    assert [combo.itemText(i) for i in range(combo.count())] == ["Automatic", "Later", "Photo"]
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


def photo_and_docker():
    """The photo as a document, and the docker with the filter that has most parameters."""
    document = photo_opened()
    docker = docker_of(app.activeWindow())
    docker.setVisible(True)
    docker.raise_()
    docker.choice.setCurrentIndex(docker.choice.findData("restore"))
    return document, docker


def scenario_a_photo_is_restored_from_the_menu():
    document, _ = photo_and_docker()
    yield lambda: app.activeDocument() == document and document.activeNode() is not None
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
    assert names(document)[-1] == "Restoration", sentences(document)
    for _ in range(20):
        yield
    shot("result")
    assert document.exportImage(os.path.join(OUT, "restored.png"), InfoObject())


def seen(widget):
    """Whether all of it is on the screen."""
    return widget.isVisible() and widget.visibleRegion().boundingRect() == widget.rect()


def scenario_run_and_the_result_are_seen_on_a_low_screen_and_every_parameter_can_be():
    document, docker = photo_and_docker()
    yield lambda: app.activeDocument() == document and document.activeNode() is not None
    window = app.activeWindow().qwindow()
    window.showNormal()
    window.resize(1366, 720)
    docker.form.reset()
    docker.form.fields["noise"].set_value(30.0)  # the widest row
    for _ in range(20):
        yield
    assert seen(docker.start) and seen(docker.choice)
    for name, field in docker.form.fields.items():
        docker.scrolled.ensureWidgetVisible(field)
        yield
        assert seen(field), name
    shot("low-form")
    docker.scrolled.verticalScrollBar().setValue(0)
    studio().run(document, "invert", {})
    yield ran(document)
    for _ in range(20):
        yield
    assert "Quality" in docker.message.text(), sentences(document)
    assert seen(docker.message) and seen(docker.start)
    shot("low-result")
    docker.form.reset()
    window.showMaximized()
    yield from closed(document)


def scenario_layers_that_were_chosen_are_chosen_when_their_filter_or_document_comes_back():
    document, photo = opened()
    marks = document.createNode("Marks", "paintlayer")
    document.rootNode().addChildNode(marks, photo)
    yield settled(document, photo)
    docker = docker_of(app.activeWindow())
    docker.choose("correct")
    docker.form.fields["mask"].set_value(marks.uniqueId())
    docker.choose("check")
    docker.form.fields["source"].set_value(marks.uniqueId())
    docker.choose("correct")
    assert docker.form.values()["mask"] == marks.uniqueId()
    docker.choose("check")
    assert docker.form.values()["source"] == marks.uniqueId()
    other, picture = opened()
    yield settled(other, picture)
    docker.form.refresh()
    assert docker.form.values()["source"] is None
    docker.choose("correct")
    docker.choose("check")
    yield from closed(other)
    app.setActiveDocument(document)
    yield settled(document, photo)
    docker.form.refresh()
    assert docker.form.values()["source"] == marks.uniqueId()
    docker.reset.click()
    docker.form.refresh()
    assert docker.form.values()["source"] is None
    docker.form.fields["threshold"].set_value(33)
    QApplication.instance().aboutToQuit.emit()
    assert remembered("check")["threshold"] == 33
    docker.form.reset()


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
