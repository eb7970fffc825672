"""What a model got wrong: how well it is found, and how well it is repaired.

    python benchmarks/anomaly.py --data DIR [--only PART] [--count N] [--steps N] [--work DIR]

DIR holds testsets/kodak24 and testsets/cbsd68, photos-train and photos-val. Parts: threshold, on photos-val;
found, repaired; results, of our own filters on whole photos; left-out, which trains networks that never
meet some kinds of faults, for so many steps; and times, on a quiet machine. Prints Markdown for
docs/benchmarks.md.
"""

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import stage
import torch
from inspecting.peers import Padim, blockiness, laplacian_variance
from inspecting.planting import Case, cases
from restoring.pictures import Floats, eight_bits, of
from restoring.pictures import read as opened
from safetensors.torch import load_file
from stage import header, photo, table, timed, verdict
from torch import Tensor

from calotype import stylebook
from calotype.image.metrics import auroc, spearman
from calotype.models import anomaly
from calotype.models import device as devices
from calotype.models.anomaly import GATE, KINDS, Anomaly
from calotype.ops import inspection, ladder, regions
from calotype.ops.ladder import Known, Rules
from calotype.train import loop
from calotype.train.anomaly import AnomalyRecipe
from calotype_wire.client import Client, Request

IOU = 0.3
FOLDS = tuple(zip(KINDS[:5], KINDS[5:], strict=True))
"""Kinds that are left out together."""

AUROC_GOAL, LEFT_OUT_GOAL, IMPROVED_GOAL, SECONDS_GOAL = 0.95, 0.88, 0.85, 0.25

PARTS = ("threshold", "found", "repaired", "results", "left-out", "times")

Find = Callable[[Case], Tensor]
"""A map, (h, w), higher is worse."""


def found_by(network: anomaly.Calibrated) -> Find:
    @torch.inference_mode()
    def find(case: Case) -> Tensor:
        return network.judged(case.picture[None])[0][0, 0]

    return find


def with_all(case: Case) -> Tensor:
    return inspection.inspect(case.picture, devices.choose(0), case.source, case.base.manner)[0].wrong


# ---- finding


def thresholds(faulty: list[Case], clean: list[Case]) -> None:
    """What regions.THRESHOLD and EXTENT are chosen by."""
    found, alarms = ([(with_all(case), case) for case in cases] for cases in (faulty, clean))
    rows = []
    extents = (0.25, regions.EXTENT, 0.5, 1.0)
    for threshold in (0.5, 0.6, 0.7, 0.8, 0.9):
        row = [f"{threshold:.0%}"]
        for extent in extents:
            alarmed = share_with_alarm([each for each, _ in alarms], threshold, extent)
            row += [f"{regions_f1(found, threshold, extent):.2f}", f"{alarmed:.0%}"]
        rows.append(row)
    heads = [f"extent {extent:.1%}: {said}" for extent in extents for said in ("F1", "alarms")]
    print("What counts as a region, on photos held out of training: F1 where there are faults, and how many ")
    print("without have a region in vain.\n")
    print(table(["threshold", *heads], rows))


def found(faulty: list[Case], clean: list[Case], data: Path) -> None:
    cpu = torch.device("cpu")
    normal = [case.clean for case in cases(_photos(data, "photos-val"), 60, clean=True)]
    padim = Padim(normal)
    methods: dict[str, tuple[Find, float | None]] = {
        "Laplacian variance": (lambda case: laplacian_variance(case.picture), None),
        "blockiness": (lambda case: blockiness(case.picture), None),
        "PaDiM on our encoder": (lambda case: padim(case.picture), None),
        "the gate": (found_by(anomaly.shipped(GATE, cpu)), regions.THRESHOLD),
        "**quality network**": (found_by(anomaly.shipped(anomaly.CONTRACT, cpu)), regions.THRESHOLD),
        "**with source and style where known**": (with_all, regions.THRESHOLD),
    }
    rows = []
    for name, (find, threshold) in methods.items():
        maps = [(find(case), case) for case in [*faulty, *clean]]
        area = area_of(maps)
        extent = regions.EXTENT if threshold else 1.0
        if threshold is None:  # the best for it, on these pictures
            values = torch.cat([each.flatten() for each, _ in maps])
            threshold = max(
                (float(torch.quantile(values[::7], q)) for q in (0.5, 0.7, 0.8, 0.9, 0.95)),
                key=lambda t: regions_f1(maps, t, 1.0),
            )
        told = torch.tensor([float(each.mean()) for each, _ in maps])
        severe = torch.tensor([case.severity for _, case in maps])
        alarms = share_with_alarm([each for each, _ in maps[len(faulty) :]], threshold, extent)
        figures = [area, regions_f1(maps, threshold, extent), spearman(told, severe)]
        rows.append([name, *(f"{figure:.3f}" for figure in figures), f"{alarms:.0%}"])
        if name.startswith("**quality"):
            met = verdict(area >= AUROC_GOAL)
            said = f"Pixel AUROC of the quality network {area:.3f} (goal {AUROC_GOAL}: {met}).\n"
    print(f"{len(faulty)} pictures with faults, {len(clean)} without:\n")
    heads = ["", "pixel AUROC", f"region F1 (IoU {IOU})", "rank with severity", "clean ones with an alarm"]
    print(table(heads, rows))
    print(said)


