"""Check and Correct in real GIMP, by procedures and in dialogs; pictures in build/screenshots."""

import time

import numpy as np
import pytest
from PIL import Image

from hosts import rootfs
from hosts.gimp import HERE, PROJECT, with_engine
from hosts.gimp_screen import on_screen
from hosts.test_gimp import scenarios
from hosts.test_gimp_screen import IMAGE, box, tree

pytestmark = [
    pytest.mark.skipif(rootfs.why_not() is not None, reason=str(rootfs.why_not())),
    pytest.mark.timeout(900),
]
SIDE = 384


@pytest.fixture(scope="module")
def gimp(tmp_path_factory):
    with with_engine(tmp_path_factory.mktemp("Zoë's anomalies")) as made:
        made.learn()
        yield made


@pytest.fixture(scope="module")
def anomalies(gimp):
    return gimp.run(HERE / "gimp_anomalies.py", timeout_s=600)


@pytest.mark.parametrize("scenario", scenarios("gimp_anomalies.py"))
def test_anomalies(anomalies, scenario):
    assert not anomalies[scenario], anomalies[scenario]


@pytest.fixture(scope="module")
def screen(gimp):
    with on_screen(gimp, spoilt(gimp.work / "photo.png")) as shown:
        yield shown


def spoilt(path):
    """The astronaut with noise in a square."""
    photo = Image.open(PROJECT / "engine/calotype/photos/astronaut.png").convert("RGB").resize((SIDE, SIDE))
    pixels = np.asarray(photo, float).copy()
    part = pixels[240:336, 240:336]
    part += np.random.default_rng(0).normal(0, 51, part.shape)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
    return path


@pytest.fixture
def photo(screen):
    """One layer, clean, no dialog open."""
    screen.tell(
        f"image = {IMAGE}\n"
        "for layer in image.get_layers()[:-1]:\n image.remove_layer(layer)\n"
        "image.clean_all(); Gimp.displays_flush()"
    )
    return screen


@pytest.mark.parametrize("filter", ["Check", "Correct", "Stylize"])
def test_the_dialogs_fit_on_a_small_screen(photo, filter):
    photo.filter(filter)
    title = f"^{filter}$"
    photo.window(title)
    time.sleep(10)  # the preview
    photo.picture(f"dialog-{filter.lower()}")
    width, height = box(photo, title)
    photo.key("Escape")
    photo.wait(lambda: not photo.shows(title))
    assert width < 1000
    assert height < 700
    assert tree(photo) == ["photo.png"]


def test_one_undo_takes_the_map_away_and_one_the_repair(photo):
    photo.filter("Check")
    photo.window("^Check$")
    photo.key("Return")
    photo.wait(lambda: tree(photo) == ["Anomalies", "photo.png"], 120)
    time.sleep(1)
    photo.picture("checked")
    photo.filter("Correct")
    photo.window("^Correct$")
    photo.key("Return")
    photo.wait(lambda: tree(photo) == ["Anomalies", "Corrected", "photo.png"], 240)
    time.sleep(1)
    photo.picture("corrected")
    photo.key("ctrl+z")
    photo.wait(lambda: tree(photo) == ["Anomalies", "photo.png"])
    photo.key("ctrl+z")
    photo.wait(lambda: tree(photo) == ["photo.png"])
    assert not photo.ask(f"{IMAGE}.is_dirty()")
