"""Whether a photo is told to be grey, of one tone or in colours: Calotype's rule on photos of each kind."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from stage import table

from calotype.image.tint import Tint, tint_of
from calotype.models import tone
from calotype.train import ageing, data, degradations
from restoring.pictures import Floats, batched, of, read


def variants(picture: Floats, index: int) -> Iterator[tuple[str, Floats]]:
    """As it is, grey and toned; the last two also faded, grainy and as a JPEG."""
    rng = np.random.default_rng(index)
    grey = ageing.grey(picture)
    toned = ageing.tint(grey, rng)
    yield "in colours", picture
    yield "made grey, JPEG", degradations.jpeg(grey, 75)
    yield "made sepia", toned
    for name, kind in (("made grey", grey), ("made sepia", toned)):
        faded = ageing.fade(kind, rng, severity=0.5)
        yield (
            f"{name}, faded unevenly, grain, JPEG",
            degradations.jpeg(degradations.film_grain(faded, 12, 0.8, rng), 75),
        )


def run(folder: Path, limit: int | None) -> None:
    told: dict[str, Counter[Tint]] = {}
    sets = {"kodak24": of(folder, "kodak24", limit), "photos-val": data.photos(folder / "photos-val", 1)}
    for name, paths in sets.items():
        for index, path in enumerate(paths[:limit]):
            for kind, picture in variants(read(path), index):
                tint = tint_of(tone.thumbnail(batched(degradations.to_8_bit(picture)))[0])
                told.setdefault(f"{name}, {kind}", Counter())[tint] += 1
    print("## Grey, toned or in colours\n")
    print(
        "What a photo is taken for, in pictures of all. A grey one that faded unevenly in its dyes is toned, "
        "and is treated alike: its tone is kept, or made grey.\n"
    )
    rows = [[kind, *(str(counts[tint]) for tint in Tint)] for kind, counts in told.items()]
    print(table(["photos", *(tint.value for tint in Tint)], rows))
