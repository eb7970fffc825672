"""Noise and JPEG blocks taken out of standard test pictures, by the Restorer and by what everybody has."""

from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import bm3d
import cv2
import numpy as np
import torch
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle
from stage import table, verdict

from calotype.models import device as devices
from calotype.models.device import Device
from calotype.models.restorer import BLIND, NOISE_SIGMA_MAX, between
from calotype.train import degradations
from restoring.pictures import Floats, Method, Score, batched, eight_bits, floats, of, precision, read, tried

Levels = tuple[float, float, float]

SETS = ("cbsd68", "kodak24")
UNCLIPPED = "Calotype, level given, noise neither clipped nor rounded"
SUBSET = 4
"""Pictures for methods that take a minute each."""
GOALS_DB = {("cbsd68", "noise25"): 31.0, ("cbsd68", "jpeg10"): 27.3}


@dataclass(frozen=True)
class Peer:
    """What OpenCV's filters are told: what did best in a grid, on eight photos outside of the test sets.

    bilateral: sigma of colour and of space. nlm: h of luminance and of colour.
    """

    bilateral: tuple[float, float]
    nlm: tuple[float, float]


@dataclass(frozen=True)
class Wear:
    """kind: 'noise' or 'jpeg'. amount: a sigma on the 0..255 scale, or a quality."""

    kind: str
    amount: int
    peer: Peer

    @property
    def name(self) -> str:
        return f"{self.kind}{self.amount}"

    @property
    def levels(self) -> Levels:
        """The slider of this wear set right, the others left automatic."""
        if self.kind == "noise":
            return self.amount / NOISE_SIGMA_MAX, BLIND, BLIND
        return BLIND, (100 - self.amount) / 100, BLIND

    def apply(self, clean: Floats, seed: int) -> Floats:
        """Noise is neither clipped nor rounded yet."""
        if self.kind == "jpeg":
            return degradations.jpeg(clean, self.amount)
        noise = np.random.default_rng(seed).normal(0, self.amount / 255, clean.shape)
        return clean + noise.astype(np.float32)


WEARS = (
    Wear("noise", 15, Peer((60, 3), (12, 12))),
    Wear("noise", 25, Peer((100, 3), (20, 20))),
    Wear("noise", 50, Peer((200, 3), (30, 30))),
    Wear("jpeg", 10, Peer((50, 5), (9, 9))),
    Wear("jpeg", 30, Peer((30, 5), (4, 4))),
)


# ---- methods


def bilateral(picture: Floats, peer: Peer) -> Floats:
    return floats(cv2.bilateralFilter(eight_bits(picture), -1, *peer.bilateral))


def nlm(picture: Floats, peer: Peer) -> Floats:
    return floats(cv2.fastNlMeansDenoisingColored(eight_bits(picture), None, *peer.nlm, 7, 21))


def ours(device: Device, levels: Levels) -> Method:
    """The engine's own way: each picture is less than a tile, so it passes whole, padded."""
    restorer = between(0, device)
    planes = torch.tensor([levels])

    def restore(picture: Floats) -> Floats:
        restored = restorer(batched(picture)[0], planes).clamp(0, 1)
        return np.ascontiguousarray(restored.permute(1, 2, 0).numpy())

    return restore


def slow_methods(wear: Wear) -> dict[str, Method]:
    """What takes minutes a picture; all are told the standard deviation of the noise."""
    sigma = wear.amount / 255
    window = {"patch_size": 5, "patch_distance": 6, "channel_axis": 2, "fast_mode": True}
    return {
        "input": lambda picture: picture,
        "scikit-image total variation": lambda picture: denoise_tv_chambolle(
            picture, weight=1.1 * sigma, channel_axis=2
        ),
        "scikit-image non-local means": lambda picture: denoise_nl_means(
            picture, h=0.7 * sigma, sigma=sigma, **window
        ),
        "BM3D": lambda picture: bm3d.bm3d_rgb(picture, sigma).astype(np.float32),
        "**Calotype, automatic**": ours(devices.choose(0), (BLIND, BLIND, BLIND)),
        "**Calotype, level given**": ours(devices.choose(0), wear.levels),
    }


