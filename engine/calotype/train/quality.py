"""Fit of the quality score: photos are damaged and restored, full-reference measures say how well each fared.

    python -m calotype.train.quality --data photos-train [--ship]

Closed form; a few minutes, most of them the Restorer's.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d

from calotype.image import quality
from calotype.image.codec import Box
from calotype.image.colour import LUMA
from calotype.image.metrics import psnr, ssim
from calotype.models import device, loaded, restorer, weights
from calotype.models.quality import CONTRACT, raise_features
from calotype.train import data, degradations
from calotype.train.degradations import Array, to_8_bit

SIDES_PX = (128, 192, 256)
WAVES = 1000
RIDGE = 0.15  # a tenth of it ranks held-out pictures 0.005 better, but growing film grain 0.02 worse

CLEAN_SCORE = 89.0
"""What the median clean photo gets."""

RUINED_SCORE = 21.0
"""What the median photo gets at JPEG quality 5; noise of sigma 50 lies below that."""


@dataclass(frozen=True)
class Sample:
    """One picture: its statistics (F,), its measures (PSNR, SSIM, GMSD), and what was done to it."""

    features: Tensor
    measures: tuple[float, float, float]
    kind: str


def fit(folder: Path, seed: int = 0, told: Callable[[str], None] = lambda line: None) -> dict[str, Tensor]:
    """What models.quality.Judge is made of, from the photos in folder. Raises CalotypeError BAD_DATA."""
    crops = data.Crops(folder, SIDES_PX[0], seed, lambda crop, rng: crop)  # refuses the test sets' pictures
    paths = crops.paths
    found: list[Sample] = []
    for index, path in enumerate(paths):
        found += samples(path, np.random.default_rng((seed, index)))
        if index % 100 == 0:
            told(f"{index} of {len(paths)} photos")
    return solve(found, np.random.default_rng(seed))


def samples(path: Path, rng: Generator) -> Iterator[Sample]:
    """A photo clean, damaged four times, restored from three of these, once by half; now and then ruined."""
    pixels = data.pixels(path)
    sides = [side for side in SIDES_PX if side <= min(pixels.shape[:2])]
    clean = data.crop(pixels, int(rng.choice(sides)), rng)

    def sample(picture: Array, kind: str) -> Sample:
        picture = to_8_bit(picture)
        return Sample(statistics(picture), measures(clean, picture), kind)

    yield sample(clean, "clean")
    yield sample(worn(clean, rng), "worn")
    first, second = worn(clean, rng), worn(clean, rng)
    blind = restored(first, (restorer.BLIND,) * 3)
    yield sample(first, "worn")
    yield sample(blind, "restored")
    yield sample(first + (blind - first) * np.float32(rng.uniform(0.2, 0.8)), "restored")
    yield sample(second, "worn")
    yield sample(restored(second, _levels(rng)), "restored")
    if rng.random() < 0.2:  # the harm that a filter does to what needed none
        yield sample(restored(clean, _levels(rng)), "restored")
        yield sample(degradations.gaussian_noise(clean, 50, rng), "noisy")
        yield sample(degradations.jpeg(clean, 5), "blocky")


def worn(clean: Array, rng: Generator) -> Array:
    """One of the damages that a photo meets, or a few, or an overdone sharpening."""
    kind = rng.random()
    if kind < 0.40:
        return degradations.wear(clean, rng)[0]
    if kind < 0.50:
        made = degradations.gaussian_noise(clean, _between(1, 70, rng), rng)
    elif kind < 0.62:
        made = degradations.jpeg(clean, round(_between(3, 95, rng)), 0 if rng.random() < 0.35 else 2)
    elif kind < 0.76:
        made = _blurred(clean, _between(0.3, 6, rng))
    elif kind < 0.84:
        made = degradations.film_grain(clean, _between(3, 60, rng), rng.uniform(0.4, 1.6), rng)
    elif kind < 0.88:
        return degradations.age(clean, rng)
    elif kind < 0.96:
        made = fade(clean, rng.uniform(0.15, 0.95), rng.uniform(0.2, 0.8))
        made = _blurred(made, rng.uniform(0.4, 1.5)) if rng.random() < 0.3 else made
        made = degradations.gaussian_noise(made, rng.uniform(2, 20), rng) if rng.random() < 0.3 else made
    else:
        made = clean + (clean - _blurred(clean, rng.uniform(0.6, 2))) * np.float32(rng.uniform(0.5, 4))
    return to_8_bit(made)


def fade(picture: Array, contrast: float, grey: float) -> Array:
    """contrast: 1 leaves the picture, at 0 all of it is grey."""
    return picture * np.float32(contrast) + np.float32((1 - contrast) * grey)


def _blurred(picture: Array, sigma: float) -> Array:
    return degradations.convolve(picture, degradations.gaussian_kernel(sigma, sigma, 0.0))


def _between(low: float, high: float, rng: Generator) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _levels(rng: Generator) -> tuple[float, ...]:
    """Sliders as users set them: often automatic, otherwise anywhere, right or wrong."""
    return tuple(restorer.BLIND if rng.random() < 0.6 else rng.random() for _ in range(3))


def restored(picture: Array, levels: tuple[float, ...]) -> Array:
    network = loaded.load(restorer.Restorer, restorer.CONTRACT, device.choose(0))
    result = network(data.tensor(picture), torch.tensor([levels])).clamp(0, 1)
    return np.ascontiguousarray(result.permute(1, 2, 0).numpy())


def statistics(picture: Array) -> Tensor:
    """picture: (H, W, 3), sides of at least image.quality.SIDE_PX_MIN. Returns (F,)."""
    x = data.tensor(picture)
    patches = quality.look(
        lambda part: x[:, part.y0 : part.y1, part.x0 : part.x1], Box(0, 0, x.shape[2], x.shape[1])
    )
    assert patches is not None
    return quality.features(patches)


# ---- how well a picture fared


def measures(clean: Array, picture: Array) -> tuple[float, float, float]:
    a, b = data.tensor(clean)[None], data.tensor(picture)[None]
    return psnr(a, b), ssim(a, b).item(), gmsd(a, b)


def gmsd(a: Tensor, b: Tensor) -> float:
    """Gradient magnitude similarity deviation of two pictures (1, 3, H, W), 0 where they are equal.

    Source: Xue, Zhang, Mou, Bovik 2014. The best of the three at agreeing with people.
    """
    across = torch.tensor([[1.0, 0.0, -1.0]]).expand(3, 3) / 3
    kernels = torch.stack([across, across.T])[:, None]

    def gradient(x: Tensor) -> Tensor:
        luma = torch.einsum("c,bchw->bhw", LUMA, x)[:, None] * 255
        return conv2d(avg_pool2d(luma, 2), kernels).square().sum(1).sqrt()

    x, y = gradient(a), gradient(b)
    return float(((2 * x * y + 170) / (x * x + y * y + 170)).std())


def qualities(measured: Tensor) -> Tensor:
    """One figure, 0..1, of the measures (N, 3): the mean of the ranks that they give (BLISS)."""
    signed = measured.nan_to_num(posinf=99.0) * torch.tensor([1.0, 1.0, -1.0])
    ranks = [_ranks(column.contiguous()) for column in signed.T]
    return torch.stack(ranks).mean(0)


def _ranks(values: Tensor) -> Tensor:
    """0..1, equal values in the middle of their places."""
    order = values.sort().values
    places = torch.searchsorted(order, values) + torch.searchsorted(order, values, right=True)
    return places / (2 * len(values))


# ---- the fit


def solve(found: list[Sample], rng: Generator) -> dict[str, Tensor]:
    """Ridge regression, then a logistic curve through the scores of clean and of ruined photos."""
    features = torch.stack([sample.features for sample in found])
    count = features.shape[1]
    made = {
        "centre": features.mean(0),
        "spread": features.std(0) + 1e-2,
        "projection": torch.from_numpy(rng.standard_normal((count, WAVES))) / count**0.5,
        "phase": torch.from_numpy(rng.uniform(0, 2 * np.pi, WAVES)),
    }
    made = {name: value.half().float() for name, value in made.items()}  # as they will be shipped
    raised = raise_features(features, **made).double()
    wanted = qualities(torch.tensor([sample.measures for sample in found])).double()
    middle, mean = raised.mean(0), wanted.mean()
    gram = (raised - middle).T @ (raised - middle) + RIDGE * torch.eye(raised.shape[1], dtype=torch.float64)
    weight = torch.linalg.solve(gram, (raised - middle).T @ (wanted - mean))
    fitted = (raised - middle) @ weight + mean
    clean, ruined = (_median(fitted, found, kind) for kind in ("clean", "blocky"))
    steep = (_logit(CLEAN_SCORE) - _logit(RUINED_SCORE)) / (clean - ruined)
    bias = steep * (mean - middle @ weight - clean) + _logit(CLEAN_SCORE)
    return made | {"weight": (steep * weight).float(), "bias": bias.float()[None]}


def _median(fitted: Tensor, found: list[Sample], kind: str) -> float:
    return float(fitted[torch.tensor([sample.kind == kind for sample in found])].median())


def _logit(score: float) -> float:
    return float(np.log(score / (100 - score)))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder of photos")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ship", action="store_true", help="the engine uses the fit from now on")
    options = parser.parse_args()
    tensors = fit(options.data, options.seed, lambda line: print(line, flush=True))  # noqa: T201 a command
    if options.ship:
        weights.ship(tensors, CONTRACT)


if __name__ == "__main__":
    main()
