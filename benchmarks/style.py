"""Photos painted by Calotype, by optimisation from the photo on, and by colour transfer alone.

    python benchmarks/style.py --data DIR [--work DIR] [--limit N] [--steps 300]

DIR holds testsets/kodak24 and styles. Needs the extra 'dev'. What is done already is read from --work, so it
can be stopped and goes on, and several processes may share the work. Prints Markdown for docs/benchmarks.md.
"""

import argparse
import random
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from colour import clean_of
from kept import Figures, kept
from restoring.pictures import Floats, batched, eight_bits, floats, of, operate, precision
from skimage import color
from stage import header, table
from torch import Tensor
from torch.nn.functional import unfold

from calotype import stylebook
from calotype.image.metrics import psnr
from calotype.models import device as devices
from calotype.models import distances, dual, encoder, gatys, manner
from calotype.ops import stylize
from calotype.train import data as training

COLUMNS = ("content", "style", "patches", "seconds")
COUNT = 20
"""Photos, and styles."""

PATCH_PX, DIRECTIONS = 5, 64
"""Of the sliced Wasserstein distance."""

Method = Callable[[Floats, stylebook.Style, Floats], Floats]


def reinhard(photo: Floats, style: stylebook.Style, painting: Floats) -> Floats:
    """Mean and deviation of each channel of L*a*b* (Reinhard et al. 2001)."""
    ours, theirs = color.rgb2lab(photo), color.rgb2lab(painting)
    (mean, deviation), (wanted, wide) = ((x.mean((0, 1)), x.std((0, 1))) for x in (ours, theirs))
    moved: Floats = color.lab2rgb((ours - mean) / deviation * wide + wanted).astype(np.float32)
    return moved


def calotype(refine: int) -> Method:
    def paint(photo: Floats, style: stylebook.Style, painting: Floats) -> Floats:
        return floats(operate("stylize", photo, style=style.name, refine=refine)[0].native)

    return paint


def optimised(steps: int, plain: bool) -> Method:
    """From the photo on. plain: only the mean and the deviation of each channel count, as in AdaIN."""

    def paint(photo: Floats, style: stylebook.Style, painting: Floats) -> Floats:
        moments = manner.of_catalogue(style.name).moments
        picture = batched(photo)
        made = gatys.optimised(
            picture, picture, [(moments, None)], steps, devices.choose(0), lambda *_: None, plain
        )
        return floats(eight_bits(made[0].permute(1, 2, 0).numpy()))

    return paint


def wasserstein(a: Tensor, b: Tensor) -> float:
    """Sliced Wasserstein distance of the pictures' patches (Rabin et al. 2011), in steps of 1 of 255."""
    return 255 * (sorted_patches(a) - sorted_patches(b)).abs().mean().item()


def sorted_patches(picture: Tensor) -> Tensor:
    """4,096 of the values along each of the directions, in order."""
    generator = torch.Generator().manual_seed(0)
    ways = torch.randn(DIRECTIONS, 3 * PATCH_PX**2, generator=generator)
    ways = ways / ways.norm(dim=1, keepdim=True)
    along = (ways @ unfold(picture, PATCH_PX)[0]).sort(dim=1).values
    return along[:, (torch.linspace(0, 1, 4096) * (along.shape[1] - 1)).long()]


class Judge:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.encoder = encoder.shipped(torch.device("cpu"))

    def painting(self, style: stylebook.Style) -> Floats:
        return floats(training.pixels(self.folder / style.painting))

    @cache  # noqa: B019 as long as the benchmark
    def patches(self, style: stylebook.Style) -> Tensor:
        return sorted_patches(batched(self.painting(style)))

    @torch.no_grad()
    def distances(self, made: Floats, photo: Floats, style: stylebook.Style) -> list[float]:
        """Content, style by covariances, style by patches."""
        seen, photos = self.encoder(batched(made)), self.encoder(batched(photo))
        content = distances.content(seen[distances.CONTENT_STAGES], photos[distances.CONTENT_STAGES])
        moments = distances.moments(seen[distances.STYLE_STAGES])
        away = distances.style_apart(moments, manner.of_catalogue(style.name).moments)
        patches = 255 * (sorted_patches(batched(made)) - self.patches(style)).abs().mean()
        return [content.item(), away.item(), patches.item()]