def methods(wear: Wear, float32: bool) -> dict[str, Method]:
    device = devices.choose(0)
    blind = (BLIND, BLIND, BLIND)
    found: dict[str, Method] = {
        "input": lambda picture: picture,
        "OpenCV bilateral": lambda picture: bilateral(picture, wear.peer),
        "OpenCV non-local means": lambda picture: nlm(picture, wear.peer),
        "**Calotype, automatic**": ours(device, blind),
        "**Calotype, level given**": ours(device, wear.levels),
    }
    if float32:
        exact = replace(device, dtype=torch.float32)
        found["Calotype, automatic, float32"] = ours(exact, blind)
        found["Calotype, level given, float32"] = ours(exact, wear.levels)
    return found


# ---- measuring


def measure(paths: list[Path], wear: Wear, known: dict[str, Method]) -> dict[str, Score]:
    scores = {name: Score() for name in known}
    unclipped, level_given = Score(), known["**Calotype, level given**"]
    for index, path in enumerate(paths):
        clean = read(path)
        worn = wear.apply(clean, index)
        for name, method in known.items():
            tried(method, clean, degradations.to_8_bit(worn), scores[name])
        if wear.kind == "noise":
            tried(level_given, clean, worn, unclipped)
    return {**scores, UNCLIPPED: unclipped}


def warm_up() -> None:
    """The first run of a network also loads it."""
    for method in methods(WEARS[0], False).values():
        method(np.zeros((256, 256, 3), np.float32))


# ---- printing


def show(title: str, results: dict[str, dict[str, Score]]) -> None:
    """results: by wear, then by method."""
    rows = []
    for method in next(iter(results.values())):
        scores = [by_method[method] for by_method in results.values()]
        used = [score for score in scores if score.psnr_db]
        if used:
            cells = [str(score) if score.psnr_db else "" for score in scores]
            speed = sum(s.seconds for s in used) / sum(s.megapixels for s in used)
            rows.append([method, *cells, "" if method == "input" else f"{speed:.2f}"])
    print(f"### {title}: PSNR dB / SSIM\n")
    print(table(["method", *results, "s a megapixel"], rows))


def show_goals(results: dict[str, dict[str, dict[str, Score]]]) -> None:
    rows = []
    for (name, wear), goal_db in GOALS_DB.items():
        if wear in results.get(name, {}):
            for method in ("**Calotype, automatic**", "**Calotype, level given**"):
                reached = fmean(results[name][wear][method].psnr_db)
                label = f"{name} {wear}, {method.strip('*')}"
                rows.append([label, f"{reached:.2f}", f"≥ {goal_db}", verdict(reached >= goal_db)])
    print(table(["goal", "PSNR dB", "wanted", ""], rows))


def conditions(wears: list[Wear]) -> str:
    settings = "; ".join(
        f"{w.name}: bilateral sigmaColor {w.peer.bilateral[0]:g}, sigmaSpace {w.peer.bilateral[1]:g}, "
        f"non-local means h {w.peer.nlm[0]:g}, hColor {w.peer.nlm[1]:g}"
        for w in wears
    )
    return (
        "Noise: additive, white, Gaussian, numpy.random.default_rng(number of the picture), clipped and "
        "rounded to 8 bits before any method sees it; published figures leave it unclipped, so one row does "
        "too. JPEG: Pillow, 4:2:0. PSNR and SSIM over RGB, results rounded to 8 bits, the mean over "
        f"pictures of each picture's own figure. Networks run in {precision()}. Level given: that slider is "
        "set right, the others stay automatic. OpenCV's filters were given what did best on photos outside "
        f"of these sets ({settings}; windows of 7 and 21).\n"
    )


def run(data: Path, limit: int | None, names: list[str], float32: bool) -> None:
    """names: of WEARS. Prints the tables."""
    wears = [wear for wear in WEARS if wear.name in names]
    print("## Noise and JPEG blocks\n")
    print(conditions(wears))
    warm_up()
    results: dict[str, dict[str, dict[str, Score]]] = {}
    for name in SETS:
        paths = of(data, name, limit)
        results[name] = {wear.name: measure(paths, wear, methods(wear, float32)) for wear in wears}
        show(f"{name}, {len(paths)} pictures", results[name])
    if limit is None:
        show_goals(results)
    few = of(data, "cbsd68", SUBSET)
    slow = {wear.name: measure(few, wear, slow_methods(wear)) for wear in wears if wear.kind == "noise"}
    if slow:
        show(f"Beside BM3D and scikit-image, the first {len(few)} pictures of cbsd68", slow)
