"""Grey photos given colours by Calotype, by Levin's optimisation and by one tint: quality and speed.

    python benchmarks/colour.py --data DIR [--limit N]

DIR holds testsets/kodak24 and photos-val, photos of the kind that was trained on. Needs the extra 'dev'.
Prints Markdown for docs/benchmarks.md.
"""

import argparse
import time
from pathlib import Path
from statistics import fmean, median

import numpy as np
import torch
from colouring import levin
from numpy.typing import NDArray
from restoring.pictures import Floats, batched, eight_bits, floats, of, operate, precision, read
from stage import header, table
from torch import Tensor
from torch.nn.functional import interpolate

from calotype.image import chroma as chromas
from calotype.image.metrics import colourfulness, psnr
from calotype.train import data as training
from calotype.train import hints

SIDE_PX = 256
POINTS = (5, 20, 100)
HELD_OUT = 24
LARGE = (4000, 6000)


def clean_of(path: Path) -> Floats:
    """The middle of a photo, (256, 256, 3), its shorter side reduced to 256."""
    picture = batched(read(path))
    factor = SIDE_PX / min(picture.shape[2:])
    small = interpolate(picture, scale_factor=factor, mode="bicubic", antialias=True).clamp(0, 1)[0]
    y, x = ((side - SIDE_PX) // 2 for side in small.shape[1:])
    return floats(eight_bits(small[:, y : y + SIDE_PX, x : x + SIDE_PX].permute(1, 2, 0).numpy()))


def results(clean: Floats, seed: int) -> dict[str, Floats]:
    """By method: what each makes of the grey photo, with what it is told."""
    luma, chroma = chromas.split(batched(clean))
    grey = _picture(luma, torch.zeros_like(chroma))
    rng = np.random.default_rng(seed)
    found = {
        "grey, as it is": grey,
        "one tint, the best one for the photo": _picture(luma, chroma.mean((2, 3), keepdim=True)),
        "Calotype, automatic": _made(grey),
        "Calotype, palette of 5": _made(grey, palette=_palette(clean, rng)),
        "Calotype, the photo itself as a reference": _made(grey, [_opaque(clean)], reference=1),
    }
    for count in POINTS:
        told, known = hints.points(chroma[0], count, rng)
        paint = np.zeros((SIDE_PX, SIDE_PX, 4), np.uint8)
        paint[..., :3] = eight_bits(_picture(luma, told[None]))
        paint[..., 3] = 255 * known[0].numpy()
        y, c = luma[0, 0].double().numpy(), told.double().numpy()
        spread = torch.from_numpy(levin.spread(y, c, known[0].numpy() > 0)).float()
        found[f"Levin 2004, {count} points"] = _picture(luma, spread[None])
        found[f"Calotype, {count} points"] = _made(grey, [paint], hints=1)
    return found


def _picture(luma: Tensor, chroma: Tensor) -> Floats:
    picture: Floats = chromas.join(luma, chroma)[0].permute(1, 2, 0).numpy()
    return floats(eight_bits(picture))


def _made(grey: Floats, others: list[NDArray[np.uint8]] | None = None, **values: object) -> Floats:
    return floats(operate("colorize", grey, others or [], **values)[0].native)


def _opaque(picture: Floats) -> NDArray[np.uint8]:
    return np.dstack([eight_bits(picture), np.full(picture.shape[:2], 255, np.uint8)])


def _palette(clean: Floats, rng: np.random.Generator) -> list[str]:
    """Five colours that stand for the photo's, by k-means."""
    pixels = torch.from_numpy(clean.reshape(-1, 3))
    pixels = pixels[torch.from_numpy(rng.integers(0, len(pixels), 2000))]
    centres = pixels[:5].clone()
    for _ in range(10):
        nearest = torch.cdist(pixels, centres).argmin(1)
        for k in set(nearest.tolist()):
            centres[k] = pixels[nearest == k].mean(0)
    return ["#" + "".join(f"{round(255 * float(v)):02x}" for v in centre) for centre in centres]


def quality(photos: str, paths: list[Path]) -> None:
    decibels: dict[str, list[float]] = {}
    vivid: dict[str, list[float]] = {}
    for seed, path in enumerate(paths):
        clean = clean_of(path)
        for name, made in results(clean, seed).items():
            decibels.setdefault(name, []).append(psnr(batched(made), batched(clean)))
            ratio = colourfulness(batched(made)) / colourfulness(batched(clean))
            vivid.setdefault(name, []).append(ratio)
    print(
        f"\n{photos}, {len(paths)} of them, at {SIDE_PX} x {SIDE_PX} px, made grey (BT.709 luma), in "
        f"{precision()}. Points are 5 x 5 px with the photo's mean colour there, at random places, the same "
        "for both. PSNR of RGB, the mean over the photos; colourfulness (Hasler and Suesstrunk 2003) beside "
        "the photo's own, the median.\n"
    )
    rows = [[name, f"{fmean(decibels[name]):.2f}", f"{median(vivid[name]):.2f}"] for name in decibels]
    print(table(["", "PSNR, dB", "colourfulness"], rows))


def speed() -> None:
    rng = np.random.default_rng(0)
    small = rng.random((LARGE[0] // 20, LARGE[1] // 20, 1), np.float32)
    grey = np.repeat(np.repeat(np.repeat(small, 20, 0), 20, 1), 3, 2)
    operate("colorize", grey[:64, :64])  # the first run also loads
    took = []
    for _ in range(3):
        began = time.perf_counter()
        operate("colorize", grey)
        took.append(time.perf_counter() - began)
    megapixels = LARGE[0] * LARGE[1] / 1e6
    print(f"\n{megapixels:.0f} MP, automatic: {min(took):.2f} s (the best of 3; 8-bit RGB, in memory).\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--data", type=Path, required=True, help="the folder that holds testsets/ and photos-val/"
    )
    parser.add_argument("--limit", type=int, help="photos; otherwise all")
    options = parser.parse_args()
    print("# Colour\n")
    print(header(f"{torch.get_num_threads()} of torch", "torch", "scipy", "numpy"))
    quality("Kodak24", of(options.data, "kodak24", options.limit))
    held_out = training.photos(options.data / "photos-val", SIDE_PX)
    quality("Held-out photos", held_out[: options.limit or HELD_OUT])
    speed()


if __name__ == "__main__":
    main()
