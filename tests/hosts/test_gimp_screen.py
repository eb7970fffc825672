"""The plug-in as people use it: menus, dialogs, the progress window, undo; pictures in build/screenshots."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from hosts import rootfs
from hosts.gimp import HERE, PROJECT, with_engine
from hosts.gimp_screen import on_screen

pytestmark = [
    pytest.mark.skipif(rootfs.why_not() is not None, reason=str(rootfs.why_not())),
    pytest.mark.timeout(600),
]
IMAGE = "[i for i in Gimp.get_images() if i.get_file()][0]"
DISPLAYS = "[Gimp.Display.get_by_id(i) for i in range(1, 9) if Gimp.Display.id_is_valid(i)]"


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    with with_engine(tmp_path_factory.mktemp("Zoë's screen")) as gimp:
        gimp.learn(HERE / "gimp_echo.py")
        with on_screen(gimp, grainy(gimp.work / "photo.png")) as shown:
            yield shown


def grainy(path):
    photo = np.asarray(Image.open(PROJECT / "engine/calotype/photos/astronaut.png").convert("RGB"), float)
    noisy = photo + np.random.default_rng(1).normal(0, 18, photo.shape)
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path)
    return path


@pytest.fixture
def photo(screen):
    """One layer, clean, nothing selected, no dialog open."""
    for window in ("GIMP Message", "^Slow$"):
        while screen.shows(window):
            activate(screen, window)
            screen.key("Escape")
    screen.tell(
        f"image = {IMAGE}\n"
        "for layer in image.get_layers()[:-1]:\n image.remove_layer(layer)\n"
        "image.get_layers()[0].set_offsets(0, 0)\n"
        "Gimp.Selection.none(image); image.clean_all(); Gimp.displays_flush()"
    )
    return screen


def box(screen, title):
    """Width and height of a window."""
    found = screen.x("xdotool", "getwindowgeometry", "--shell", screen.window(title))
    known = dict(line.split("=") for line in found.splitlines())
    return int(known["WIDTH"]), int(known["HEIGHT"])


def activate(screen, title):
    screen.x("xdotool", "windowactivate", "--sync", screen.window(title), "sleep", "0.3")


def tree(screen):
    return screen.ask(f"[layer.get_name() for layer in {IMAGE}.get_layers()]")


def test_the_menu_the_dialog_and_the_result(photo):
    photo.filter("Restore", "menu")
    photo.window("^Restore$")
    photo.picture("dialog")
    width, height = box(photo, "^Restore$")
    assert width < 900
    assert height < 700, "a screen of 768 pixels, less the window's title and a panel"
    photo.key("Return")
    photo.wait(lambda: tree(photo) == ["Restoration", "photo.png"], 120)
    photo.picture("result")


def test_the_dialog_shows_before_and_after_and_follows_its_values(photo):
    photo.filter("Stylize")
    photo.window("^Stylize$")
    photo.wait(lambda: line(photo) is not None, 60)
    painted = previewed(photo, "preview")
    drag(photo, line(photo), 380)
    photo.wait(lambda: apart(previewed(photo, "preview-before"), painted) > 5)
    before = previewed(photo, "preview-before")
    drag(photo, 371, 40)
    photo.wait(lambda: apart(previewed(photo, "preview-after"), before) > 15)
    photo.key("alt+t")  # Strength
    photo.x("xdotool", "type", "0\t")
    photo.wait(lambda: apart(previewed(photo, "preview-off"), before) < 1)
    photo.key("Escape")
    photo.wait(lambda: not photo.shows("^Stylize$"))
    assert tree(photo) == ["photo.png"]
    assert not photo.ask(f"{IMAGE}.is_dirty()")


def corner(screen):
    """Of the dialog."""
    place = screen.x("xdotool", "getwindowgeometry", "--shell", screen.window("^Stylize$"))
    known = dict(line.split("=") for line in place.splitlines() if "=" in line)
    return int(known["X"]), int(known["Y"])


def previewed(screen, name):
    """What the dialog's preview shows, without its edges."""
    x, y = corner(screen)
    screen.picture(name)
    shown = Image.open(PROJECT / f"build/screenshots/gimp-{name}.png").convert("RGB")
    return np.asarray(shown.crop((x + 40, y + 120, x + 360, y + 360)), float)


