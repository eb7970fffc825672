"""Check and Correct in Krita: faults marked, painted on, repaired, and scored. Run inside by krita_driver."""

import random
import time

from calotype_krita import scores
from krita_stage import *

WHOLE, SIDE = 256, 64
BOARD, NOISE = (16, 16), (176, 168)
"""Where the faults begin: x, y."""

EDGE = 32
"""As far as a repair may blend into what is around it."""


def spoilt():
    """A part of the photo, with a checkerboard and with noise."""
    document = photo_opened()
    document.crop(96, 0, WHOLE, WHOLE)
    document.waitForDone()
    photo = document.topLevelNodes()[0]
    photo.setName("Photo")
    chance = random.Random(0)
    for (left, top), wrong in ((BOARD, _board), (NOISE, _noise)):
        pixels = bytearray(photo.pixelData(left, top, SIDE, SIDE))
        for index in range(SIDE * SIDE):
            for at in range(4 * index, 4 * index + 3):
                pixels[at] = min(255, max(0, round(wrong(pixels[at], index, chance))))
        photo.setPixelData(bytes(pixels), left, top, SIDE, SIDE)
    document.refreshProjection()
    document.waitForDone()
    return document, photo


def _board(value, index, chance):
    return value * (1.3 if (index % SIDE // 2 + index // SIDE // 2) % 2 else 0.7)


def _noise(value, index, chance):
    return value + chance.gauss(0, 50)


def docker_on(name, **values):
    docker = docker_of(app.activeWindow())
    docker.setVisible(True)
    docker.raise_()
    docker.choose(name)
    docker.form.reset()
    docker.form.set_values(values)
    return docker


def marked(layer, x, y, width, height):
    """The share of it that is more opaque than half."""
    opacity = bytes(layer.pixelData(x, y, width, height))[3::4]
    return sum(alpha > 127 for alpha in opacity) / len(opacity)


def painted(layer, x, y, width, height):
    """On that layer, alone."""
    layer.setPixelData(bytes(4 * WHOLE * WHOLE), 0, 0, WHOLE, WHOLE)
    layer.setPixelData(b"\x00\x00\xff\xff" * (width * height), x, y, width, height)


def form_shot(name):
    """All of the form, as wide as the docker is."""
    yield from resting()
    docker_of(app.activeWindow()).form.grab().save(os.path.join(OUT, f"krita-{name}-form.png"))


def finished(document):
    """Networks take their time where the machine is busy."""
    ready = ran(document)
    for _ in range(6):
        since = time.monotonic()
        yield lambda: ready() or time.monotonic() - since > 45  # noqa: B023 asked at once
        if ready():
            return
    raise AssertionError("waited in vain")


def resting():
    """Until what was changed can be seen."""
    for _ in range(20):
        yield


def pixels_of(node):
    return bytes(node.pixelData(0, 0, WHOLE, WHOLE))


def scenario_faults_are_marked_painted_on_and_repaired():
    document, photo = spoilt()
    yield settled(document, photo)
    app.activeWindow().qwindow().showMaximized()
    before = pixels_of(photo)
    docker = docker_on("check")
    assert docker.form.fields["style"].combo.currentText() == "Not known"
    yield from form_shot("check")
    app.action("calotype_check").trigger()
    yield from finished(document)
    assert sentences(document)[0] is False, sentences(document)
    assert names(document) == ["Photo", "Anomalies"]
    assert " of 100" in docker.message.text(), docker.message.text()
    anomalies = document.nodeByName("Anomalies")
    shown = pixels_of(anomalies)
    assert (max(shown[0::4]), min(shown[2::4])) == (0, 255), "yellow to red"
    for left, top in (BOARD, NOISE):
        assert marked(anomalies, left, top, SIDE, SIDE) > marked(anomalies, 0, 0, WHOLE, WHOLE)
    app.action("zoom_to_fit").trigger()
    yield from resting()
    assert document.activeNode() == photo, "the next filter is to work on it"
    shot("check")

    painted(anomalies, *NOISE, SIDE, SIDE)
    document.refreshProjection()
    document.setActiveNode(anomalies)
    yield settled(document, anomalies)
    docker = docker_on("correct")
    docker.form.fields["mask"].set_value(anomalies.uniqueId())
    yield from form_shot("correct")
    docker.start.click()
    yield from finished(document)
    assert sentences(document)[0] is False, sentences(document)
    assert names(document) == ["Photo", "Corrected", "Anomalies"]
    made = pixels_of(document.nodeByName("Corrected"))
    assert " of 100" in docker.message.text(), docker.message.text()
    changed = [i // 4 for i in range(0, len(made), 4) if made[i : i + 4] != before[i : i + 4]]
    assert changed
    for index in changed:
        y, x = divmod(index, WHOLE)
        assert all(-EDGE <= n - start < SIDE + EDGE for n, start in zip((x, y), NOISE, strict=True)), (x, y)
    assert pixels_of(photo) == before
    yield from resting()
    shot("corrected")
    yield from press(document, "edit_undo")
    yield lambda: names(document) == ["Photo", "Anomalies"]
    yield from closed(document)


def scenario_a_result_is_checked_and_its_score_kept_with_the_document():
    document, photo = spoilt()
    document.setAnnotation(scores.KEY, "", b"[not JSON")
    yield settled(document, photo)
    for name, label, finish in (("enhance", "Enhanced", "correct"), ("stylize", "Stylised", "check")):
        docker = docker_on(name, check=finish)
        yield from form_shot(name)
        docker.start.click()
        yield from finished(document)
        assert sentences(document)[0] is False, sentences(document)
        assert " of 100" in docker.message.text(), docker.message.text()
        made = document.nodeByName(label)
        beside = [node for node in made.parentNode().childNodes() if node.name() == "Anomalies"]
        assert not any(node.visible() for node in beside)
        yield lambda made=made: document.activeNode() == made  # a group cannot be painted on
        yield from resting()
        shot(f"{name}-checked")
        yield from press(document, "edit_undo")
        yield lambda: names(document) == ["Photo"]
        yield settled(document, photo)
    known = scores.kept(document)
    assert [known[label]["operation"] for label in known] == ["enhance", "stylize"]
    assert 0 <= known["Stylised"]["scores"]["style"] <= 100
    path = os.path.join(OUT, "checked.kra")
    assert document.saveAs(path)
    document.waitForDone()
    again = app.openDocument(path)
    assert scores.kept(again) == known
    again.close()
    yield from closed(document)
