"""How Stylize paints: whole or in tiles that agree, by one network or by one that each style has changed."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from calotype.image import chroma as chromas
from calotype.image import tiles
from calotype.image.codec import Box
from calotype.models import device as devices
from calotype.models import dual
from calotype.models.manner import Manner
from calotype.models.painter import Painter
from calotype.ops.task import Task

Moments = list[dual.Moments]
"""Of each brush."""


class Easel:
    """manners: the styles, and the share of each. masked: their shares come with what is to be painted.
    colourise: the photo is grey and gets colours in the same pass. side_px: what is larger goes in tiles.

    Styles that change nothing of the network are blended in it. Otherwise each paints by itself, and the
    paintings are mixed.
    """

    def __init__(
        self,
        task: Task,
        network: dual.Dual,
        manners: list[tuple[Manner, float]],
        masked: bool,
        colourise: bool,
        side_px: int,
    ) -> None:
        self.task = task
        self.network = network
        self.colourise = colourise
        self.side_px = side_px
        self.portions = [share for _, share in manners]
        self.changed = any(manner.changes for manner, _ in manners)
        shipped = Painter(network)
        if self.changed:
            self.brushes = [(shipped.changed(manner.changes), manner.row) for manner, _ in manners]
        elif masked:
            self.brushes = [(shipped, torch.cat([manner.row for manner, _ in manners]))]
        else:
            self.brushes = [(shipped, Manner.blended(manners).row)]

    def paint(self, given: Tensor) -> Tensor:
        """The painting and the photo's chroma, (1, 5, h, w).

        given: (1, 3 + K, h, w), sides multiples of 16: the photo, and the shares of K styles unless K is 0.
        """
        photo, shares = given[:, :3], given[:, 3:] if given.shape[1] > 3 else None
        luma, chroma = chromas.split(photo)
        factor = max(1.0, max(given.shape[2:]) / self.side_px)
        height, width = (max(16, round(side / factor / 16) * 16) for side in given.shape[2:])
        small, small_chroma, small_shares = (
            x if x is None or factor == 1 else interpolate(x, (height, width), mode="area")
            for x in (luma, chroma, shares)
        )
        assert small is not None
        assert small_chroma is not None
        if self.colourise:
            made, small_chroma = self._both(small, small_shares)
            chroma = interpolate(small_chroma, luma.shape[2:], mode="bilinear")
            if factor == 1:
                return torch.cat([made, chroma], dim=1)
        made, moments = self._one(small, small_chroma, small_shares, None)
        if factor > 1:
            made = self._in_tiles(luma, chroma, shares, moments)
        return torch.cat([made, chroma], dim=1)

    def _one(
        self, luma: Tensor, chroma: Tensor, shares: Tensor | None, moments: Moments | None
    ) -> tuple[Tensor, Moments]:
        """moments: of a small picture, so that tiles agree."""
        device = self.task.device
        luma, chroma = device.send(luma), device.send(chroma)
        given = None if shares is None or self.changed else device.send(shares)
        made: list[Tensor] = []
        seen: Moments = []
        for index, (painter, row) in enumerate(self.brushes):
            with device.inference():
                known = moments[index] if moments else None
                picture, taken = painter(luma, chroma, row.to(device.name), given, known)
            made.append(picture.float().cpu())
            seen.append(taken)
        if len(made) == 1:
            return made[0], seen
        if shares is None:
            parts = list(torch.tensor(self.portions)[:, None, None, None])
        else:
            parts = list(torch.split(shares, 1, dim=1))
        return torch.stack([part * each for part, each in zip(parts, made, strict=True)]).sum(0), seen

    def _both(self, luma: Tensor, shares: Tensor | None) -> tuple[Tensor, Tensor]:
        """The painting, and the chroma that the photo got."""
        device = self.task.device
        known, palette = torch.zeros_like(luma), luma.new_zeros(1, dual.PALETTE)
        nothing = device.send(known.expand(-1, 2, -1, -1))
        told = device.send(luma), nothing, device.send(known), palette.to(device.name)
        if self.changed:
            with device.inference():
                chroma = self.network.colour(*told).float().cpu()
            return self._one(luma, chroma, shares, None)[0], chroma
        ((_, row),) = self.brushes
        given = None if shares is None else device.send(shares)
        with device.inference():
            chroma, made = self.network.both(*told, row.to(device.name), given)
        return made.float().cpu(), chroma.float().cpu()

    def _in_tiles(self, luma: Tensor, chroma: Tensor, shares: Tensor | None, moments: Moments) -> Tensor:
        """Tiles that agree, by the moments of a small picture."""
        height, width = luma.shape[2:]
        made = torch.empty(1, 3, height, width)

        def run(tile: Tensor, box: Box) -> Tensor:
            part = (..., slice(box.y0, box.y1), slice(box.x0, box.x1))
            share = None if shares is None else shares[part]
            painting, _ = self._one(luma[part], chroma[part], share, moments)
            return painting[0].clamp(0, 1)

        def write(rows: Box, picture: Tensor) -> None:
            made[0, :, rows.y0 : rows.y1] = picture

        def attempt(side: int) -> None:
            tiles.process(
                Box(0, 0, width, height),
                lambda box: luma[0, :, box.y0 : box.y1, box.x0 : box.x1],
                run,
                write,
                dual.CONTRACT.halo_px,
                dual.CONTRACT.multiple,
                side,
                lambda fraction: self.task.progress(0.1 + 0.8 * fraction, "Painting"),
            )

        budget_bytes = devices.free_bytes(self.task.device) // 4
        tiles.with_less_memory(attempt, tiles.side_within(budget_bytes, dual.CONTRACT.bytes_a_pixel))
        return made
