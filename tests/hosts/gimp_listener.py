#!/usr/bin/env python3
"""A plug-in for tests alone: runs the Python that it finds in a folder, inside GIMP with its windows."""

import json
import os
import sys
import time
import traceback
from pathlib import Path

import gi

gi.require_versions({"Gimp": "3.0", "Gegl": "0.4"})
from gi.repository import Gimp  # noqa: E402

NAME = "calotype-test-listener"


class Listener(Gimp.PlugIn):
    def do_set_i18n(self, name: str) -> bool:
        return False

    def do_query_procedures(self) -> list[str]:
        return [NAME] if "LISTENER" in os.environ else []

    def do_create_procedure(self, name: str) -> Gimp.Procedure:
        return Gimp.Procedure.new(self, name, Gimp.PDBProcType.PERSISTENT, listen, None)


def listen(procedure: Gimp.Procedure, config: Gimp.ProcedureConfig, data: None) -> Gimp.ValueArray:
    procedure.persistent_ready()
    folder = Path(os.environ["LISTENER"])
    while os.getppid() > 1:
        for question in folder.glob("*.py"):
            question.with_suffix(".tmp").write_text(json.dumps(_answer(question.read_text("utf-8"))), "utf-8")
            question.unlink()
            question.with_suffix(".tmp").rename(question.with_suffix(".json"))
        time.sleep(0.02)
    return procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)


def _answer(code: str) -> dict[str, object]:
    names: dict[str, object] = {"Gimp": Gimp}
    try:
        exec(code, names)
    except Exception:  # noqa: BLE001 whatever it is, it is the answer
        return {"complaint": traceback.format_exc()}
    return {"answer": names.get("answer")}


Gimp.main(Listener.__gtype__, sys.argv)
