"""Repairs of what is wrong in a picture: steps that are tried on each region, and a gate that decides.

Anomaly proposes, the Gate decides: a repair stays only where a network that nothing here is optimised against
finds the place better than before. All pictures are (3, H, W), 0..1.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn.functional import interpolate, max_pool2d

from calotype.image import fill
from calotype.image.tint import Tint, split, tint_of
from calotype.models import anomaly, restorer
from calotype.models.anomaly import CELL_PX
from calotype.models.device import Device
from calotype.models.manner import Manner
from calotype.ops import inspection, regions
from calotype.ops.inspection import Map, Scores
from calotype.ops.regions import Region

STEPS = {
    "repaint": "painted again",
    "weaken": "weakened",
    "clean": "cleaned",
    "tone": "tones matched",
    "fill": "filled",
    "source": "taken from the source",
}

SUITED = {"tone": ("seam", "bleed", "blob"), "fill": ("blob",)}
"""Kinds of which a region must have a share of SUITED_MIN for a step to be tried; the others suit all.

What is filled is lost, and both networks like how smooth it is: only where nothing is left to lose.
"""

SUITED_MIN = 0.15

FITTING = 0.08
"""A source that differs by more around a region (root mean square) was painted over: it would be a patch."""

OUTSTANDING = 2.0
"""A place is painted again where the new painting differs from it (root mean square) by more than so many
times what it differs by around it (median): of a picture that was painted at another size, or refined, it
differs everywhere.
"""

REGIONS_MAX = 24
"""A round repairs the worst."""

MARGIN_PX = 64
"""Around a region, so that a repair which only moves the fault is seen."""

CORNER_PX = anomaly.CONTRACT.multiple
"""Parts begin at multiples of it, so that the networks see them on the same grid."""

FILL_CELLS_MAX = 40
"""What is larger cannot be filled from its rim."""


@dataclass(frozen=True)
class Known:
    """What is known of a picture. source: what it was made from. repaint: paints the source again, whole."""

    source: Tensor | None = None
    manner: Manner | None = None
    repaint: Callable[[], Tensor] | None = None


@dataclass(frozen=True)
class Rules:
    """threshold: likelihood, 0..1, above which a place is wrong. strictness: 0..1, how much less bad, to the
    gate, a repair must be. rounds: of looking and repairing. steps: of STEPS, those that are tried.
    """

    threshold: float = regions.THRESHOLD
    strictness: float = 0.2
    rounds: int = 2
    steps: tuple[str, ...] = tuple(STEPS)


@dataclass(frozen=True)
class Repair:
    """bounds: as Region's. before, after: how bad its surroundings are to the gate, 0..100."""

    region: Region
    step: str
    before: float
    after: float


@dataclass(frozen=True)
class Outcome:
    """seen: the picture that was given. picture: repaired, at full strength. before, after: of seen, and of
    what is laid over it in the end. repairs: of all rounds that were kept. refused: regions that no step made
    better, of the last. left: what looks wrong in the end.
    """

    seen: Tensor
    picture: Tensor
    before: tuple[Map, Scores]
    after: tuple[Map, Scores]
    repairs: list[Repair] = field(default_factory=list)
    refused: list[Region] = field(default_factory=list)
    left: list[Region] = field(default_factory=list)


