"""The bundled photo's face: what styles are shown on."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

PHOTO = Path(__file__).parent.parent / "photos" / "astronaut.png"
BOX = (130, 0, 330, 200)


def face(side_px: int) -> Tensor:
    """(1, 3, side, side), 0..1."""
    with Image.open(PHOTO) as photo:
        part = photo.convert("RGB").crop(BOX).resize((side_px, side_px))
    return torch.from_numpy(np.array(part)).permute(2, 0, 1)[None] / 255
