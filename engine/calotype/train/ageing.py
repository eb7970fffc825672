"""What decades do to the tones and colours of a print, and to the whole of a photo.

Pictures here are (H, W, 3) float32, 0..1, sRGB-encoded. Randomness comes only from the Generator that the
caller passes.

Sources: dyes fade at rates of their own, which is a power of the transmittance, Wilhelm and Brower 1993
("The Permanence and Care of Color Photographs"); mixture of structured and unstructured damage, Wan et al.
2020 ("Bringing Old Photos Back to Life").
"""

from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from calotype.image.colour import LUMA
from calotype.train import defects, degradations
from calotype.train.degradations import Array

UNTOUCHED = 0.1
"""Share of training pictures that did not fade: what is well must be left alone."""


def grey(picture: Array) -> Array:
    return np.repeat((picture @ LUMA.numpy())[..., None], 3, axis=2)


def fade(picture: Array, rng: Generator, severity: float | None = None) -> Array:
    """Dyes faded, blacks lifted, whites yellowed, exposure off; more in some places than in others.

    severity: 0..1; otherwise drawn. The result is not rounded.
    """
    strength = rng.uniform(0.15, 1.0) if severity is None else severity
    faded = picture.clip(1e-3, 1)
    warm = np.array([0.3, 0.6, 1.0]) if rng.random() < 0.7 else rng.uniform(0.2, 1.0, 3)
    dyes = 1 - strength * rng.uniform(0.0, 0.6, 3)  # a power below 1 is a dye that fades
    faded = faded ** _single(dyes * 2 ** (strength * rng.normal(0, 0.35)))
    faded = faded + (grey(faded) - faded) * _single(strength * rng.uniform(0.0, 0.6))
    black = strength * (rng.uniform(0.0, 0.2) + rng.uniform(0, 0.08, 3))
    white = 1 - strength * (rng.uniform(0.0, 0.15) + rng.uniform(0.0, 0.35) * warm)
    faded = _single(black) + _single((white - black).clip(0.25, 1)) * faded
    if rng.random() < 0.6:  # unevenly
        share = 1 - _single(strength * rng.uniform(0, 0.6)) * _smooth(picture.shape, rng)
        faded = picture + (faded - picture) * share
    if rng.random() < 0.4:  # a vignette, or light that fell in at the edges
        y, x = np.mgrid[-1 : 1 : picture.shape[0] * 1j, -1 : 1 : picture.shape[1] * 1j]
        rim = (np.hypot(x, y) / np.sqrt(2)) ** rng.uniform(1.5, 4)
        end = _single(rng.uniform(0.0, 0.3) if rng.random() < 0.7 else rng.uniform(0.8, 1.0))
        faded = faded + (end - faded) * _single(strength * rng.uniform(0.1, 0.5) * rim[..., None])
    return faded.clip(0, 1)


def tint(picture: Array, rng: Generator) -> Array:
    """A grey picture in the brown of a sepia print or in the yellow of old paper."""
    light = np.array([1.0, rng.uniform(0.82, 0.99), rng.uniform(0.5, 0.95)])
    power = np.array([1.0, rng.uniform(1.0, 1.25), rng.uniform(1.0, 1.6)])
    return _single(light) * np.power(picture.clip(0, 1), _single(power), dtype=np.float32)


def _single(value: NDArray[np.float64] | float) -> Array:
    return np.asarray(value, np.float32)


def old_photo(picture: Array, rng: Generator, overlays: list[Path]) -> tuple[Array, Array]:
    """A colour photo faded, scratched, soft, grainy and scanned as a JPEG, and the mask of its defects.

    overlays: as of defects.damage(). Rounded to 8 bits.
    """
    worn = fade(picture, rng, severity=rng.uniform(0.5, 1.0))
    worn, mask = defects.damage(worn, rng, overlays)
    sigma = rng.uniform(0.4, 1.0)
    worn = degradations.convolve(worn, degradations.gaussian_kernel(sigma, sigma, 0.0))
    worn = degradations.film_grain(worn, rng.uniform(8, 20), rng.uniform(0.5, 1.0), rng)
    worn = degradations.gaussian_noise(worn, rng.uniform(4, 12), rng)
    return degradations.to_8_bit(degradations.jpeg(worn, int(rng.integers(50, 85)))), mask


def _smooth(shape: tuple[int, ...], rng: Generator) -> Array:
    """A slowly changing field (H, W, 1), about 0..1."""
    cells = rng.random((3, 3, 1), np.float32)
    return degradations.resize(cells, shape[0], shape[1], "bicubic").clip(0, 1)
