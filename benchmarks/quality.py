"""The quality score beside the truth, and beside NIQE: how it falls with damage and rises with restoring.

    python benchmarks/quality.py --data DIR [--limit N]

DIR holds photos-train (for NIQE, which is fitted here as published), photos-val and testsets/kodak24.
Prints Markdown for docs/benchmarks.md.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from restoring.pictures import Floats, read
from stage import SEED, header, photo, table, timed, verdict
from torch import Tensor
from torch.nn.functional import avg_pool2d

from calotype.image import quality as statistics
from calotype.image.codec import Box
from calotype.models.quality import score, score_of
from calotype.models.restorer import BLIND
from calotype.train import data, degradations
from calotype.train import quality as fitting

NIQE_PHOTOS = 125
SHARP = 0.75
"""NIQE learns from patches at least so sharp as the sharpest of their photo."""


# ---- damages, each in steps of growing severity


def _gaussian(picture: Floats, sigma: float, rng: Generator) -> Floats:
    return degradations.gaussian_noise(picture, sigma, rng)


def _jpeg(picture: Floats, quality: float, rng: Generator) -> Floats:
    return degradations.jpeg(picture, int(quality))


def _blur(picture: Floats, sigma: float, rng: Generator) -> Floats:
    return degradations.convolve(picture, degradations.gaussian_kernel(sigma, sigma, 0.0))


def _grain(picture: Floats, sigma: float, rng: Generator) -> Floats:
    return degradations.film_grain(picture, sigma, 0.8, rng)


def _fading(picture: Floats, contrast: float, rng: Generator) -> Floats:
    return fitting.fade(picture, contrast, 0.5)


def _ageing(picture: Floats, times: float, rng: Generator) -> Floats:
    """degradations.age where times is 1, else each of its damages so many times as strong."""
    worn = _grain(_blur(picture, 0.8 * times, rng), 16 * times, rng)
    return degradations.jpeg(_gaussian(worn, 8 * times, rng), int(100 - 45 * times))


@dataclass(frozen=True)
class Ladder:
    name: str
    damage: Callable[[Floats, float, Generator], Floats]
    steps: tuple[float, ...]


LADDERS = (
    Ladder("noise, sigma", _gaussian, (5, 10, 15, 25, 35, 50)),
    Ladder("JPEG, quality", _jpeg, (90, 70, 50, 30, 20, 10, 5)),
    Ladder("blur, sigma px", _blur, (0.5, 0.8, 1.2, 2, 3, 4)),
    Ladder("film grain, sigma", _grain, (5, 12, 20, 35, 50)),
    Ladder("fading, contrast", _fading, (0.8, 0.6, 0.45, 0.3, 0.2)),
    Ladder("age, times", _ageing, (0.5, 1, 1.5, 2)),
)


# ---- NIQE as published, for comparison


@dataclass(frozen=True)
class Niqe:
    """mean: (36,). covariance: (36, 36). Of the sharp patches of clean photos."""

    mean: Tensor
    covariance: Tensor

    @classmethod
    def of(cls, photos: list[Path]) -> "Niqe":
        kept = []
        for path in photos:
            features, sharpness = _niqe_features(data.tensor(read(path)))
            kept.append(features[sharpness > SHARP * sharpness.max()])
        features = torch.cat(kept)
        return cls(features.mean(0), torch.cov(features.T))

    def __call__(self, picture: Tensor) -> float:
        """Higher is better: the distance with its sign turned."""
        features, _ = _niqe_features(picture)
        away = features.mean(0) - self.mean
        both = (torch.cov(features.T) + self.covariance) / 2
        return -float(torch.sqrt(away @ torch.linalg.pinv(both) @ away))


def _niqe_features(picture: Tensor) -> tuple[Tensor, Tensor]:
    """(N, 36), float64, and the sharpness (N,) of each patch."""
    patches = _patches(picture)
    x, found, sharpness = patches.luma, [], []
    for scale in range(2):
        if scale:
            x = avg_pool2d(x[:, None], 2)[:, 0]
        y, deviation = statistics.normalised(x)
        sharpness.append(deviation.mean((1, 2)))
        shape, _, left, right = statistics.asymmetric_gaussian(y)
        found += [shape, (left + right) / 2]
        neighbours = (y[:, :, 1:], y[:, :, :-1]), (y[:, 1:], y[:, :-1])
        diagonals = (y[:, 1:, 1:], y[:, :-1, :-1]), (y[:, 1:, :-1], y[:, :-1, 1:])
        for one, other in (*neighbours, *diagonals):
            found += list(statistics.asymmetric_gaussian(one * other))
    return torch.stack(found, 1).double(), sharpness[0]


def _patches(picture: Tensor) -> statistics.Patches:
    height, width = picture.shape[1:]
    patches = statistics.look(lambda b: picture[:, b.y0 : b.y1, b.x0 : b.x1], Box(0, 0, width, height))
    assert patches is not None
    return patches


# ---- measuring


@dataclass
class Rungs:
    """What a ladder gave: by step, by picture. Step 0 is the clean picture."""

    ours: NDArray[np.float64]
    niqe: NDArray[np.float64]
    restored: NDArray[np.float64]
    better: NDArray[np.bool_]  # by the truth: mean rank of PSNR, SSIM and GMSD, two of three


def climb(paths: list[Path], ladder: Ladder, niqe: Niqe) -> Rungs:
    ours, others, restored, better = [], [], [], []
    for index, path in enumerate(paths):
        clean = read(path)
        rng = np.random.default_rng((SEED, index))
        worn = [clean, *(degradations.to_8_bit(ladder.damage(clean, s, rng)) for s in ladder.steps)]
        after = [degradations.to_8_bit(fitting.restored(p, (BLIND,) * 3)) for p in worn]
        ours.append([_score(p) for p in worn])
        others.append([niqe(data.tensor(p)) for p in worn])
        restored.append([_score(p) for p in after])
        better.append([_better(clean, *pair) for pair in zip(worn, after, strict=True)])
    return Rungs(np.array(ours).T, np.array(others).T, np.array(restored).T, np.array(better).T)


def _better(clean: Floats, before: Floats, after: Floats) -> bool:
    """Whether most of PSNR, SSIM and GMSD call after nearer to clean than before."""
    a, b = fitting.measures(clean, before), fitting.measures(clean, after)
    return (b[0] > a[0]) + (b[1] > a[1]) + (b[2] < a[2]) >= 2


def _score(picture: Floats) -> float:
    found = score(data.tensor(picture))
    assert found is not None
    return found


def spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Equal values share the mean of their places."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[which])


def fall(scores: NDArray[np.float64]) -> tuple[float, float]:
    """Rank correlation with mildness: mean of each picture's own, and over all pictures at once."""
    mildness = -np.arange(len(scores), dtype=np.float64)
    own = fmean(spearman(column, mildness) for column in scores.T)
    return own, spearman(scores.ravel(), np.repeat(mildness, scores.shape[1]))


