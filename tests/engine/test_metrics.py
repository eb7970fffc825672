"""How far pictures are from each other, by definitions that others use too."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from calotype.image import metrics
from conftest import noise


def test_psnr_and_ssim_agree_with_their_definitions() -> None:
    a = torch.from_numpy(noise(64, 48)).permute(2, 0, 1)[None].float() / 255
    b = (a + 0.1 * torch.rand_like(a)).clamp(0, 1)
    mse = float(((a - b) ** 2).mean())
    assert metrics.psnr(a, b) == pytest.approx(-10 * np.log10(mse), abs=1e-4)
    assert metrics.psnr(a, a) == float("inf")
    reference = structural_similarity(
        a[0].permute(1, 2, 0).numpy(),
        b[0].permute(1, 2, 0).numpy(),
        channel_axis=2,
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert metrics.ssim(a, b).item() == pytest.approx(reference, abs=2e-3)
    with pytest.raises(ValueError):
        metrics.psnr(a, b[..., 1:])
