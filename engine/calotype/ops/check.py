"""Check: where a picture shows what a model got wrong, as a layer, and how good it is, as a score."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from calotype.image.codec import Canvas, bands, reduced_size
from calotype.image.enlarged import enlarged
from calotype.models import dual, manner
from calotype.models.manner import Manner
from calotype.ops import inspection, regions
from calotype.ops.declare import number, operation, other_layer, style
from calotype.ops.inspection import LABELS, Map, Scores
from calotype.ops.regions import Region
from calotype.ops.task import Task
from calotype_wire.protocol import Place

SEEN_PX = 2048
"""Longer side of what is looked at: larger pictures are reduced, and their smallest faults with them."""

SOURCE = "The layer that the picture was made from: what it lost of it is found, too."
STYLE = "The style that the picture is painted in: what is not painted so is found, too."
THRESHOLD = "How sure it must be that something is wrong. Lower: more is found, and more in vain."

LAYER = "Anomalies"


@operation(
    "Check",
    "Shows where a picture looks wrong (seams, blotches, checkerboards, smears, colours that bleed) as a "
    "layer, and scores it. The layer can be painted on and given to Correct.",
    extra=(("map", "where to write the map: grey, as large as the picture, brighter is worse"),),
    report=True,
)
@dataclass(frozen=True)
class Check:
    source: int | None = other_layer("Source layer", SOURCE, none="Not known")
    style: str = style("Style", STYLE, "Not known")
    threshold: float = number("Threshold", THRESHOLD, 100 * regions.THRESHOLD, 1, 99)

    def run(self, task: Task) -> None:
        picture = seen(task.layers[0])
        source = None if self.source is None else seen(task.layers[self.source])
        found, scores = inspection.inspect(
            picture, task.device, source, named(self.style, task), lambda: task.progress(0.7, "Looking")
        )
        inside = selected(task, task.layers[0])
        found = found if inside is None else found.within(inside)
        places = regions.of(found, self.threshold / 100, picture.shape[2], picture.shape[1])
        show(task, found, places)
        task.facts["check"] = told(task.layers[0], picture, scores, places)
        task.report(sentence(scores, places))


def seen(canvas: Canvas) -> Tensor:
    """A layer as it is looked at, (3, h, w)."""
    box = canvas.box
    height, width = reduced_size(box.height, box.width, SEEN_PX)
    return (
        canvas.picture(box) if (height, width) == (box.height, box.width) else canvas.thumbnail(height, width)
    )


def selected(task: Task, layer: Canvas) -> Tensor | None:
    """(H, W), 0..1, of layer, which may be a result; None for all of it, as of one that was enlarged."""
    whole = task.layers[0].box
    return task.selection.mask(whole) if task.selection is not None and layer.box == whole else None


def named(style: str, task: Task) -> Manner | None:
    return manner.named(style, dual.shipped(task.device)) if style else None


def show(task: Task, found: Map, places: list[Region], visible: bool = True) -> None:
    """A layer with what is wrong in yellow to red; in places it is more opaque than half."""
    inside = torch.zeros_like(found.wrong, dtype=torch.bool)
    for region in places:
        inside |= region.cells
    squares = found.wrong.square()  # hardly a tint where all is well
    alpha = torch.where(inside, 0.55 + 0.45 * squares, 0.45 * squares)
    planes = torch.stack([alpha, found.severity])[None]
    target = task.overlay(LAYER, Place(visible=visible))
    width, height = target.box.width, target.box.height
    for rows in bands(target.box):
        opacity, severity = enlarged(planes, rows, width, height)[0].clamp(0, 1)
        native = target.native[rows.y0 : rows.y1]
        native[..., 0] = 255
        if target.colours == 3:
            native[..., 1] = (230 * (1 - severity)).byte().numpy()
            native[..., 2] = 0
        native[..., -1] = (255 * opacity).round().byte().numpy()


def told(layer: Canvas, picture: Tensor, scores: Scores, places: list[Region]) -> dict[str, Any]:
    """For programs: scores, and regions with their bounds in the layer's pixels."""
    scale = layer.box.width / picture.shape[2]
    return {"scores": scores.facts(), "regions": [region_facts(region, scale) for region in places[:100]]}


def region_facts(region: Region, scale: float) -> dict[str, Any]:
    bounds = [round(scale * n) for n in region.bounds]
    return {"kind": region.kind, "severity": round(region.severity, 1), "bounds": bounds}


def sentence(scores: Scores, places: list[Region]) -> str:
    said = "Nothing looks wrong"
    if places:
        kinds = Counter(LABELS[region.kind] for region in places)
        named = ", ".join(f"{count} x {kind}" if count > 1 else kind for kind, count in kinds.items())
        said = f"{'1 place looks' if len(places) == 1 else f'{len(places)} places look'} wrong: {named}"
    return f"Checked: {scores.total:.0f} of 100. {said}. {str(scores).capitalize()}."
