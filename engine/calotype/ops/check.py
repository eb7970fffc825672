"""Check: where a picture shows what a model got wrong, as a layer, and how good it is, as a score."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from calotype.image.codec import Box, Canvas, bands, pooled, reduced_size
from calotype.image.enlarged import enlarged
from calotype.models import dual, manner
from calotype.models.manner import Manner
from calotype.ops import inspection, regions
from calotype.ops.declare import number, operation, other_layer, style
from calotype.ops.inspection import LABELS, Map, Scores
from calotype.ops.regions import Region
from calotype.ops.task import Task
from calotype_wire.errors import CalotypeError
from calotype_wire.protocol import Place

SEEN_PX = 2048
"""Longer side of what is looked at: larger pictures are reduced, and their smallest faults with them."""

SOURCE = "The layer that the picture was made from: what it lost of it is found, too."
STYLE = "The style that the picture is painted in: what is not painted so is found, too."
THRESHOLD = "How sure it must be that something is wrong. Lower: more is found, and more in vain."

LAYER = "Anomalies"

REGIONS_MAX = 100
"""That are told one by one."""


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
        layer = task.layers[0]
        picture = seen(layer)
        source = None
        if self.source is not None:
            source = source_seen(picture, below(layer, task.layers[self.source]))
        found, scores = inspection.inspect(
            picture, task.device, source, named(self.style, task), lambda: task.progress(0.7, "Looking")
        )
        inside = reached(task, layer)
        found = found if inside is None else found.within(inside)
        places = regions.of(found, self.threshold / 100, picture.shape[2], picture.shape[1])
        show(task, found, places)
        task.facts["check"] = told(layer, picture, scores, places)
        task.report(sentence(scores, places))


def seen(canvas: Canvas, veil: Canvas | None = None) -> Tensor:
    """A layer as it is looked at, (3, h, w); where it is transparent its mean.

    veil: as large, whose transparency counts instead of its own.
    """
    box = canvas.box
    height, width = reduced_size(box.height, box.width, SEEN_PX)
    if (height, width) == (box.height, box.width) and not (veil or canvas).has_alpha:
        return canvas.picture(box)
    return canvas.thumbnail(height, width, veil)


def reached(task: Task, layer: Canvas) -> Tensor | None:
    """How much of each pixel of what is seen of layer, (h, w), 0..1, may be found wrong and changed: what is
    selected, unless layer is a result that was enlarged, and to be seen. None for all of it.
    """
    height, width = reduced_size(layer.box.height, layer.box.width, SEEN_PX)
    selection = task.selection_of(layer)
    if selection is None and not layer.has_alpha:
        return None

    def share(rows: Box) -> Tensor:
        visible = (layer.opacity(rows) > 0).float()
        return visible if selection is None else visible * selection.mask(rows)

    found = pooled(share, layer.box, 1, height, width)[0]
    return None if bool((found == 1).all()) else found


def below(layer: Canvas, source: Canvas) -> Canvas:
    """What of source lies where layer does; all of it where both are of one size, wherever layer was moved.

    Raises CalotypeError BAD_PARAMETER where nothing of it lies there.
    """
    there = source if source.box == layer.box else source.beneath(layer)
    if there is None:
        raise CalotypeError(
            "BAD_PARAMETER",
            f"The source layer '{source.shape.name}' does not lie below the picture. Choose the one "
            "that it was made from, or none.",
        )
    return there


def source_seen(picture: Tensor, source: Canvas) -> Tensor:
    """source, as large as the layer that picture, (3, h, w), shows; picture where source is transparent."""
    if not source.has_alpha:
        return seen(source)
    opacity = pooled(source.opacity, source.box, 1, *picture.shape[1:])
    return torch.where(opacity > 0.5, seen(source), picture)


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
    """For programs: scores, how many regions, and the worst of them with their bounds in layer's pixels."""
    scale = layer.box.width / picture.shape[2]
    worst = [region_facts(region, scale) for region in places[:REGIONS_MAX]]
    return {"scores": scores.facts(), "count": len(places), "regions": worst}


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
