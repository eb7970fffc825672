"""What time, lenses, film and file formats do to a photo, as functions of numpy arrays.

Pictures here are (H, W, 3) float32, 0..1, sRGB-encoded; every function returns a new one. Randomness
comes only from the Generator that the caller passes, so that a seed repeats a run.

Sources: Zhang et al. 2021 (BSRGAN: shuffled blur, resize, noise, JPEG); Wang et al. 2021 (Real-ESRGAN:
second-order degradations); Wan et al. 2020 (Bringing Old Photos Back to Life).
"""

import io
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from torch.nn.functional import conv2d, interpolate, pad

from calotype.models.restorer import BLUR_SIGMA_PX_MAX, NOISE_SIGMA_MAX

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Levels:
    """How strong each damage is, 0..1, in the units of the Restorer's level planes."""

    noise: float = 0.0
    jpeg: float = 0.0
    blur: float = 0.0


def to_8_bit(picture: Array) -> Array:
    """Clipped and rounded to 8 bits: what the codec delivers, so what a network must be trained on."""
    return (np.rint(picture.clip(0, 1) * 255) / 255).astype(np.float32)


def gaussian_noise(picture: Array, sigma: float, rng: Generator) -> Array:
    """sigma: standard deviation on the 0..255 scale."""
    return picture + rng.standard_normal(picture.shape, np.float32) * np.float32(sigma / 255)


def poisson_noise(picture: Array, sigma: float, rng: Generator) -> Array:
    """Shot noise whose standard deviation on mid grey is sigma, on the 0..255 scale."""
    photons = 0.5 / (sigma / 255) ** 2
    return (rng.poisson(picture.clip(0, 1) * photons) / photons).astype(np.float32)


def film_grain(picture: Array, sigma: float, size_px: float, rng: Generator) -> Array:
    """Grey grain, blurred to clumps of size_px and strongest in the mid-tones.

    sigma: standard deviation on mid grey, on the 0..255 scale.
    """
    grain = rng.standard_normal((*picture.shape[:2], 1), np.float32)
    grain = convolve(grain, gaussian_kernel(size_px, size_px, 0.0))
    grain *= np.float32(sigma / 255) / max(float(grain.std()), 1e-6)
    luma = picture.mean(axis=2, keepdims=True).clip(0, 1)
    return picture + grain * (0.3 + 2.8 * luma * (1 - luma))


def jpeg(picture: Array, quality: int, subsampling: int = 2) -> Array:
    """There and back through JPEG. quality: 1..100. subsampling: 0 is 4:4:4, 2 is 4:2:0."""
    data = io.BytesIO()
    pixels = np.rint(picture.clip(0, 1) * 255).astype(np.uint8)
    Image.fromarray(pixels).save(data, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(data), np.float32) / np.float32(255)


def resize(picture: Array, height: int, width: int, mode: str) -> Array:
    """mode: 'area', 'bilinear' or 'bicubic', antialiased where that applies."""
    x = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None]
    smooth = {} if mode == "area" else {"align_corners": False, "antialias": True}
    y = interpolate(x, size=(height, width), mode=mode, **smooth)
    return np.ascontiguousarray(y[0].numpy().transpose(1, 2, 0))


def convolve(picture: Array, kernel: Array) -> Array:
    """Each channel with one kernel (k, k), k odd, mirrored at the borders."""
    x = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[:, None]  # 3 1 H W
    radius = kernel.shape[0] // 2
    x = pad(x, (radius,) * 4, mode="reflect")
    y = conv2d(x, torch.from_numpy(kernel)[None, None])
    return np.ascontiguousarray(y[:, 0].numpy().transpose(1, 2, 0))


def smoothed(picture: Array, sigma: float) -> Array:
    """As convolve with gaussian_kernel(sigma, sigma, 0), in a fraction of its time."""
    kernel = torch.from_numpy(gaussian_kernel(sigma, sigma, 0.0).sum(axis=0))
    radius = len(kernel) // 2
    x = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[:, None]  # 3 1 H W
    x = pad(x, (radius,) * 4, mode="reflect")
    y = conv2d(conv2d(x, kernel[None, None, :, None]), kernel[None, None, None])
    return np.ascontiguousarray(y[:, 0].numpy().transpose(1, 2, 0))


def gaussian_kernel(sigma_x: float, sigma_y: float, angle: float) -> Array:
    """Anisotropic Gaussian, sum 1. Sigmas in pixels, angle in radians."""
    radius = max(1, int(np.ceil(2.5 * max(sigma_x, sigma_y))))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float32)
    u = np.cos(angle) * x + np.sin(angle) * y
    v = -np.sin(angle) * x + np.cos(angle) * y
    kernel = np.exp(-0.5 * ((u / max(sigma_x, 0.1)) ** 2 + (v / max(sigma_y, 0.1)) ** 2))
    return (kernel / kernel.sum()).astype(np.float32)


