"""What each part of *Restore* gives: the whole chain, and the chain without one of them.

    calotype train restorer-detail --data PHOTOS --steps 400 --run RUNS/all
    calotype train restorer-detail --data PHOTOS --steps 400 --adversarial 0 --run RUNS/without-gan
    calotype train restorer-detail --data PHOTOS --steps 400 --perceptual 0 --run RUNS/without-perceptual
    python benchmarks/ablation.py --data DIR --runs RUNS [--limit N]

DIR holds testsets/kodak24 and photos-val. Prints Markdown for docs/benchmarks.md.
"""

import argparse
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from restoring.pictures import Floats, batched, of, operation, precision, read
from safetensors.torch import load_file
from stage import header, table
from torch import Tensor, nn

from calotype.image.metrics import psnr, ssim
from calotype.models import encoder, quality, restorer, weights
from calotype.train import ageing, data, degradations, losses

ROWS: dict[str, tuple[str | None, dict[str, Any]]] = {
    "everything": ("all", {}),
    "without the critic": ("without-gan", {}),
    "without the perceptual loss": ("without-perceptual", {}),
    "neither (*Fidelity* 100)": (None, {"fidelity": 100}),
    "without cleaning": (None, {"cleaning": False}),
    "without tone": ("all", {"tone": False}),
    "without scratches": ("all", {"scratches": False}),
    "the weights that ship": (None, {}),
}
"""Run whose weights are taken, and what is asked for beside the preset 'strong' at fidelity 0."""

MEASURES = ("PSNR dB", "SSIM", "perceptual distance", "quality score")

load_shipped = weights.load


def measured(judge: nn.Module, clean: Floats, result: Floats) -> tuple[float, float, float, float]:
    a, b = batched(clean), batched(degradations.to_8_bit(result))
    with torch.inference_mode():
        apart = losses.perceptual(judge, b, a).item()
    points = quality.score(b[0])
    assert points is not None
    return psnr(a, b), ssim(a, b).item(), apart, points


def loaded(run: Path, name: str) -> dict[str, Tensor]:
    return load_file(run / "best.safetensors") if name == restorer.DETAIL else load_shipped(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds testsets/")
    parser.add_argument("--runs", type=Path, required=True, help="the folder of the three trainings")
    parser.add_argument("--limit", type=int, help="pictures; otherwise all")
    options = parser.parse_args()
    judge = encoder.shipped(torch.device("cpu"))
    clean, worn = aged(of(options.data, "kodak24", options.limit))

    print("## What each part gives\n")
    print(header(f"{torch.get_num_threads()} of torch", "torch", "numpy"))
    print(
        f"{len(clean)} aged pictures as under *Old photos*, `restore --preset strong --fidelity 0`, in "
        f"{precision()}. The first three were trained for 400 steps each. Perceptual distance by our own "
        "encoder, which is also what the perceptual loss lowers, so it favours that; lower is nearer.\n"
    )
    rows = [row("the aged pictures", [measured(judge, *pair) for pair in zip(clean, worn, strict=True)])]
    for label, (run, values) in ROWS.items():
        restorer.between.cache_clear()
        method = operation("restore", **{"preset": "strong", "fidelity": 0, **values})
        source = load_shipped if run is None else partial(loaded, options.runs / run)
        with patch.object(restorer.weights, "load", source):
            method(worn[0][:64, :64])
        found = [measured(judge, a, method(b)) for a, b in zip(clean, worn, strict=True)]
        rows.append(row(label, found))
    print(table(["strong", *MEASURES], rows))
    restorer.between.cache_clear()
    photos = data.photos(options.data / "photos-val", 256)[24:48][: options.limit]
    show_fidelity(judge, "kodak24", clean, worn)
    show_fidelity(judge, "photos-val", *aged(photos))


def aged(paths: list[Path]) -> tuple[list[Floats], list[Floats]]:
    """Photos, sides cut to multiples of 16, and what became of them."""
    clean = [_cut(read(path)) for path in paths]
    return clean, [ageing.old_photo(each, np.random.default_rng(i), [])[0] for i, each in enumerate(clean)]


def _cut(picture: Floats) -> Floats:
    height, width = (side // 16 * 16 for side in picture.shape[:2])
    return picture[:height, :width]


def show_fidelity(judge: nn.Module, name: str, clean: list[Floats], worn: list[Floats]) -> None:
    rows = []
    for fidelity in (100, 60, 0):
        method = operation("restore", preset="strong", scratches=False, fidelity=fidelity)
        found = [measured(judge, a, method(b)) for a, b in zip(clean, worn, strict=True)]
        rows.append(row(str(fidelity), found))
    print(f"### *Fidelity*, without scratches: {len(clean)} pictures of {name}\n")
    print(table(["fidelity", *MEASURES], rows))


def row(label: str, found: list[tuple[float, float, float, float]]) -> list[str]:
    means = [fmean(column) for column in zip(*found, strict=True)]
    return [label, f"{means[0]:.2f}", f"{means[1]:.3f}", f"{means[2]:.4f}", f"{means[3]:.0f}"]


if __name__ == "__main__":
    main()
