"""Everything that can break around a filter, inside GIMP, with processes that really die."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gi.repository import Gimp
from gimp_inside import Base, Precision, box, call, drawn, home, native, picture, refused, run, tree

PLUGIN = Path(Gimp.directory(), "plug-ins/calotype")
CONNECTION = Path(home("run/connection.json"))


def engine_pid() -> int:
    pid: int = json.loads(CONNECTION.read_text("utf-8"))["pid"]
    return pid


def plugin_pids() -> list[int]:
    """Of the plug-in's processes below this GIMP."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if process.name.isdigit() and str(PLUGIN / "calotype.py").encode() in words:
            found.append(int(process.name))
    return found


@contextmanager
def meanwhile(action: Callable[[], object]) -> Iterator[None]:
    """action runs when the filter in the with block has sent its job."""

    def act() -> None:
        time.sleep(1)
        action()

    thread = threading.Thread(target=act)
    thread.start()
    try:
        yield
    finally:
        thread.join()


@contextmanager
def replaced(path: Path, text: str | None) -> Iterator[None]:
    """path holds text, or is not there."""
    before = path.read_bytes()
    path.unlink()
    if text is not None:
        path.write_text(text, "utf-8")
        path.chmod(0o600)
    try:
        yield
    finally:
        path.write_bytes(before)
        path.chmod(0o600)


@contextmanager
def before_the_result(code: str) -> Iterator[None]:
    """code runs in GIMP when the filter in the with block has its result, and has not added it yet."""
    results = PLUGIN / "results.py"
    mark = "    _check_still_there(source)\n    pieces:"
    text = results.read_text("utf-8")
    assert mark in text
    with replaced(results, text.replace(mark, f"    {code}\n{mark}")):
        yield


def test_an_image_that_changed_its_shape_meanwhile_gets_nothing_and_is_told_so():
    for change in (
        "source.image.scale(55, 45)",
        "source.image.crop(60, 50, 20, 15)",
        "source.image.rotate(Gimp.RotationType.DEGREES90)",
        "source.drawable.scale(45, 35, False)",
        "source.image.flip(Gimp.OrientationType.HORIZONTAL)",
        "source.image.rotate(Gimp.RotationType.DEGREES180)",
    ):
        image, layer = drawn(lambda x, y: [x / 90, y / 70, 0.2], 90, 70, Base.RGB, Precision.U8_NON_LINEAR)
        with before_the_result(change):
            refused("execution-error", "scaled, cropped, mirrored or turned", "identity", image, layer)
        image.delete()


def test_a_layer_that_only_moved_meanwhile_takes_its_result_along():
    image, layer = picture()
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 17, 15, 20, 10)
    with before_the_result("source.drawable.set_offsets(-3, 9)"):
        result = run("identity", image, layer)
    assert box(result) == (7, 19, 20, 10)


def test_what_is_painted_meanwhile_stays_out_of_the_result():
    for precision in (Precision.DOUBLE_LINEAR, Precision.U32_NON_LINEAR, Precision.U8_NON_LINEAR):
        image, layer = picture(precision=precision)
        before = native(layer)
        with before_the_result("source.drawable.fill(Gimp.FillType.WHITE)"):
            result = run("identity", image, layer)
        assert native(layer) != before
        assert native(result) == before, precision
        image.delete()


def test_an_engine_killed_under_a_filter_is_told_of_and_the_next_one_works():
    image, layer = picture()
    run("identity", image, layer)
    with meanwhile(lambda: os.kill(engine_pid(), signal.SIGKILL)):
        refused("execution-error", "engine", "slow", image, layer, steps=2000)
    run("identity", image, layer)


def test_an_engine_that_hangs_is_told_of_and_replaced():
    image, layer = picture()
    run("identity", image, layer)
    hung = engine_pid()
    with meanwhile(lambda: os.kill(hung, signal.SIGSTOP)):
        refused("execution-error", "does not answer", "slow", image, layer, steps=2000)
    run("identity", image, layer)
    assert engine_pid() != hung


