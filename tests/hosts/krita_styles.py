"""Styles kept in Krita: the manager, and styles that others bring; run inside Krita."""

from unittest import mock

from calotype_krita import studio as studios
from krita_learning import *

from calotype_wire import client


def scenario_the_manager_does_all_that_can_be_done_with_styles():
    document = photo_opened()
    yield lambda: app.activeDocument() == document and document.activeNode() is not None
    trained(name="First", level="instant")
    yield from patiently(lambda: not learning().job and "First" in style_names())
    docker = docker_on("stylize")
    docker.form.fields["style"].button.click()
    dialog = manager()
    yield lambda: dialog.isVisible() and dialog.gallery.count() == len(style_names())
    dialog.activateWindow()
    dialog.choose("First")
    yield

    QTest.keyClick(dialog.gallery, Qt.Key_F2)
    line = dialog.gallery.findChild(QLineEdit)
    line.setText("Renamed")
    QTest.keyClick(line, Qt.Key_Return)
    yield lambda: "Renamed" in style_names() and "First" not in style_names()
    assert dialog.chosen["name"] == "Renamed" == dialog.name.text()
    yield lambda: docker.form.fields["style"].combo.findData("Renamed") >= 0
    assert docker.form.fields["style"].combo.findData("First") < 0

    dialog._rename()
    line = dialog.gallery.findChild(QLineEdit)
    line.setText("starry-night")
    QTest.keyClick(line, Qt.Key_Return)
    yield lambda: "already" in dialog.said.text()
    assert dialog.gallery.currentItem().text() == "Renamed", "what was typed is gone"

    dialog.star.click()
    yield lambda: dialog.chosen["favourite"]
    assert dialog.gallery.item(0).data(Qt.UserRole) == "Renamed"
    assert dialog.said.text() == "", "the old sentence is gone"
    dialog.choose("great-wave")
    assert not dialog.rename.isEnabled() and not dialog.delete.isEnabled() and dialog.star.isEnabled()
    QTest.keyClick(dialog.gallery, Qt.Key_F2)
    QTest.keyClick(dialog.gallery, Qt.Key_Delete)
    assert not dialog.question.isVisible() and dialog.gallery.findChild(QLineEdit) is None
    dialog.star.click()
    yield lambda: dialog.chosen["favourite"]
    yield lambda: docker.form.fields["style"].combo.findData("great-wave") < 3
    dialog.star.click()
    yield lambda: not dialog.chosen["favourite"]

    dialog.search.setText("renamed")
    assert [dialog.gallery.item(i).text() for i in range(dialog.gallery.count())] == ["Renamed"]
    dialog.search.setText("gogh")
    assert 0 < dialog.gallery.count() < 10
    dialog.search.setText("no such thing")
    assert dialog.gallery.count() == 0 and dialog.chosen is None and not dialog.star.isEnabled()
    dialog.search.clear()
    dialog.choose("Renamed")
    dialog.duplicate.click()
    yield lambda: "Renamed 2" in style_names()
    assert dialog.chosen["name"] == "Renamed 2"

    dialog.choose("Renamed")
    for _ in range(20):
        yield
    dialog.grab().save(os.path.join(OUT, "krita-styles.png"))
    dialog.choose("Renamed 2")

    path = os.path.join(OUT, "Taken along.calostyle")
    dialog.export_to(path, dialog.chosen["name"])
    yield lambda: path in dialog.said.text()
    assert os.path.getsize(path.encode()) == dialog.chosen["bytes"]
    QTest.keyClick(dialog.gallery, Qt.Key_Delete)
    assert dialog.question.isVisible() and "Renamed 2" in dialog.question.sentence.text()
    dialog.question.no.click()
    QTest.keyClick(dialog.gallery, Qt.Key_Delete)
    dialog.question.yes.click()
    yield lambda: "Renamed 2" not in style_names()
    dialog.import_from(path)
    yield lambda: "Taken along" in style_names()
    assert dialog.chosen["name"] == "Taken along" and not dialog.chosen["favourite"]
    broken = os.path.join(OUT, "broken.calostyle")
    open(broken.encode(), "wb").write(b"this is no style" * 9)
    dialog.import_from(broken)
    yield lambda: dialog.said.text()
    assert "color" in dialog.said.styleSheet() and "Traceback" not in dialog.said.text()
    assert "broken" not in style_names()
    again = os.path.join(OUT, "broken too.calostyle")
    open(again.encode(), "wb").write(b"neither is this" * 9)
    with mock.patch.object(QFileDialog, "getOpenFileNames", return_value=([broken, again], "")):
        dialog.bring.click()
    yield lambda: dialog.said.text().count("\n") == 1
    assert all(name in dialog.said.text() for name in ("broken.calostyle:", "broken too.calostyle:")), (
        dialog.said.text()
    )

    dialog.choose("Taken along")
    QTest.keyClick(dialog.gallery, Qt.Key_F2)
    line = dialog.gallery.findChild(QLineEdit)
    line.setText(" ")
    QTest.keyClick(line, Qt.Key_Return)
    yield
    assert dialog.gallery.currentItem().text() == "Taken along", "no name is none"

    open(path.encode(), "wb").write(b"in the way")
    bare = path[: -len(".calostyle")]
    for answer, left in ((dialog.question.no, True), (dialog.question.yes, False)):
        dialog.choose("Taken along")
        with mock.patch.object(QFileDialog, "getSaveFileName", return_value=(bare, "")):
            dialog.export.click()
        assert dialog.question.isVisible() and path in dialog.question.sentence.text()
        answer.click()
        for _ in range(20):
            yield
        yield lambda left=left: (os.path.getsize(path.encode()) == len("in the way")) == left

    dialog.export_to("/nowhere/at/all.calostyle", dialog.chosen["name"])
    yield lambda: "could not be written" in dialog.said.text()
    dialog.close()
    yield from closed(document)


def scenario_styles_that_others_bring_are_seen_while_nothing_runs():
    document = photo_opened()
    yield lambda: app.activeDocument() == document and document.activeNode() is not None
    trained(name="Mine", level="instant")
    yield from patiently(lambda: not learning().job and "Mine" in style_names())
    docker = docker_on("stylize")
    combo = docker.form.fields["style"].combo
    yield lambda: combo.findData("Mine") >= 0
    docker.form.fields["style"].set_value("Mine")
    yield lambda: not studio().session.busy and studio()._timer.interval() == studios.IDLE_MS
    other = launch_other()
    other.ask_styles("duplicate", name="Mine")
    yield lambda: other.pump() is not None and combo.findData("Mine 2") >= 0
    assert docker.form.values()["style"] == "Mine"
    other.ask_styles("delete", name="Mine")
    yield lambda: other.pump() is not None and combo.findData("Mine") < 0
    assert docker.form.values()["style"] == "starry-night", "the one that it had at first"
    other.close()
    yield from closed(document)


def launch_other():
    """Another program that speaks with the same engine."""
    return client.connect(connection.load(places.connection_file()), "other")
