"""Picture files: read as Layers at their own depth and in their own colours, and written so."""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from PIL import ImageCms

from calotype_wire import atomic, protocol
from calotype_wire.errors import CalotypeError
from calotype_wire.protocol import Layer, PixelFormat

pyvips.operation_block_set("VipsForeignLoad", True)
for _loader in ("VipsForeignLoadJpeg", "VipsForeignLoadPng", "VipsForeignLoadTiff", "VipsForeignLoadWebp"):
    pyvips.operation_block_set(_loader, False)

pyvips._remove_log_handler()  # it would swallow a Ctrl-C; GLib's own writes warnings to stderr, too

_DEPTHS = {"uchar": "u8", "ushort": "u16", "float": "f32"}
_FORMATS = {depth: name for name, depth in _DEPTHS.items()}
_IN_COLOUR = {"u8": "srgb", "u16": "rgb16", "f32": "scrgb"}
_KEPT = ("exif-", "icc-", "xmp-", "iptc-", "png-comment", "resolution-unit", "image-description")
_REMARKS = ("exif-ifd2-UserComment", "image-description")
"""The second is of TIFF, which is written without EXIF."""

REMARK = '{"calotype"'
"""By which a remark of ours is known from the user's own words."""

_UNKNOWN = ("lab", "labs", "labq", "lch", "cmc", "xyz", "yxy", "hsv")
_WRITERS: dict[str, dict[str, Any]] = {
    ".png": {},
    ".tif": {"compression": "lzw", "bigtiff": True},
    ".tiff": {"compression": "lzw", "bigtiff": True},
    ".jpg": {"Q": 95},
    ".jpeg": {"Q": 95},
    ".webp": {"lossless": True},
}


@dataclass(frozen=True)
class Document:
    """A picture file's only layer, and what must come along into files made from it.

    note: what the user should know about how the file was read, or nothing.
    """

    layer: Layer
    note: str = ""
    _source: pyvips.Image = field(default=None, repr=False)


def read(path: Path) -> Document:
    """JPEG, PNG, TIFF or WebP, turned upright. Raises CalotypeError with code BAD_FILE or TOO_LARGE."""
    if path.is_dir():
        raise CalotypeError("BAD_FILE", f"{path} is a folder: 'calotype batch' works on all pictures in one.")
    if not path.is_file():
        raise CalotypeError("BAD_FILE", f"There is no file {path}.")
    try:
        image = pyvips.Image.new_from_buffer(path.read_bytes(), "", fail_on="truncated")
        if (
            max(image.width, image.height) > protocol.SIDE_PX_MAX
            or image.width * image.height > protocol.PIXELS_MAX
        ):
            raise CalotypeError(
                "TOO_LARGE",
                f"{path.name} has {image.width} x {image.height} pixels, more than Calotype takes in one go "
                f"({protocol.PIXELS_MAX // 1_000_000} megapixels). Cut it into parts, or scale it down.",
            )
        image = image.autorot()
        if image.format == "double":
            image = image.cast("float")
        if image.format not in _DEPTHS or image.interpretation in _UNKNOWN:
            raise CalotypeError(
                "BAD_FILE",
                f"{path.name} is of a kind ({image.interpretation}, {image.format}) that Calotype does not "
                "know. Save it as RGB or grey of 8, 16 or 32 bits first.",
            )
        pixels = image.write_to_memory()
    except (pyvips.Error, OSError) as error:
        raise CalotypeError("BAD_FILE", f"{_text(path.name)} could not be read: {_reason(error)}") from error
    channels = {1: "G", 2: "GA", 3: "RGB", 4: "RGBA"}.get(image.bands)
    if image.interpretation == "cmyk":
        channels = "CMYK" + "A" * (image.bands - 4)
    if channels is None or channels not in protocol.CHANNELS:
        raise CalotypeError(
            "BAD_FILE", f"{path.name} has {image.bands} channels; grey, RGB and CMYK are known."
        )
    profile, note = _profile(image, channels)
    if image.get_n_pages() > 1:
        note = f"{note} Only the first of {image.get_n_pages()} pages is used.".strip()
    transfer = "linear" if image.format == "float" and not _has_profile(image) else "srgb"
    format = PixelFormat(channels, _DEPTHS[image.format], transfer)
    layer = Layer(image.width, image.height, format, pixels, _text(path.stem), profile=profile)
    return Document(layer, note, image)


def check_target(path: Path) -> None:
    """Raises CalotypeError BAD_FILE or NOT_WRITTEN where write() could only fail: better before the work."""
    if path.suffix.lower() not in _WRITERS:
        raise CalotypeError("BAD_FILE", f"Name the result .png, .tif, .jpg or .webp instead of {path.name}.")
    if not path.parent.is_dir():
        sentence = (
            f"{path} could not be written: there is no folder {path.parent}. Make it, or choose another."
        )
        raise CalotypeError("NOT_WRITTEN", sentence)


