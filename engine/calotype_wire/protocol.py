"""Messages between an editor and the engine. docs/protocol.md is the authority.

A message is one msgpack map, the header, and at most one raw payload frame.
"""

from dataclasses import asdict, dataclass, field
from typing import Any, Dict, Iterable, Mapping, Optional, Sequence, Tuple, Type, TypeVar, Union

import msgpack

from calotype_wire.errors import CalotypeError

VERSIONS = (1,)
"""Protocol versions that this code speaks, best first."""

USER = b"calotype"
HEADER_BYTES_MAX = 64 * 1024
CHUNK_BYTES = 1 << 20
SIDE_PX_MAX = 1 << 20
PIXELS_MAX = 1 << 29
PROFILE_BYTES_MAX = 16 << 20
LAYERS_MAX = 64
ID_CHARS_MAX = 64
SENTENCE_CHARS_MAX = 400
"""What still fits a dialog."""

PREVIEW_PX = 512
"""Longer side of a picture that is shown while a job runs."""

PRIORITIES = ("preview", "interactive", "batch")
"""Highest first."""

BACKGROUND = "background"
"""Behind all of them; the engine gives it to what learns."""

CURVE_POINTS_MAX = 128

CHANNELS = ("RGB", "RGBA", "BGR", "BGRA", "G", "GA", "CMYK", "CMYKA")
DEPTHS = {"u8": 1, "u16": 2, "f16": 2, "f32": 4}
"""Bytes a sample; little-endian."""
TRANSFERS = ("srgb", "linear")
KINDS = ("layer", "mask", "document")
BLENDS = ("normal", "multiply", "screen", "overlay", "color", "luminosity")

Header = Dict[str, Any]
Buffer = Union[bytes, bytearray, memoryview]
T = TypeVar("T")


def bad_request(sentence: str) -> CalotypeError:
    return CalotypeError("BAD_REQUEST", sentence)


def pack(header: Mapping[str, Any]) -> bytes:
    packed: bytes = msgpack.packb(header)
    if len(packed) > HEADER_BYTES_MAX:
        raise bad_request(
            f"A message header of {len(packed)} bytes is too large; {HEADER_BYTES_MAX} is the limit."
        )
    return packed


def unpack(data: Buffer) -> Header:
    """The header in data. Raises CalotypeError BAD_REQUEST for anything that is not one."""
    if len(data) > HEADER_BYTES_MAX:
        raise bad_request(
            f"A message header of {len(data)} bytes is too large; {HEADER_BYTES_MAX} is the limit."
        )
    try:
        header = msgpack.unpackb(
            data, max_ext_len=0, ext_hook=_no_extension, object_pairs_hook=_unique, strict_map_key=True
        )
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise bad_request(f"A message header could not be read ({type(error).__name__}).") from error
    if not isinstance(header, dict):
        raise bad_request("A message header must be a map.")
    return header


def _unique(pairs: Iterable[Tuple[Any, Any]]) -> Header:
    known = list(pairs)
    mapping = dict(known)
    if len(mapping) != len(known) or not all(type(key) is str for key in mapping):
        raise ValueError("a key twice, or one that is no text")
    return mapping


def _no_extension(code: int, data: bytes) -> Any:
    raise ValueError("an extension type")


def get(header: Mapping[str, Any], key: str, kind: Type[T]) -> T:
    """header[key], of exactly that kind: True is not a number here, and 1.0 no whole one."""
    value = header.get(key)
    if type(value) is not kind:
        raise bad_request(f"The field '{key}' must be of type {kind.__name__}.")
    return value


def get_id(header: Mapping[str, Any], key: str = "job") -> str:
    value = get(header, key, str)
    if not 0 < len(value) <= ID_CHARS_MAX:
        raise bad_request(f"The field '{key}' must have 1 to {ID_CHARS_MAX} characters.")
    return value


def get_count(header: Mapping[str, Any], key: str, most: int) -> int:
    value = get(header, key, int)
    if not 0 <= value <= most:
        raise bad_request(f"The field '{key}' must lie between 0 and {most}.")
    return value


def negotiate(offered: Sequence[Any]) -> int:
    """The best version that both sides speak. Raises CalotypeError VERSION where there is none."""
    numbers = [version for version in offered if type(version) is int]
    common = [version for version in VERSIONS if version in numbers]
    if common:
        return common[0]
    older = "editor plugin" if numbers and max(numbers) < min(VERSIONS) else "engine"
    raise CalotypeError(
        "VERSION",
        f"The editor plugin and the Calotype engine are of different versions and the {older} is the older "
        "one. Run install.py again to bring both up to date, then restart the editor.",
    )


def error(failure: CalotypeError, job: Optional[str] = None) -> Header:
    sentence = failure.sentence
    if len(sentence) > SENTENCE_CHARS_MAX:
        sentence = sentence[: SENTENCE_CHARS_MAX - 1] + "…"
    header: Header = {"type": "error", "code": failure.code, "sentence": sentence}
    if job is not None:
        header["job"] = job
    return header


@dataclass(frozen=True)
class PixelFormat:
    """channels: one of CHANNELS, interleaved. depth: a key of DEPTHS. transfer: of RGB and grey."""

    channels: str = "RGBA"
    depth: str = "u8"
    transfer: str = "srgb"

    @property
    def bytes_a_pixel(self) -> int:
        return len(self.channels) * DEPTHS[self.depth]