def area_of(maps: list[tuple[Tensor, Case]]) -> float:
    values = torch.cat([each.flatten() for each, _ in maps])
    return auroc(values, torch.cat([case.wrong.flatten() for _, case in maps]))


def share_with_alarm(maps: list[Tensor], threshold: float, extent: float) -> float:
    return sum(bool(regions.parts(each, threshold, extent=extent)) for each in maps) / len(maps)


def regions_f1(maps: list[tuple[Tensor, Case]], threshold: float, extent: float) -> float:
    """Of regions that are found, each matched with the true one that it overlaps most."""
    hits = made = wanted = 0
    for each, case in maps:
        parts, truths = regions.parts(each, threshold, extent=extent), regions.parts(case.wrong.float(), 0.5)
        made, wanted = made + len(parts), wanted + len(truths)
        for truth in truths:
            best = max((float((truth & p).sum()) / float((truth | p).sum()) for p in parts), default=0.0)
            hits += best >= IOU
    return 2 * hits / max(1, made + wanted)


def left_out(photos: tuple[Floats, ...], data: Path, work: Path, steps: int, count: int) -> None:
    """Each kind of fault, to a network that never met it, and to one that has, trained for as long."""
    rows, areas = [], []
    everything = _trained((), data, work, steps)
    for fold in FOLDS:
        without = _trained(fold, data, work, steps)
        for kind in fold:
            planted = [*cases(photos, count, False, kind), *cases(photos, count, True, kind)]

            def area(network: anomaly.Calibrated, planted: list[Case] = planted) -> float:
                return area_of([(found_by(network)(case), case) for case in planted])

            shipped = area(anomaly.shipped(anomaly.CONTRACT, torch.device("cpu")))
            areas.append(area(without))
            rows.append([kind, f"{shipped:.3f}", f"{area(everything):.3f}", f"{areas[-1]:.3f}"])
    print(f"Pixel AUROC by kind; the second and the third network were trained for {steps} steps:\n")
    print(table(["", "shipped", "kind met in training", "kind left out"], rows))
    mean = sum(areas) / len(areas)
    print(f"Left out: {mean:.3f} on average (goal {LEFT_OUT_GOAL}: {verdict(mean >= LEFT_OUT_GOAL)}), ")
    print(f"{min(areas):.3f} at worst.\n")


def _trained(without: tuple[str, ...], data: Path, work: Path, steps: int) -> anomaly.Calibrated:
    run = work / "-".join(("without", *(without or ("nothing",))))
    if not (run / "best.safetensors").exists():
        recipe = AnomalyRecipe(without)
        loop.train(
            recipe,
            data / "photos-train",
            data / "photos-val",
            run,
            loop.Schedule(steps, None, evaluate_s=1e9),
        )
    network = Anomaly()
    network.load_state_dict(load_file(run / "best.safetensors"))
    return network.eval()


# ---- repairing


def repaired(faulty: list[Case], clean: list[Case]) -> None:
    rows = []
    known: dict[str, Callable[[Case], Known]] = {
        "nothing known": lambda case: Known(),
        "source known": lambda case: Known(case.source),
        "source and style known": _all_known,
    }
    for name, told in known.items():
        chosen = [case for case in faulty if _has(case, name)]
        results = [_outcome(case, told(case)) for case in chosen]
        rows.append([f"{name}, {len(chosen)} pictures", *_shares(results)])
        if name == "nothing known":
            by_kind(chosen, results)
    heads = ["", "better, gate", "same", "worse", "better, truth", "same", "worse", "error after, of before"]
    print(table(heads, rows))
    touched = [_outcome(case, Known(case.source)) for case in clean]
    share = sum(each[0] != each[1] for each in touched) / len(touched)
    worse = sum(each[1] > each[0] for each in touched)
    print(f"Of {len(clean)} pictures without a fault {share:.1%} were changed, {worse} worse to the gate.\n")


def _has(case: Case, name: str) -> bool:
    if name == "nothing known":
        return True
    return case.source is not None if name == "source known" else case.base.manner is not None


def _all_known(case: Case) -> Known:
    from calotype.train import failing

    assert case.source is not None
    assert case.base.manner is not None
    source, row = case.source, case.base.manner.row
    return Known(source, case.base.manner, lambda: failing.painted(source, row))


def _outcome(case: Case, known: Known) -> tuple[float, float, float, float]:
    """How bad to the gate, and how far from the clean picture, before and after."""
    picture, device = case.picture, devices.choose(0)
    made = ladder.repaired(picture, device, known, Rules()).picture
    gate = [inspection.look(each, device, GATE).badness() for each in (picture, made)]
    truth = [float((each - case.clean).square().mean().sqrt()) for each in (picture, made)]
    return gate[0], gate[1], truth[0], truth[1]


