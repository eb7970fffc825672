"""Check and Correct inside GIMP: faults marked on a layer, the layer changed, what is left on it repaired."""

import json
import os
import random
from pathlib import Path

from gi.repository import Gimp, Gio
from gimp_inside import box, native, put, refused, run, tree

PHOTO = Path(os.environ["SCENARIOS"]).parents[2] / "engine/calotype/photos/astronaut.png"
SIDE, FAULT = 224, 64
BOARD, NOISE = (32, 32), (128, 128)
"""The left upper corners of the faults."""


def clean():
    """An image with one layer, opaque, 8-bit RGBA."""
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(str(PHOTO)))
    image.scale(SIDE, SIDE)
    (layer,) = image.get_layers()
    layer.set_name("photo")
    layer.add_alpha()
    return image, layer


def spoilt():
    """The same with a checkerboard and with noise, and the photo as it was below."""
    image, source = clean()
    layer = source.copy()
    image.insert_layer(layer, None, 0)
    layer.set_name("spoilt")
    chance = random.Random(0)
    made = bytearray(native(layer))
    for y in range(FAULT):
        for x in range(FAULT):
            board, noise = (4 * (SIDE * (top + y) + left + x) for left, top in (BOARD, NOISE))
            factor = 1.3 if (x // 2 + y // 2) % 2 else 0.7
            for channel in range(3):
                made[board + channel] = min(255, round(factor * made[board + channel]))
                made[noise + channel] = max(0, min(255, round(made[noise + channel] + chance.gauss(0, 51))))
    put(layer, bytes(made))
    return image, layer, source


def marks(layer):
    """Which pixels of a layer are more opaque than half, by rows."""
    alpha = native(layer)[3::4]
    return [[value > 127 for value in alpha[SIDE * y : SIDE * (y + 1)]] for y in range(SIDE)]


def differences(layer, other):
    """The largest of each pixel, by rows."""
    apart = [abs(a - b) for a, b in zip(native(layer), native(other), strict=True)]
    pixels = [max(apart[i : i + 3]) for i in range(0, len(apart), 4)]
    return [pixels[SIDE * y : SIDE * (y + 1)] for y in range(SIDE)]


def mean(rows, corner=(0, 0), side=SIDE):
    """Of a square of rows."""
    left, top = corner
    return sum(sum(row[left : left + side]) for row in rows[top : top + side]) / side**2


def told(layer):
    return json.loads(bytes(layer.get_parasite("calotype").get_data()))


def scores(layer):
    found = told(layer)["check"]["scores"]
    assert set(found) == {"sharpness", "realism", "style", "total"}
    assert 0 <= found["total"] <= 100
    return found


def test_faults_are_marked_on_a_layer_and_scored():
    image, layer, _ = spoilt()
    found = run("check", image, layer)
    assert tree(image) == ["Anomalies", "spoilt", "photo"]
    assert box(found) == box(layer)
    assert found.get_visible()
    assert image.get_selected_layers() == [layer], "for the next filter"
    seen = marks(found)
    parts = [mean(seen, corner, FAULT) for corner in (BOARD, NOISE)]
    right = (mean(seen) * SIDE**2 - sum(parts) * FAULT**2) / (SIDE**2 - 2 * FAULT**2)
    assert max(parts) > 0.3
    assert min(parts) > 2 * right, (parts, right)
    assert scores(found)["style"] is None
    assert "of 100" in told(found)["report"][0]
    assert set(told(found)["check"]) == {"scores"}, "small, for it is in every layer"


def test_only_what_is_left_on_the_layer_is_repaired():
    image, layer, _ = spoilt()
    anomalies = run("check", image, layer)
    made = bytearray(native(anomalies))
    for y in range(SIDE):
        for x in range(SIDE):
            inside = all(at <= n < at + FAULT for at, n in zip(NOISE, (x, y), strict=True))
            made[4 * (SIDE * y + x) + 3] = 255 if inside else 0
    put(anomalies, bytes(made))
    result = run("correct", image, anomalies, mask=anomalies)  # the one that was painted on last is chosen
    assert tree(image) == ["Anomalies", "Corrected", "spoilt", "photo"]
    changed = [[bool(value) for value in row] for row in differences(result, layer)]
    assert mean(changed, NOISE, FAULT) > 0.3
    assert not mean(changed, BOARD, FAULT)
    record = told(result)
    assert record["parameters"]["mask"] == "Anomalies"
    assert set(record["check"]) == {"scores", "before"}
    assert record["check"]["scores"]["realism"] >= record["check"]["before"]["realism"]
    put(anomalies, bytes(4 * SIDE**2))
    refused("execution-error", "Nothing is marked", "correct", image, layer, mask=anomalies)


def test_source_and_style_can_be_known():
    image, layer, source = spoilt()
    result = run("correct", image, layer, source=source, style="scream")
    record = told(result)
    assert (record["parameters"]["source"], record["parameters"]["style"]) == ("photo", "scream")
    assert scores(result)["style"] is not None
    assert set(record["check"]["before"]) == set(scores(result))
    refused("calling-error", "no style 'screem'", "correct", image, layer, style="screem")


def test_results_are_checked_and_corrected_on_request():
    image, layer, _ = spoilt()
    plain = run("enhance", image, layer)
    assert "check" not in told(plain)
    image.remove_layer(plain)
    result = run("enhance", image, layer, check="correct")
    assert scores(result)["style"] is None
    assert any("of 100" in line for line in told(result)["report"])
    assert image.get_selected_layers() == [result]
    names = tree(image)
    assert names[-3:] == [result.get_name(), "spoilt", "photo"]
    if len(names) > 3:  # not where all was repaired
        above = image.get_layers()[0]
        assert above.get_name() == "Anomalies"
        assert not above.get_visible()
        assert scores(above) == scores(result)


def test_a_painting_is_scored_by_its_style():
    image, layer = clean()
    result = run("stylize", image, layer, style="scream", check="check")
    assert scores(result)["style"] is not None