@dataclass(frozen=True)
class Place:
    """Where an editor puts a result.

    kind: 'layer', above the one that was worked on; 'mask', the transparency of the result before it;
    'document', a new one. group: results that name the same one go into a new group of that name.
    """

    kind: str = "layer"
    group: str = ""
    blend: str = "normal"
    opacity: float = 1.0
    visible: bool = True

    @staticmethod
    def from_wire(wire: Any) -> "Place":
        """What a newer engine says and this code does not know becomes an ordinary layer."""
        known = dict(wire) if isinstance(wire, dict) else {}
        kind, blend, opacity = (known.get(key) for key in ("kind", "blend", "opacity"))
        return Place(
            kind if kind in KINDS else "layer",
            str(known.get("group", ""))[:256],
            blend if blend in BLENDS else "normal",
            min(1.0, max(0.0, opacity)) if isinstance(opacity, (int, float)) else 1.0,
            known.get("visible") is not False,
        )


@dataclass(frozen=True)
class Layer:
    """Pixels as they travel: interleaved rows, top first, at (x, y) of the document.

    profile: the ICC profile that the samples are in; empty means sRGB (or the system's CMYK) primaries
    with the format's transfer.
    """

    width: int
    height: int
    format: PixelFormat
    pixels: Buffer = field(repr=False)
    name: str = ""
    x: int = 0
    y: int = 0
    profile: bytes = field(default=b"", repr=False)
    place: Place = Place()

    def __post_init__(self) -> None:
        if len(self.pixels) != self.width * self.height * self.format.bytes_a_pixel:
            raise ValueError("the pixels do not fill the layer")

    def describe(self) -> "LayerShape":
        size = len(self.profile)
        return LayerShape(self.width, self.height, self.format, self.name, self.x, self.y, size, self.place)


def reaches(selection: Layer, x: int, y: int, width: int, height: int) -> bool:
    """Whether anything of a box is selected. selection: one channel of 8 bits, in document coordinates."""
    left, right = max(0, x - selection.x), min(selection.width, x + width - selection.x)
    top, bottom = max(0, y - selection.y), min(selection.height, y + height - selection.y)
    mask, step = bytes(selection.pixels), selection.width
    return any(
        mask[row * step + left : row * step + max(left, right)].strip(b"\0") for row in range(top, bottom)
    )


@dataclass(frozen=True)
class LayerShape:
    """All of a Layer but its bytes. On the wire the bytes follow in chunks: pixels, then the profile."""

    width: int
    height: int
    format: PixelFormat
    name: str = ""
    x: int = 0
    y: int = 0
    profile_bytes: int = 0
    place: Place = Place()

    @property
    def pixel_bytes(self) -> int:
        return self.width * self.height * self.format.bytes_a_pixel

    @property
    def total_bytes(self) -> int:
        return self.pixel_bytes + self.profile_bytes

    def with_bytes(self, data: memoryview) -> Layer:
        profile = bytes(data[self.pixel_bytes : self.total_bytes])
        pixels = data[: self.pixel_bytes]
        return Layer(
            self.width, self.height, self.format, pixels, self.name, self.x, self.y, profile, self.place
        )

    def to_wire(self) -> Header:
        wire = {key: getattr(self, key) for key in ("width", "height", "name", "x", "y", "profile_bytes")}
        format = {key: getattr(self.format, key) for key in ("channels", "depth", "transfer")}
        return {**wire, **format, "place": asdict(self.place)}

    @staticmethod
    def from_wire(wire: Any) -> "LayerShape":
        """Checked before anything is allocated. Raises CalotypeError BAD_REQUEST or TOO_LARGE."""
        if not isinstance(wire, dict):
            raise bad_request("A layer must be a map.")
        width, height = get(wire, "width", int), get(wire, "height", int)
        if width < 1 or height < 1:
            raise bad_request("A layer must be at least one pixel wide and high.")
        if max(width, height) > SIDE_PX_MAX or width * height > PIXELS_MAX:
            raise CalotypeError(
                "TOO_LARGE",
                f"{width} x {height} pixels are more than Calotype takes in one go "
                f"({PIXELS_MAX // 1_000_000} megapixels). Select a part, or scale the picture down.",
            )
        channels, depth = get(wire, "channels", str), get(wire, "depth", str)
        transfer = get(wire, "transfer", str)
        for key, value, known in (
            ("channels", channels, CHANNELS),
            ("depth", depth, tuple(DEPTHS)),
            ("transfer", transfer, TRANSFERS),
        ):
            if value not in known:
                raise bad_request(f"The layer's {key} must be one of {', '.join(known)}.")
        x, y = get(wire, "x", int), get(wire, "y", int)
        if max(abs(x), abs(y)) > 1 << 30:
            raise bad_request("The layer lies too far outside the document.")
        name = get(wire, "name", str)[:256]
        profile_bytes = get_count(wire, "profile_bytes", PROFILE_BYTES_MAX)
        format, place = PixelFormat(channels, depth, transfer), Place.from_wire(wire.get("place"))
        return LayerShape(width, height, format, name, x, y, profile_bytes, place)