def write(path: Path, layer: Layer, like: Document, remark: str = "") -> None:
    """The layer as a file, with the metadata, resolution and colour profile of like. Old or new, never torn.

    remark: for the metadata, as EXIF's user comment or TIFF's description, unless the picture has words of
    its own there; ASCII, beginning with REMARK. Raises CalotypeError BAD_FILE, NOT_WRITTEN.
    """
    check_target(path)
    bands = len(layer.format.channels)
    image = pyvips.Image.new_from_memory(
        layer.pixels, layer.width, layer.height, bands, _FORMATS[layer.format.depth]
    )
    source = like._source
    coloured = source.bands < 3 <= bands
    interpretation = _IN_COLOUR[layer.format.depth] if coloured else source.interpretation
    image = image.copy(interpretation=interpretation, xres=source.xres, yres=source.yres)
    for key in source.get_fields():
        if key.startswith(_KEPT) and not (coloured and key == "icc-profile-data"):
            image.set_type(source.get_typeof(key), key, source.get(key))
    image.set_type(pyvips.GValue.gint_type, "orientation", 1)  # read() has turned it upright
    for key in _REMARKS:
        known = key in image.get_fields()
        ours = known and REMARK in str(image.get(key))
        if remark and (ours or not known):
            image.set_type(pyvips.GValue.gstr_type, key, remark)
        elif ours:
            image.remove(key)  # it is of the picture as it was
    _save(path, image)


def write_mask(path: Path, layer: Layer) -> None:
    """What layer shows of a mask, its transparency or else its brightness, as a grey picture of 8 bits.

    layer: of 8 bits. Raises CalotypeError BAD_FILE, NOT_WRITTEN.
    """
    bands = len(layer.format.channels)
    image = pyvips.Image.new_from_memory(layer.pixels, layer.width, layer.height, bands, "uchar")
    image = image.copy(interpretation="b-w" if bands < 3 else "srgb")
    grey = image.extract_band(bands - 1) if image.hasalpha() else image.colourspace("b-w").extract_band(0)
    _save(path, grey.copy(interpretation="b-w"))


def _save(path: Path, image: pyvips.Image) -> None:
    suffix = path.suffix.lower()
    try:
        data = _fitting(image, suffix).write_to_buffer(suffix, **_WRITERS[suffix])
        atomic.write(path, data, 0o644)
    except (pyvips.Error, OSError) as error:
        raise CalotypeError(
            "NOT_WRITTEN",
            f"{path} could not be written: {_reason(error)} Free some space, or choose another folder.",
        ) from error


def _fitting(image: pyvips.Image, suffix: str) -> pyvips.Image:
    """What the file type can hold: JPEG has 8 bits and no transparency, PNG and WebP no CMYK."""
    if image.interpretation == "cmyk" and suffix in (".png", ".webp"):
        image = image.icc_transform("srgb", embedded=True, input_profile="cmyk")
    if image.format == "float" and suffix not in (".tif", ".tiff"):
        image = _sixteen_bits(image)
    if suffix in (".jpg", ".jpeg") and image.hasalpha():
        white = 0 if image.interpretation == "cmyk" else 65535 if image.format == "ushort" else 255
        image = image.flatten(background=[white])
    if image.format == "ushort" and suffix in (".jpg", ".jpeg", ".webp"):
        image = (image / 257).rint().cast("uchar")
        image = image.copy(
            interpretation={"rgb16": "srgb", "grey16": "b-w"}.get(image.interpretation, image.interpretation)
        )
    return image


def _sixteen_bits(image: pyvips.Image) -> pyvips.Image:
    """Floats as integers: encoded as sRGB unless a profile says how they are."""
    alpha = [image.extract_band(image.bands - 1)] if image.hasalpha() else []
    colours = image.extract_band(0, n=image.bands - len(alpha))
    if not _has_profile(image):
        high = 1.055 * colours ** (1 / 2.4) - 0.055  # IEC 61966-2-1
        colours = (colours > 0.0031308).ifthenelse(high, 12.92 * colours)
    kind = {1: "grey16", 3: "rgb16"}.get(colours.bands, "cmyk")
    return (colours.bandjoin(alpha) * 65535).rint().cast("ushort").copy(interpretation=kind)


def _has_profile(image: pyvips.Image) -> bool:
    return "icc-profile-data" in image.get_fields()


def _text(name: str) -> str:
    """A file name for people: those of old archives are not always UTF-8."""
    return name.encode("utf-8", "replace").decode()


def _profile(image: pyvips.Image, channels: str) -> tuple[bytes, str]:
    """The embedded profile where it says more than sRGB does, and a note where it cannot be used."""
    if not _has_profile(image):
        return b"", ""
    data: bytes = bytes(image.get("icc-profile-data"))
    wanted = {"G": "GRAY", "R": "RGB", "C": "CMYK"}[channels[0]]
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        kind = profile.profile.xcolor_space.strip()
    except (OSError, ImageCms.PyCMSError):
        kind = ""
    if kind != wanted or len(data) > protocol.PROFILE_BYTES_MAX:
        return b"", "The colour profile in the file is damaged or does not fit; sRGB is assumed."
    return (b"" if kind == "RGB" and _is_srgb(data) else data), ""


def _is_srgb(profile: bytes) -> bool:
    """Whether the profile does what sRGB does: its name may say sRGB and mean linear light."""
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(1, 64, 1).repeat(3, 2)
    primaries = np.eye(3, dtype=np.uint16)[None] * np.uint16(40000)
    probe = np.concatenate([ramp, primaries], axis=1)
    image = pyvips.Image.new_from_array(probe, interpretation="rgb16").copy()
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    try:
        there = image.icc_transform("srgb", embedded=True, depth=16, intent="relative").numpy()
    except pyvips.Error:
        return False
    return bool(np.abs(there.astype(int) - probe).max() < 100)


def _reason(error: Exception) -> str:
    """The first line of a library's message, as the end of a sentence."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}."
    lines = [line for line in str(error).splitlines() if line.strip()]
    detail = lines[-1].strip() if lines else "unknown reason"
    if ("known" in detail and "format" in detail) or "operation is blocked" in detail:
        return "it is not a JPEG, PNG, TIFF or WebP picture."
    return f"it is damaged or cut off ({detail[:160]})."
