"""Whole old photos, made by ageing clean ones: faded, scratched, soft, grainy, compressed."""

from pathlib import Path

import cv2
import numpy as np
from stage import table, verdict

from calotype.train import ageing
from restoring.pictures import (
    Floats,
    Method,
    Score,
    eight_bits,
    floats,
    of,
    operation,
    precision,
    read,
    tried,
)
from restoring.scratches import top_hat

GOAL = (22.0, 0.62)
"""PSNR in dB, SSIM."""


def levelled(picture: Floats) -> Floats:
    """Each channel stretched between its 0.5 and 99.5 percentiles: 'auto levels'."""
    low, high = np.percentile(picture, (0.5, 99.5), axis=(0, 1)).astype(np.float32)
    return ((picture - low) / np.maximum(high - low, 1e-3)).clip(0, 1)


def denoised(picture: Floats) -> Floats:
    return floats(cv2.fastNlMeansDenoisingColored(eight_bits(picture), None, 12, 12, 7, 21))


def inpainted(picture: Floats) -> Floats:
    mask = (top_hat(picture) > 60).astype(np.uint8)
    return floats(cv2.inpaint(eight_bits(picture), mask, 3, cv2.INPAINT_NS))


METHODS: dict[str, Method] = {
    "input": lambda picture: picture,
    "auto levels, non-local means": lambda picture: levelled(denoised(picture)),
    "top-hat and Navier-Stokes, non-local means, auto levels": lambda picture: levelled(
        denoised(inpainted(picture))
    ),
    "**Calotype restore, gentle**": operation("restore", preset="gentle"),
    "**Calotype restore**": operation("restore"),
    "**Calotype restore, strong**": operation("restore", preset="strong"),
    "**Calotype restore, strong, fidelity 100**": operation("restore", preset="strong", fidelity=100),
    "Calotype, strong, without scratches": operation("restore", preset="strong", scratches=False),
    "Calotype, strong, without cleaning": operation("restore", preset="strong", cleaning=False),
    "Calotype, strong, without tone": operation("restore", preset="strong", tone=False),
}


def run(data: Path, limit: int | None) -> None:
    paths = of(data, "kodak24", limit)
    scores = {name: Score() for name in METHODS}
    for index, path in enumerate(paths):
        clean = read(path)
        worn, _ = ageing.old_photo(clean, np.random.default_rng(index), [])
        for name, method in METHODS.items():
            if index == 0 and "Calotype" in name:
                method(worn[:64, :64])  # the first run also loads
            tried(method, clean, worn, scores[name])
    print("## Old photos\n")
    print(
        f"{len(paths)} pictures of Kodak24, aged (calotype.train.ageing.old_photo, seeded by the number of "
        "the picture): dyes faded by 50 to 100 %, scratches drawn, blurred, grain and noise, JPEG. All "
        f"methods work without being told anything. Networks run in {precision()}.\n"
    )
    rows = [[name, str(score), "" if name == "input" else score.speed] for name, score in scores.items()]
    print(table(["whole chain", "PSNR dB / SSIM", "s a megapixel"], rows))
    if limit is None:
        best = scores["**Calotype restore, strong, fidelity 100**"]
        means = float(np.mean(best.psnr_db)), float(np.mean(best.ssim))
        met = means[0] >= GOAL[0] and means[1] >= GOAL[1]
        row = ["restore, strong, fidelity 100", str(best), f"≥ {GOAL[0]} / {GOAL[1]}", verdict(met)]
        print(table(["goal", "PSNR dB / SSIM", "wanted", ""], [row]))
