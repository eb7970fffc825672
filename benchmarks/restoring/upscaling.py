"""Pictures reduced by bicubic interpolation and enlarged again."""

import time
from pathlib import Path
from statistics import fmean

import cv2
import numpy as np
from stage import table, verdict

from calotype.image.metrics import luma_psnr
from calotype.train import data as training
from calotype.train.upscaler import reduced
from restoring.pictures import Floats, Method, eight_bits, floats, of, operation, precision, read

SETS = ("set14", "kodak24")
GOAL_DB = 33.15
"""x2 on Set14."""


def methods(scale: int) -> dict[str, Method]:
    def resized(how: int) -> Method:
        return lambda small: floats(
            cv2.resize(eight_bits(small), None, fx=scale, fy=scale, interpolation=how)
        )

    return {
        "OpenCV bicubic": resized(cv2.INTER_CUBIC),
        "OpenCV Lanczos": resized(cv2.INTER_LANCZOS4),
        "**Calotype**": operation("upscale", scale=str(scale)),
    }


def measure(paths: list[Path], scale: int) -> dict[str, tuple[float, float]]:
    """By method: luma PSNR in dB, and seconds a megapixel of the result."""
    found = {}
    for name, method in methods(scale).items():
        method(np.zeros((64, 64, 3), np.float32))  # the first run also loads
        figures, seconds, megapixels = [], 0.0, 0.0
        for path in paths:
            clean = _cut(read(path), scale)
            small = reduced(clean, scale)
            began = time.perf_counter()
            large = method(small)
            seconds += time.perf_counter() - began
            megapixels += clean.shape[0] * clean.shape[1] / 1e6
            figures.append(luma_psnr(training.tensor(large), training.tensor(clean), scale))
        found[name] = fmean(figures), seconds / megapixels
    return found


def _cut(picture: Floats, scale: int) -> Floats:
    height, width = (side // scale * scale for side in picture.shape[:2])
    return np.ascontiguousarray(picture[:height, :width])


def run(data: Path, limit: int | None) -> None:
    print("## Enlarging\n")
    print(
        "Reduced by bicubic interpolation with antialiasing (torch), rounded to 8 bits. PSNR of the luma "
        "(ITU-R BT.601) without a rim as wide as the scale, the mean over the pictures. Networks run in "
        f"{precision()}.\n"
    )
    results = {(s, scale): measure(of(data, s, limit), scale) for s in SETS for scale in (2, 4)}
    heads = [f"{name} x{scale}" for name, scale in results]
    rows = []
    for method in next(iter(results.values())):
        cells = [f"{by_method[method][0]:.2f}" for by_method in results.values()]
        speed = fmean(by_method[method][1] for by_method in results.values())
        rows.append([method, *cells, f"{speed:.2f}"])
    print(table(["luma PSNR, dB", *heads, "s a megapixel of the result"], rows))
    if limit is None:
        reached = results["set14", 2]["**Calotype**"][0]
        print(
            table(
                ["goal", "dB", "wanted", ""],
                [["Set14 x2", f"{reached:.2f}", f"≥ {GOAL_DB}", verdict(reached >= GOAL_DB)]],
            )
        )
