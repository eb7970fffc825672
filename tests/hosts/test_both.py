"""Krita and GIMP at the same time."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from hosts import rootfs
from hosts.gimp import Gimp
from hosts.test_krita import STAGE, TRIALS, Studio

reason = rootfs.why_not()
pytestmark = [pytest.mark.skipif(reason is not None, reason=str(reason)), pytest.mark.timeout(300)]

IN_KRITA = """
from krita_stage import *
def scenario_both():
    document, photo = opened()
    yield settled(document, photo)
    studio().run(document, "slow", {"steps": 50, "step_ms": 20})
    yield ran(document)
    assert names(document) == ["Photo", "Slow"], sentences(document)
"""
IN_GIMP = """
from gi.repository import Gimp
def test_both():
    image = Gimp.Image.new(40, 30, Gimp.ImageBaseType.RGB)
    layer = Gimp.Layer.new(image, "Photo", 40, 30, Gimp.ImageType.RGBA_IMAGE, 100, Gimp.LayerMode.NORMAL)
    image.insert_layer(layer, None, 0)
    procedure = Gimp.get_pdb().lookup_procedure("plug-in-calotype-slow")
    config = procedure.create_config()
    config.set_property("run-mode", Gimp.RunMode.NONINTERACTIVE)
    config.set_property("image", image)
    config.set_core_object_array("drawables", [layer])
    assert procedure.run(config).index(0) == Gimp.PDBStatusType.SUCCESS, Gimp.get_pdb().get_last_error()
    assert len(image.get_layers()) == 2
"""


def test_two_editors_that_start_at_once_share_one_engine(tmp_path):
    work = tmp_path / "both"
    gimp = Gimp(work)
    studio = Studio(work, TRIALS)
    gimp.environment["CALOTYPE_HOME"] = str(studio.home)
    (tmp_path / "in_krita.py").write_text(IN_KRITA)
    (tmp_path / "in_gimp.py").write_text(IN_GIMP)
    shutil.copy(STAGE, tmp_path)
    try:
        with ThreadPoolExecutor() as pool:
            krita = pool.submit(studio.run, [tmp_path / "in_krita.py"], "both")
            answered = gimp.run(tmp_path / "in_gimp.py", timeout_s=60)
            assert krita.result() == {"both": ""}
        assert answered == {"test_both": ""}
        engines = [p for p in psutil.process_iter() if _serves(p, str(studio.home))]
        assert len(engines) == 1
    finally:
        studio.close()


def _serves(process: psutil.Process, home: str) -> bool:
    try:
        return "serve" in process.cmdline() and process.environ().get("CALOTYPE_HOME") == home
    except psutil.Error:
        return False
