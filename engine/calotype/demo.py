"""A first look: restore one photo and say what was gained.

The bundled photo is NASA's portrait of the astronaut Eileen Collins, public domain, from scikit-image.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from calotype import asking
from calotype.image import files
from calotype.image.face import PHOTO as PHOTO
from calotype.image.metrics import psnr, ssim
from calotype.train import ageing, data, degradations
from calotype_wire.client import Request
from calotype_wire.errors import CalotypeError

SEED = 1840  # the calotype's year


def run(photo: Path | None, out: Path) -> None:
    """Restore photo, or the bundled one after ageing it. Raises CalotypeError."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CalotypeError(
            "NOT_WRITTEN", f"{out} could not be made ({error.strerror}). Choose another with --out."
        ) from error
    before = photo
    if before is None:
        before = out / "before.png"
        worn, _ = ageing.old_photo(_floats(PHOTO), np.random.default_rng(SEED), [])
        Image.fromarray(_to_bytes(worn)).save(before)
    document = files.read(before)
    result = asking.answer(Request("restore", [document.layer]), quiet=False)
    after = out / "after.png"
    files.write(after, result.layers[0], document)
    print(f"before: {before.resolve()}\nafter:  {after.resolve()}")  # noqa: T201
    if photo is None:
        truth, old, new = (data.tensor(_floats(path))[None] for path in (PHOTO, before, after))
        print(  # noqa: T201
            f"PSNR {psnr(old, truth):.2f} -> {psnr(new, truth):.2f} dB, "
            f"SSIM {ssim(old, truth):.3f} -> {ssim(new, truth):.3f}"
        )


def _floats(path: Path) -> degradations.Array:
    return data.pixels(path).astype(np.float32) / np.float32(255)


def _to_bytes(picture: degradations.Array) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.rint(picture * 255).astype(np.uint8)
