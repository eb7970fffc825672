"""Runs inside GIMP: every scenario of a file, one after the other."""

import json
import os
import runpy
import traceback

from gi.repository import Gimp


def drive() -> None:
    scenarios = runpy.run_path(os.environ["SCENARIOS"])
    only = os.environ["SCENARIOS_ONLY"].split()
    results: dict[str, str] = {}
    for name, scenario in scenarios.items():
        if not name.startswith("test_") or (only and name not in only):
            continue
        try:
            scenario()
            results[name] = ""
        except Exception:  # noqa: BLE001 whatever it is, it is the result
            results[name] = traceback.format_exc()
        for image in Gimp.get_images():
            image.delete()
        with open(os.environ["RESULTS"], "w", encoding="utf-8") as file:
            json.dump(results, file)


drive()
