"""Take the pictures of docs/gimp.md anew: python tests/hosts/gimp_pictures.py [SCENE...]"""

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

PROJECT = Path(__file__).parents[2]
sys.path[:0] = [str(PROJECT / "tests"), str(PROJECT / "engine")]
from calotype_wire import launch  # noqa: E402
from hosts import rootfs  # noqa: E402
from hosts.gimp import Gimp  # noqa: E402
from hosts.gimp_screen import Screen  # noqa: E402

COLOURS = 96  # grain compresses badly; a page wants small pictures


def photo(path: Path, side_px: int) -> Path:
    """The astronaut with grain, as a scan has it."""
    clean = Image.open(PROJECT / "engine/calotype/photos/astronaut.png").convert("RGB")
    pixels = np.asarray(clean.resize((side_px, side_px), Image.Resampling.LANCZOS), float)
    grain = np.random.default_rng(1).normal(0, 22, pixels.shape)
    Image.fromarray((pixels + grain).clip(0, 255).astype(np.uint8)).save(path)
    return path


DIALOG = (60, 85, 1040, 670)
"""Where dialogs with a preview come up."""


def keep(screen: Screen, name: str, box: tuple[int, int, int, int], scale: float = 1) -> None:
    screen.picture(name)
    taken = Image.open(PROJECT / f"build/screenshots/gimp-{name}.png").convert("RGB").crop(box)
    size = round(taken.width * scale), round(taken.height * scale)
    taken = taken.resize(size, Image.Resampling.LANCZOS)
    taken.quantize(COLOURS, dither=Image.Dither.NONE).save(
        PROJECT / f"docs/pictures/gimp-{name}.png", optimize=True
    )


def take(screen: Screen) -> None:
    image = "[i for i in Gimp.get_images() if i.get_file()][0]"
    window = screen.window("photo.*GIMP")
    screen.x("xdotool", "windowsize", window, "1098", "730")
    screen.key("ctrl+shift+j")  # fit into the window
    time.sleep(1)
    screen.point_at("Restore")
    keep(screen, "menu", (400, 20, 840, 680))
    screen.key("Return")
    screen.window("^Restore$")
    time.sleep(10)  # the preview
    keep(screen, "dialog", DIALOG)
    screen.tell(f"{image}.scale(3000, 3000); Gimp.displays_flush()")  # large enough to be watched
    screen.key("Return")
    screen.wait(lambda: not screen.shows("^Restore$"))
    screen.window("^Restore$")
    time.sleep(3)
    keep(screen, "progress", (190, 90, 850, 560))
    screen.key("Escape")
    screen.wait(lambda: not screen.shows("^Restore$"))
    while screen.ask(f"{image}.get_width()") != 900:
        screen.key("ctrl+z")
        time.sleep(1)
    screen.tell(
        f"image = {image}\n"
        "image.select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, image.get_width() / 2, image.get_height())\n"
        "Gimp.Selection.feather(image, 40); Gimp.displays_flush()"
    )
    screen.filter("Restore")
    screen.window("^Restore$")
    time.sleep(1)
    screen.key("Return")
    screen.wait(lambda: screen.ask(f"len({image}.get_layers())") == 2, 300)
    screen.tell(f"Gimp.Selection.none({image}); Gimp.displays_flush()")
    time.sleep(1)
    keep(screen, "result", (195, 30, 1100, 740), 0.75)


def take_styled(screen: Screen) -> None:
    image = "[i for i in Gimp.get_images() if i.get_file()][0]"
    window = screen.window("photo.*GIMP")
    screen.x("xdotool", "windowsize", window, "1098", "730")
    screen.key("ctrl+shift+j")
    screen.tell(
        f"image = {image}\n"
        "image.select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, image.get_width() / 2, image.get_height())\n"
        "Gimp.Selection.feather(image, 60); Gimp.displays_flush()"
    )
    screen.filter("Stylize")
    screen.window("^Stylize$")
    time.sleep(25)  # the preview, in all of its steps
    drag = ("mousemove", "279", "338", "mousedown", "1", "sleep", "0.2", "mousemove", "180", "338")
    screen.x("xdotool", *drag, "sleep", "0.2", "mouseup", "1")  # its line, into what is selected
    keep(screen, "stylize", DIALOG)
    screen.key("Return")
    screen.wait(lambda: screen.ask(f"len({image}.get_layers())") == 2, 300)
    screen.tell(f"Gimp.Selection.none({image}); Gimp.displays_flush()")
    time.sleep(1)
    keep(screen, "stylised", (195, 30, 1100, 740), 0.75)


def take_trained(screen: Screen) -> None:
    screen.x("xdotool", "windowsize", screen.window("photo.*GIMP"), "1098", "730")
    screen.key("ctrl+shift+j")
    screen.filter("Train Style")
    screen.window("^Train Style$")
    time.sleep(1)
    screen.key("alt+n")
    screen.x("xdotool", "type", "My hand")
    screen.key("alt+o")
    run = screen.gimp.calotype / "styles/unfinished/My hand/checkpoint.safetensors"
    screen.wait(run.exists, 300)
    time.sleep(30)
    keep(screen, "training", (190, 90, 850, 680))
    screen.wait(lambda: not screen.shows("^Train Style$"), 300)
    screen.filter("Styles")
    screen.window("^Styles$")
    time.sleep(3)
    screen.key("alt+f")
    time.sleep(2)
    keep(screen, "styles", (130, 30, 1000, 720))
    screen.key("Escape")


if __name__ == "__main__":
    work = Path(tempfile.mkdtemp())
    gimp = Gimp(work)
    del gimp.environment["CALOTYPE_OPERATIONS"]  # what is shipped, no trials
    os.environ["CALOTYPE_HOME"] = str(gimp.calotype)
    rootfs.learn(gimp.calotype, work / "no more operations")
    for scene in (take, take_styled, take_trained):
        if sys.argv[1:] and scene.__name__ not in sys.argv[1:]:
            continue
        screen = Screen(gimp, photo(work / "photo.png", 900))
        try:
            scene(screen)
        finally:
            screen.close()
            launch.stop()