def _shares(results: list[tuple[float, float, float, float]]) -> list[str]:
    cells = []
    for before, after in ((0, 1), (2, 3)):
        less = sum(each[after] < 0.99 * each[before] for each in results)
        more = sum(each[after] > 1.01 * each[before] for each in results)
        same = len(results) - less - more
        cells += [f"{part / len(results):.1%}" for part in (less, same, more)]
    ratio = math.exp(float(np.mean([math.log((b + 1e-4) / (a + 1e-4)) for _, _, a, b in results])))
    return [*cells, f"{ratio:.2f}"]


def by_kind(chosen: list[Case], results: list[tuple[float, float, float, float]]) -> None:
    rows = []
    for kind, name in enumerate(KINDS):
        mine = [r for case, r in zip(chosen, results, strict=True) if (case.planted.kind == kind).any()]
        if mine:
            rows.append([name, f"{len(mine)}", *_shares(mine)])
    heads = ["", "pictures", "better, gate", "same", "worse", "better, truth", "same", "worse", "error"]
    print("Where nothing is known, by the kinds that are in the picture:\n")
    print(table(heads, rows))


# ---- what our filters return

FILTERS: dict[str, tuple[str, dict[str, Any]]] = {
    "Restore": ("restore", {}),
    "Denoise": ("denoise", {}),
    "Stylize, not refined": ("stylize", {"refine": 0}),
    "Stylize": ("stylize", {}),
}


def results(photos: tuple[Floats, ...]) -> None:
    """How often Check has an alarm at the end of a filter that was run as it is offered, on a good photo."""
    styles = [each.name for each in stylebook.catalogue()]
    client = stage.start()
    rows = [_alarmed("the photo itself", [_checked(client, each, "check", {}) for each in photos])]
    for label, (name, values) in FILTERS.items():
        found = []
        for index, picture in enumerate(photos):
            style = {"style": styles[index % len(styles)]} if name == "stylize" else {}
            found.append(_checked(client, picture, name, {"check": "check", **values, **style}))
        rows.append(_alarmed(label, found))
    print(f"Of {len(photos)} good photos in their own size, each painting in another style:\n")
    print(table(["", "with an alarm", "realism", "total"], rows))


def _checked(client: Client, picture: Floats, operation: str, values: dict[str, Any]) -> dict[str, Any]:
    opaque = np.dstack([eight_bits(picture), np.full(picture.shape[:2], 255, np.uint8)])
    result = stage.finish(client, Request(operation, [stage.layer(opaque)], values))
    found: dict[str, Any] = result.facts["check"]
    return found


def _alarmed(label: str, found: list[dict[str, Any]]) -> list[str]:
    share = sum(bool(each["regions"]) for each in found) / len(found)
    means = (np.mean([each["scores"][key] for each in found]) for key in ("realism", "total"))
    return [label, f"{share:.0%}", *(f"{mean:.0f}" for mean in means)]


# ---- what it costs


def times() -> None:
    device = devices.choose(0)
    rows = []
    for side in (1000, 2000):
        pixels = photo(side, side)[..., :3]
        picture = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))).float() / 255
        inspection.inspect(picture, device, picture)
        alone = sorted(timed(lambda p=picture: inspection.inspect(p, device)) for _ in range(5))[2]
        more = sorted(timed(lambda p=picture: inspection.inspect(p, device, p)) for _ in range(5))[2]
        size = side * side / 1e6
        rows.append([f"{size:.0f} MP", f"{alone / size:.3f}", f"{more / size:.3f}"])
    print(f"Seconds a megapixel of Check (goal {SECONDS_GOAL}), {torch.get_num_threads()} threads:\n")
    print(table(["", "the picture alone", "with its source"], rows))


def _photos(data: Path, folder: str) -> tuple[Floats, ...]:
    return tuple(
        opened(path) for path in sorted((data / folder).iterdir()) if path.suffix in (".jpg", ".png")
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int, default=200, help="pictures with faults, and as many without")
    parser.add_argument("--steps", type=int, default=1500, help="of training without some kinds")
    parser.add_argument("--work", type=Path, default=Path("runs/anomaly-left-out"), help="where those are")
    parser.add_argument("--only", choices=PARTS)
    options = parser.parse_args()
    print("# Finding and correcting what went wrong\n")
    print(header(f"{torch.get_num_threads()} of torch", "torch", "numpy"))
    parts = [options.only] if options.only else list(PARTS)
    if "threshold" in parts:
        thresholds(*_planted(_photos(options.data, "photos-val"), options.count))
    photos = tuple(opened(path) for name in ("kodak24", "cbsd68") for path in of(options.data, name))
    if {"found", "repaired"} & set(parts):
        planted = _planted(photos, options.count)
    if "found" in parts:
        found(*planted, options.data)
    if "repaired" in parts:
        repaired(*planted)
    if "results" in parts:
        with stage.private_home():
            results(photos[: options.count])
    if "left-out" in parts:
        left_out(photos, options.data, options.work, options.steps, 40)
    if "times" in parts:
        times()


def _planted(photos: tuple[Floats, ...], count: int) -> tuple[list[Case], list[Case]]:
    return list(cases(photos, count, clean=False)), list(cases(photos, count, clean=True))


if __name__ == "__main__":
    main()