def line(screen):
    """How far from the dialog's edge the white line between before and after is; None where there is none."""
    white = (previewed(screen, "preview") > 250).all(axis=(0, 2))
    return 40 + int(np.flatnonzero(white)[0]) if white.any() else None


def drag(screen, since, to):
    x, y = corner(screen)
    there = ("mousemove", str(x + to), str(y + 230), "sleep", "0.2", "mouseup", "1")
    screen.x("xdotool", "mousemove", str(x + since), str(y + 230), "sleep", "0.2", "mousedown", "1", *there)


def apart(one, other):
    return np.abs(one - other).mean()


def test_one_undo_takes_the_result_away_and_redo_brings_it_back(photo):
    photo.filter("Invert")
    photo.wait(lambda: tree(photo) == ["Inverted", "photo.png"])
    corner = f"{IMAGE}.get_layers()[0].get_pixel(3, 3).get_rgba()[:3]"
    inverted = photo.ask(corner)
    photo.key("ctrl+z")
    photo.wait(lambda: tree(photo) == ["photo.png"])
    assert not photo.ask(f"{IMAGE}.is_dirty()")
    photo.key("ctrl+y")
    photo.wait(lambda: tree(photo) == ["Inverted", "photo.png"])
    assert photo.ask(corner) == inverted
    assert photo.ask(f"{IMAGE}.get_layers()[0].get_parasite('calotype') is not None")


def test_parts_are_one_step_of_undo(photo):
    photo.filter("Parts")
    photo.window("^Parts$")
    photo.picture("dialog-kinds")
    photo.key("Return")
    photo.wait(lambda: photo.ask(f"len({DISPLAYS})") == 2)
    photo.tell(f"{DISPLAYS}[-1].delete()")
    assert tree(photo) == ["Parts", "photo.png"]
    photo.key("ctrl+z")
    photo.wait(lambda: tree(photo) == ["photo.png"])
    assert not photo.shows("GIMP Message")


def test_the_report_is_a_line_in_the_status_bar_for_a_while_and_no_box(photo):
    photo.filter("Invert")
    photo.wait(lambda: tree(photo) == ["Inverted", "photo.png"])
    time.sleep(1)
    photo.picture("report")
    shown = status_bar("report")
    assert not photo.shows("GIMP Message")
    time.sleep(9)
    photo.picture("report-over")
    assert not np.array_equal(status_bar("report-over"), shown)


def status_bar(name):
    """Where a picture of the screen has it."""
    taken = Image.open(PROJECT / f"build/screenshots/gimp-{name}.png").convert("RGB")
    return np.asarray(taken.crop((480, 720, 830, 746)))


def test_a_script_gets_no_message(photo):
    photo.tell(
        f"image = {IMAGE}\n"
        "procedure = Gimp.get_pdb().lookup_procedure('plug-in-calotype-parts')\n"
        "config = procedure.create_config()\n"
        "config.set_property('run-mode', Gimp.RunMode.NONINTERACTIVE)\n"
        "config.set_property('image', image)\n"
        "config.set_core_object_array('drawables', image.get_layers())\n"
        "procedure.run(config).index(2).delete()"
    )
    time.sleep(1)
    assert not photo.shows("GIMP Message")
    assert tree(photo) == ["Parts", "photo.png"]


