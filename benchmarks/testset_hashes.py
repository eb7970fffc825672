"""Hashes of the pictures that we measure on, so that training refuses them: no pixel of them is kept.

    python benchmarks/testset_hashes.py FOLDER...

FOLDER: one for each test set. Writes engine/calotype/train/testset_hashes.json.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from calotype.train import data, fingerprints

if __name__ == "__main__":
    pictures = [path for folder in sys.argv[1:] for path in data.listed(Path(folder))]
    prints = sorted({data.fingerprint(path) for path in pictures}, key=lambda found: found.pixels)
    fingerprints.TEST_SETS.write_text(json.dumps([asdict(found) for found in prints], indent=1) + "\n")
    print(f"{len(prints)} hashes of {len(pictures)} pictures are in {fingerprints.TEST_SETS}")