def defocus_kernel(radius_px: float) -> Array:
    """A disc with a soft rim of one pixel, sum 1."""
    radius = int(np.ceil(radius_px)) + 1
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float32)
    kernel = np.clip(radius_px + 0.5 - np.hypot(x, y), 0, 1)
    return (kernel / kernel.sum()).astype(np.float32)


def motion_kernel(length_px: float, angle: float) -> Array:
    """A straight line of length_px at angle (radians), sum 1."""
    radius = int(np.ceil(length_px / 2)) + 1
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float32)
    along = np.abs(np.cos(angle) * x + np.sin(angle) * y)
    across = np.abs(-np.sin(angle) * x + np.cos(angle) * y)
    kernel = np.clip(1 - across, 0, 1) * np.clip(length_px / 2 + 0.5 - along, 0, 1)
    return (kernel / kernel.sum()).astype(np.float32)


def random_blur(picture: Array, level: float, rng: Generator) -> Array:
    """Isotropic, anisotropic, defocus or motion blur with about the spread of a Gaussian of that level."""
    sigma = level * BLUR_SIGMA_PX_MAX
    angle = rng.uniform(0, np.pi)
    kind = rng.random()
    if kind < 0.5:
        kernel = gaussian_kernel(sigma, sigma, 0.0)
    elif kind < 0.7:
        kernel = gaussian_kernel(sigma, sigma * rng.uniform(0.3, 1.0), angle)
    elif kind < 0.9:
        kernel = defocus_kernel(2.0 * sigma)  # a disc of radius r has a spread of r / 2 an axis
    else:
        kernel = motion_kernel(3.5 * sigma, angle)  # a line of length l has a spread of l / sqrt(12)
    return convolve(picture, kernel)


def random_noise(picture: Array, level: float, rng: Generator) -> Array:
    """Gaussian, Poisson or film grain of that level."""
    sigma = level * NOISE_SIGMA_MAX
    if sigma < 0.1:
        return picture
    kind = rng.random()
    if kind < 0.5:
        return gaussian_noise(picture, sigma, rng)
    if kind < 0.7:
        return poisson_noise(picture, sigma, rng)
    return film_grain(picture, sigma, rng.uniform(0.4, 1.2), rng)


def random_jpeg(picture: Array, level: float, rng: Generator) -> Array:
    """level: (100 - quality) / 100. 4:2:0 more often than 4:4:4; of ten grids seven start at the corner.

    Most photos were never cropped after they were compressed, and a strided network whose tiles keep to
    the same grid can learn where the blocks' edges lie.
    """
    quality = max(1, round(100 - 100 * level))
    y, x = rng.integers(0, 8, 2) if rng.random() < 0.3 else (0, 0)
    padded = np.pad(picture, ((y, 0), (x, 0), (0, 0)), mode="edge")
    return jpeg(padded, quality, 0 if rng.random() < 0.35 else 2)[y:, x:]


def wear(picture: Array, rng: Generator) -> tuple[Array, Levels]:
    """A training input for the Restorer: one damage alone, or several in the order in which they happen.

    Of a hundred pictures 40 have noise alone, 28 JPEG alone, 7 blur alone, and 25 a chain of blur, noise
    and JPEG. Returns the worn picture, clipped and rounded to 8 bits, and its levels.
    """
    kind = rng.random()
    chain = kind >= 0.75
    noise = rng.uniform(0, 1.1) if kind < 0.40 or chain else 0.0
    block = _jpeg_level(rng) if 0.40 <= kind < 0.68 or kind >= 0.80 else 0.0
    blur = rng.uniform(0.05, 0.75) if 0.68 <= kind < 0.75 or kind >= 0.85 else 0.0
    if chain:
        noise *= 0.6  # mixtures as hard as the single damages, not harder
        blur *= 0.6
    worn = picture
    if blur:
        worn = random_blur(worn, blur, rng)
    if noise:
        white = not chain and rng.random() < 0.75  # additive white Gaussian noise, the standard test
        worn = gaussian_noise(worn, noise * NOISE_SIGMA_MAX, rng) if white else random_noise(worn, noise, rng)
    if block:
        worn = random_jpeg(worn, block, rng)
    return to_8_bit(worn), Levels(noise, block, blur)


def _jpeg_level(rng: Generator) -> float:
    """Of a quality between 5 and 95, log-uniform: half of them below 22, where there is most to repair."""
    return 1 - float(np.exp(rng.uniform(np.log(0.05), np.log(0.95))))


def age(picture: Array, rng: Generator) -> Array:
    """A photo as a drawer and a cheap scanner leave it: soft, grainy, blocky. Rounded to 8 bits."""
    worn = convolve(picture, gaussian_kernel(0.8, 0.8, 0.0))
    worn = film_grain(worn, 16, 0.8, rng)
    worn = gaussian_noise(worn, 8, rng)
    return to_8_bit(jpeg(worn, 55))
