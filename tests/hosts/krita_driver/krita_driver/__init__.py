"""For tests alone: runs the generator functions of $DRIVER_SCENARIOS one after the other inside Krita.

A scenario yields None to let Krita's loop run, or a callable to wait until it is true. Results go to
$DRIVER_OUT/results.json, {name: "" or what went wrong}, after each scenario; then Krita quits.
"""

import faulthandler
import json
import os
import runpy
import sys
import time
import traceback

from krita import Extension, Krita
from PyQt5.QtCore import QTimer
from PyQt5.QtWidgets import QAbstractButton, QApplication, QLabel

OUT = os.environ.get("DRIVER_OUT", "")
STEP_S = 60.0


class Driver(Extension):
    def setup(self):
        pass

    def createActions(self, window):
        if hasattr(self, "timer"):
            return
        self.results = {}
        self.scenarios = None
        self.running = None
        self.modal_ticks = 0
        self.uncaught = ""
        sys.excepthook = self.on_uncaught  # Krita's own opens a dialog that blocks
        self.timer = QTimer()
        self.timer.timeout.connect(self.tick)
        self.timer.start(20)

    def on_uncaught(self, kind, error, trace):
        self.uncaught = "".join(traceback.format_exception(kind, error, trace))
        print(self.uncaught, file=sys.stderr, flush=True)

    def tick(self):
        quit_action = Krita.instance().action("file_quit")
        if quit_action is None or not Krita.instance().windows():
            return
        if self.scenarios is None:
            names = {}
            for path in os.environ["DRIVER_SCENARIOS"].split(os.pathsep):
                sys.path.insert(0, os.path.dirname(path))
                names.update(runpy.run_path(path))
            only = os.environ.get("DRIVER_ONLY", "").split()
            found = [n for n in names if n.startswith("scenario_") and (not only or n[9:] in only)]
            self.scenarios = [(name[9:], names[name]) for name in found]
        if self.running is None:
            if not self.scenarios:
                self.timer.stop()
                QTimer.singleShot(0, quit_action.trigger)
                return
            self.name, make = self.scenarios.pop(0)
            print("SCENARIO", self.name, file=sys.stderr, flush=True)
            with open(os.path.join(OUT, "running"), "w") as file:
                file.write(self.name)
            self.running, self.until, self.since = make(), None, time.monotonic()
        try:
            ended = self.step()
        except BaseException:
            self.end(traceback.format_exc())
        else:
            if ended:
                self.end("")

    def step(self):
        """Whether the scenario has ended."""
        if self.uncaught:
            raise AssertionError(self.uncaught)
        dialog = QApplication.activeModalWidget()
        self.modal_ticks = self.modal_ticks + 1 if dialog else 0
        if self.modal_ticks > 50:
            texts = [w.text() for k in (QLabel, QAbstractButton) for w in dialog.findChildren(k)]
            dialog.close()
            raise AssertionError(f"an unexpected dialog: {dialog.windowTitle()} {texts}")
        if self.until is not None and not self.until():
            if time.monotonic() - self.since > STEP_S:
                raise AssertionError(f"waited in vain at line {self.running.gi_frame.f_lineno}")
            return False
        self.since = time.monotonic()
        try:
            self.until = next(self.running)
        except StopIteration:
            return True
        return False

    def end(self, error):
        self.running, self.uncaught = None, ""
        self.results[self.name] = error
        with open(os.path.join(OUT, "results.tmp"), "w", encoding="utf-8") as file:
            json.dump(self.results, file, indent=1)
        os.replace(os.path.join(OUT, "results.tmp"), os.path.join(OUT, "results.json"))
        for document in Krita.instance().documents():
            document.waitForDone()
            document.setModified(False)  # Krita would ask whether to save when it quits


if OUT:
    faulthandler.enable(open(os.path.join(OUT, "fault.log"), "w"))
    Krita.instance().addExtension(Driver(Krita.instance()))
