"""Colours that are known at some places of a grey picture, spread over the surfaces that they lie on.

Neighbours of like luma get like chroma: the least squares problem of Levin, Lischinski, Weiss 2004
("Colorization using Optimization") with the symmetric weights of Grady 2006 ("Random Walks for Image
Segmentation"), solved by conjugate gradients from coarse to fine.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

EDGE = 0.06
"""A step of luma over which colours hardly spread."""

FLOOR = 1e-3
"""What any step lets through, so that nothing stays without colour."""

FADE = 1e-3
"""Of the trust in a colour, at each pixel that it spreads over."""

HOLD = 10.0
"""Of a known pixel to its colour, beside 1 of a neighbour of the same luma."""

TRUST_MIN = 0.01
"""Below it chroma fades to grey."""

STEPS = 20
"""Of the solver, at each of the sizes."""

Weights = list[tuple[Any, Any, Tensor]]
"""Of neighbours in one direction each: where the one lies, where the other, how alike they are."""


def spread(luma: Tensor, chroma: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Chroma for every pixel, (B, 2, H, W), and how far it is to be trusted, (B, 1, H, W), 0..1.

    luma: (B, 1, H, W), 0..1, sides multiples of 16. chroma: (B, 2, H, W), counts where known,
    (B, 1, H, W), 0..1, is above 0.
    """
    found = torch.cat([torch.zeros_like(chroma), torch.zeros_like(known)], dim=1)
    if not bool(known.any()):
        return found[:, :2], found[:, 2:]
    found = avg_pool2d(found, 16)
    for size in (8, 4, 2):  # at half the sides nothing is lost that a network could not find again
        found = interpolate(found, scale_factor=2.0, mode="bilinear", align_corners=False)
        share = avg_pool2d(known, size)
        wanted = torch.cat([avg_pool2d(chroma * known, size), share], dim=1)
        found = _solve(_alike(avg_pool2d(luma, size)), share, wanted, found, FADE * (size / 2) ** 2)
    found = interpolate(found, scale_factor=2.0, mode="bilinear", align_corners=False)
    trust = found[:, 2:].clamp(0, 1)
    chroma = found[:, :2] / trust.clamp_min(TRUST_MIN)  # where hardly any has come, it may be noise
    return chroma.clamp(-0.5, 0.5), trust


def _alike(luma: Tensor) -> Weights:
    height, width = luma.shape[2:]
    found = []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        one = slice(0, height - down), slice(max(0, -right), width - max(0, right))
        other = slice(down, height), slice(max(0, right), width + min(0, right))
        here, there = ((..., *where) for where in (one, other))
        steps = (luma[here] - luma[there]) / EDGE
        found.append((here, there, torch.exp(-steps.square() / 2) + FLOOR))
    return found


def _solve(weights: Weights, share: Tensor, wanted: Tensor, guess: Tensor, fade: float) -> Tensor:
    """Conjugate gradients, preconditioned by the diagonal."""
    own = fade + HOLD * share

    def apply(x: Tensor) -> Tensor:
        y = own * x
        for here, there, alike in weights:
            pull = alike * (x[here] - x[there])
            y[here] += pull
            y[there] -= pull
        return y

    diagonal = own.clone()
    for here, there, alike in weights:
        diagonal[here] += alike
        diagonal[there] += alike
    x, rest = guess, HOLD * wanted - apply(guess)
    way = scaled = rest / diagonal
    size = _product(rest, scaled)
    for _ in range(STEPS):
        image = apply(way)
        length = size / _product(way, image).clamp_min(1e-20)
        x, rest = x + length * way, rest - length * image
        scaled = rest / diagonal
        size, before = _product(rest, scaled), size
        way = scaled + size / before.clamp_min(1e-20) * way
    return x


def _product(a: Tensor, b: Tensor) -> Tensor:
    """Of each picture and channel."""
    return (a * b).sum((2, 3), keepdim=True)
