"""What stands on a small picture, at any part of the large one that it was made from."""

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from calotype.image.codec import Box


def enlarged(small: Tensor, box: Box, width: int, height: int, mode: str = "bilinear") -> Tensor:
    """small: (1, C, h, w). Returns (1, C, box.height, box.width), box a part of width x height pixels.

    mode: 'bilinear' or 'bicubic'.
    """
    y = (torch.arange(box.y0, box.y1) + 0.5) * (2 / height) - 1
    x = (torch.arange(box.x0, box.x1) + 0.5) * (2 / width) - 1
    place = torch.stack([x.expand(len(y), -1), y[:, None].expand(-1, len(x))], dim=-1)[None]
    return grid_sample(small, place, mode=mode, padding_mode="border", align_corners=False)
