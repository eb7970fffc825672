"""Colorize: natural colours for a grey photo, steered by strokes, a palette or another picture."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from calotype.image import chroma as chromas
from calotype.image import files
from calotype.image.codec import Box, Canvas
from calotype.image.marks import painted
from calotype.image.spread import spread
from calotype.models import dual
from calotype.models.contract import Contract
from calotype.ops import declare
from calotype.ops.declare import file, number, operation, other_layer, toggle
from calotype.ops.task import Task
from calotype_wire.errors import CalotypeError
from calotype_wire.protocol import Place

SEEN_PX = 512
"""Longer side of the picture whose colours the network tells."""

COLOURED = 6 / 255
"""Chroma from which on a pixel has a colour that can be kept."""

BY_PIXEL = Contract("dual", multiple=1, halo_px=0, bytes_a_pixel=100)
"""What the colours take once they are told."""


@operation(
    "Colorize", "Gives a grey photo natural colours, or those that you ask for.", whole=True, generates=True
)
@dataclass(frozen=True)
class Colorize:
    strength: float = number(
        "Strength",
        "How colourful the result is; 0 leaves the photo as it is, 100 is what the network finds likely.",
        100,
        maximum=200,
    )
    hints: int | None = other_layer(
        "Hint layer",
        "Strokes of colour on a transparent layer of their own; only what is painted counts.",
    )
    palette: list[str] | None = declare.palette(  # noqa: RUF009
        "Palette", "Two to eight colours that the result should have."
    )
    reference: int | None = other_layer(
        "Reference", "A picture whose colours the result should have.", True, "None"
    )
    reference_file: str | None = file("Reference file", "The same, as a picture file.")
    keep_colours: bool = toggle("Keep colours", "Keep the colours that the photo has, and go by them.", False)
    colour_layer: bool = toggle(
        "As a colour layer", "Blend the result as 'Colour', so that the photo below stays editable.", False
    )

    def run(self, task: Task) -> None:
        if self.strength == 0:
            task.unchanged("Colourised")
            return
        place = task.leave_grey()
        if self.colour_layer and place.kind == "layer":
            place = Place(blend="color")
        told, kept = self._told(task)

        def colour(picture: Tensor, box: Box) -> Tensor:
            luma, own = chromas.split(picture[None])
            chroma = told.at(luma, box) * (self.strength / 100)
            if kept is not None:
                chroma = torch.lerp(chroma, own, kept.at(luma, box)[:, :1].clamp(0, 1))
            return chromas.rounded(luma, chroma, task.layers[0].steps)[0]

        task.retouch(colour, BY_PIXEL, "Colourising", "Colourised", place, 0.3)

    def _told(self, task: Task) -> tuple[chromas.Guided, chromas.Guided | None]:
        """The chroma of the whole photo, and where the photo keeps its own."""
        source = task.layers[0]
        whole = source.box
        factor = max(1.0, max(whole.width, whole.height) / SEEN_PX)
        height, width = (max(16, round(side / factor / 16) * 16) for side in (whole.height, whole.width))
        luma, own = chromas.split(source.thumbnail(height, width)[None])
        hints, known = torch.zeros_like(own), torch.zeros_like(luma)
        if self.keep_colours:
            known = (own.norm(dim=1, keepdim=True) > COLOURED).float()
            hints = own * known
        kept = known
        if self.hints is not None:
            strokes, share = _strokes(source, task.layers[self.hints], height, width)
            hints, known = torch.lerp(hints, strokes, share), torch.maximum(known, share)
            kept = kept * (1 - share)
        network = dual.shipped(task.device)
        given = (luma, *spread(luma, hints, known), self._mood(task))
        with task.device.inference():
            chroma = network.colour(*(part.to(task.device.name) for part in given)).float().cpu()
        chroma = torch.lerp(chroma, hints, known)  # what was painted is what comes
        task.progress(0.3, "Colourising")
        told = chromas.Guided.of(luma, chroma, whole.width, whole.height)
        if not self.keep_colours:
            return told, None
        return told, chromas.Guided.of(luma, kept.expand(-1, 2, -1, -1), whole.width, whole.height)

    def _mood(self, task: Task) -> Tensor:
        """(1, PALETTE)."""
        if self.palette is not None:
            colours = torch.tensor([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in self.palette]) / 255
            chroma = chromas.split(colours.T[None, :, :, None])[1]
        elif self.reference is not None or self.reference_file is not None:
            reference = (
                task.layers[self.reference]
                if self.reference is not None
                else Canvas.of(files.read(Path(str(self.reference_file))).layer)
            )
            chroma = chromas.split(reference.thumbnail(64, 64)[None])[1]
        else:
            return torch.zeros(1, dual.PALETTE)
        return dual.palette_of(chroma[0].flatten(1).T)[None]


def _strokes(source: Canvas, layer: Canvas, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Chroma of what is painted, (1, 2, height, width), and its share of each pixel, (1, 1, height, width).

    Raises CalotypeError BAD_PARAMETER where the layer has no strokes.
    """
    if not layer.has_alpha:
        raise CalotypeError(
            "BAD_PARAMETER",
            "The hint layer has no transparency, so nobody can tell what is painted on it. Paint your "
            "strokes on a new transparent layer.",
        )
    colours, share = painted(source, layer, height, width)
    if not share.any():
        raise CalotypeError(
            "BAD_PARAMETER",
            "Nothing is painted on the hint layer where the photo is. Paint some strokes of colour on it.",
        )
    return chromas.split(colours[None])[1] * (share > 0), share[None]
