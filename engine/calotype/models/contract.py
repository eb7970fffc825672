"""What the rest of the engine must know about a network to run it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Contract:
    """name: also the stem of its weights and card files. multiple: sides must be multiples of this many px.

    halo_px: how far, in pixels, neighbours still matter visibly; tiles overlap by this much.
    bytes_a_pixel: memory that a run takes for each pixel of a tile, beyond the weights. scale: how many
    times larger the result's sides are.
    """

    name: str
    multiple: int
    halo_px: int
    bytes_a_pixel: int
    scale: int = 1