# ---- printing


def show_ladders(name: str, count: int, climbed: dict[str, Rungs]) -> None:
    rows = []
    for kind, rungs in climbed.items():
        cells = [f"{value:.2f}" for value in (*fall(rungs.ours), *fall(rungs.niqe))]
        rows.append([kind, *cells])
    print(f"### {name}, {count} pictures: rank correlation with severity\n")
    heads = ["damage", "each picture", "all pictures", "NIQE, each picture", "NIQE, all pictures"]
    print(table(heads, rows))


def show_restoring(name: str, climbed: dict[str, Rungs]) -> None:
    rows = []
    for ladder in LADDERS:
        rungs = climbed[ladder.name]
        for step, label in enumerate(("clean", *ladder.steps)):
            if step == 0 and ladder is not LADDERS[0]:
                continue
            before, after, truly = rungs.ours[step], rungs.restored[step], rungs.better[step]
            raised = after > before
            cells = [f"{median(before):.0f} -> {median(after):.0f}", f"{100 * raised.mean():.0f} %"]
            cells += [f"{100 * truly.mean():.0f} %", f"{100 * (raised == truly).mean():.0f} %"]
            rows.append([f"{ladder.name} {label}" if step else "clean", *cells])
    print(f"### {name}: before and after restoring, automatic\n")
    print(table(["damage", "median score", "raised", "truly better", "agree"], rows))


