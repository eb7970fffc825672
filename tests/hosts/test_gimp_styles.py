"""Styles trained and looked after in GIMP's windows, as people do it; pictures in build/screenshots."""

import json
import shutil
import time

import numpy as np
import pytest
from PIL import Image

from calotype.portfolio import stylefile
from hosts import rootfs
from hosts.gimp import PROJECT, with_engine
from hosts.gimp_screen import on_screen
from hosts.test_gimp_screen import IMAGE, grainy, status_bar, tree

pytestmark = [
    pytest.mark.skipif(rootfs.why_not() is not None, reason=str(rootfs.why_not())),
    pytest.mark.timeout(600),
]
TRAINING, STYLES = "^Train Style", "^Styles$"
SECONDS = 12


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    work = tmp_path_factory.mktemp("Zoë's styles")
    with with_engine(work) as gimp:
        gimp.learn()
        with on_screen(gimp, grainy(work / "photo.png")) as shown:
            shown.timed = False
            yield shown


@pytest.fixture
def gimp(screen):
    """No window open but GIMP's own, one layer, and no style of the user's."""
    for title in ("GIMP Message", "^(Delete|Rename|Import|Export|Discard)", STYLES, TRAINING):
        while screen.shows(title):
            activate(screen, title)
            screen.key("Escape")
    for path in folder(screen).glob("*.calostyle"):
        path.unlink()
    shutil.rmtree(folder(screen) / "unfinished", ignore_errors=True)
    activate(screen, "photo.*GIMP")
    screen.tell(
        f"image = {IMAGE}\n"
        "for layer in image.get_layers()[:-1]:\n image.remove_layer(layer)\n"
        "image.clean_all()"
    )
    return screen


def folder(screen):
    return screen.gimp.calotype / "styles"


def own(screen):
    return sorted(path.stem for path in folder(screen).glob("*.calostyle"))


def unfinished(screen):
    return [path.parent.name for path in folder(screen).glob("unfinished/*/plan.json")]


def favourites(screen):
    path = folder(screen) / "favourites.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else []


def activate(screen, title):
    screen.x("xdotool", "windowactivate", "--sync", screen.window(title), "sleep", "0.3")


def write(screen, text):
    """Into the entry that has the keyboard, instead of what is there."""
    screen.key("ctrl+a")
    screen.x("xdotool", "type", "--delay", "40", text)


def train(screen, name, *, more=None):
    """By the dialog, to the window with the curve. How long is typed once: the dialog remembers.

    more: a folder that is chosen as well.
    """
    screen.filter("Train Style")
    screen.window(TRAINING)
    time.sleep(0.5)
    screen.key("alt+n")
    write(screen, name)
    if not screen.timed:
        screen.key("Tab", "Tab", "Tab", "space", "shift+Tab")
        write(screen, f"{SECONDS}\t")
    if more:
        choose_folder(screen, more)
    screen.picture("training-dialog")
    screen.key("alt+o")
    screen.wait(lambda: unfinished(screen) == [name], 120)


def choose_folder(screen, path):
    screen.key("alt+f", "shift+Tab", "space")
    time.sleep(1)
    screen.key("Up", "Return")  # Other...
    screen.window("^More pictures$")
    write(screen, str(path))
    screen.wait(lambda: returned(screen, "^More pictures$"))


def train_a_little(screen, name, key):
    """Until there is something that can go on; key: of the button that ends it."""
    train(screen, name)
    screen.wait(lambda: learnt_a_little(screen, name), 120)
    activate(screen, TRAINING)
    screen.key(key)
    screen.wait(lambda: not screen.shows(TRAINING), 60)


def learnt_a_little(screen, name):
    """Whether there is something that can go on."""
    return (folder(screen) / "unfinished" / name / "checkpoint.safetensors").exists()


def window(screen, title, name):
    """The window's picture, as floats."""
    found = screen.x("xdotool", "getwindowgeometry", "--shell", screen.window(title))
    at = {key: int(value) for key, value in (line.split("=") for line in found.splitlines() if "=" in line)}
    screen.picture(name)
    shown = Image.open(PROJECT / f"build/screenshots/gimp-{name}.png").convert("RGB")
    box = at["X"], at["Y"], at["X"] + at["WIDTH"], at["Y"] + at["HEIGHT"]
    return np.asarray(shown.crop(box), float)


def is_curve(picture):
    """Pixels in the curve's own colour."""
    return (np.abs(picture - (0xE8, 0x8A, 0x2E)) < 6).all(axis=2)


def open_styles(screen):
    activate(screen, "photo.*GIMP")
    screen.filter("Styles")
    screen.window(STYLES)
    time.sleep(3)


