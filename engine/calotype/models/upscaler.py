"""The upscalers that are shipped: two sizes of Compact."""

from torch import nn

from calotype.models.compact import Compact, contract

X2 = contract("upscale2", 48, 8, 2)
X4 = contract("upscale4", 64, 16, 4)


def twice() -> nn.Module:
    return Compact(48, 8, 2)


def fourfold() -> nn.Module:
    return Compact(64, 16, 4)
