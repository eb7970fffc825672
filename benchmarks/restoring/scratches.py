"""Scratches drawn on clean pictures: found, and filled where they are known."""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from skimage import data as photos
from stage import table, verdict

from calotype.image.metrics import f1
from calotype.train import defects, degradations
from calotype.train.detector import TOLERANCE_PX
from calotype_wire.errors import CalotypeError
from restoring.pictures import Floats, eight_bits, floats, of, operate, read

GOAL_F1 = 0.88
HARMLESS = ("astronaut", "chelsea", "coffee", "brick")
TOP_HAT_PX = 7
Mask = NDArray[np.bool_]


PLAIN = 60 / 255
"""A pixel that a defect changed by so much shows it plainly."""


def worn(path: Path, index: int, plain: bool) -> tuple[Floats, Mask]:
    """A picture with drawn defects, then grain, as 8 bits; and where the defects are.

    plain: only defects that nobody overlooks, in all places where they are seen so.
    """
    rng = np.random.default_rng(index)
    clean = read(path)
    damaged, mask = defects.damage(clean, rng, [], 0.9 if plain else 0.5)
    found = mask > 0
    if plain:
        found = np.abs(damaged - clean).max(axis=2) > PLAIN
        damaged = np.where(found[..., None], damaged, clean)
    return degradations.to_8_bit(degradations.film_grain(damaged, 6, 0.7, rng)), found


def ours(picture: Floats) -> Mask:
    try:
        found: Mask = operate("remove_scratches", picture)[1].native[..., -1] > 0
    except CalotypeError:  # it found none
        return np.zeros(picture.shape[:2], bool)
    return found


def top_hat(picture: Floats) -> NDArray[np.uint8]:
    """What is brighter or darker than a disc of TOP_HAT_PX around it lets pass."""
    grey = cv2.cvtColor(eight_bits(picture), cv2.COLOR_RGB2GRAY)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (TOP_HAT_PX, TOP_HAT_PX))
    bright = cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, disc)
    found: NDArray[np.uint8] = np.maximum(bright, cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, disc))
    return found


def finding(paths: list[Path]) -> None:
    rows = []
    for kind, plain in (("plain", True), ("faint and plain", False)):
        mine, hats, seconds, megapixels = [], {}, 0.0, 0.0
        for index, path in enumerate(paths):
            picture, truth = worn(path, index, plain)
            began = time.perf_counter()
            mask = ours(picture)
            seconds += time.perf_counter() - began
            megapixels += truth.size / 1e6
            mine.append(_f1(mask, truth))
            hat = top_hat(picture)
            for threshold in range(10, 120, 10):
                hats.setdefault(threshold, []).append(_f1(hat > threshold, truth))
        best = max(hats, key=lambda threshold: fmean(hats[threshold]))
        rows.append([f"{kind}: OpenCV top-hat, its best threshold ({best})", f"{fmean(hats[best]):.3f}", ""])
        rows.append([f"{kind}: **Calotype**", f"{fmean(mine):.3f}", f"{seconds / megapixels:.2f}"])
        if plain:
            reached = fmean(mine)
    heads = ["finding scratches", f"F1 within {TOLERANCE_PX} px", "s a megapixel, filling included"]
    print(table(heads, rows))
    alarms = fmean(float(ours(read(path)).mean()) for path in paths)
    print(f"On the clean pictures {100 * alarms:.2f} % of the pixels were taken for scratches.\n")
    rows = []
    for name in HARMLESS:
        seen = np.atleast_3d(getattr(photos, name)()) * np.ones(3, np.uint8)
        rows.append([name, f"{100 * float(ours(floats(seen)).mean()):.1f} %"])
    print(table(["photo of scikit-image without a scratch", "taken for scratches"], rows))
    goal = ["found, plain", f"{reached:.3f}", f"≥ {GOAL_F1}", verdict(reached >= GOAL_F1)]
    print(table(["goal", "F1", "wanted", ""], [goal]))


def filling(paths: list[Path]) -> None:
    """PSNR inside of the masks, which all methods are given."""
    fills: dict[str, Callable[[Floats, Mask], Floats]] = {
        "OpenCV Telea": lambda picture, mask: _inpainted(picture, mask, cv2.INPAINT_TELEA),
        "OpenCV Navier-Stokes": lambda picture, mask: _inpainted(picture, mask, cv2.INPAINT_NS),
        "**Calotype**": lambda picture, mask: floats(
            operate("remove_scratches", picture, [mask], mask=1)[0].native
        ),
    }
    errors: dict[str, list[float]] = {name: [] for name in fills}
    seconds = dict.fromkeys(fills, 0.0)
    megapixels = 0.0
    for index, path in enumerate(paths):
        clean = read(path)
        damaged, truth = defects.damage(clean, np.random.default_rng(index), [])
        mask = truth > 0
        if not mask.any():
            continue
        megapixels += mask.size / 1e6
        for name, fill in fills.items():
            began = time.perf_counter()
            filled = fill(degradations.to_8_bit(damaged), mask)
            seconds[name] += time.perf_counter() - began
            errors[name].append(float(-10 * np.log10(np.square(filled - clean)[mask].mean())))
    rows = [[name, f"{fmean(errors[name]):.2f}", f"{seconds[name] / megapixels:.2f}"] for name in fills]
    print(table(["filling thin defects", "PSNR in the mask, dB", "s a megapixel"], rows))


def _f1(found: Mask, truth: Mask) -> float:
    return f1(torch.from_numpy(found), torch.from_numpy(truth), TOLERANCE_PX)


def _inpainted(picture: Floats, mask: Mask, how: int) -> Floats:
    return floats(cv2.inpaint(eight_bits(picture), mask.astype(np.uint8), 3, how))


def run(data: Path, limit: int | None) -> None:
    paths = of(data, "kodak24", limit)
    print("## Scratches\n")
    print(
        f"{len(paths)} pictures of Kodak24 with one to six scratches, hairs, folds, specks and blotches "
        "drawn on each (calotype.train.defects, seeded by the number of the picture), for finding with film "
        "grain of sigma 6 over them. The same code drew for training, on other pictures.\n"
    )
    finding(paths)
    filling(paths)
