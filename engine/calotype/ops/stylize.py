"""Stylize: repaint a picture in a style of the catalogue, of another layer or of any picture."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from calotype.image import chroma as chromas
from calotype.image import files, tiles
from calotype.image.codec import Box, Canvas
from calotype.image.enlarged import enlarged
from calotype.image.marks import painted
from calotype.models import dual, gatys, manner
from calotype.models.manner import Manner
from calotype.models.painter import framed
from calotype.ops.colorize import BY_PIXEL
from calotype.ops.declare import file, number, operation, other_layer, style, text, toggle
from calotype.ops.denoise import blend as to_strength
from calotype.ops.easel import Easel
from calotype.ops.task import Task
from calotype.portfolio import shelf
from calotype_wire.errors import CalotypeError

SIDE_PX = 1024
"""Longer side of the picture that is painted at a brush of 100 %: strokes grow with the picture."""

SIDE_PX_MAX = 4096
"""At finer brushes it is larger, up to this."""

STYLE_PX = 512
"""Longer side of a picture that a style is taken from, as of those that were trained on."""

STYLES_MAX = 4

REFINED_PX, REFINED_PX_MAX = 512, 2048
"""Longer side of what is refined, at a brush of 100 % and at most: each step sees all of it."""


@operation(
    "Stylize",
    "Repaints the picture in the style of a painting, or of any picture that you choose.",
    whole=True,
    generates=True,
)
@dataclass(frozen=True)
class Stylize:
    strength: float = number(
        "Strength", "How much of the painting is laid over the photo; 0 leaves it as it is.", 100
    )
    style: str = style("Style", "One of the catalogue, or one that you have trained.")
    style_layer: int | None = other_layer(
        "Style layer", "A layer whose style is taken instead, whatever its size.", True, "None"
    )
    style_image: str | None = file("Style picture", "A picture file whose style is taken instead.")
    blend: str = text(
        "Blend", "Instead of one style up to four with their weights: starry-night:0.4, kiss:0.6."
    )
    blend_layer: int | None = other_layer(
        "Blend layer",
        "A transparent layer that says where: the first style of the blend where nothing is painted, the "
        "second where you paint red, the third green, the fourth blue.",
    )
    brush: float = number("Brush", "How broad the strokes are beside the picture.", 100, 25, 400)
    detail: float = number("Detail", "How much of the photo's fine detail shines through.", 0)
    keep_colours: bool = toggle("Keep colours", "Paint in the photo's own colours.", False)
    colourise: bool = toggle("Colourise first", "Of a grey photo: give it colours in the same go.", False)
    refine: int = number(
        "Refine",
        "Steps of optimisation after the network has painted: each brings the painting nearer to the style. "
        "At 0 it is there at once.",
        40,
        maximum=1000,
        unit="steps",
        whole=True,
    )

    @property
    def sole_style(self) -> str:
        """Its name, or '' where the painting is in another, or in several."""
        others = self.style_layer is not None or self.style_image or self.blend or self.keep_colours
        return "" if others else self.style

    def run(self, task: Task) -> None:
        if self.strength == 0:
            task.unchanged("Stylised")
            return
        place = task.leave_grey()
        smooth, painting = self.painted(task)
        whole = task.layers[0].box

        def lay(picture: Tensor, box: Box) -> Tensor:
            made = enlarged(painting, box, whole.width, whole.height, "bicubic")
            if self.detail:
                coarse = enlarged(smooth, box, whole.width, whole.height, "bicubic")
                made = made + self.detail / 100 * (picture[None] - coarse)
            return made[0].clamp(0, 1)

        task.retouch(to_strength(lay, self.strength), BY_PIXEL, "Painting", "Stylised", place, 0.9, False)

    def painted(self, task: Task) -> tuple[Tensor, Tensor]:
        """The photo without the detail that a brush leaves out, and the painting; (1, 3, h, w) each."""
        source = task.layers[0]
        whole = source.box
        longer = max(whole.width, whole.height)
        usual, most = (REFINED_PX, REFINED_PX_MAX) if self.refine else (SIDE_PX, SIDE_PX_MAX)
        side_px = min(max(min(usual, longer) * 100 / self.brush, 32), most)
        height, width = (max(2, round(n * side_px / longer)) for n in (whole.height, whole.width))
        if side_px < longer:
            photo = source.thumbnail(height, width)
        else:
            photo = interpolate(source.picture(whole)[None], (height, width), mode="bicubic")[0].clamp(0, 1)
        network = dual.shipped(task.device)
        manners = self._manners(task, network)
        shares = None
        if self.blend_layer is not None:
            shares = _shares(source, task.layers[self.blend_layer], len(manners), height, width)
        task.progress(0.1, "Painting")
        easel = Easel(task, network, manners, shares is not None, self.colourise, SIDE_PX)
        given = photo if shares is None else torch.cat([photo, shares[0]])
        made, chroma = torch.split(
            tiles.padded(partial(framed, easel.paint), given, dual.CONTRACT.multiple), [3, 2]
        )

        def show(padded: Tensor) -> None:
            def so_far() -> Tensor:
                painting = self._coloured(padded[..., :height, :width].cpu(), chroma)
                return torch.lerp(photo, painting.clamp(0, 1), self.strength / 100)

            task.show(so_far)

        if self.refine:
            show(made)
            made = self._refined(task, photo, made, manners, shares, show)
        made = self._coloured(made, chroma)
        if side_px > longer:
            made = interpolate(made[None], (whole.height, whole.width), mode="area")[0]
        smooth = interpolate(photo[None], (height // 2, width // 2), mode="area")
        return smooth, made[None]

    def _coloured(self, made: Tensor, chroma: Tensor) -> Tensor:
        """The painting, (3, h, w), in its own colours or, where they are to be kept, in the photo's."""
        if not self.keep_colours:
            return made
        return chromas.join(chromas.split(made[None].clamp(0, 1))[0], chroma[None])[0]

    def _manners(self, task: Task, network: dual.Dual) -> list[tuple[Manner, float]]:
        """The styles, and the share of each."""
        if self.style_layer is not None:
            return [(_manner_of(task.layers[self.style_layer], network, task), 1.0)]
        if self.style_image is not None:
            picture = Canvas.of(files.read(Path(self.style_image)).layer)
            return [(_manner_of(picture, network, task), 1.0)]
        parts = _parsed(self.blend) if self.blend.strip() else [(self.style, 1.0)]
        found = [(manner.named(name, network), share) for name, share in parts]
        for (name, _), (each, _) in zip(parts, found, strict=True):
            if each.outdated:
                task.report(f"'{name}' was trained with an earlier Calotype: train it again for its best.")
        return found

    def _refined(
        self,
        task: Task,
        photo: Tensor,
        made: Tensor,
        manners: list[tuple[Manner, float]],
        shares: Tensor | None,
        show: Callable[[Tensor], None],
    ) -> Tensor:
        """From the network's painting on. photo, made: (3, h, w). show: given each step's."""

        def run(padded: Tensor) -> Tensor:
            start, content, share = padded[:, :3].clamp(0, 1), padded[:, 3:6], padded[:, 6:]
            painted: list[gatys.Painted] = [(Manner.blended(manners).moments, None)]
            if shares is not None:
                painted = [(each.moments, share[:, k : k + 1]) for k, (each, _) in enumerate(manners)]

            def progress(fraction: float, so_far: Tensor) -> None:
                task.progress(0.1 + 0.8 * fraction, "Refining")
                show(so_far[0])

            return gatys.optimised(start, content, painted, self.refine, task.device, progress)

        given = [made, photo] if shares is None else [made, photo, shares[0]]
        return tiles.padded(run, torch.cat(given), dual.CONTRACT.multiple)