def repaired(
    picture: Tensor,
    device: Device,
    known: Known,
    rules: Rules,
    painted: Tensor | None = None,
    inside: Tensor | None = None,
    strength: float = 1.0,
    tick: Callable[[float], None] = lambda fraction: None,
) -> Outcome:
    """picture with what is wrong repaired: never worse to the gate than it was.

    painted: (H, W), bool, what the user says is wrong, instead of looking. inside: (H, W), 0..1, where
    repairs may be. strength: 0..1; so much of the repairs, of what is inside, is laid over the picture in the
    end. tick: told the progress, 0..1, whenever a network has run; may raise to stop.
    """
    reached = 0.0

    def alive() -> None:
        tick(reached)

    ladder = _Ladder(device, known, rules, alive, _grey(picture))

    def inspected(seen: Tensor) -> tuple[Map, Scores]:
        found, scores = inspection.inspect(seen, device, known.source, known.manner, alive)
        return found if inside is None else found.within(inside), scores

    def places(found: Map, cells_min: int) -> list[Region]:
        return regions.of(found, rules.threshold, picture.shape[2], picture.shape[1], cells_min)

    before = inspected(picture)
    best = Outcome(picture, picture, before, before)
    found = before[0] if painted is None else _painted(before[0], painted)
    found = found if inside is None else found.within(inside)
    bad: float | None = None
    made, repairs = picture, list[Repair]()
    for turn in range(rules.rounds):
        wrong = places(found, regions.CELLS_MIN if painted is None else 1)[:REGIONS_MAX]
        done: list[Repair] = []
        refused: list[Region] = []
        for index, region in enumerate(wrong):
            reached = (turn + index / len(wrong)) / rules.rounds
            alive()
            result = ladder.climb(made, region)
            if result is None:
                refused.append(region)
                continue
            made, repair = result
            done.append(repair)
        best = replace(best, refused=[repair.region for repair in done] + refused)
        if not done:
            break
        bad = ladder.gated(picture) if bad is None else bad
        badness = ladder.gated(made)
        if badness > bad:  # though each was better in its own surroundings
            break
        bad, repairs = badness, repairs + done
        best = Outcome(picture, made, before, inspected(made), repairs, refused)
        found = best.after[0]
        if painted is not None:
            break
    if best.repairs and (inside is not None or strength < 1):
        laid = torch.lerp(
            picture, best.picture, torch.tensor(strength) if inside is None else strength * inside
        )
        if ladder.gated(laid) > ladder.gated(picture):
            best = Outcome(picture, picture, before, before, refused=[each.region for each in best.repairs])
        else:
            best = replace(best, after=inspected(laid))
    return replace(best, left=places(best.after[0], regions.CELLS_MIN))


GREY_PX = 8 / 255
"""Chroma below which a pixel of a grey picture is grey: beyond it, it was stained."""


def _grey(picture: Tensor) -> Tensor | None:
    """(H, W), bool: which pixels must stay grey; None where the picture is in colours."""
    return split(picture)[1].abs().amax(0) < GREY_PX if tint_of(picture) is Tint.GREY else None


def _painted(found: Map, painted: Tensor) -> Map:
    """Wrong is what was painted, as severe as it was found to be, but not nothing; it may be of any kind."""
    share = interpolate(painted[None, None].float(), found.wrong.shape, mode="area")[0, 0]
    cells = share > 0.2  # the rim of Check's own cells, enlarged, does not count
    for dab in regions.connected(share > 0):
        if not cells[dab].any():  # however small
            cells |= dab
    severity = found.severity.clamp_min(0.1)
    return replace(found, wrong=cells.float(), severity=severity, kinds=found.kinds + SUITED_MIN)