def show_mixture(name: str, paths: list[Path], niqe: Niqe) -> None:
    """Mixed damages and restorations as in the fit, of photos that it never saw."""
    found = []
    for index, path in enumerate(paths):
        clean = _centre(read(path))
        rng = np.random.default_rng((SEED, 1, index))
        for _ in range(3):
            worn = fitting.worn(clean, rng)
            levels = tuple(BLIND if rng.random() < 0.6 else rng.random() for _ in range(3))
            restored = degradations.to_8_bit(fitting.restored(worn, levels))
            for picture, kind in ((worn, 0), (restored, 1)):
                x = data.tensor(picture)
                truth = fitting.measures(clean, picture)
                found.append([kind, _score(picture), niqe(x), truth[0], truth[1], -truth[2]])
    values = np.array(found).T
    combined = fitting.qualities(torch.tensor(values[3:].T * [1, 1, -1])).double().numpy()
    truths = {"SSIM": values[4], "PSNR": values[3], "GMSD": values[5], "all three": combined}
    rows = []
    for label, kept in (("damaged and restored", values[0] >= 0), ("restored alone", values[0] == 1)):
        for method, scores in (("**ours**", values[1]), ("NIQE", values[2])):
            cells = [f"{spearman(scores[kept], truth[kept]):.2f}" for truth in truths.values()]
            rows.append([label, method, *cells])
    print(f"### {name}: rank correlation with the truth, {values.shape[1]} pictures of mixed damages\n")
    print(table(["pictures", "score", *truths], rows))


def _centre(picture: Floats) -> Floats:
    y, x = ((side - 256) // 2 for side in picture.shape[:2])
    return np.ascontiguousarray(picture[y : y + 256, x : x + 256])


def show_speed() -> None:
    rows = []
    for width, height in ((512, 512), (4000, 3000), (12000, 8500)):
        part = data.tensor(photo(512, 512)[..., :3].astype(np.float32) / np.float32(255))

        def read(box: Box, part: Tensor = part) -> Tensor:
            return part[:, : box.height, : box.width]

        seconds = [timed(lambda: score_of(read, Box(0, 0, width, height))) for _ in range(6)]  # noqa: B023
        rows.append([f"{width} x {height}", f"{min(seconds[1:]):.3f}", verdict(min(seconds[1:]) <= 0.3)])
    print("### Seconds a score, without reading the layer\n")
    print(table(["picture", "s", "at most 0.3"], rows))


def show_goals(climbed: dict[str, Rungs]) -> None:
    clean = median(climbed["noise, sigma"].ours[0])
    noisy = median(climbed["noise, sigma"].ours[-1])
    blocky = median(climbed["JPEG, quality"].ours[-1])
    lowest = min(fall(rungs.ours)[0] for rungs in climbed.values())
    rows = [
        ["median clean photo", f"{clean:.0f}", "80 to 95", verdict(80 <= clean <= 95)],
        ["median at noise of sigma 50", f"{noisy:.0f}", "< 30", verdict(noisy < 30)],
        ["median at JPEG quality 5", f"{blocky:.0f}", "< 30", verdict(blocky < 30)],
        ["lowest rank correlation, each picture", f"{lowest:.2f}", "≥ 0.9", verdict(lowest >= 0.9)],
    ]
    print(table(["goal", "reached", "wanted", ""], rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--data", type=Path, required=True, help="the folder that holds photos-val, testsets/"
    )
    parser.add_argument("--limit", type=int, help="pictures of each set; otherwise all")
    options = parser.parse_args()
    print("# The quality score\n")
    print(header(f"{torch.get_num_threads()} of torch", "torch", "pillow", "numpy"))
    niqe = Niqe.of(data.photos(options.data / "photos-train", 256)[:NIQE_PHOTOS])
    for name in ("photos-val", "testsets/kodak24"):
        paths = data.photos(options.data / name, 256)[: options.limit]
        climbed = {ladder.name: climb(paths, ladder, niqe) for ladder in LADDERS}
        show_ladders(name, len(paths), climbed)
        show_restoring(name, climbed)
        show_mixture(name, paths, niqe)
        show_goals(climbed)
    show_speed()


if __name__ == "__main__":
    main()
