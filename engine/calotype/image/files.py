"""Picture files: read as Layers at their own depth and in their own colours, and written so."""

import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyvips
from PIL import ImageCms

from calotype_wire import protocol
from calotype_wire.errors import CalotypeError
from calotype_wire.protocol import Layer, PixelFormat

pyvips.operation_block_set("VipsForeignLoad", True)
for _loader in ("VipsForeignLoadJpeg", "VipsForeignLoadPng", "VipsForeignLoadTiff", "VipsForeignLoadWebp"):
    pyvips.operation_block_set(_loader, False)

_DEPTHS = {"uchar": "u8", "ushort": "u16", "float": "f32"}
_FORMATS = {depth: name for name, depth in _DEPTHS.items()}
_KEPT = ("exif-", "icc-", "xmp-", "iptc-", "png-comment", "resolution-unit")
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
    if not path.is_file():
        raise CalotypeError("BAD_FILE", f"There is no file {path}.")
    try:
        image = pyvips.Image.new_from_file(str(path), fail_on="truncated")
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
        if image.format not in _DEPTHS:
            image = image.cast("float" if image.format in ("double", "complex", "dpcomplex") else "ushort")
        pixels = image.write_to_memory()
    except pyvips.Error as error:
        raise CalotypeError("BAD_FILE", f"{path.name} could not be read: {_reason(error)}") from error
    channels = {1: "G", 2: "GA", 3: "RGB", 4: "RGBA", 5: "CMYKA"}.get(image.bands)
    if image.interpretation == "cmyk":
        channels = "CMYK" + "A" * (image.bands - 4)
    if channels is None or channels not in protocol.CHANNELS:
        raise CalotypeError(
            "BAD_FILE", f"{path.name} has {image.bands} channels; grey, RGB and CMYK are known."
        )
    profile, note = _profile(image, channels)
    transfer = "linear" if image.format == "float" and not profile else "srgb"
    format = PixelFormat(channels, _DEPTHS[image.format], transfer)
    layer = Layer(image.width, image.height, format, pixels, path.stem, profile=profile)
    return Document(layer, note, image)


def write(path: Path, layer: Layer, like: Document) -> None:
    """The layer as a file, with the metadata, resolution and colour profile of like. Old or new, never torn.

    Raises CalotypeError BAD_FILE, or DISK_FULL and its like where it cannot be written.
    """
    options = _WRITERS.get(path.suffix.lower())
    if options is None:
        raise CalotypeError("BAD_FILE", f"Name the result .png, .tif, .jpg or .webp instead of {path.name}.")
    bands = len(layer.format.channels)
    image = pyvips.Image.new_from_memory(
        layer.pixels, layer.width, layer.height, bands, _FORMATS[layer.format.depth]
    )
    source = like._source
    image = image.copy(interpretation=source.interpretation, xres=source.xres, yres=source.yres)
    for key in source.get_fields():
        if key.startswith(_KEPT):
            image.set_type(source.get_typeof(key), key, source.get(key))
    image.set_type(pyvips.GValue.gint_type, "orientation", 1)  # read() has turned it upright
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        _fitting(image, path.suffix.lower()).write_to_file(str(temporary), **options)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (pyvips.Error, OSError) as error:
        raise CalotypeError(
            "NOT_WRITTEN",
            f"{path} could not be written: {_reason(error)} Free some space, or choose another folder.",
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _fitting(image: pyvips.Image, suffix: str) -> pyvips.Image:
    """What the file type can hold: JPEG has 8 bits and no transparency, PNG and WebP no CMYK."""
    if image.interpretation == "cmyk" and suffix in (".png", ".webp"):
        image = image.icc_transform("srgb", embedded=True, input_profile="cmyk")
    if suffix in (".jpg", ".jpeg") and image.hasalpha():
        image = image.flatten(background=[255])
    if image.format == "float" and suffix not in (".tif", ".tiff"):
        image = image.copy(interpretation="scrgb").colourspace("rgb16")
    if image.format == "ushort" and suffix in (".jpg", ".jpeg", ".webp"):
        image = (image / 257).rint().cast("uchar")
        image = image.copy(
            interpretation={"rgb16": "srgb", "grey16": "b-w"}.get(image.interpretation, image.interpretation)
        )
    return image


def _profile(image: pyvips.Image, channels: str) -> tuple[bytes, str]:
    """The embedded profile where it says more than sRGB does, and a note where it cannot be used."""
    if "icc-profile-data" not in image.get_fields():
        return b"", ""
    data: bytes = bytes(image.get("icc-profile-data"))
    wanted = {"G": "GRAY", "R": "RGB", "C": "CMYK"}[channels[0]]
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        kind = profile.profile.xcolor_space.strip()
        description = ImageCms.getProfileDescription(profile)
    except (OSError, ImageCms.PyCMSError):
        kind, description = "", ""
    if kind != wanted or len(data) > protocol.PROFILE_BYTES_MAX:
        return b"", "The colour profile in the file is damaged or does not fit; sRGB is assumed."
    return (b"" if "sRGB" in description else data), ""


def _reason(error: Exception) -> str:
    """The first line of a library's message, as the end of a sentence."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}."
    lines = [line for line in str(error).splitlines() if line.strip()]
    detail = lines[-1].strip() if lines else "unknown reason"
    if "not a known file format" in detail or "operation is blocked" in detail:
        return "it is not a JPEG, PNG, TIFF or WebP picture."
    return f"{detail[:160]}."
