"""Krita and GIMP at the same time."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from hosts import rootfs
from hosts.gimp import Gimp
from hosts.test_krita import STAGE, TRIALS, Studio

reason = rootfs.why_not()
pytestmark = [pytest.mark.skipif(reason is not None, reason=str(reason)), pytest.mark.timeout(600)]

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


TRAINS_IN_KRITA = """
from krita_learning import *
def scenario_trains():
    document = photo_opened()
    yield lambda: app.activeDocument() == document and document.activeNode() is not None
    trained(name="From Krita", level="standard", seconds=12.0)
    yield from patiently(ended)
    assert not told()[0] and "From Krita" in told()[1], told()
"""
PAINTS_IN_GIMP = """
from gi.repository import Gimp
from gimp_inside import box, native, picture, run, samples, selected
def test_paints():
    image, layer = picture(200, 160)
    image.select_ellipse(Gimp.ChannelOps.REPLACE, 40, 30, 110, 90)
    Gimp.Selection.feather(image, 12)
    before = native(layer)
    painted = run("stylize", image, layer, style="From Krita", refine=0)
    assert native(layer) == before
    weights = selected(image, *box(painted))
    assert any(0 < weight < 255 for weight in weights)
    assert bytes(int(pixel[3]) for pixel in samples(painted)) == weights
    other = run("stylize", image, layer, style="starry-night", refine=0)
    assert native(other) != native(painted)
"""


@pytest.fixture
def studio(tmp_path):
    """A Krita whose engine GIMP uses, too, once it is told of its home."""
    made = Studio(tmp_path / "both", TRIALS)
    for script in (STAGE, STAGE.with_name("krita_learning.py")):
        shutil.copy(script, tmp_path)
    yield made
    made.close()


def gimp_beside(studio):
    gimp = Gimp(studio.work)
    gimp.environment["CALOTYPE_HOME"] = str(studio.home)
    return gimp


def test_a_style_that_was_trained_in_krita_paints_a_feathered_selection_in_gimp(studio, tmp_path):
    (tmp_path / "trains_in_krita.py").write_text(TRAINS_IN_KRITA)
    (tmp_path / "paints_in_gimp.py").write_text(PAINTS_IN_GIMP)
    assert studio.run([tmp_path / "trains_in_krita.py"], "trains", timeout_s=240) == {"trains": ""}
    assert gimp_beside(studio).run(tmp_path / "paints_in_gimp.py", timeout_s=60) == {"test_paints": ""}


def test_two_editors_that_start_at_once_share_one_engine(studio, tmp_path):
    gimp = gimp_beside(studio)
    (tmp_path / "in_krita.py").write_text(IN_KRITA)
    (tmp_path / "in_gimp.py").write_text(IN_GIMP)
    with ThreadPoolExecutor() as pool:
        krita = pool.submit(studio.run, [tmp_path / "in_krita.py"], "both")
        answered = gimp.run(tmp_path / "in_gimp.py", timeout_s=60)
        assert krita.result() == {"both": ""}
    assert answered == {"test_both": ""}
    engines = [p for p in psutil.process_iter() if _serves(p, str(studio.home))]
    assert len(engines) == 1


def _serves(process: psutil.Process, home: str) -> bool:
    try:
        return "serve" in process.cmdline() and process.environ().get("CALOTYPE_HOME") == home
    except psutil.Error:
        return False
