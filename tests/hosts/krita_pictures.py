"""Take the pictures of docs/krita.md anew: python tests/hosts/krita_pictures.py"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

PROJECT = Path(__file__).parents[2]
sys.path[:0] = [str(PROJECT / "tests"), str(PROJECT / "engine")]
from calotype.train import degradations  # noqa: E402
from hosts import test_krita  # noqa: E402

SCENARIOS = (
    "a_photo_is_restored_from_the_menu",
    "a_photo_is_painted_in_the_preview_while_the_slider_moves",
    "strokes_on_a_grey_photo_are_seen_in_the_preview",
    "a_style_learns_while_filters_run_is_paused_and_goes_on",
    "the_manager_does_all_that_can_be_done_with_styles",
)
BOXES = {
    "menu": (0, 0, 820, 480),
    "running": (1180, 560, 1600, 981),
    "result": (0, 0, 1600, 981),
    "hints": (0, 0, 1600, 981),
    "preview": (1335, 448, 1600, 960),
    "training": (1335, 448, 1600, 960),
    "styles": (0, 0, 820, 580),
}
"""The part of the screen that a page needs."""

CHECKED = "faults_are_marked_painted_on_and_repaired"
"""It lays its own faults into the photo as it is."""

COLOURS = 160  # grain compresses badly; a page wants small pictures


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.png"
        with Image.open(test_krita.PHOTO) as picture:
            clean = np.asarray(picture.convert("RGB").resize((1400, 1400)), np.float32) / 255
        worn = degradations.age(clean, np.random.default_rng(0))
        Image.fromarray((worn * 255).round().astype(np.uint8)).save(photo)
        take(Path(folder) / "checked", (CHECKED,), {"check": (0, 0, 1600, 981)})
        test_krita.PHOTO = photo
        take(Path(folder) / "worn", SCENARIOS, BOXES)


def take(work: Path, scenarios: tuple[str, ...], boxes: dict[str, tuple[int, int, int, int]]) -> None:
    shipped = work / "none"
    shipped.mkdir(parents=True)
    studio = test_krita.Studio(work / "krita", shipped)
    try:
        found = studio.run(test_krita.SCENARIOS, *scenarios, timeout_s=240)
    finally:
        studio.close()
    if any(found.values()):
        sys.exit("\n".join(found.values()))
    for name, box in boxes.items():
        with Image.open(studio.work / f"out/krita-{name}.png") as taken:
            part = taken.convert("RGB").crop(box)
        if part.width > 1000:
            part = part.resize((1000, part.height * 1000 // part.width), Image.Resampling.LANCZOS)
        part = part.quantize(COLOURS, dither=Image.Dither.NONE)
        part.save(PROJECT / f"docs/pictures/krita-{name}.png", optimize=True)


if __name__ == "__main__":
    main()
