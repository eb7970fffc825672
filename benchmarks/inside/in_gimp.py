"""Runs inside GIMP: calls the filters as a script does, and notes how long everything took."""

import json
import os
import time

from gi.repository import Gegl, Gimp


def test_measure() -> None:
    rows = []
    for side in map(int, os.environ["SIDES"].split()):
        image = Gimp.Image.new(side, side, Gimp.ImageBaseType.RGB)
        photo = Gimp.Layer.new(
            image, "Photo", side, side, Gimp.ImageType.RGBA_IMAGE, 100, Gimp.LayerMode.NORMAL
        )
        image.insert_layer(photo, None, 0)
        pixels = bytearray(os.urandom(4 * side * side))
        pixels[3::4] = b"\xff" * (side * side)
        buffer = photo.get_buffer()
        buffer.set(Gegl.Rectangle.new(0, 0, side, side), "R'G'B'A u8", bytes(pixels))
        buffer.flush()
        for name in os.environ["NAMES"].split():
            procedure = Gimp.get_pdb().lookup_procedure("plug-in-calotype-" + name)
            config = procedure.create_config()
            config.set_property("run-mode", Gimp.RunMode.NONINTERACTIVE)
            config.set_property("image", image)
            config.set_core_object_array("drawables", [photo])
            began = time.perf_counter()
            result = procedure.run(config)
            total = time.perf_counter() - began
            assert result.index(0) == Gimp.PDBStatusType.SUCCESS, Gimp.get_pdb().get_last_error()
            with open(os.environ["STOPWATCH"], encoding="utf-8") as file:
                rows.append({"side": side, "operation": name, "total": total, **json.load(file)})
        image.delete()
    with open(os.environ["ROWS"], "w", encoding="utf-8") as file:
        json.dump(rows, file)