def test_a_training_is_watched_paused_resumed_and_finished_while_gimp_goes_on(gimp):
    train(gimp, "Zoe 1")
    gimp.wait(lambda: is_curve(window(gimp, TRAINING, "training")).sum() > 100, 120)
    activate(gimp, "photo.*GIMP")
    gimp.filter("Invert")  # GIMP and its other filters are free
    gimp.wait(lambda: "Inverted" in tree(gimp), 60)
    assert gimp.shows(TRAINING)
    gimp.key("ctrl+z")
    gimp.wait(lambda: tree(gimp) == ["photo.png"])
    gimp.wait(lambda: learnt_a_little(gimp, "Zoe 1"), 120)
    activate(gimp, TRAINING)
    gimp.key("alt+p")
    gimp.wait(lambda: not gimp.shows(TRAINING), 60)
    gimp.timed = True
    gimp.picture("training-paused")
    assert not gimp.shows("GIMP Message")
    assert (unfinished(gimp), own(gimp)) == (["Zoe 1"], [])
    assert not gimp.ask(f"{IMAGE}.is_dirty()")
    open_styles(gimp)
    gimp.picture("styles-unfinished")
    gimp.key("alt+s")
    gimp.wait(lambda: is_curve(window(gimp, TRAINING, "training-resumed")).sum() > 100, 120)
    gimp.wait(lambda: own(gimp) == ["Zoe 1"], 180)
    gimp.wait(lambda: not gimp.shows(TRAINING), 60)
    time.sleep(1)
    gimp.picture("styles-resumed")
    assert unfinished(gimp) == []
    assert gimp.shows(STYLES)


def test_what_was_resumed_ends_well_though_styles_is_closed_and_the_next_style_has_no_name(gimp):
    train_a_little(gimp, "Resumed", "alt+p")
    gimp.timed = True
    open_styles(gimp)
    gimp.key("alt+s")
    gimp.window(TRAINING)
    activate(gimp, STYLES)
    gimp.key("Escape")
    gimp.wait(lambda: not gimp.shows(STYLES))
    gimp.picture("styles-closed")
    before = status_bar("styles-closed")
    gimp.wait(lambda: own(gimp) == ["Resumed"], 180)
    gimp.wait(lambda: not gimp.shows(TRAINING), 60)
    time.sleep(1)
    gimp.picture("styles-closed-ended")
    assert not np.array_equal(status_bar("styles-closed-ended"), before)
    train(gimp, "Trained")
    gimp.wait(lambda: own(gimp) == ["Resumed", "Trained"], 180)
    gimp.wait(lambda: not gimp.shows(TRAINING), 60)
    gimp.filter("Train Style")
    gimp.window(TRAINING)
    time.sleep(0.5)
    gimp.key("alt+o")
    gimp.wait(lambda: unfinished(gimp) == ["photo"], 120)


def test_cancel_leaves_nothing_unfinished(gimp):
    train_a_little(gimp, "nobody", "alt+c")
    assert (unfinished(gimp), own(gimp)) == ([], [])
    assert tree(gimp) == ["photo.png"]
    assert not gimp.ask(f"{IMAGE}.is_dirty()")


def learn(screen, name):
    """At once, by a script."""
    screen.tell(
        "procedure = Gimp.get_pdb().lookup_procedure('plug-in-calotype-train-style')\n"
        "config = procedure.create_config()\n"
        f"config.set_property('image', {IMAGE})\n"
        f"config.set_property('name', {name!r})\n"
        "config.set_property('level', 'instant')\n"
        "answer = procedure.run(config).index(0).value_nick",
        180,
    )
    assert name in own(screen)


def test_styles_are_renamed_loved_brought_in_and_deleted(gimp):
    learn(gimp, "first")
    open_styles(gimp)
    assert own(gimp) == ["first"]
    gimp.key("alt+r")
    gimp.window("^Rename$")
    write(gimp, "second")
    gimp.key("Return")
    gimp.wait(lambda: own(gimp) == ["second"])
    gimp.key("alt+f")
    gimp.wait(lambda: favourites(gimp) == ["second"])
    gimp.key("alt+u")
    gimp.wait(lambda: own(gimp) == ["second", "second 2"])
    time.sleep(1)
    gimp.picture("styles-named")
    gimp.key("alt+d")
    gimp.window("^Delete$")
    gimp.picture("styles-delete")
    gimp.key("Escape")
    assert own(gimp) == ["second", "second 2"]
    gimp.key("alt+d")
    gimp.window("^Delete$")
    gimp.key("alt+d")
    gimp.wait(lambda: own(gimp) == ["second"])
    gimp.picture("styles-deleted")
    gimp.tell("Gimp.displays_flush()")  # GIMP goes on
    gimp.key("Escape")
    gimp.wait(lambda: not gimp.shows(STYLES))


