"""Holes, filled from what lies around them."""

import pytest
import torch
from skimage import data as photos

from calotype.image import fill, metrics


def _scratched(height: int, width: int) -> torch.Tensor:
    mask = torch.zeros(height, width, dtype=torch.bool)
    mask[:, width // 3 : width // 3 + 4] = True
    mask[height // 2 : height // 2 + 3, :] = True
    mask[5:12, 40:47] = True
    return mask


@pytest.mark.parametrize(("height", "width"), [(64, 96), (61, 97), (128, 70)])
def test_a_fill_goes_on_with_what_lies_around_and_leaves_the_rest(height: int, width: int) -> None:
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    smooth = torch.stack([0.2 + 0.6 * x, 0.8 - 0.5 * y, 0.3 + 0.2 * x + 0.3 * y])  # harmonic: solved exactly
    mask = _scratched(height, width)
    scratched = torch.where(mask, 1.0, smooth)
    filled = fill.membrane(scratched, mask)
    assert torch.equal(filled[:, ~mask], smooth[:, ~mask])
    assert (filled - smooth).abs().max() < 3 / 255
    flat = torch.full((3, height, width), 0.37)
    assert (fill.membrane(torch.where(mask, 0.0, flat), mask) - 0.37).abs().max() < 1e-5


def test_a_fill_is_settled_and_brings_a_photo_back() -> None:
    photo = torch.from_numpy(photos.astronaut()[100:300, 100:300].transpose(2, 0, 1).copy()).float() / 255
    mask = _scratched(200, 200)
    scratched = torch.where(mask, 1.0, photo)
    filled = fill.membrane(scratched, mask)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fill, "RELAXATIONS", 4 * fill.RELAXATIONS)
        longer = fill.membrane(scratched, mask)
    assert (filled - longer).abs().max() < 2 / 255
    assert metrics.psnr(filled, photo) > metrics.psnr(scratched, photo) + 15
    assert fill.membrane(photo, torch.zeros_like(mask)) is photo
    assert fill.membrane(photo, torch.ones_like(mask)) is photo
