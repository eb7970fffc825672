"""Make the pictures of README.md and docs/ again: python docs/pictures.py

They show scikit-image's public-domain photos and what our own code makes of them, nothing else.
"""

import tempfile
from pathlib import Path

from PIL import Image

from calotype import demo

FOLDER = Path(__file__).parent / "pictures"


def side_by_side(left: Path, right: Path, box: tuple[int, int, int, int], to: Path) -> None:
    """The same part of both pictures, pixels doubled so that a browser cannot smooth them away."""
    width, height = box[2] - box[0], box[3] - box[1]
    pair = Image.new("RGB", (4 * width + 8, 2 * height), "white")
    for index, path in enumerate((left, right)):
        with Image.open(path) as picture:
            part = picture.convert("RGB").crop(box).resize((2 * width, 2 * height), Image.Resampling.NEAREST)
        pair.paste(part, (index * (2 * width + 8), 0))
    pair.save(to, optimize=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        demo.run(None, Path(folder))
        before, after = Path(folder) / "before.png", Path(folder) / "after.png"
        side_by_side(before, after, (100, 0, 350, 250), FOLDER / "astronaut.png")


if __name__ == "__main__":
    main()