def _manner_of(picture: Canvas, network: dual.Dual, task: Task) -> Manner:
    factor = max(1.0, max(picture.box.width, picture.box.height) / STYLE_PX)
    height, width = (max(16, round(n / factor / 16) * 16) for n in (picture.box.height, picture.box.width))
    seen = task.device.send(picture.thumbnail(height, width)[None])
    with torch.no_grad(), task.device.precision():
        return Manner.of(seen, network)


def _parsed(blend: str) -> list[tuple[str, float]]:
    """Styles and their weights, which add up to 1. Raises CalotypeError BAD_PARAMETER."""
    known = [name for name, _ in shelf.choices()]
    found: list[tuple[str, float]] = []
    for part in blend.split(","):
        name, _, weight = part.strip().partition(":")
        if name not in known:
            raise _bad(f"Blend: there is no style '{name[:40]}'. There is: {', '.join(known)}.")
        try:
            found.append((name, float(weight or 1)))
        except ValueError:
            raise _bad(f"Blend: '{weight[:20]}' is no weight. Write NAME:0.4, NAME:0.6.") from None
    total = sum(weight for _, weight in found)
    if len(found) > STYLES_MAX or min(weight for _, weight in found) < 0 or not 0 < total < float("inf"):
        raise _bad(f"Blend: name up to {STYLES_MAX} styles, with weights of 0 or more.")
    return [(name, weight / total) for name, weight in found]


def _bad(sentence: str) -> CalotypeError:
    return CalotypeError("BAD_PARAMETER", sentence)


def _shares(source: Canvas, layer: Canvas, count: int, height: int, width: int) -> Tensor:
    """(1, count, height, width), adding up to 1: what red, green and blue paint gives to styles 2, 3, 4."""
    if not layer.has_alpha:
        raise _bad("The blend layer has no transparency. Paint on a new transparent layer.")
    colours, opacity = painted(source, layer, height, width)
    paint = colours / colours.sum(0, keepdim=True).clamp_min(1e-3) * opacity
    others = paint[: count - 1]
    return torch.cat([1 - others.sum(0, keepdim=True), others])[None].clamp(0, 1)
