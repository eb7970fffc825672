"""Pictures for our windows, without cairo: not every GIMP's Python has it."""

from collections.abc import Sequence
from itertools import pairwise

from gi.repository import GdkPixbuf, GLib

from calotype_wire import styles
from calotype_wire.protocol import Layer

LINE_PX = 1.0
"""Half of a curve's width."""

LINE, RULE = (0xE8, 0x8A, 0x2E), (0x80, 0x80, 0x80)
"""Colours that are seen on light themes and on dark ones."""

RULES, RULE_ALPHA = 4, 0x50
MARGIN_PX = 4


def pixbuf(layer: Layer) -> GdkPixbuf.Pixbuf:
    """layer: RGB or RGBA, u8."""
    channels = len(layer.format.channels)
    return _pixbuf(bytes(layer.pixels), layer.width, layer.height, channels)


def fitted(picture: GdkPixbuf.Pixbuf, side_px: int) -> GdkPixbuf.Pixbuf:
    """Reduced or enlarged until its longer side is side_px."""
    factor = side_px / max(picture.get_width(), picture.get_height())
    size = (max(1, round(n * factor)) for n in (picture.get_width(), picture.get_height()))
    return picture.scale_simple(*size, GdkPixbuf.InterpType.BILINEAR)


def curve(values: Sequence[float], width: int, height: int) -> GdkPixbuf.Pixbuf:
    """A line through values, the highest at the top, over rules; transparent elsewhere."""
    data = bytearray(4 * width * height)
    for rule in range(RULES + 1):
        y = MARGIN_PX + rule * (height - 1 - 2 * MARGIN_PX) // RULES
        data[4 * width * y : 4 * width * (y + 1)] = bytes((*RULE, RULE_ALPHA)) * width
    points = styles.polyline(values, width - 1, height - 1 - 2 * MARGIN_PX)
    for (x0, y0), (x1, y1) in pairwise(points):
        slope = (y1 - y0) / (x1 - x0)
        for x in range(round(x0), round(x1) + 1):
            ends = [MARGIN_PX + y0 + slope * (min(max(at, x0), x1) - x0) for at in (x - 0.5, x + 0.5)]
            _cover(data, width, height, x, min(ends) - LINE_PX, max(ends) + LINE_PX)
    return _pixbuf(bytes(data), width, height, 4)


def _cover(data: bytearray, width: int, height: int, x: int, top: float, bottom: float) -> None:
    """Paint column x from top to bottom, 0.5 being the middle of the first row, with soft ends."""
    for y in range(max(0, int(top)), min(height, int(bottom) + 1)):
        covered = round(255 * (min(bottom, y + 1) - max(top, y)))
        at = 4 * (width * y + x)
        share = max(covered, 0) / 255
        data[at : at + 3] = bytes(
            round(old + (new - old) * share) if data[at + 3] == RULE_ALPHA else new
            for old, new in zip(data[at : at + 3], LINE, strict=True)
        )
        data[at + 3] = max(data[at + 3], covered)


def _pixbuf(data: bytes, width: int, height: int, channels: int) -> GdkPixbuf.Pixbuf:
    return GdkPixbuf.Pixbuf.new_from_bytes(
        GLib.Bytes.new(data),
        GdkPixbuf.Colorspace.RGB,
        channels == 4,
        8,
        width,
        height,
        width * channels,
    )