def test_a_broken_file_is_told_of_in_the_window_and_a_good_one_is_brought_in(gimp):
    learn(gimp, "first")
    good, broken = (gimp.gimp.home / f"{name}.calostyle" for name in ("from a friend", "broken"))
    good.write_bytes((folder(gimp) / "first.calostyle").read_bytes())
    broken.write_bytes(good.read_bytes()[:3000])
    open_styles(gimp)
    bring_in(gimp, broken)
    before = window(gimp, STYLES, "styles-broken")
    assert own(gimp) == ["first"]
    assert not gimp.shows("GIMP Message")
    bring_in(gimp, good)
    gimp.wait(lambda: own(gimp) == ["first", "from a friend"])
    time.sleep(1)
    assert not np.array_equal(window(gimp, STYLES, "styles-imported"), before)


def returned(screen, title):
    """Whether the window has gone; one more Return, where GTK took the last one to complete the path."""
    time.sleep(1)
    if screen.shows(title):
        screen.key("Return")
    return not screen.shows(title)


def bring_in(screen, path):
    screen.key("alt+i")
    screen.window("^Import a style$")
    screen.key("ctrl+l")
    write(screen, f"~/{path.name}")
    screen.wait(lambda: returned(screen, "^Import a style$"))
    time.sleep(1)


def test_a_style_is_searched_for_and_given_away(gimp):
    learn(gimp, "first")
    learn(gimp, "second")
    open_styles(gimp)
    write(gimp, "seco")  # the search has the keyboard
    time.sleep(1)
    gimp.picture("styles-found")
    away = gimp.gimp.home / "away.calostyle"
    gimp.key("alt+x")
    gimp.window("^Export a style$")
    write(gimp, str(away))
    gimp.wait(lambda: returned(gimp, "^Export a style$"))
    gimp.wait(away.exists)
    assert away.read_bytes() == (folder(gimp) / "second.calostyle").read_bytes()
    time.sleep(1)
    gimp.picture("styles-exported")
    assert own(gimp) == ["first", "second"]


def test_what_is_unfinished_is_discarded_after_a_question(gimp):
    train_a_little(gimp, "half", "alt+p")
    open_styles(gimp)
    gimp.key("alt+a")
    gimp.window("^Discard$")
    gimp.key("Escape")
    assert unfinished(gimp) == ["half"]
    gimp.key("alt+a")
    gimp.window("^Discard$")
    gimp.picture("styles-discard")
    gimp.key("alt+d")
    gimp.wait(lambda: unfinished(gimp) == [])
    assert own(gimp) == []


def test_a_style_that_comes_while_a_dialog_is_open_can_be_chosen_there(gimp):
    gimp.filter("Stylize")
    gimp.window("^Stylize$")
    time.sleep(3)
    learn(gimp, "a newcomer")
    time.sleep(3)
    gimp.key("alt+t", "Tab", "Up")  # from the first of the catalogue, which is chosen, to the user's own
    time.sleep(1)
    gimp.picture("combo-newcomer")
    gimp.key("alt+o")
    gimp.wait(lambda: len(tree(gimp)) == 2, 240)
    made = gimp.ask(f"bytes({IMAGE}.get_layers()[0].get_parasite('calotype').get_data()).decode()")
    assert json.loads(made)["parameters"]["style"] == "a newcomer"
    gimp.key("ctrl+z")
    gimp.wait(lambda: tree(gimp) == ["photo.png"])
    assert not gimp.ask(f"{IMAGE}.is_dirty()")


def test_more_pictures_may_be_a_folder(gimp):
    more = gimp.gimp.work / "more of me"
    more.mkdir()
    for seed in range(3):
        grainy(more / f"sheet {seed}.png")
    train(gimp, "all of me", more=more)
    gimp.wait(lambda: own(gimp) == ["all of me"], 180)
    card = stylefile.parse((folder(gimp) / "all of me.calostyle").read_bytes()).card
    assert sorted(card.sources)[-3:] == ["sheet 0", "sheet 1", "sheet 2"]
    assert len(card.sources) == 4


def test_closing_the_image_meanwhile_is_no_error(gimp):
    """The last test here: there is no image any more."""
    train(gimp, "goes on")
    gimp.tell("Gimp.Display.get_by_id(1).delete()")
    assert gimp.ask("len(Gimp.get_images())") == 0
    gimp.wait(lambda: own(gimp) == ["goes on"], 180)
    gimp.wait(lambda: not gimp.shows(TRAINING), 60)
    assert not gimp.shows("GIMP Message")
