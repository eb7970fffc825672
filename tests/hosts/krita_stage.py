"""Inside Krita: documents to work on, and what can be seen of them. For scenarios, by *."""

# ruff: noqa: F401 what scenarios use comes from here

import itertools
import json
import os
import signal
import struct

from calotype_krita import reading
from calotype_krita.docker import docker_of
from calotype_krita.spaces import Space
from calotype_krita.studio import key_of, remembered, studio
from krita import InfoObject, Krita, Selection
from PyQt5.QtCore import Qt
from PyQt5.QtTest import QTest
from PyQt5.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QLineEdit,
    QSlider,
    QSpinBox,
    QToolButton,
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


def photo_opened():
    """The bundled photo as a document in a window of its own."""
    document = app.openDocument(PHOTO)
    app.activeWindow().addView(document)
    document.setBatchmode(True)
    document.waitForDone()
    return document


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


def press(document, action):
    """For undo and redo: where the picture is busy Krita does nothing then, and says nothing. What was done
    in its other threads comes to the menu a few events later; pressed before, the menu would tell the old.
    """
    for _ in range(5):
        document.waitForDone()
        yield
    document.waitForDone()
    app.action(action).trigger()


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
