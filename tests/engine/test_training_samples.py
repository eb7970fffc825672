"""Samples for training are what they claim."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data as photos
from skimage import transform

from calotype.image import metrics
from calotype.models.restorer import BLIND, Restorer
from calotype.train import defects, degradations
from calotype.train.data import Crops
from calotype.train.restorer import sample
from trainees import photo_folder


def test_a_defect_is_where_the_mask_says_and_nowhere_else() -> None:
    clean = np.random.default_rng(0).random((96, 128, 3)).astype(np.float32)
    shares = []
    for seed in range(40):
        worn, mask = defects.damage(clean, np.random.default_rng(seed), [])
        changed = np.abs(worn - clean).max(axis=2)
        assert np.array_equal(mask > 0, changed > defects.VISIBLE)
        assert worn.dtype == np.float32
        assert worn.min() >= 0
        assert worn.max() <= 1
        again, _ = defects.damage(clean, np.random.default_rng(seed), [])
        assert np.array_equal(worn, again)
        shares.append(mask.mean())
    assert 0.005 < np.mean(shares) < 0.2
    assert len({round(share, 6) for share in shares}) > 30


@pytest.mark.parametrize("draw", defects._KINDS, ids=lambda draw: draw.__name__)
def test_every_kind_of_defect_draws_something_thin_enough_to_fill(draw) -> None:
    shares = [draw(128, 128, np.random.default_rng(seed)).mean() for seed in range(20)]
    assert np.median(shares) > 0.0005
    assert max(shares) < 0.3


def test_pictures_of_real_damage_are_laid_over(tmp_path: Path) -> None:
    opacity = np.zeros((64, 64, 4), np.uint8)
    opacity[20:30, :, 3] = 255
    Image.fromarray(opacity).save(tmp_path / "scratch.png")
    clean = np.full((64, 64, 3), 0.5, np.float32)
    masks = [
        defects.damage(clean, np.random.default_rng(seed), [tmp_path / "scratch.png"])[1]
        for seed in range(20)
    ]
    assert any(mask.all(axis=0).any() or mask.all(axis=1).any() or mask.mean() > 0.1 for mask in masks)


def test_f1_counts_what_is_near_enough() -> None:
    truth = torch.zeros(20, 20, dtype=torch.bool)
    truth[10] = True
    assert metrics.f1(truth, truth, 0) == 1
    assert metrics.f1(truth.roll(2, 0), truth, 2) == 1
    assert metrics.f1(truth.roll(3, 0), truth, 2) == 0
    half = truth.clone()
    half[:, 10:] = False
    assert abs(metrics.f1(half, truth, 0) - 2 / 3) < 1e-6
    assert metrics.f1(torch.zeros_like(truth), torch.zeros_like(truth), 2) == 1
    assert metrics.f1(torch.zeros_like(truth), truth, 2) == 0


def test_a_sample_depends_on_seed_and_index_alone(tmp_path: Path) -> None:
    folder = photo_folder(tmp_path)
    first, second = (Crops(folder, 64, 7, sample) for _ in range(2))
    assert torch.equal(first[3]["worn"], second[3]["worn"])
    assert not torch.equal(first[3]["worn"], first[4]["worn"])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_worn_sample_is_what_an_eight_bit_file_holds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    clean = transform.resize(photos.coffee()[:200, :200], (64, 64)).astype(np.float32)
    made = sample(clean, rng)
    worn = made["worn"] * 255
    assert torch.allclose(worn, worn.round(), atol=1e-3)
    assert worn.min() >= 0
    assert worn.max() <= 255
    levels = made["levels"]
    assert ((levels == BLIND) | ((levels >= 0) & (levels <= 1.2))).all()


@pytest.mark.parametrize("sigma", [5.0, 25.0, 50.0])
def test_noise_has_the_strength_that_its_level_says(sigma: float) -> None:
    grey = np.full((256, 256, 3), 0.5, np.float32)
    rng = np.random.default_rng(0)
    for make in (degradations.gaussian_noise, degradations.poisson_noise):
        assert np.std(make(grey, sigma, rng) - grey) * 255 == pytest.approx(sigma, rel=0.03)
    grain = degradations.film_grain(grey, sigma, 0.8, rng) - grey
    assert np.std(grain) * 255 == pytest.approx(sigma, rel=0.05)


@pytest.mark.parametrize(
    "kernel",
    [
        degradations.gaussian_kernel(2, 2, 0),
        degradations.gaussian_kernel(3, 0.5, 1.0),
        degradations.defocus_kernel(3.3),
        degradations.motion_kernel(9, 0.7),
    ],
)
def test_blurs_neither_brighten_nor_shift(kernel: np.ndarray) -> None:
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    y, x = np.mgrid[: kernel.shape[0], : kernel.shape[1]] - kernel.shape[0] // 2
    assert abs((kernel * x).sum()) < 1e-4
    assert abs((kernel * y).sum()) < 1e-4
    dot = np.zeros((41, 41, 3), np.float32)
    dot[20, 20] = 1
    assert degradations.convolve(dot, kernel).sum() == pytest.approx(3, abs=1e-4)


@pytest.mark.parametrize("sigma", [0.7, 4.0])
def test_smoothing_is_the_convolution_that_it_says(sigma: float) -> None:
    picture = np.random.default_rng(0).random((40, 48, 3), np.float32)
    wanted = degradations.convolve(picture, degradations.gaussian_kernel(sigma, sigma, 0.0))
    assert np.abs(degradations.smoothed(picture, sigma) - wanted).max() < 1e-5


def test_the_network_obeys_its_levels_and_keeps_the_size() -> None:
    torch.manual_seed(0)
    network = Restorer().eval()
    picture = torch.rand(1, 3, 48, 64)
    with torch.inference_mode():
        blind = network(picture, torch.full((1, 3), BLIND))
        noisy = network(picture, torch.tensor([[0.8, BLIND, BLIND]]))
    assert blind.shape == picture.shape
    assert not torch.equal(blind, noisy)
