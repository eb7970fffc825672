"""Noise and JPEG blocks taken out of standard test pictures, by the Restorer and by what everybody has.

    python benchmarks/restoration.py --data DIR [--limit N] [--task noise25,jpeg10] [--float32]

DIR holds testsets/cbsd68 and testsets/kodak24. Prints Markdown for docs/benchmarks.md.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import fmean

import cv2
import numpy as np
import torch
from engine import header, table, verdict
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from calotype.image import tiles
from calotype.image.codec import Box
from calotype.image.metrics import psnr, ssim
from calotype.models import device as devices
from calotype.models.device import Device
from calotype.models.restorer import BLIND, CONTRACT, NOISE_SIGMA_MAX, Restorer
from calotype.ops import task
from calotype.train import degradations

Floats = NDArray[np.float32]
Method = Callable[[Floats], Floats]
"""(H, W, 3), 0..1, to the same."""

SETS = ("cbsd68", "kodak24")
GOALS_DB = {("cbsd68", "noise25"): 31.0, ("cbsd68", "jpeg10"): 27.3}

UNCLIPPED = "Calotype, level given, noise neither clipped nor rounded"
"""The one row whose input is not a picture of 8 bits: what papers measure."""


@dataclass(frozen=True)
class Wear:
    """kind: 'noise' or 'jpeg'. amount: a sigma on the 0..255 scale, or a quality."""

    kind: str
    amount: int

    @property
    def name(self) -> str:
        return f"{self.kind}{self.amount}"

    @property
    def label(self) -> str:
        return f"{'noise σ' if self.kind == 'noise' else 'JPEG q'} {self.amount}"

    def apply(self, clean: Floats, seed: int) -> Floats:
        """Values of noise lie outside of 0..1, too."""
        if self.kind == "jpeg":
            return degradations.jpeg(clean, self.amount)
        return degradations.gaussian_noise(clean, self.amount, np.random.default_rng(seed))

    @property
    def levels(self) -> tuple[float, float, float]:
        """The slider of this wear set right, the others left automatic."""
        if self.kind == "noise":
            return self.amount / NOISE_SIGMA_MAX, BLIND, BLIND
        return BLIND, JPEG_LEVEL(self.amount), BLIND


def JPEG_LEVEL(quality: int) -> float:
    raise NotImplementedError