def compare(
    photos: list[Floats], judge: Judge, chosen: list[stylebook.Style], steps: int, work: Path
) -> None:
    def untouched(photo: Floats, style: stylebook.Style, painting: Floats) -> Floats:
        return photo

    quick = {
        "the photo": untouched,
        "Reinhard 2001, colours alone": reinhard,
        "**Calotype, network alone**": calotype(0),
    }
    slow = {
        f"means and deviations on our encoder, {steps} steps": optimised(steps, True),
        f"Gatys 2016 on our encoder, {steps} steps": optimised(steps, False),
        "**Calotype, network and 40 steps**": calotype(40),
    }
    calotype(0)(photos[0], chosen[0], photos[0])  # the first run also loads
    crossed = [(photo, style) for photo in range(len(photos)) for style in chosen]
    own = list(zip(range(len(photos)), chosen, strict=False))
    print("## Styles\n")
    print(
        f"Kodak24 at 256 x 256 px, styles of the catalogue, in {precision()}: content distance (features "
        "after instance norm), style distance (means under the covariance, covariances) to our encoder, and "
        "sliced Wasserstein distance of 5 x 5 px patches to the painting, in 255ths. Our network was trained "
        "on the first two, and the optimisation lowers just these; the third was seen by none. Less is "
        "nearer.\n"
    )
    for pairs, methods in ((crossed, quick), (own, quick | slow)):
        rows = []
        for name, method in methods.items():
            found = []
            for index, style in random.sample(pairs, len(pairs)):  # so that processes meet seldom

                def make(
                    method: Method = method, photo: Floats = photos[index], style: stylebook.Style = style
                ) -> Figures:
                    painting = judge.painting(style)
                    began = time.perf_counter()
                    made = method(photo, style, painting)
                    seconds = time.perf_counter() - began
                    far = judge.distances(made, photo, style)
                    return dict(zip(COLUMNS, [*far, seconds], strict=True))

                plain = "".join(letter for letter in name if letter.isalnum())
                found.append(kept(work / plain / f"{index}-{style.name}.json", make))
            means = {key: fmean(figures[key] for figures in found) for key in COLUMNS}
            speed = means["seconds"] / (photos[0].shape[0] * photos[0].shape[1] / 1e6)
            rows.append([name, *(f"{means[key]:.2f}" for key in COLUMNS[:3]), f"{speed:.2f}"])
        heads = [f"{len(pairs)} pairs", "content", "style", "patches", "s a megapixel"]
        print(table(heads, rows))


def tiled(photo: Floats, chosen: list[stylebook.Style]) -> None:
    """A picture of 2048 px painted finely, in tiles of 512 and of 1024 px, beside one piece."""
    large = np.repeat(np.repeat(photo, 8, 0), 8, 1)
    apart = []
    for style in chosen[:5]:
        made = []
        for side in (512, 2048):
            stylize.tiles.side_within = lambda *_, side=side: side  # type: ignore[assignment]
            made.append(
                batched(floats(operate("stylize", large, style=style.name, brush=50, refine=0)[0].native))
            )
        apart.append(psnr(*made))
    print(f"\nTiles of 512 px beside one piece, 2048 x 2048 px, brush 50 %: {min(apart):.1f} dB at least.\n")


def one_pass() -> None:
    """Colours and paint for a grey photo of 1 megapixel: by both(), and one after the other."""
    device = devices.choose(0)
    network = dual.shipped(device)
    luma = torch.rand(1, 1, 1024, 1024)
    nothing, palette = torch.zeros(1, 3, 1024, 1024), torch.zeros(1, dual.PALETTE)
    row = manner.of_catalogue("scream").row
    told = (luma, nothing[:, :2], nothing[:, :1], palette)

    def in_turn() -> None:
        network.stylise(luma, network.colour(*told).float(), row)

    took = []
    for run in (in_turn, lambda: network.both(*told, row)):
        times = []
        for _ in range(4):
            began = time.perf_counter()
            with device.inference():
                run()
            times.append(time.perf_counter() - began)
        took.append(min(times))
    saved = 100 * (1 - took[1] / took[0])
    print(f"Colours, then paint, 1 MP: {took[0]:.2f} s; in one pass {took[1]:.2f} s: {saved:.0f} % saved.\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--data", type=Path, required=True, help="the folder that holds testsets/ and styles/"
    )
    parser.add_argument("--work", type=Path, default=Path("runs/style"), help="where results are kept")
    parser.add_argument("--limit", type=int, default=COUNT, help="photos, and styles; otherwise %(default)s")
    parser.add_argument("--steps", type=int, default=300, help="of the optimisations; otherwise %(default)s")
    options = parser.parse_args()
    print("# Style\n")
    print(header(f"{torch.get_num_threads()} of torch", "torch", "scikit-image", "numpy"))
    photos = [clean_of(path) for path in of(options.data, "kodak24", options.limit)]
    chosen = list(stylebook.catalogue()[: options.limit])
    compare(photos, Judge(options.data / "styles"), chosen, options.steps, options.work)
    tiled(photos[0], chosen)
    one_pass()


if __name__ == "__main__":
    main()
