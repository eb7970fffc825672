"""Noise and JPEG blocks taken out of standard test pictures, by the Restorer and by what everybody has.

    python benchmarks/restoration.py --data DIR [--limit N] [--task noise25,jpeg10] [--float32]

DIR holds testsets/cbsd68 and testsets/kodak24. Prints Markdown for docs/benchmarks.md.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from stage import header, table, verdict
from torch import Tensor

from calotype.image import tiles
from calotype.image.codec import Box
from calotype.image.metrics import psnr, ssim
from calotype.models import device as devices
from calotype.models.device import Device
from calotype.models.restorer import BLIND, CONTRACT, NOISE_SIGMA_MAX, Restorer
from calotype.ops import task as tasks
from calotype.train import degradations

Floats = NDArray[np.float32]
"""Pictures (H, W, 3), sRGB-encoded, 0..1 where they have 8 bits."""
Levels = tuple[float, float, float]
Method = Callable[[Floats], Floats]

SETS = ("cbsd68", "kodak24")
UNCLIPPED = "Calotype, level given, noise neither clipped nor rounded"
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


@dataclass
class Score:
    psnr_db: list[float] = field(default_factory=list)
    ssim: list[float] = field(default_factory=list)
    seconds: float = 0.0
    megapixels: float = 0.0

    def add(self, clean: Floats, result: Floats, seconds: float) -> None:
        a, b = _tensor(clean), _tensor(result)
        self.psnr_db.append(psnr(a, b))
        self.ssim.append(ssim(a, b))
        self.seconds += seconds
        self.megapixels += clean.shape[0] * clean.shape[1] / 1e6

    def __str__(self) -> str:
        return f"{fmean(self.psnr_db):.2f} / {fmean(self.ssim):.3f}"


# ---- methods


def bilateral(picture: Floats, peer: Peer) -> Floats:
    return _floats(cv2.bilateralFilter(_bytes(picture), -1, *peer.bilateral))


def nlm(picture: Floats, peer: Peer) -> Floats:
    return _floats(cv2.fastNlMeansDenoisingColored(_bytes(picture), None, *peer.nlm, 7, 21))


def ours(device: Device, levels: Levels) -> Method:
    """The engine's own way: each picture is less than a tile, so it passes whole, padded."""
    network = tasks.network(Restorer, CONTRACT, device)
    planes = torch.tensor([levels], device=device.name)

    def run(picture: Tensor) -> Tensor:
        with device.inference():
            restored = network(device.send(picture), planes).float().cpu()
        return restored.clamp(0, 1)

    def restore(picture: Floats) -> Floats:
        height, width = picture.shape[:2]
        result = torch.empty(3, height, width)

        def write(box: Box, rows: Tensor) -> None:
            result[:, box.y0 : box.y1] = rows

        box = Box(0, 0, width, height)
        whole = _tensor(picture)[0]
        tiles.process(box, lambda _: whole, run, write, CONTRACT.halo_px, CONTRACT.multiple)
        return np.ascontiguousarray(result.permute(1, 2, 0).numpy())

    return restore


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


def measure(paths: list[Path], wear: Wear, float32: bool) -> dict[str, Score]:
    known = methods(wear, float32)
    scores = {name: Score() for name in known}
    unclipped, level_given = Score(), known["**Calotype, level given**"]
    for index, path in enumerate(paths):
        clean = _picture(path)
        worn = wear.apply(clean, index)
        for name, method in known.items():
            _try(method, clean, degradations.to_8_bit(worn), scores[name])
        if wear.kind == "noise":
            _try(level_given, clean, worn, unclipped)
    return {**scores, UNCLIPPED: unclipped}


def _try(method: Method, clean: Floats, worn: Floats, score: Score) -> None:
    began = time.perf_counter()
    result = method(worn)
    seconds = time.perf_counter() - began
    score.add(clean, degradations.to_8_bit(result), seconds)


def warm_up() -> None:
    """The first run of a network also loads it."""
    for method in methods(WEARS[0], False).values():
        method(np.zeros((256, 256, 3), np.float32))


def _picture(path: Path) -> Floats:
    with Image.open(path) as image:
        return _floats(np.asarray(image.convert("RGB")))


def _tensor(picture: Floats) -> Tensor:
    """(1, 3, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None]


def _floats(pixels: NDArray[np.generic]) -> Floats:
    return np.divide(pixels, 255, dtype=np.float32)


def _bytes(picture: Floats) -> NDArray[np.uint8]:
    return np.rint(picture * 255).astype(np.uint8)


# ---- printing


def show(name: str, count: int, results: dict[str, dict[str, Score]]) -> None:
    """results: by wear, then by method."""
    rows = []
    for method in next(iter(results.values())):
        scores = [by_method[method] for by_method in results.values()]
        used = [score for score in scores if score.psnr_db]
        if used:
            cells = [str(score) if score.psnr_db else "" for score in scores]
            speed = sum(s.seconds for s in used) / sum(s.megapixels for s in used)
            rows.append([method, *cells, "" if method == "input" else f"{speed:.2f}"])
    print(f"### {name}, {count} pictures: PSNR dB / SSIM\n")
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
        f"pictures of each picture's own figure. Networks run in {_precision()}. Level given: that slider is "
        "set right, the others stay automatic. OpenCV's filters were given what did best on photos outside "
        f"of these sets ({settings}; windows of 7 and 21).\n"
    )


def _precision() -> str:
    return str(devices.choose(0).dtype).removeprefix("torch.")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds testsets/")
    parser.add_argument("--limit", type=int, help="pictures of each set; otherwise all")
    parser.add_argument("--task", default=",".join(w.name for w in WEARS), help="some of: %(default)s")
    parser.add_argument("--float32", action="store_true", help="also run the network in float32")
    options = parser.parse_args()
    wears = [wear for wear in WEARS if wear.name in options.task.split(",")]
    threads = f"{torch.get_num_threads()} of torch, {cv2.getNumThreads()} of OpenCV"
    print("## Restoration\n")
    print(header(threads, "torch", "opencv-python-headless", "pillow", "numpy"))
    print(conditions(wears))
    warm_up()
    results: dict[str, dict[str, dict[str, Score]]] = {}
    for name in SETS:
        paths = sorted((options.data / "testsets" / name).glob("*.png"))[: options.limit]
        results[name] = {wear.name: measure(paths, wear, options.float32) for wear in wears}
        show(name, len(paths), results[name])
    if options.limit is None:
        show_goals(results)
    else:
        print("No goals: they are of the whole sets.")


if __name__ == "__main__":
    main()
