"""Correct: repair what looks wrong in a picture, and prove it, or leave it alone."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from calotype.image.codec import Box, Canvas
from calotype.image.enlarged import enlarged
from calotype.image.marks import marked
from calotype.ops import check, ladder, regions
from calotype.ops.check import SOURCE, STYLE, THRESHOLD
from calotype.ops.colorize import BY_PIXEL
from calotype.ops.declare import number, operation, other_layer, style, toggle
from calotype.ops.inspection import LABELS
from calotype.ops.ladder import Known, Outcome, Rules
from calotype.ops.stylize import Stylize
from calotype.ops.task import Step, Task
from calotype_wire.errors import CalotypeError


@operation(
    "Correct",
    "Repairs the places that Check finds or that you have painted; leaves alone what it cannot make better.",
    whole=True,
)
@dataclass(frozen=True)
class Correct:
    strength: float = number(
        "Strength", "How much of the repair is applied; 0 leaves the picture as it is.", 100
    )
    source: int | None = other_layer("Source layer", SOURCE, none="Not known")
    style: str = style("Style", STYLE, "Not known")
    mask: int | None = other_layer(
        "Anomaly layer", "A layer that marks what to repair, instead of looking for it: Check's, painted on."
    )
    threshold: float = number("Threshold", THRESHOLD, 100 * regions.THRESHOLD, 1, 99)
    strictness: float = number("Strictness", "How much better a repair must be to be kept.", 20, 0, 90)
    rounds: int = number("Rounds", "How often it looks again after repairing.", 2, 1, 5, "", whole=True)
    repaint: bool = toggle("Paint again", "May paint a place again, where style and source are known.", True)
    weaken: bool = toggle("Weaken", "May mix in some of the source.", True)
    clean: bool = toggle("Clean", "May take out noise, blocks and blur.", True)
    tone: bool = toggle("Match tones", "May bring tones to those around.", True)
    fill: bool = toggle("Fill", "May fill small places from around.", True)
    restore: bool = toggle("Source", "May put the source back.", True)

    def run(self, task: Task) -> None:
        if self.strength == 0:
            task.unchanged("Corrected")
            return
        painted = None if self.mask is None else marked(task.layers[0], task.layers[self.mask])
        if painted is not None and not painted.any():
            raise CalotypeError(
                "UNCHANGED", "Nothing is marked on the anomaly layer. Paint on it what is to be repaired."
            )
        source = None if self.source is None else task.layers[self.source]
        layer, strength = task.layers[0], self.strength / 100
        outcome = found(task, layer, source, self.style, self._rules(), painted, strength)
        tell(task, layer, outcome)
        if not outcome.repairs:
            raise CalotypeError("UNCHANGED", self._nothing(outcome))
        change = changer(outcome, layer.box, strength)
        task.retouch(change, BY_PIXEL, "Correcting", "Corrected", since=0.9, judged=False)

    def _rules(self) -> Rules:
        steps = {
            "repaint": self.repaint,
            "weaken": self.weaken,
            "clean": self.clean,
            "tone": self.tone,
            "fill": self.fill,
            "source": self.restore,
        }
        chosen = tuple(step for step, on in steps.items() if on)
        return Rules(self.threshold / 100, self.strictness / 100, self.rounds, chosen)

    def _nothing(self, outcome: Outcome) -> str:
        if not outcome.refused:
            return "Nothing looks wrong. Lower the threshold, or paint what is wrong on an anomaly layer."
        unknown = ["its source layer"] * (self.source is None) + ["its style"] * (not self.style)
        advice = f"Name {' and '.join(unknown)}, or lower" if unknown else "Lower"
        return f"No repair made the picture better, so it was left as it is. {advice} the strictness."


def found(
    task: Task,
    layer: Canvas,
    source: Canvas | None,
    style: str,
    rules: Rules,
    painted: Any = None,
    strength: float = 1.0,
) -> Outcome:
    """What becomes of layer, which may be a result. painted: (H, W), bool, as layer. strength: 0..1."""
    veil = task.layers[0] if task.lies_on_first(layer) else layer  # of a result, selections may be it
    picture = check.seen(layer, veil)
    known = _known(task, picture, None if source is None else check.below(layer, source), style)
    marks = None if painted is None else torch.from_numpy(painted)
    return ladder.repaired(
        picture,
        task.device,
        known,
        rules,
        marks,
        check.reached(task, layer),
        strength,
        lambda fraction: task.progress(0.9 * fraction, "Correcting"),
    )


def _known(task: Task, picture: Tensor, source: Canvas | None, style: str) -> Known:
    """picture: as it is seen. source: as large as it is."""
    if source is None:
        return Known(manner=check.named(style, task))
    small = check.source_seen(picture, source)
    if not style:
        return Known(small)

    def repaint() -> Tensor:
        _, painting = Stylize(style=style, refine=0).painted(task.aside([source]))
        return interpolate(painting, small.shape[1:], mode="bicubic")[0].clamp(0, 1)

    return Known(small, check.named(style, task), repaint)


def changer(outcome: Outcome, whole: Box, strength: float = 1.0) -> Step:
    """The repairs as a step on the layer, which may be larger than what was looked at. strength: 0..1."""
    difference = strength * (outcome.picture - outcome.seen)

    def change(picture: Tensor, box: Box) -> Tensor:
        if (whole.height, whole.width) == difference.shape[1:]:
            return picture + difference[:, box.y0 : box.y1, box.x0 : box.x1]
        return picture + enlarged(difference[None], box, whole.width, whole.height, "bicubic")[0]

    return change


def tell(task: Task, layer: Canvas, outcome: Outcome) -> None:
    """Scores before and after, and what was done where."""
    scale = layer.box.width / outcome.picture.shape[2]
    repairs = [
        check.region_facts(repair.region, scale)
        | {"step": repair.step, "before": round(repair.before, 2), "after": round(repair.after, 2)}
        for repair in outcome.repairs
    ]
    left = check.told(layer, outcome.picture, outcome.after[1], outcome.left)
    task.facts["check"] = left | {"before": outcome.before[1].facts(), "repairs": repairs}
    before, after = (each[1].total for each in (outcome.before, outcome.after))
    if outcome.repairs:
        done = ", ".join(f"{LABELS[r.region.kind]} {ladder.STEPS[r.step]}" for r in outcome.repairs[:4])
        more = ", and more" if len(outcome.repairs) > 4 else ""
        task.report(f"Corrected: {done}{more}. {before:.0f} of 100 before, {after:.0f} after.")
    else:
        task.report(check.sentence(outcome.after[1], outcome.left))