def test_the_dialog_tells_the_newest_result_in_a_line(photo):
    """Whatever else there is in a layer under that name."""
    bottom = f"{IMAGE}.get_layers()[-1]"
    photo.tell(f"{bottom}.attach_parasite(Gimp.Parasite.new('calotype', 0, b'[not ours'))")
    photo.filter("Echo")
    _, plain = box(photo, "^Echo$")
    photo.key("Escape")
    photo.wait(lambda: not photo.shows("^Echo$"))
    photo.filter("Invert")
    photo.wait(lambda: tree(photo) == ["Inverted", "photo.png"])
    photo.filter("Echo")
    _, told = box(photo, "^Echo$")
    photo.picture("last-result")
    photo.key("Escape")
    photo.wait(lambda: not photo.shows("^Echo$"))
    photo.tell(f"{bottom}.detach_parasite('calotype')")
    assert 15 < told - plain < 40


def test_the_dialog_s_values_arrive_and_repeat_takes_the_last_ones(photo):
    photo.filter("Echo")
    photo.window("^Echo$")
    photo.key("alt+e")
    photo.x("xdotool", "type", "7.5")
    photo.key("alt+w", "Tab", "space", "Return")  # the box that says Automatic
    photo.wait(lambda: len(tree(photo)) == 2)
    told = {"auto": 50.0, "flag": False, "kind": "a", "level": 7.5, "look": "starry-night", "whole": 3}
    assert echoed(photo) == told
    photo.key("ctrl+f")
    photo.wait(lambda: len(tree(photo)) == 3)
    assert echoed(photo) == told
    photo.filter("Echo")
    photo.window("^Echo$")
    photo.key("Return")
    photo.wait(lambda: len(tree(photo)) == 4)
    assert echoed(photo) == told


def test_repeat_takes_the_layer_of_the_last_time(photo):
    photo.tell(
        f"image = {IMAGE}\nother = image.get_layers()[0].copy()\nother.set_name('Beside')\n"
        "image.insert_layer(other, None, 1)\nimage.set_selected_layers([image.get_layers()[0]])"
    )
    photo.filter("Echo")
    photo.window("^Echo$")
    photo.key("Return")
    photo.wait(lambda: len(tree(photo)) == 3)
    assert "other" not in echoed(photo)
    assert photo.ask(f"bytes({IMAGE}.get_parasite('calotype-layers-echo').get_data()).decode()") == "{}"
    photo.tell(
        f"import json\nimage = {IMAGE}\n"
        "other = [layer for layer in image.get_layers() if layer.get_name() == 'Beside'][0]\n"
        "data = json.dumps({'other': other.get_id()}).encode()\n"
        "image.attach_parasite(Gimp.Parasite.new('calotype-layers-echo', 0, data))\n"
        "image.set_selected_layers([image.get_layers()[-2]])"
    )
    photo.key("ctrl+f")
    photo.wait(lambda: len(tree(photo)) == 4)
    given = [json.JSONDecoder().raw_decode(name)[0] for name in tree(photo) if name.startswith("{")]
    assert [each.get("other") for each in given].count(1) == 1
    photo.tell(
        f"image = {IMAGE}\n"
        "[image.remove_layer(layer) for layer in image.get_layers() if layer.get_name() == 'Beside']"
    )
    photo.key("ctrl+f")
    photo.window("GIMP Message")
    assert len(tree(photo)) == 3


def echoed(screen):
    """GIMP adds a number where there is a layer of that name."""
    return json.JSONDecoder().raw_decode(tree(screen)[0])[0]


def test_cancel_in_the_window_ends_the_filter_at_once_and_the_next_one_works(photo):
    slow(photo)
    photo.picture("progress")
    photo.key("space", "Return")  # meant for the picture
    time.sleep(1)
    assert photo.shows("^Slow$")
    activate(photo, "^Slow$")
    photo.key("Escape")
    photo.wait(lambda: not photo.shows("^Slow$"), 10)
    assert tree(photo) == ["photo.png"]
    assert not photo.ask(f"{IMAGE}.is_dirty()")
    photo.filter("Invert")  # the one worker is free again
    photo.wait(lambda: tree(photo) == ["Inverted", "photo.png"], 20)


def slow(screen, steps=3000):
    screen.filter("Slow")
    screen.window("^Slow$")
    screen.key("alt+t")
    screen.x("xdotool", "type", str(steps))
    screen.key("Tab", "Return")
    screen.wait(lambda: not screen.shows("^Slow$"))
    screen.window("^Slow$")
    time.sleep(1)


