"""Dual: one encoder, two decoders; one gives a grey photo its colours, the other repaints a photo in a style.

Sources: hints as two planes and a mask beside the luma, Zhang et al. 2017 ("Real-Time User-Guided Image
Colorization"), here spread before the network sees them (docs/adr/0011-hints-are-spread-first.md); a palette
as a vector that scales and shifts features, Perez et al. 2018 (FiLM); a style as one row of scales and shifts
after instance norm, Dumoulin, Shlens, Kudlur 2017; the row foretold from the style's statistics, Ghiasi et
al. 2017; statistics of a thumbnail for all tiles, Chen et al. 2022 (URST); why plain convolutions:
docs/adr/0004-networks-of-plain-convolutions.md.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import (
    adaptive_avg_pool2d,
    avg_pool2d,
    interpolate,
    pad,
    pixel_shuffle,
    pixel_unshuffle,
)

from calotype.models import encoder, loaded
from calotype.models.contract import Contract
from calotype.models.device import Device
from calotype.models.unet import blocks

CONTRACT = Contract(name="dual", multiple=16, halo_px=64, bytes_a_pixel=300)

WIDTHS = (32, 64, 128, 192)
PALETTE = 65
"""Shares of 8 x 8 cells of chroma, and a 1 where a palette is given at all."""

PALETTE_CHROMA = 0.35
"""The strongest chroma that a cell stands for."""

STYLE_BLOCKS = 5
STYLE_WIDTHS = [WIDTHS[1]] * (1 + 2 * STYLE_BLOCKS) + [WIDTHS[0]]
"""Channels of the instance norms, in order."""

ROW = 2 * sum(STYLE_WIDTHS)
"""Numbers of a style: a scale and a shift of each channel."""

Moments = list[tuple[Tensor, Tensor]]
"""Mean and standard deviation (B, C, 1, 1) at each instance norm."""


class Dual(nn.Module):
    """6.2 M parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.colours = ColourDecoder()
        self.style = StyleDecoder()
        self.foretell = nn.Sequential(nn.Linear(2 * sum(encoder.WIDTHS), 192), nn.ReLU(), nn.Linear(192, ROW))
        with torch.no_grad():  # start with no style at all
            for parameter in self.foretell[2].parameters():
                parameter.mul_(0.1)

    def colour(self, luma: Tensor, hints: Tensor, known: Tensor, palette: Tensor) -> Tensor:
        """The chroma (B, 2, H, W) of a whole grey picture: what is where decides all of its colours.

        luma: (B, 1, H, W), 0..1, sides multiples of 16. hints: (B, 2, H, W), chroma, and known:
        (B, 1, H, W), 0..1, how far it is to be trusted; both from image.spread. palette: (B, 65).
        """
        return self.told(self.encoder(luma, hints, known), hints, known, palette)

    def told(self, features: list[Tensor], hints: Tensor, known: Tensor, palette: Tensor) -> Tensor:
        """As colour, from the encoder's features of the same."""
        chroma: Tensor = self.colours(features, palette)
        return chroma + torch.lerp(mean_of(palette)[:, :, None, None], hints, known)

    def stylise(
        self,
        luma: Tensor,
        chroma: Tensor,
        row: Tensor,
        shares: Tensor | None = None,
        moments: Moments | None = None,
    ) -> tuple[Tensor, Moments]:
        """The picture (B, 3, H, W), not clipped, in the style of row, and the moments that it was made with.

        luma: (B, 1, H, W). chroma: (B, 2, H, W). row: (B, ROW); or (K, ROW), with shares (1, K, H, W), which
        add up to 1, of each of K styles in each pixel. moments: of a thumbnail of the picture, so that its
        tiles agree.
        """
        features = self.encoder.shallow(luma, chroma, torch.ones_like(luma))
        picture, moments = self.style(features[1], row, shares, moments)
        return picture, moments

    def both(
        self,
        luma: Tensor,
        hints: Tensor,
        known: Tensor,
        palette: Tensor,
        row: Tensor,
        shares: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """A grey picture's chroma as of colour, and the picture (B, 3, H, W), not clipped, so coloured and in
        the style of row; the encoder runs once.
        """
        features = self.encoder(luma, hints, known)
        chroma = self.told(features, hints, known, palette)
        picture, _ = self.style(features[1], row, shares, None)
        return chroma, picture

    def row_of(self, features: list[Tensor]) -> Tensor:
        """A style's row, (B, ROW), foretold from the features of a picture of it (models.encoder)."""
        return self.row_from([moments(stage) for stage in features])

    def row_from(self, stages: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        """The same, from the means and standard deviations, (B, C), of all five stages' channels."""
        row: Tensor = self.foretell(statistics(stages))
        return row


def shipped(device: Device) -> Dual:
    """The trained network on device. Raises CalotypeError BAD_WEIGHTS."""
    network = loaded.load(Dual, CONTRACT, device).network
    assert isinstance(network, Dual)
    return network


class Encoder(nn.Module):
    """3.8 M parameters. Both decoders read it; the style's only what it knows at a quarter of the sides."""

    def __init__(self) -> None:
        super().__init__()
        first, second, third, deep = WIDTHS
        self.stem = nn.Conv2d(16, first, 3, padding=1)
        self.levels = nn.ModuleList([_down(first, second, 2), _down(second, third, 3), _down(third, deep, 4)])
        self.sight = nn.ModuleList(
            nn.Conv2d(a, b, 1) for a, b in zip(encoder.WIDTHS[3:], (third, deep), strict=True)
        )

    def forward(self, luma: Tensor, chroma: Tensor, known: Tensor) -> list[Tensor]:
        """Features at 1/2, 1/4, 1/8 and 1/16 of the sides."""
        features = self.shallow(luma, chroma, known)
        seen = encoder.shipped(luma.device)(luma.expand(-1, 3, -1, -1))[3:]
        for level, sight, what in zip(self.levels[1:], self.sight, seen, strict=True):
            features.append(level(features[-1]) + sight(what))
        return features

    def shallow(self, luma: Tensor, chroma: Tensor, known: Tensor) -> list[Tensor]:
        """Features at 1/2 and 1/4 of the sides."""
        x = torch.relu(self.stem(unshuffled(luma, chroma, known)))
        return [x, self.levels[0](x)]


def unshuffled(luma: Tensor, chroma: Tensor, known: Tensor) -> Tensor:
    """What the stem sees, (B, 16, H / 2, W / 2)."""
    return pixel_unshuffle(torch.cat([luma - 0.5, 2 * chroma, known], dim=1), 2)


class ColourDecoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        first, _, _, deep = WIDTHS
        self.mood = nn.Sequential(nn.Linear(2 * deep + PALETTE, 256), nn.ReLU(), nn.Linear(256, 2 * deep))
        self.mixed = blocks(deep, 1)
        rising = list(pairwise(reversed(WIDTHS)))
        self.grow = nn.ModuleList(nn.Conv2d(a, 4 * b, 1) for a, b in rising)
        self.up = nn.ModuleList(blocks(b, 1) for _, b in rising)
        self.tail = nn.Conv2d(first, 2, 3, padding=1)
        with torch.no_grad():  # start at grey
            for parameter in (*self.mood[2].parameters(), *self.tail.parameters()):
                parameter.mul_(0.1)

    def forward(self, features: list[Tensor], palette: Tensor) -> Tensor:
        x = features[-1]
        seen = [x.mean((2, 3)), x.std((2, 3), unbiased=False), palette.to(x.dtype)]
        scale, shift = self.mood(torch.cat(seen, dim=1))[:, :, None, None].chunk(2, dim=1)
        x = self.mixed(x * (1 + scale) + shift)
        for grow, up, skip in zip(self.grow, self.up, reversed(features[:-1]), strict=True):
            x = up(pixel_shuffle(grow(x), 2) + skip)
        return interpolate(self.tail(x), scale_factor=2.0, mode="bilinear", align_corners=False)


class StyleDecoder(nn.Module):
    """0.5 M parameters. Residual blocks at a quarter of the sides whose norms the style's row steers."""

    def __init__(self) -> None:
        super().__init__()
        first, second = WIDTHS[:2]
        self.convs = nn.ModuleList(
            nn.Conv2d(second, second, 3, padding=1) for _ in range(1 + 2 * STYLE_BLOCKS)
        )
        self.grow = nn.Conv2d(second, 4 * first, 3, padding=1)
        self.tail = nn.Conv2d(first, 12, 3, padding=1)

    def forward(
        self, x: Tensor, row: Tensor, shares: Tensor | None = None, moments: Moments | None = None
    ) -> tuple[Tensor, Moments]:
        norm = _Norm(row, shares, moments)
        first, *others = self.convs
        x = torch.relu(norm(first(x)))
        for one, two in zip(others[::2], others[1::2], strict=True):
            x = x + norm(two(torch.relu(norm(one(x)))))
        x = torch.relu(norm(pixel_shuffle(self.grow(x), 2)))
        return 0.5 + _smooth(pixel_shuffle(self.tail(x), 2)), norm.seen


def _smooth(x: Tensor) -> Tensor:
    """Without the finest pattern that there is, by 1 2 1: a checkerboard's, which shuffled pixels tend to."""
    return avg_pool2d(avg_pool2d(pad(x, (1, 1, 1, 1), mode="replicate"), 2, 1), 2, 1)


class _Norm:
    """Instance norm with the next channels of the row, by moments that are known or are taken here."""

    def __init__(self, row: Tensor, shares: Tensor | None, moments: Moments | None) -> None:
        self.rest = row
        self.shares = shares
        self.known: Iterator[tuple[Tensor, Tensor]] | None = iter(moments) if moments else None
        self.seen: Moments = []

    def __call__(self, x: Tensor) -> Tensor:
        width = x.shape[1]
        steer = self.rest[:, : 2 * width, None, None]
        self.rest = self.rest[:, 2 * width :]
        if self.shares is not None:
            shares = adaptive_avg_pool2d(self.shares, (x.shape[2], x.shape[3]))
            steer = torch.einsum("bkhw,kc->bchw", shares, steer[:, :, 0, 0])
        scale, shift = steer.chunk(2, dim=1)
        if self.known:
            mean, deviation = next(self.known)
        else:
            mean = x.mean((2, 3), keepdim=True)
            deviation = (x.var((2, 3), keepdim=True, unbiased=False) + 1e-5).sqrt()
        self.seen.append((mean, deviation))
        return (x - mean) / deviation * (1 + scale.to(x.dtype)) + shift.to(x.dtype)


def _down(inputs: int, outputs: int, count: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 2, stride=2), blocks(outputs, count))


def moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, (B, C), of each channel of features (B, C, h, w)."""
    values = features.float().flatten(2)
    return values.mean(2), values.std(2, unbiased=False)


def statistics(stages: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Means and standard deviations of all channels of all stages, (B, N), stages on a like scale."""
    found = []
    for mean, deviation in stages:
        scale = (mean.square() + deviation.square()).mean(1).sqrt()[:, None].clamp_min(1e-6)
        found += [mean / scale, deviation / scale]
    return torch.cat(found, dim=1)


def palette_of(chroma: Tensor) -> Tensor:
    """The vector (65,) of some colours, all weighing alike. chroma: (N, 2)."""
    places = (chroma / PALETTE_CHROMA).clamp(-1, 1) * 3.5 + 3.5
    cells = torch.arange(8, device=chroma.device)
    shares = (1 - (places[..., None] - cells).abs()).clamp_min(0)  # N 2 8
    both = torch.einsum("ni,nj->ij", shares[:, 0], shares[:, 1]) / len(chroma)
    return torch.cat([both.flatten(), both.new_ones(1)])


def mean_of(palette: Tensor) -> Tensor:
    """The mean chroma (B, 2) of what palette, (B, 65), was made of; 0 where nothing was."""
    centres = torch.linspace(-PALETTE_CHROMA, PALETTE_CHROMA, 8, device=palette.device)
    shares = palette[:, :-1].reshape(-1, 8, 8)
    return torch.stack([(shares.sum(axis) * centres).sum(1) for axis in (2, 1)], dim=1)
