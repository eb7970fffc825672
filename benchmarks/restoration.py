"""Old photos repaired by Calotype and by what everybody has: quality, and seconds a megapixel.

    python benchmarks/restoration.py --data DIR [--limit N] [--task noise25,jpeg10,upscale,...] [--float32]

DIR holds testsets/cbsd68, kodak24 and set14, and photos-val. Needs the extra 'benchmarks'. Prints
Markdown for docs/benchmarks.md.
"""

import argparse
from pathlib import Path

import cv2
import torch
from restoring import noise, old_photos, scratches, tints, upscaling
from stage import header

PARTS = {"upscale": upscaling.run, "scratches": scratches.run, "old": old_photos.run, "tint": tints.run}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    tasks = [wear.name for wear in noise.WEARS] + list(PARTS)
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds testsets/")
    parser.add_argument("--limit", type=int, help="pictures of each set; otherwise all")
    parser.add_argument("--task", default=",".join(tasks), help="some of: %(default)s")
    parser.add_argument("--float32", action="store_true", help="also run the Restorer in float32")
    options = parser.parse_args()
    chosen = options.task.split(",")
    print("# Restoration\n")
    threads = f"{torch.get_num_threads()} of torch, {cv2.getNumThreads()} of OpenCV"
    print(header(threads, "torch", "opencv-python-headless", "scikit-image", "bm3d", "pillow", "numpy"))
    if set(chosen) - set(PARTS):
        noise.run(options.data, options.limit, chosen, options.float32)
    for name, run in PARTS.items():
        if name in chosen:
            run(options.data, options.limit)


if __name__ == "__main__":
    main()