class _Ladder:
    def __init__(
        self,
        device: Device,
        known: Known,
        rules: Rules,
        alive: Callable[[], None],
        grey: Tensor | None,
    ) -> None:
        """grey: (H, W), bool, pixels that must stay so."""
        self.grey = grey
        self.device = device
        self.known = known
        self.rules = rules
        self.alive = alive
        self._again: Tensor | None = None

    def gated(self, picture: Tensor) -> float:
        return inspection.look(picture, self.device, anomaly.GATE, self.alive).badness()

    def _proposed(self, picture: Tensor) -> float:
        return inspection.look(picture, self.device, anomaly.CONTRACT, self.alive).badness()

    def climb(self, picture: Tensor, region: Region) -> tuple[Tensor, Repair] | None:
        """The picture with this region repaired by the step that looks best of those that the gate passes."""
        height, width = picture.shape[1:]
        x0, y0, x1, y1 = region.bounds
        top, left = (max(0, n - MARGIN_PX) // CORNER_PX * CORNER_PX for n in (y0, x0))
        rows, columns = slice(top, min(height, y1 + MARGIN_PX)), slice(left, min(width, x1 + MARGIN_PX))
        part = (slice(None), rows, columns)
        now = picture[part]
        share = feathered(region.cells, height, width)[rows, columns]
        tried = []
        for step, made in self._steps(now, share, part, region):
            laid = torch.lerp(now, made.clamp(0, 1), share)
            if self.grey is not None:
                laid = torch.where(self.grey[rows, columns], now + split(laid - now)[0], laid)
            tried.append((self._proposed(laid), step, laid))
        bad = self._proposed(now)
        before = self.gated(now)
        for badness, step, laid in sorted(tried, key=lambda each: each[0]):
            if badness >= bad:
                break
            after = self.gated(laid)
            if after < before * (1 - self.rules.strictness):
                whole = picture.clone()
                whole[part] = laid
                return whole, Repair(region, step, 100 * before, 100 * after)
        return None

    def _steps(
        self, now: Tensor, share: Tensor, part: tuple[slice, slice, slice], region: Region
    ) -> Iterator[tuple[str, Tensor]]:
        """What each step that suits the region makes of a part of the picture."""
        source = None if self.known.source is None else self.known.source[part]
        fits = math.inf if source is None else float((source - now)[:, share == 0].square().mean().sqrt())
        for step in self.rules.steps:
            kinds = SUITED.get(step)
            if kinds and max(region.shares[kind] for kind in kinds) < SUITED_MIN:
                continue
            if step == "repaint" and self.known.repaint is not None:
                if self._again is None:
                    self._again = self.known.repaint()
                again = self._again[part]
                if _stands_out(again - now, share):
                    yield step, again
            elif step == "weaken" and source is not None and fits < FITTING:
                yield step, torch.lerp(now, source, 0.5)
            elif step == "clean":
                network = restorer.between(0.0, self.device)
                yield step, network(now, torch.full((1, 3), restorer.BLIND))
                yield step, median(now)
            elif step == "tone":
                yield step, matched(now, share > 0)
            elif step == "fill" and int((share > 0.5).sum()) <= FILL_CELLS_MAX * CELL_PX**2:
                yield step, fill.membrane(now, share > 0)
            elif step == "source" and source is not None and fits < FITTING:
                yield step, source


def _stands_out(difference: Tensor, share: Tensor) -> bool:
    around = difference[:, share == 0].abs()
    inside = difference[:, share > 0.5].square().mean().sqrt()
    return around.numel() == 0 or bool(inside > OUTSTANDING * around.median())


def median(picture: Tensor) -> Tensor:
    """Of 3 x 3 px, for each channel: specks go that the restorer takes for detail."""
    around = torch.nn.functional.pad(picture[None], (1, 1, 1, 1), mode="replicate")[0]
    near = around.unfold(1, 3, 1).unfold(2, 3, 1)  # 3 H W 3 3
    return near.flatten(3).median(dim=3).values


SMOOTH_PX = 17
"""Detail finer than about this is kept where tones are matched."""


def matched(picture: Tensor, mask: Tensor) -> Tensor:
    """picture with the tones in mask, (H, W), bool, brought to those around it; its detail stays."""
    smooth = picture
    for _ in range(3):  # nearly a Gaussian
        smooth = _mean(smooth)
    return picture - smooth + fill.membrane(smooth, mask)


def _mean(picture: Tensor) -> Tensor:
    half = SMOOTH_PX // 2
    near = torch.nn.functional.pad(picture[None], [half] * 4, mode="replicate")
    return torch.nn.functional.avg_pool2d(near, SMOOTH_PX, 1)[0]


def feathered(cells: Tensor, height: int, width: int) -> Tensor:
    """How much of a repair is laid over each pixel, (H, W), 0..1: all in cells, (h, w), bool, and around."""
    wide = max_pool2d(cells[None, None].float(), 3, 1, 1)
    share = interpolate(wide, scale_factor=float(CELL_PX), mode="bilinear", align_corners=False)
    return share[0, 0, :height, :width]
