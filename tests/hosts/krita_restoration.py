"""Old photos in Krita: scratches found, their mask edited, pictures enlarged. Run inside by krita_driver."""

from krita_stage import *

SCRATCH = range(40, 43)


def scratched(space):
    """gradient() with a white line from top to bottom."""
    pixels = bytearray(gradient(space))
    size = COUNT[space.model] * struct.calcsize(SAMPLE[space.depth])
    white = struct.pack(f"<{COUNT[space.model]}{SAMPLE[space.depth]}", *[_top(space)] * COUNT[space.model])
    for y in range(HEIGHT):
        for x in SCRATCH:
            start = (y * WIDTH + x) * size
            pixels[start : start + size] = white
    return bytes(pixels)


def _top(space):
    return {"U8": 255, "U16": 65535}.get(space.depth, 1.0)


def scenario_restore_takes_an_edited_scratch_mask():
    document, photo = opened()
    photo.setPixelData(scratched(Space.of(photo)), 0, 0, WIDTH, HEIGHT)
    yield settled(document, photo)
    before = whole(photo)
    studio().run(document, "restore", {})
    yield ran(document)
    assert sentences(document)[0] is False, sentences(document)
    assert "of the picture was filled" in sentences(document)[1], sentences(document)
    assert names(document) == ["Photo", "Restoration"]
    group = document.nodeByName("Restoration")
    assert group.type() == "grouplayer"
    assert [node.name() for node in group.childNodes()] == ["Restored", "Scratches"]
    restored, mask = group.childNodes()
    assert restored.visible()
    assert not mask.visible()
    marked = whole(mask)
    hit = sum(marked[4 * (y * WIDTH + x) + 3] == 255 for y in range(HEIGHT) for x in SCRATCH)
    assert hit > 0.7 * HEIGHT * len(SCRATCH), hit
    assert max(marked[0::4]) == 0, "red, not blue"
    assert whole(photo) == before

    red = b"\x00\x00\xff\xff"  # as a brush would paint it
    mask.setPixelData(bytes(4 * WIDTH * HEIGHT), 0, 0, WIDTH, HEIGHT)  # erased
    mask.setPixelData(red * (10 * 6), 36, 20, 10, 6)
    document.setActiveNode(photo)
    yield settled(document, photo)
    studio().run(document, "restore", {"mask": mask.uniqueId(), "tone": False, "cleaning": False})
    yield ran(document)
    assert sentences(document)[0] is False, sentences(document)
    after = whole(next(node for node in document.topLevelNodes() if node.name() == "Restored"))
    changed = {i // 4 for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b}
    painted = {y * WIDTH + x for y in range(20, 26) for x in range(36, 46)}
    assert changed
    assert changed <= painted
    yield from closed(document)


def _scratches_in(model, depth):
    def scenario():
        document, photo = opened(model, depth, "")
        photo.setPixelData(scratched(Space.of(photo)), 0, 0, WIDTH, HEIGHT)
        yield settled(document, photo)
        studio().run(document, "remove_scratches", {})
        yield ran(document)
        assert sentences(document)[0] is False, sentences(document)
        filled, mask = document.nodeByName("Scratch repair").childNodes()
        assert Space.of(filled).model == model
        assert Space.of(filled).depth == depth
        assert mask.name() == "Scratches"
        assert bytes(mask.pixelData(0, 0, WIDTH, HEIGHT)).count(255) > 0.5 * HEIGHT * len(SCRATCH)
        yield from closed(document)

    return scenario


scenario_scratches_are_found_in_16_bits = _scratches_in("RGBA", "U16")
scenario_scratches_are_found_in_a_grey_document = _scratches_in("GRAYA", "U8")


def scenario_an_enlarged_picture_is_a_document_of_its_own():
    for model, depth, scale in (("RGBA", "U8", "2"), ("GRAYA", "U16", "4")):
        document, photo = opened(model, depth, "")
        yield settled(document, photo)
        known = app.documents()
        studio().run(document, "upscale", {"scale": scale})
        yield ran(document)
        for _ in range(10):
            yield
        assert len(app.documents()) == len(known) + 1
        assert sentences(document)[0] is False, sentences(document)
        assert names(document) == ["Photo"]
        larger = next(d for d in app.documents() if d.width() == int(scale) * WIDTH)
        assert larger.height() == int(scale) * HEIGHT
        assert (larger.colorModel(), larger.colorDepth()) == (model, depth)
        yield from closed(larger)
        yield from closed(document)
