"""What it brings, and what it costs, that colours and styles share one encoder.

    calotype train dual --data PHOTOS --held-out OTHERS --styles PAINTINGS --minutes 20 --run RUNS/shared
    calotype train dual --data PHOTOS --held-out OTHERS --minutes 10 --style 0 --content 0 --run RUNS/colour
    calotype train dual --data PHOTOS --held-out OTHERS --styles PAINTINGS --minutes 10 --colour 0 \\
        --histogram 0 --run RUNS/style
    python benchmarks/sharing.py --data DIR --runs RUNS

One network, trained for both, beside two of the same shape that had half of its time each. DIR holds
photos-val and styles. Prints Markdown for docs/benchmarks.md.
"""

import argparse
import csv
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from stage import header, table
from torch import nn

from calotype.models import device as devices
from calotype.models import dual
from calotype.train.dual import DualRecipe

FIGURES = {
    "psnr_automatic": "automatic, dB",
    "psnr_palette": "palette, dB",
    "psnr_hints": "20 points, dB",
    "colourful": "colourfulness",
    "content": "content distance",
    "style": "style distance",
}

SIDE_PX = 512
REPEATS = 5


def loaded(run: Path) -> dual.Dual:
    network = dual.Dual()
    network.load_state_dict(load_file(run / "best.safetensors"))
    return network.eval()


def minutes(run: Path) -> float:
    with open(run / "log.csv", encoding="utf-8") as file:
        return float(list(csv.DictReader(file))[-1]["elapsed_s"]) / 60


def megabytes(*parts: nn.Module) -> float:
    """In float16."""
    return 2e-6 * sum(weights.numel() for part in parts for weights in part.parameters())


def seconds(run: Callable[[], object]) -> float:
    device, times = devices.choose(0), []
    with device.inference():
        for _ in range(REPEATS):
            began = time.perf_counter()
            run()
            times.append(time.perf_counter() - began)
    return min(times)


def figures(run: Path, data: Path, **losses: Any) -> dict[str, float]:
    recipe = DualRecipe(styles=data / "styles", **losses)
    with torch.inference_mode():
        return recipe.evaluate(loaded(run), data / "photos-val")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="that holds photos-val and styles")
    parser.add_argument("--runs", type=Path, required=True, help="the folder of the three runs")
    options = parser.parse_args()
    runs = {name: options.runs / name for name in ("shared", "colour", "style")}
    one = figures(runs["shared"], options.data)
    colours = figures(runs["colour"], options.data, content=0, style=0)
    styles = figures(runs["style"], options.data, colour=0, histogram=0)
    two = colours | {key: styles[key] for key in ("content", "style")}

    network = loaded(runs["shared"])
    encoder = network.encoder
    shallow = encoder.stem, encoder.levels[0]
    for_colours = megabytes(encoder, network.colours)
    for_styles = megabytes(network.style, network.foretell)
    luma = torch.rand(1, 1, SIDE_PX, SIDE_PX)
    hints, palette = torch.zeros(1, 3, SIDE_PX, SIDE_PX), torch.zeros(1, dual.PALETTE)
    told = luma, hints[:, :2], hints[:, :1], palette
    row = torch.zeros(1, dual.ROW)
    in_turn = seconds(lambda: network.stylise(luma, network.colour(*told).float(), row))
    at_once = seconds(lambda: network.both(*told, row))

    print("# Sharing\n")
    print(header(f"{torch.get_num_threads()} of torch", "torch", "numpy"))
    trained = {name: f"{minutes(run):.0f}" for name, run in runs.items()}
    rows = [[label, f"{one[key]:.2f}", f"{two[key]:.2f}"] for key, label in FIGURES.items()]
    rows += [
        ["minutes of training", trained["shared"], f"{trained['colour']} and {trained['style']}"],
        [
            "size in float16, MB",
            f"{for_colours + for_styles:.1f}",
            f"{for_colours + for_styles + megabytes(*shallow):.1f}",
        ],
        [f"colours, then paint, {SIDE_PX} x {SIDE_PX} px, s", f"{at_once:.3f}", f"{in_turn:.3f}"],
    ]
    print(table(["", "one network", "two"], rows))


if __name__ == "__main__":
    main()
