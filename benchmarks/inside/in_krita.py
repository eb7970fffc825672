"""Runs inside Krita: clicks, and notes how long everything took."""

import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

sys.path.insert(0, os.path.dirname(os.environ["DRIVER_SCENARIOS"]))
import stopwatch
from calotype_krita import reading, results
from calotype_krita.studio import key_of, studio
from krita import Krita

app = Krita.instance()


def scenario_measure() -> Iterator[Any]:
    stopwatch.watch(reading, "active", results, "insert")
    timer = studio()._timer.timeout
    timer.disconnect()
    timer.connect(stopwatch.own(studio()._pump))
    run = stopwatch.own(studio().run)
    rows = []
    for side in map(int, os.environ["SIDES"].split()):
        document = app.createDocument(side, side, "photo", "RGBA", "U8", "sRGB-elle-V2-srgbtrc.icc", 72.0)
        app.activeWindow().addView(document)
        photo = document.topLevelNodes()[0]
        noise = os.urandom(3 * side * side)
        pixels = bytearray(b"\xff" * (4 * side * side))
        for channel in range(3):
            pixels[channel::4] = noise[channel * side * side : (channel + 1) * side * side]
        photo.setPixelData(bytes(pixels), 0, 0, side, side)
        document.refreshProjection()
        document.waitForDone()
        yield lambda document=document: app.activeDocument() == document
        for _ in range(50):
            yield
        for name in os.environ["NAMES"].split():
            document.setActiveNode(photo)
            for _ in range(10):
                yield
            stopwatch.reset()
            began = time.perf_counter()
            run(document, name, {})
            yield lambda document=document: key_of(document) not in studio().jobs
            total = time.perf_counter() - began
            assert not studio().outcomes[key_of(document)].failed, studio().outcomes[key_of(document)]
            rows.append({"side": side, "operation": name, "total": total, **stopwatch.spent})
            rows[-1]["peak_mib"] = stopwatch.peak_mib()
        document.setActiveNode(photo)
        for _ in range(10):
            yield
        studio().run(document, "denoise", {})
        yield lambda document=document: studio().jobs[key_of(document)].last is not None
        began = time.perf_counter()
        studio().cancel(document)
        yield lambda document=document: key_of(document) not in studio().jobs
        rows[-1]["cancel"] = time.perf_counter() - began
        with open(os.path.join(os.environ["DRIVER_OUT"], "rows.json"), "w") as file:
            json.dump(rows, file)
