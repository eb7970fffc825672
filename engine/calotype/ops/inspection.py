"""What is wrong with a picture: three signals on one grid, the regions that they make, and the scores.

Anomaly sees the picture alone. Where it is known what the picture was made from, places whose content is lost
stand out; where its style is known, places that are not painted so. Sources: Wang et al. 2004 (SSIM: compare
after the means and contrasts are taken out), here of features (Huang, Belongie 2017); Defard et al. 2021
(PaDiM: Mahalanobis distance of an encoder's features).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad

from calotype.image import tiles
from calotype.image.colour import LUMA
from calotype.models import anomaly, distances, encoder
from calotype.models.anomaly import CELL_PX, KINDS
from calotype.models.contract import Contract
from calotype.models.device import Device
from calotype.models.manner import Manner

SIDE_PX = 1024
"""Of what a network sees at once, without the halo."""

ODD = 1
"""Stage of the encoder, at half the sides, that style and content are compared at: a quarter of the sides."""

HAZE = 0.3
"""A likelihood that the regions of Check do not reach down to: there is some in every picture."""

LABELS = {
    "noise": "noise",
    "blur": "smeared",
    "jpeg": "blocks",
    "ringing": "ringing",
    "checkerboard": "checkerboard",
    "seam": "seam",
    "bleed": "colours that bleed",
    "blob": "blotch",
    "banding": "banding",
    "other": "distorted",
    "content": "content lost",
    "style": "not in the style",
}


@dataclass(frozen=True)
class Map:
    """On cells of CELL_PX: the likelihood of being wrong and the severity, (h, w), 0..1, and the share of
    each kind of LABELS, (K, h, w), 0..1.
    """

    wrong: Tensor
    severity: Tensor
    kinds: Tensor

    def within(self, share: Tensor) -> "Map":
        """Nothing is wrong in cells where share, (H, W), 0..1, is 0 for half of the pixels or more."""
        some = (share > 0)[None, None].float()
        inside = interpolate(some, self.wrong.shape, mode="area")[0, 0] > 0.5
        return replace(self, wrong=self.wrong * inside)

    def surely(self) -> "Map":
        """Without HAZE."""
        return replace(self, wrong=((self.wrong - HAZE) / (1 - HAZE)).clamp_min(0))

    def badness(self) -> float:
        """0..1, of all: nothing wrong at 0."""
        return float((self.wrong * self.severity).mean())


@dataclass(frozen=True)
class Scores:
    """0..100, higher is better. sharpness: None where there is no detail. style: None where the style is not
    known.
    """

    sharpness: float | None
    realism: float
    style: float | None

    @property
    def total(self) -> float:
        """The geometric mean, to a tenth; realism weighs as much as the others together."""
        parts = [(self.realism, 2.0), (self.sharpness, 1.0), (self.style, 1.0)]
        known = [(score, weight) for score, weight in parts if score is not None]
        whole = sum(weight for _, weight in known)
        return round(math.exp(sum(w * math.log(max(score, 1e-3)) for score, w in known) / whole), 1)

    def __str__(self) -> str:
        """The parts of the total."""
        parts = {name: score for name, score in self.facts().items() if name != "total"}
        return ", ".join(f"{name} {score:.0f}" for name, score in parts.items() if score is not None)

    def facts(self) -> dict[str, float | None]:
        named = {
            "sharpness": self.sharpness,
            "realism": self.realism,
            "style": self.style,
            "total": self.total,
        }
        return {key: None if value is None else round(value, 1) for key, value in named.items()}


def look(
    picture: Tensor,
    device: Device,
    contract: Contract = anomaly.CONTRACT,
    tick: Callable[[], None] = lambda: None,
) -> Map:
    """What one of the two networks says. picture: (3, H, W), 0..1; the map has a cell for each begun 8 px.

    tick: called after each part; may raise to stop.
    """
    network = anomaly.shipped(contract, torch.device(device.name))

    def run(part: Tensor) -> Tensor:
        with device.inference():
            found = network.judged(device.send(part[None]))
        tick()
        return torch.cat([each.float().cpu() for each in found], dim=1)[0]

    found = _in_parts(picture, run, contract.halo_px)
    kinds = torch.cat([found[2:], torch.zeros(2, *found.shape[1:])])
    return Map(found[0], found[1], kinds)


def _in_parts(picture: Tensor, run: Callable[[Tensor], Tensor], halo_px: int) -> Tensor:
    """run, from (3, h, w), sides multiples of 32, to (C, h / 8, w / 8), on all of picture in parts."""
    height, width = (-(-side // CELL_PX) for side in picture.shape[1:])
    filled = tiles.mirrored(picture, anomaly.CONTRACT.multiple)
    made: Tensor | None = None
    for top in range(0, filled.shape[1], SIDE_PX):
        for left in range(0, filled.shape[2], SIDE_PX):
            y0, x0 = max(0, top - halo_px), max(0, left - halo_px)
            part = run(filled[:, y0 : top + SIDE_PX + halo_px, x0 : left + SIDE_PX + halo_px])
            if made is None:
                made = torch.empty(len(part), filled.shape[1] // CELL_PX, filled.shape[2] // CELL_PX)
            y, x = (top - y0) // CELL_PX, (left - x0) // CELL_PX
            here = made[
                :, top // CELL_PX : (top + SIDE_PX) // CELL_PX, left // CELL_PX : (left + SIDE_PX) // CELL_PX
            ]
            here.copy_(part[:, y : y + here.shape[1], x : x + here.shape[2]])
    assert made is not None
    return made[:, :height, :width]


def inspect(
    picture: Tensor,
    device: Device,
    source: Tensor | None = None,
    manner: Manner | None = None,
    tick: Callable[[], None] = lambda: None,
) -> tuple[Map, Scores]:
    """All three signals. picture, source: (3, H, W), 0..1, of one size; source: what it was made from."""
    found = look(picture, device, tick=tick)
    seen_alone = found.wrong
    realism = 100 * (1 - math.sqrt(found.surely().badness()))
    style = None
    if source is not None or manner is not None:
        seen = _features(picture, device)
        if source is not None:
            found = _with(found, "content", odd(lost(seen, _features(source, device))))
        if manner is not None:
            moments = distances.moments([seen])[0], manner.moments[ODD]
            style = 100 * math.exp(-float(distances.style_apart([moments[0]], [moments[1]])) / 2)
            found = _with(found, "style", odd(astray(seen, moments[1])))
        tick()
    return found, Scores(sharpness(picture, seen_alone), realism, style)


def _with(found: Map, kind: str, likely: Tensor) -> Map:
    """With another signal, (h, w), 0..1; where it is the surest, what is wrong is of its kind."""
    likely = interpolate(likely[None, None], found.wrong.shape, mode="bilinear")[0, 0]
    surer = likely > found.wrong
    own = torch.zeros(len(LABELS))
    own[list(LABELS).index(kind)] = 1
    return Map(
        torch.maximum(found.wrong, likely),
        torch.where(surer, torch.maximum(found.severity, likely / 2), found.severity),
        torch.where(surer, own[:, None, None], found.kinds),
    )


# ---- the signals of the encoder


def _features(picture: Tensor, device: Device) -> Tensor:
    """(1, C, H / 4, W / 4), about: of the picture at half its sides."""
    half = avg_pool2d(tiles.mirrored(picture, 32)[None], 2)
    judge = encoder.shipped(torch.device(device.name))
    with device.inference():
        seen: Tensor = judge(device.send(half), ODD + 1)[ODD]
    return seen.float().cpu()


def lost(seen: Tensor, wanted: Tensor) -> Tensor:
    """How differently two pictures' features, (1, C, h, w), are composed at each place; (h, w)."""
    apart = distances.normed(seen) - distances.normed(wanted)
    return _smooth(apart.square().mean(1, keepdim=True))


