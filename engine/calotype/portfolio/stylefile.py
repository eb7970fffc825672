"""A style as one file: safetensors with a card in JSON and a thumbnail. docs/train-style.md describes it.

It may come from anybody: it is read whole, checked in every length and kind, and nothing in it is ever run.
"""

import dataclasses
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
from PIL import Image

from calotype.names import plain
from calotype_wire.errors import CalotypeError
from calotype_wire.styles import SUFFIX

FORMAT = 1
BYTES_MAX = 4 << 20
THUMBNAIL_BYTES_MAX = 32 << 10
THUMBNAIL_PX_MAX = 512
SOURCES_MAX = 20
TEXT_CHARS_MAX = 80

LEVELS = ("instant", "standard", "fine", "best")
"""How much of the network was trained: nothing, adapters, its style decoder, all that paints."""

RANK = 4
"""Of the adapters."""

ENCODER = (24, 48, 96, 160, 224)
"""Channels of the encoder's stages; all but the last have a covariance."""

FIRST, SECOND, BLOCKS = 32, 64, 5
"""Channels of Dual at a half and at a quarter of the sides, and residual blocks of its style decoder."""

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Card:
    """What is known of a style beside its numbers.

    level: one of LEVELS. sources: names of the layers or files that it was learnt from. made: day and time,
    ISO 8601. seconds, steps: of training. content, style: distances (models.distances) on photos that were
    held out, content from the photo and style from the sources. network: fingerprint of the network that it
    changes. engine: version that made it.
    """

    level: str
    sources: tuple[str, ...]
    made: str
    seconds: float
    steps: int
    content: float
    style: float
    network: str
    engine: str

    def to_json(self) -> str:
        return json.dumps({"format": FORMAT, **dataclasses.asdict(self)}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Card":
        """Raises ValueError, KeyError or TypeError where it is none."""
        wire = json.loads(text)
        if wire["format"] != FORMAT:
            raise CalotypeError(
                "BAD_STYLE", "This style was made by a newer Calotype. Update Calotype, then import it again."
            )
        known: dict[str, Any] = {field.name: wire[field.name] for field in dataclasses.fields(cls)}
        for name in ("seconds", "content", "style"):
            known[name] = float(known[name])
            if not 0 <= known[name] < 1e9:  # not a number fails, too
                raise ValueError(name)
        if type(known["steps"]) is not int or known["steps"] < 0 or known["level"] not in LEVELS:
            raise ValueError("steps or level")
        for name in ("made", "network", "engine"):
            known[name] = _short(known[name])
        known["sources"] = tuple(_short(source) for source in known["sources"][:SOURCES_MAX])
        return cls(**known)


def _short(text: Any) -> str:
    if type(text) is not str:
        raise TypeError("a text")
    return plain(text, TEXT_CHARS_MAX)


@dataclass(frozen=True)
class Stylefile:
    """A file that was found good. data: all of it."""

    card: Card
    data: bytes
    thumbnail: bytes

    @property
    def bytes(self) -> int:
        return len(self.data)


def shapes(level: str) -> dict[str, Shape]:
    """Name and shape of every tensor but the thumbnail, all float16."""
    found: dict[str, Shape] = {"row": (2 * (SECOND * (1 + 2 * BLOCKS) + FIRST),)}
    for k, width in enumerate(ENCODER[:-1]):
        found |= {f"mean{k}": (width,), f"around{k}": (width * (width + 1) // 2,), f"scale{k}": (1,)}
    found |= {"mean4": (ENCODER[-1],), "deviation4": (ENCODER[-1],)}
    if level == "standard":
        for name in adapted():
            outputs, inputs, *_ = decoder_shapes()[f"{name}.weight"]
            found |= {f"adapter.{name}.down": (RANK, inputs, 3, 3), f"adapter.{name}.up": (outputs, RANK)}
    if level in ("fine", "best"):
        found |= {f"decoder.{name}": shape for name, shape in decoder_shapes().items()}
    if level == "best":
        found |= {f"shallow.{name}": shape for name, shape in shallow_shapes().items()}
    return found


def adapted() -> list[str]:
    """The convolutions of the style decoder that adapters change."""
    return [*(f"convs.{index}" for index in range(1, 1 + 2 * BLOCKS)), "grow"]


def decoder_shapes() -> dict[str, Shape]:
    widths = {f"convs.{index}": (SECOND, SECOND) for index in range(1 + 2 * BLOCKS)}
    widths |= {"grow": (4 * FIRST, SECOND), "tail": (12, FIRST)}
    return {name: shape for key, pair in widths.items() for name, shape in _convolution(key, *pair, 3)}


def shallow_shapes() -> dict[str, Shape]:
    found = dict(_convolution("stem", FIRST, 16, 3)) | dict(_convolution("level.0", SECOND, FIRST, 2))
    for block in range(2):
        for conv in ("conv1", "conv2"):
            found |= dict(_convolution(f"level.1.{block}.{conv}", SECOND, SECOND, 3))
    return found


def _convolution(name: str, outputs: int, inputs: int, side: int) -> list[tuple[str, Shape]]:
    return [(f"{name}.weight", (outputs, inputs, side, side)), (f"{name}.bias", (outputs,))]


def read(path: Path) -> Stylefile:
    """Raises CalotypeError BAD_STYLE, BAD_FILE."""
    try:
        if path.is_symlink() or not path.is_file():
            raise CalotypeError(
                "BAD_FILE",
                f"There is no file {plain(str(path), 300)}. Choose a {SUFFIX} file itself, not a link.",
            )
        with path.open("rb") as file:
            data = file.read(BYTES_MAX + 1)
    except OSError as error:
        sentence = f"{plain(path.name, 100)} could not be read ({error.strerror}). Choose another file."
        raise CalotypeError("BAD_FILE", sentence) from error
    return parse(data)


def parse(data: bytes) -> Stylefile:
    """Raises CalotypeError BAD_STYLE unless every tensor is there, of its shape and kind, and finite."""
    if len(data) > BYTES_MAX:
        raise _refused(f"it has more than {BYTES_MAX >> 20} MiB")
    try:
        tensors = dict(safetensors.deserialize(data))  # type: ignore[no-untyped-call]
        length = int.from_bytes(data[:8], "little")
        metadata = json.loads(data[8 : 8 + length])["__metadata__"]
        card = Card.from_json(metadata["card"])
    except CalotypeError:
        raise
    except (
        safetensors.SafetensorError,
        KeyError,
        TypeError,
        ValueError,
        OverflowError,
        RecursionError,
    ) as error:
        raise _refused("its header or its card is damaged") from error
    thumbnail = tensors.pop("thumbnail", None)
    if thumbnail is None or thumbnail["dtype"] != "U8" or len(thumbnail["data"]) > THUMBNAIL_BYTES_MAX:
        raise _refused("its thumbnail is missing or too large")
    picture = bytes(thumbnail["data"])
    if not _is_small_jpeg(picture):
        raise _refused(f"its thumbnail is no JPEG of {THUMBNAIL_PX_MAX} px or less")
    wanted = shapes(card.level)
    if set(tensors) != set(wanted):
        odd = sorted(set(tensors) ^ set(wanted))
        raise _refused(f"it lacks, or has too much, '{plain(odd[0], 40)}'")
    for name, tensor in tensors.items():
        if tensor["dtype"] != "F16" or tuple(tensor["shape"]) != wanted[name]:
            raise _refused(f"its '{name}' is of another shape or kind")
        if _not_finite(tensor["data"]):
            raise _refused(f"its '{name}' has values that are no numbers")
    return Stylefile(card, data, picture)


def _is_small_jpeg(data: bytes) -> bool:
    """Whole, and of a size that costs nothing to show, whatever its header says."""
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as picture:
            if max(picture.size) > THUMBNAIL_PX_MAX:
                return False
            picture.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False
    return True


_EXPONENT = bytes(byte & 0x7C == 0x7C for byte in range(256))


def _not_finite(halves: bytes) -> bool:
    """Whether a little-endian float16 is infinite or not a number: all bits of its exponent are set."""
    return 1 in bytes(halves[1::2]).translate(_EXPONENT)


def _refused(why: str) -> CalotypeError:
    return CalotypeError("BAD_STYLE", f"This is no style that Calotype can use: {why}. Ask for it again.")
