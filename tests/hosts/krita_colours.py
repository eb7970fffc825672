"""Colours and styles in Krita: strokes on a hint layer, a region painted. Run inside by krita_driver."""

from krita_stage import *


def _grey():
    """gradient() without its colours, BGRA."""
    pixels = bytearray(4 * WIDTH * HEIGHT)
    for y in range(HEIGHT):
        for x in range(WIDTH):
            value = 60 + 120 * x // WIDTH + 40 * y // HEIGHT
            pixels[4 * (y * WIDTH + x) : 4 * (y * WIDTH + x) + 4] = bytes((value, value, value, 255))
    return bytes(pixels)


def _at(pixels, x, y):
    """Blue, green, red, alpha."""
    return pixels[4 * (y * WIDTH + x) : 4 * (y * WIDTH + x) + 4]


def scenario_strokes_on_a_hint_layer_colour_what_lies_below():
    document, photo = opened()
    photo.setPixelData(_grey(), 0, 0, WIDTH, HEIGHT)
    hints = document.createNode("Hints", "paintlayer")
    hints.setPixelData(b"\x28\x28\xdc\xff" * (12 * 10), 10, 12, 12, 10)  # red
    document.rootNode().addChildNode(hints, photo)
    yield settled(document, photo)
    before = whole(photo)
    studio().run(document, "colorize", {"hints": hints.uniqueId()})
    yield ran(document)
    assert sentences(document)[0] is False, sentences(document)
    made = whole(document.nodeByName("Colourised"))
    blue, _, red, _ = _at(made, 15, 16)
    assert red > blue + 20, (red, blue)
    for index in range(WIDTH * HEIGHT):
        b, g, r, _ = made[4 * index : 4 * index + 4]
        assert round(0.2126 * r + 0.7152 * g + 0.0722 * b) == before[4 * index], index
    assert whole(photo) == before
    yield from closed(document)


def scenario_an_empty_hint_layer_is_explained():
    document, photo = opened()
    hints = document.createNode("Hints", "paintlayer")
    document.rootNode().addChildNode(hints, photo)
    yield settled(document, photo)
    studio().run(document, "colorize", {"hints": hints.uniqueId()})
    yield ran(document)
    failed, sentence = sentences(document)[:2]
    assert failed, sentence
    assert "empty" in sentence or "Nothing is painted" in sentence, sentence
    assert names(document) == ["Photo", "Hints"], names(document)
    yield from closed(document)


def scenario_a_region_is_painted_and_undone_in_one_step():
    document, photo = opened()
    yield settled(document, photo)
    before = whole(photo)
    chosen = Selection()
    chosen.select(20, 10, 40, 30, 255)
    chosen.feather(6)
    document.setSelection(chosen)
    studio().run(document, "stylize", {"style": "scream"})
    yield ran(document)
    assert sentences(document)[0] is False, sentences(document)
    assert whole(photo) == before
    made = whole(document.nodeByName("Stylised"))
    alphas = [_at(made, x, 25)[3] for x in range(WIDTH)]
    assert alphas[0] == 0
    assert max(alphas) == 255
    assert any(0 < alpha < 255 for alpha in alphas)
    yield from press(document, "edit_undo")
    yield settled(document, photo)
    assert names(document) == ["Photo"]
    yield from closed(document)


def scenario_colours_of_a_grey_document_come_in_a_new_one():
    document, photo = opened("GRAYA", "U16", "")
    yield settled(document, photo)
    known = app.documents()
    studio().run(document, "colorize", {"palette": ["#c04020", "#e0a060"]})
    yield ran(document)
    for _ in range(10):
        yield
    assert sentences(document)[0] is False, sentences(document)
    assert len(app.documents()) == len(known) + 1
    coloured = next(d for d in app.documents() if d not in known)
    assert coloured.colorModel() == "RGBA"
    assert coloured.colorDepth() == "U16"
    yield from closed(coloured)
    yield from closed(document)