def astray(seen: Tensor, moments: tuple[Tensor, Tensor]) -> Tensor:
    """Mahalanobis distance of features (1, C, h, w) from a style's mean (1, C) and covariance (1, C, C)."""
    mean, around = moments
    held = around[0] + 0.1 * around[0].diagonal().mean() * torch.eye(around.shape[1])
    away = seen[0].flatten(1) - mean.T
    squares = (away * torch.linalg.solve(held, away)).mean(0)
    return _smooth(squares.view(1, 1, *seen.shape[2:]))


def _smooth(x: Tensor) -> Tensor:
    return avg_pool2d(x, 5, 1, 2, count_include_pad=False)[0, 0]


RATIO = 12.0
"""A place that is so many times as far off as half of all others is as likely wrong as not."""


def odd(away: Tensor) -> Tensor:
    """Likelihood of being wrong, of how far places are off, (h, w): beside the rest of the same picture."""
    usual = away.median().clamp_min(0.15)
    return torch.sigmoid(4 * ((away / usual).clamp_min(1e-6).log() - math.log(RATIO)))


# ---- the scores


FAINT = 2 / 255
"""Steps at 2 px below which there is no detail."""

SHARP, SOFT = 0.7, 0.5
"""Steps at 1 px beside those at 2 px, where there is most detail: of a sharp photo, of a smooth curve."""


def sharpness(picture: Tensor, wrong: Tensor) -> float | None:
    """How fine the finest detail is, 0..100, where there is most of it and nothing wrong: noise is none. None
    where there is no detail.

    picture: (3, H, W), 0..1. wrong: (h, w), 0..1, on any grid.
    """
    luma = torch.einsum("c,chw->hw", LUMA, picture)[None, None]
    if min(luma.shape[2:]) < 8 * CELL_PX:
        luma = pad(luma, (0, 8 * CELL_PX, 0, 8 * CELL_PX), mode="replicate")
    fine, coarse = _steps(luma, 4), _steps(avg_pool2d(luma, 2), 2)
    height, width = (min(a, b) for a, b in zip(fine.shape, coarse.shape, strict=True))
    fine, coarse = fine[:height, :width], coarse[:height, :width]
    right = 1 - interpolate(wrong[None, None], (height, width), mode="area")[0, 0]
    fine, coarse = right * fine, right * coarse
    most = coarse >= torch.quantile(coarse.flatten()[:: max(1, coarse.numel() // 100_000)], 0.8)
    if float(coarse[most].mean()) < FAINT:
        return None
    ratio = float(fine[most].sum() / coarse[most].sum())
    return 100 * math.sqrt(min(1.0, max(0.0, (ratio - SOFT) / (SHARP - SOFT))))


def _steps(luma: Tensor, cells: int) -> Tensor:
    """Mean step between neighbours in each cell of so many px, (h, w)."""
    across = luma.diff(dim=3).abs()[:, :, 1:] + luma.diff(dim=2).abs()[:, :, :, 1:]
    return avg_pool2d(across, 2 * cells)[0, 0]


assert tuple(LABELS)[: len(KINDS)] == KINDS
