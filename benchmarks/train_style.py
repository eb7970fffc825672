"""Styles learnt from pictures that no recipe saw, after a second, a minute and ten, beside Gatys and Johnson.

    python benchmarks/train_style.py --data DIR [--work DIR] [--limit N] [--long N] [--steps N]

DIR holds testsets/kodak24. Needs the extra 'dev'. What is done already is read from --work, so that it can be
stopped and goes on. Prints Markdown for docs/benchmarks.md.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import stage
import torch
from colour import clean_of
from kept import Figures, kept
from learning.held_out import all_of_them
from PIL import Image
from restoring.pictures import Floats, batched, eight_bits, of
from safetensors.torch import load_file
from stage import header, table, verdict
from style import wasserstein
from torch import Tensor

from calotype.image import chroma as chromas
from calotype.models import device as devices
from calotype.models import distances, dual, encoder, gatys, painter
from calotype.models.manner import Manner
from calotype.ops.train_style import thumbnail
from calotype.portfolio import shelf, stylefile
from calotype.portfolio.stylefile import Card, Stylefile
from calotype.train import loop, style, windows
from calotype.train.windows import Subject
from calotype_wire.client import Progress, Request, Result
from calotype_wire.styles import SUFFIX

GATYS_STEPS = 500
MINUTE_S, LONG_S = 60.0, 600.0
GOAL = 0.9
ABLATED = ("stained cells", "strokes", "mosaic")

Paint = Callable[[Tensor], Tensor]


class Bench:
    """One style: its lesson, the photos, and what is known of its methods from earlier runs."""

    def __init__(
        self, name: str, picture: Floats, photos: list[Floats], work: Path, steps: int | None
    ) -> None:
        self.device = devices.choose(0)
        self.network = dual.shipped(self.device)
        self.name, self.photos, self.steps = name, [batched(photo) for photo in photos], steps
        self.painting = batched(picture)
        self.folder = work / name.replace(" ", "-")
        self.folder.mkdir(parents=True, exist_ok=True)
        height, width = picture.shape[:2]
        began = time.perf_counter()
        subject = Subject(self.painting[0], torch.ones(height, width), name)
        found = windows.chosen([subject], encoder.shipped(torch.device("cpu")))
        self.lesson = style.Lesson.of(found, (name,), self.network)
        self.lesson_s = time.perf_counter() - began

    def knows(self, method: str) -> bool:
        """Whether an earlier run does."""
        return (self.folder / f"{method}.json").exists()

    def figures(self, method: str, make: Callable[[], tuple[Paint, Figures]]) -> Figures:
        """Content, style, patches, and what make tells; make is asked where no earlier run knows."""

        def found() -> Figures:
            paint, told = make()
            figures = [self._judged(photo, paint(photo)) for photo in self.photos]
            self._show(paint(self.photos[0]), method)
            means = (fmean(column) for column in zip(*figures, strict=True))
            return told | dict(zip(("content", "style", "patches"), means, strict=True))

        return kept(self.folder / f"{method}.json", found)

    @torch.no_grad()
    def _judged(self, photo: Tensor, made: Tensor) -> list[float]:
        judge = encoder.shipped(torch.device("cpu"))
        seen, photos = judge(made), judge(photo)
        content = distances.content(seen[distances.CONTENT_STAGES], photos[distances.CONTENT_STAGES])
        moments = distances.moments(seen[distances.STYLE_STAGES])
        away = distances.style_apart(moments, self.lesson.manner.moments)
        return [content.item(), away.item(), wasserstein(made, self.painting)]

    def _show(self, made: Tensor, method: str) -> None:
        Image.fromarray(eight_bits(made[0].permute(1, 2, 0).numpy())).save(self.folder / f"{method}.png")

    def photo(self) -> tuple[Paint, Figures]:
        return lambda photo: photo, {}

    def gatys(self) -> tuple[Paint, Figures]:
        made, began = {}, time.perf_counter()
        for photo in self.photos:
            moments = self.lesson.manner.moments
            made[id(photo)] = gatys.optimised(
                photo, photo, [(moments, None)], GATYS_STEPS, self.device, lambda *_: None
            )
        seconds = (time.perf_counter() - began) / len(self.photos)
        return lambda photo: made[id(photo)], {"seconds": seconds, "steps": GATYS_STEPS}

    def instant(self) -> tuple[Paint, Figures]:
        file = self._filed("instant", self.lesson.manner, 0, 0)
        return self._painter(self.lesson.manner), {"seconds": self.lesson_s, "bytes": file.bytes}

    def learnt(self, level: str, seconds: float) -> Callable[[], tuple[Paint, Figures]]:
        """Trained for so long, or for as many steps as that would be."""

        def make() -> tuple[Paint, Figures]:
            rate = 2e-3 if level == style.SCRATCH else style.LEVELS[level].learning_rate or 4e-3
            recipe = style.StyleRecipe(self.lesson, level, learning_rate=rate)
            steps = None if self.steps is None else round(self.steps * seconds / MINUTE_S)
            minutes = None if steps else seconds / 60
            schedule = loop.Schedule(steps, minutes, 10, checkpoint_s=1e9, evaluate_s=1e9)
            losses: list[float] = []

            def watch(moment: loop.Moment) -> bool:
                losses.append(moment.loss)
                return True

            with tempfile.TemporaryDirectory() as run:
                best = loop.train(
                    recipe,
                    style.TRAIN,
                    style.HELD_OUT,
                    Path(run),
                    schedule,
                    device=self.device.name,
                    watch=watch,
                )
                weights = load_file(best)
            manner = style.changed(self.lesson, weights, level)
            told: Figures = {"steps": len(losses) - 1, "seconds": seconds}
            curve = self.folder / f"{level}-{seconds:.0f}.curve.json"
            curve.write_text(json.dumps([round(loss, 4) for loss in losses[:-1]]))
            if level != style.SCRATCH:
                told["bytes"] = self._filed(level, manner, seconds, len(losses)).bytes
            return self._painter(manner), told

        return make

    def _filed(self, level: str, manner: Manner, seconds: float, steps: int) -> Stylefile:
        card = Card(
            level, (self.name,), shelf.today(), seconds, steps, 0, 0, painter.fingerprint(self.network), ""
        )
        data = manner.to_file(self.lesson.last, card, thumbnail(manner, self.network))
        (self.folder / f"{level}-{seconds:.0f}{SUFFIX}").write_bytes(data)  # for docs/pictures.py
        return stylefile.parse(data)

    def painted_anew(self) -> Tensor:
        data = (self.folder / f"standard-{MINUTE_S:.0f}{SUFFIX}").read_bytes()
        return self._painter(Manner.of_file(stylefile.parse(data), self.network))(self.photos[0])

    def _painter(self, manner: Manner) -> Paint:
        brush = painter.Painter(self.network).changed(manner.changes)

        def paint(photo: Tensor) -> Tensor:
            with self.device.inference():
                made = painter.framed(lambda seen: brush(*chromas.split(seen), manner.row)[0], photo)
            return made.float().clamp(0, 1)

        return paint


def share(known: dict[str, Figures], method: str) -> float:
    """Of the style loss that Gatys takes away, how much the method does."""
    photo, best = known["photo"]["style"], known["gatys"]["style"]
    return (photo - known[method]["style"]) / (photo - best)


METHODS = {
    "photo": "the photo",
    "gatys": f"Gatys 2016, {GATYS_STEPS} steps for each photo",
    "scratch": "Johnson 2016: our network from scratch, 60 s",
    "instant": "**Calotype, instant**",
    "standard": "**Calotype, standard, 60 s**",
}
LONG = {
    "scratch-long": "Johnson 2016: our network from scratch, 10 min",
    "best": "**Calotype, best, 10 min**",
}


def compared(benches: list[Bench], long: int) -> None:
    found: list[dict[str, Figures]] = []
    longer = sorted(benches, key=lambda bench: bench.name not in ABLATED)[:long]
    for bench in benches:
        known = {
            "photo": bench.figures("photo", bench.photo),
            "instant": bench.figures("instant", bench.instant),
            "standard": bench.figures("standard", bench.learnt("standard", MINUTE_S)),
            "scratch": bench.figures("scratch", bench.learnt(style.SCRATCH, MINUTE_S)),
            "gatys": bench.figures("gatys", bench.gatys),
        }
        for method, level in (("scratch-long", style.SCRATCH), ("best", "best")):
            if bench in longer or bench.knows(method):
                known[method] = bench.figures(method, bench.learnt(level, LONG_S))
        found.append(known)
    both = [known for known in found if known.keys() >= LONG.keys()]
    if len(both) < len(found):
        _method_table(found, METHODS)
    if both:
        _method_table(both, METHODS | LONG)
    learnt = {"instant": "instant", "standard": "standard", "scratch": "from scratch"}
    learnt |= {"best": "best, 10 min", "scratch-long": "from scratch, 10 min"} if both else {}
    told = {
        "style loss": lambda known, method: f"{known[method]['style']:.2f}",
        "content loss": lambda known, method: f"{known[method]['content']:.2f}",
        "share": lambda known, method: f"{share(known, method):.1%}",
    }
    columns = {"photo": "photo", **learnt, "gatys": "Gatys"}
    for what, tell in told.items():
        rows = [
            [bench.name, *(tell(known, method) if method in known else "" for method in columns)]
            for bench, known in zip(benches, found, strict=True)
        ]
        print(table([what, *columns.values()], rows))
    sums = {m: {"style": sum(known[m]["style"] for known in found)} for m in ("photo", "gatys", "standard")}
    print(f"Of all styles' losses together, standard takes {share(sums, 'standard'):.1%}.\n")
    for method in ("standard", "best"):
        shares = [share(known, method) for known in found if method in known]
        if shares:
            met, mean = sum(each >= GOAL for each in shares), fmean(shares)
            goal = f" (goal {GOAL:.0%}: {verdict(mean >= GOAL)})" if method == "standard" else ""
            print(
                f"Of the style loss that Gatys takes away, {method} takes {mean:.1%} on average{goal}, and "
                f"{GOAL:.0%} or more in {met} of {len(shares)} styles.\n"
            )


def repeated(benches: list[Bench]) -> None:
    """Whether each kept style, read anew, paints the same."""
    same = sum(torch.equal(bench.painted_anew(), bench.painted_anew()) for bench in benches)
    print(
        f"A style's file, read and applied anew, paints the same to the last bit: {same} of {len(benches)}.\n"
    )


def _method_table(found: list[dict[str, Figures]], methods: dict[str, str]) -> None:
    rows = []
    for method, label in methods.items():
        figures = [known[method] for known in found]
        cells = [f"{fmean(f[key] for f in figures):.2f}" for key in ("content", "style", "patches")]
        part = "" if method in ("photo", "gatys") else f"{fmean(share(known, method) for known in found):.1%}"
        told: list[Any] = [f"{fmean(f.get('steps', 0) for f in figures):.0f}"]
        told.append(f"{max(f.get('bytes', 0) for f in figures) / 1000:.0f}")
        rows.append([label, *cells, part, *told])
    print(
        table([f"{len(found)} styles", "content", "style", "patches", "share", "steps", "kB at most"], rows)
    )


def ablated(benches: list[Bench]) -> None:
    """What is trained, for a minute each."""
    levels = {"instant": "rows only", "standard": "rows and adapters", "fine": "the whole style decoder"}
    rows = []
    for level, label in levels.items():
        method = "standard" if level == "standard" else f"ablation-{level}"
        figures = [b.figures(method, b.learnt(level, MINUTE_S)) for b in benches]
        cells = [f"{fmean(f[key] for f in figures):.3f}" for key in ("content", "style")]
        size = max(f["bytes"] for f in figures) / 1000
        rows.append([label, *cells, f"{size:.0f}", f"{fmean(f['steps'] for f in figures):.0f}"])
    print(f"What is trained, for a minute each, on {', '.join(b.name for b in benches)}:\n")
    print(table(["", "content", "style", "kB", "steps"], rows))


def curves(benches: list[Bench]) -> None:
    rows = []
    for bench in benches:
        losses = json.loads((bench.folder / f"standard-{MINUTE_S:.0f}.curve.json").read_text())
        parts = np.array_split(np.array(losses), 8)
        rows.append([bench.name, *(f"{part.mean():.3f}" for part in parts)])
    print("Loss in training (half the content and the style), in eighths of the minute:\n")
    print(table(["standard", *(f"{k}/8" for k in range(1, 9))], rows))


def times(picture: Floats) -> None:
    """From the click to the style in an engine of its own, and what a filter costs meanwhile."""
    pixels = np.dstack([eight_bits(picture), np.full(picture.shape[:2], 255, np.uint8)])

    def train(level: str) -> Request:
        return Request("train_style", [stage.layer(pixels)], {"level": level, "name": level})

    large = stage.denoise(stage.photo(1000, 1000))
    with stage.private_home():
        client = stage.start()

        def filtered() -> Result:
            return stage.finish(client, large)

        filtered()  # the first run also loads
        rows = [["a filter, 1 MP, alone", _each(filtered)]]
        for level in ("instant", "standard"):
            request = train(level)
            took_s = stage.timed(lambda request=request: stage.finish(client, request))
            rows.append([f"{level}, from click to style", f"{took_s:.1f}"])
        client.submit(Request("train_style", [stage.layer(pixels)], {"level": "fine", "name": "beside"}))
        while not any(isinstance(event, Progress) and event.curve for event in client.pump()):
            client.wait(0.1)
        rows.append(["the filter while a style learns", _each(filtered)])
    print(table(["", "seconds"], rows))


def _each(work: Callable[[], object]) -> str:
    seconds = sorted(stage.timed(work) for _ in range(5))
    return f"{seconds[2]:.2f} ({seconds[0]:.2f} to {seconds[-1]:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds testsets/")
    parser.add_argument("--work", type=Path, default=Path("runs/train-style"), help="where results are kept")
    parser.add_argument("--limit", type=int, default=12, help="styles; otherwise all twelve")
    parser.add_argument("--photos", type=int, default=1, help="photos that each is judged on, its own ones")
    parser.add_argument("--long", type=int, default=0, help="so many for ten minutes, too, ABLATED first")
    parser.add_argument(
        "--steps", type=int, help="take a minute for so many steps: on a machine that is busy"
    )
    parser.add_argument("--times", action="store_true", help="only the times, on a quiet machine")
    options = parser.parse_args()
    print("# Training a style\n")
    print(header(f"{torch.get_num_threads()} of torch", "torch", "scikit-image", "numpy"))
    if options.times:
        times(all_of_them()["strokes"])
        return
    made = list(all_of_them().items())[: options.limit]
    photos = [clean_of(path) for path in of(options.data, "kodak24")]
    benches = []
    for index, (name, picture) in enumerate(made):
        own = [photos[(index + k * len(made)) % len(photos)] for k in range(options.photos)]
        benches.append(Bench(name, picture, own, options.work, options.steps))
    compared(benches, options.long)
    repeated(benches)
    chosen = [bench for bench in benches if bench.name in ABLATED]
    if chosen:
        ablated(chosen)
        curves(chosen)
    if options.steps:
        print(f"A minute was taken for {options.steps} steps: as many as it has where nothing else runs.")


if __name__ == "__main__":
    main()