def test_a_plugin_that_gimp_kills_leaves_the_image_and_an_idle_engine():
    """SIGKILL is what GIMP's own Cancel sends."""
    image, layer = picture()
    before = native(layer)
    with meanwhile(lambda: [os.kill(pid, signal.SIGKILL) for pid in plugin_pids()]):
        answer = call("slow", image, layer, steps=10000, step_ms=10.0)
    assert answer.status != "success"
    assert tree(image) == ["photo"]
    assert native(layer) == before
    started = time.monotonic()
    run("slow", image, layer, steps=1)  # one worker: it waits for the killed one's job, 100 seconds, or not
    assert time.monotonic() - started < 20


def test_an_engine_that_refuses_the_password_is_told_of():
    image, layer = picture()
    run("identity", image, layer)
    known = json.loads(CONNECTION.read_text("utf-8"))
    with replaced(CONNECTION, json.dumps({**known, "token": "0" * 64})):
        refused("execution-error", "did not accept this editor", "identity", image, layer)
    run("identity", image, layer)


def test_an_engine_of_another_version_is_told_of():
    image, layer = picture()
    run("identity", image, layer)
    protocol = PLUGIN / "vendor/calotype_wire/protocol.py"
    text = protocol.read_text("utf-8").replace("VERSIONS = (1,)", "VERSIONS = (99,)")
    with replaced(protocol, text):
        refused("execution-error", "engine is the older one", "identity", image, layer)
    run("identity", image, layer)


def test_no_engine_and_no_installation_are_told_of():
    image, layer = picture()
    run("identity", image, layer)
    os.kill(engine_pid(), signal.SIGKILL)
    installation = Path(home("installation.json"))
    with replaced(installation, None):
        refused("execution-error", "install.py", "identity", image, layer)
    with replaced(installation, json.dumps({"python": home("gone/bin/python")})):
        refused("execution-error", "install.py", "identity", image, layer)
    run("identity", image, layer)


def test_a_plugin_without_its_files_says_so():
    image, layer = picture()
    vendor, away = PLUGIN / "vendor", PLUGIN / "away"
    vendor.rename(away)
    try:
        refused("execution-error", "install.py", "identity", image, layer)
    finally:
        away.rename(vendor)
    run("identity", image, layer)


def test_a_mistake_of_the_plugin_becomes_a_sentence_and_a_file():
    image, layer = picture()
    results = PLUGIN / "results.py"
    text = results.read_text("utf-8").replace(
        "def insert(", "def insert(source, *_):\n    1 / 0\n\n\ndef old("
    )
    with replaced(results, text):
        refused("execution-error", "report it", "identity", image, layer)
    assert "ZeroDivisionError" in Path(home("log/gimp.log")).read_text("utf-8")


def test_an_operation_that_the_engine_lost_since_the_start_is_no_crash():
    image, layer = picture()
    catalogue = Path(home("catalogue.json"))
    known = json.loads(catalogue.read_text("utf-8"))
    rest = [operation for operation in known["operations"] if operation["name"] != "invert"]
    with replaced(catalogue, json.dumps({**known, "operations": rest})):
        answer = call("invert", image, layer)
    assert tree(image) == ["photo"], answer


def test_a_full_disk_is_told_of():
    """No file of the engine may grow beyond so many blocks of 512 bytes: first none, then no picture."""
    image, layer = picture(600, 500)
    python = Path(json.loads(Path(home("installation.json")).read_text("utf-8"))["python"])
    script = python.read_text("utf-8")
    for blocks, words in ((0, "Free some disk space"), (200, "no room for the picture")):
        os.kill(engine_pid(), signal.SIGKILL) if CONNECTION.exists() else None
        python.write_text(script.replace("exec", f"ulimit -f {blocks}; exec"))
        try:
            refused("execution-error", words, "identity", image, layer)
        finally:
            python.write_text(script)
    os.kill(engine_pid(), signal.SIGKILL)
    run("identity", image, layer)
