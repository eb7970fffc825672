"""What both editors show of styles and of their training."""

import os
from typing import Any, List, Mapping, Sequence, Tuple

SUFFIX = ".calostyle"
"""Of a style's file."""


def matching(styles: Sequence[Mapping[str, Any]], text: str) -> List[Mapping[str, Any]]:
    """Those whose name or source has all words of text; favourites first, then the user's own."""
    words = text.casefold().split()
    found = [style for style in styles if all(word in _searched(style) for word in words)]
    return sorted(found, key=lambda style: (not style.get("favourite"), not style.get("own")))


def _searched(style: Mapping[str, Any]) -> str:
    return f"{style.get('name', '')} {style.get('sources', '')}".casefold()


def told(style: Mapping[str, Any]) -> str:
    """Where a style comes from and how well it was learnt, in lines."""
    if not style.get("own"):
        return f"{style.get('sources', '')}, {style.get('made', '')}\nComes with Calotype."
    lines = [
        f"From: {style.get('sources', '')}",
        f"Made: {str(style.get('made', ''))[:16].replace('T', ' ')}",
    ]
    level, seconds = str(style.get("level", "")), style.get("seconds", 0)
    lines.append(f"Level: {level}, {seconds:.0f} s of training" if seconds else f"Level: {level}")
    lines.append(f"Distance of style {style.get('style', 0):.2f}, of content {style.get('content', 0):.2f}")
    lines.append(f"{style.get('bytes', 0) / 1000:.0f} kB")
    return "\n".join(lines)


def swatch(folder: str, style: Mapping[str, Any]) -> str:
    """The path of the picture of what it does; it need not be there."""
    return os.path.join(folder, f"{style.get('name', '')}.jpg")


def polyline(curve: Sequence[float], width: float, height: float) -> List[Tuple[float, float]]:
    """The points of a loss curve in a box, y down, its highest value at the top; none of fewer than two."""
    if len(curve) < 2:
        return []
    low, high = min(curve), max(curve)
    span = (high - low) or 1.0
    across = width / (len(curve) - 1)
    return [(k * across, height * (high - value) / span) for k, value in enumerate(curve)]
