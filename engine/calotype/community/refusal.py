"""How a stranger's model is turned away."""

from calotype_wire.errors import CalotypeError

BYTES_MAX = 1 << 30
"""Of a model's file, and of its weights in memory."""


def refused(sentence: str) -> CalotypeError:
    return CalotypeError("BAD_MODEL", sentence)