def test_gimp_s_own_cancel_kills_the_plugin_and_the_engine_drops_the_job(photo):
    """GIMP shows its button, in the image's status bar, where a script runs a filter."""
    script = (
        "procedure = Gimp.get_pdb().lookup_procedure('plug-in-calotype-slow')\n"
        "config = procedure.create_config()\n"
        f"image = {IMAGE}\n"
        "config.set_property('image', image)\n"
        "config.set_core_object_array('drawables', image.get_layers())\n"
        "config.set_property('steps', 2000)\n"
        "answer = procedure.run(config).index(0).value_nick"
    )
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(photo.tell, script)
        time.sleep(2)
        photo.picture("own-cancel")
        photo.click(820, 733)
        assert answer.result() != "success"
    assert tree(photo) == ["photo.png"]
    photo.filter("Invert")
    photo.wait(lambda: tree(photo) == ["Inverted", "photo.png"], 20)


def test_a_layer_moved_meanwhile_takes_its_result_along(photo):
    slow(photo, 400)
    photo.tell(f"{IMAGE}.get_layers()[0].set_offsets(40, -30)")
    photo.wait(lambda: tree(photo) == ["Slow", "photo.png"])
    assert photo.ask(f"list({IMAGE}.get_layers()[0].get_offsets())[1:]") == [40, -30]


def test_who_works_on_another_layer_by_then_stays_there(photo):
    photo.tell(
        f"image = {IMAGE}\nother = image.get_layers()[0].copy()\nother.set_name('Painting here')\n"
        "image.insert_layer(other, None, 0)\nimage.set_selected_layers([image.get_layers()[1]])"
    )
    slow(photo, 400)
    photo.tell(f"{IMAGE}.set_selected_layers([{IMAGE}.get_layers()[0]])")
    photo.wait(lambda: tree(photo) == ["Painting here", "Slow", "photo.png"])
    assert photo.ask(f"[l.get_name() for l in {IMAGE}.get_selected_layers()]") == ["Painting here"]


def test_a_layer_deleted_meanwhile_and_a_mode_changed_meanwhile_are_told_of(photo):
    for change in ("remove_layer(image.get_layers()[0])", "convert_precision(Gimp.Precision.U16_LINEAR)"):
        photo.tell(f"image = {IMAGE}\nimage.insert_layer(image.get_layers()[0].copy(), None, 0)")
        slow(photo, 300)
        photo.tell(f"image = {IMAGE}\nimage.{change}")
        photo.window("GIMP Message")
        photo.key("Escape")
        assert "Slow" not in tree(photo)


def test_errors_are_told_in_a_sentence(photo):
    photo.tell(f"{IMAGE}.select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, 40, 40)")
    photo.tell(f"{IMAGE}.get_layers()[0].set_offsets(100, 100); Gimp.displays_flush()")
    photo.filter("Invert")
    photo.window("GIMP Message")
    photo.picture("error")
    assert tree(photo) == ["photo.png"]


def test_the_whole_report_goes_into_the_error_console_where_that_is_open(photo):
    photo.tell("Gimp.message_set_handler(Gimp.MessageHandlerType.ERROR_CONSOLE)")
    photo.filter("Invert")
    photo.wait(lambda: tree(photo) == ["Inverted", "photo.png"])
    time.sleep(1)
    photo.picture("error-console")
    photo.tell("Gimp.message_set_handler(Gimp.MessageHandlerType.MESSAGE_BOX)")
    assert not photo.shows("GIMP Message")


def test_closing_the_image_while_the_filter_runs_is_told_of(photo):
    """The last test here: there is no image any more."""
    slow(photo, 500)
    photo.tell(f"{DISPLAYS}[0].delete()")
    photo.window("GIMP Message")
    photo.picture("closed")
    assert photo.ask("len(Gimp.get_images())") == 0
