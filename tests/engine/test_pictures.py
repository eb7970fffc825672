"""Bytes to Pictures and back: what an operation leaves alone comes back bit for bit, at every depth."""

import numpy as np
import pytest
import torch
from PIL import ImageCms

from calotype.image import colour
from calotype.image.codec import Box, Canvas
from calotype_wire.errors import CalotypeError
from calotype_wire.protocol import CHANNELS, DEPTHS, Layer, PixelFormat
from conftest import noise

DTYPES = {"u8": np.uint8, "u16": np.uint16, "f16": np.float16, "f32": np.float32}


def samples(height: int, width: int, channels: str, depth: str, seed: int = 0) -> np.ndarray:
    """Random native samples; floats reach below 0 and above 1."""
    rng = np.random.default_rng(seed)
    values = rng.random((height, width, len(channels)))
    if depth.startswith("u"):
        return (values * np.iinfo(DTYPES[depth]).max).round().astype(DTYPES[depth])
    return (values * 1.6 - 0.3).astype(DTYPES[depth])


def canvas(
    native: np.ndarray, channels: str, depth: str, transfer: str = "srgb", profile: bytes = b""
) -> Canvas:
    height, width = native.shape[:2]
    return Canvas.of(
        Layer(width, height, PixelFormat(channels, depth, transfer), native.tobytes(), profile=profile)
    )


def fresh(source: Canvas) -> Canvas:
    return Canvas(source.shape, memoryview(bytearray(source.data)))


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("channels", CHANNELS)
def test_writing_the_unchanged_picture_changes_no_bit(channels: str, depth: str) -> None:
    source = canvas(samples(70, 33, channels, depth), channels, depth)
    target = fresh(source)
    changed, lit = target.write(source.box, source, source.picture(source.box), None, False)
    assert (changed, lit) == (False, True)
    assert np.array_equal(target.native, source.native)


@pytest.mark.parametrize("transfer", ["srgb", "linear"])
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("channels", ["RGB", "BGRA", "GA"])
def test_a_written_picture_reads_back(channels: str, depth: str, transfer: str) -> None:
    native = samples(40, 50, channels, depth)
    native = native.clip(0, 1) if depth.startswith("f") else native
    source = canvas(native, channels, depth, transfer)
    wanted = source.picture(source.box).flip(2) if channels != "GA" else 1 - source.picture(source.box)
    target = fresh(source)
    assert target.write(source.box, source, wanted, None, False) == (True, True)
    tolerance = {"u8": 4e-2 if transfer == "linear" else 2.1e-3, "u16": 1e-3, "f16": 8e-3, "f32": 1e-5}[depth]
    opaque = (
        torch.from_numpy(native[..., -1] != 0) if source.has_alpha else torch.ones(40, 50, dtype=torch.bool)
    )
    difference = (target.picture(source.box) - wanted).abs()[:, opaque]
    assert difference.max() < tolerance
    if source.has_alpha:
        assert np.array_equal(target.native[..., -1], native[..., -1])


def test_sixteen_bits_keep_what_eight_would_lose() -> None:
    native = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1).repeat(3, 2)
    source = canvas(native, "RGB", "u16")
    target = fresh(source)
    picture = source.picture(source.box)
    target.write(source.box, source, (picture * 0.5).clamp(0, 1), None, False)
    assert len(np.unique(target.native)) > 32_000


def test_values_beyond_white_survive_where_nothing_is_done() -> None:
    native = np.full((16, 16, 3), 7.5, np.float32)
    native[8:] = 0.25
    source = canvas(native, "RGB", "f32")
    picture = source.picture(source.box)
    picture[:, 8:] = 0.5
    target = fresh(source)
    target.write(source.box, source, picture, None, False)
    assert (target.native[:8] == 7.5).all()
    assert np.allclose(target.native[8:], 0.5)


def test_samples_that_are_no_numbers_never_reach_a_network() -> None:
    native = samples(8, 8, "RGB", "f32")
    native[0, 0] = np.nan
    native[1, 1] = np.inf
    native[2, 2] = -np.inf
    picture = canvas(native, "RGB", "f32").picture(Box(0, 0, 8, 8))
    assert torch.isfinite(picture).all()
    assert picture.min() >= 0
    assert picture.max() <= 1


def test_fully_transparent_pixels_are_left_alone() -> None:
    native = noise(20, 20, 4)
    native[:10, :, 3] = 0
    native[10:, :, 3] = 255
    source = canvas(native, "RGBA", "u8")
    target = fresh(source)
    target.write(source.box, source, 1 - source.picture(source.box), None, False)
    assert np.array_equal(target.native[:10], native[:10])
    assert np.array_equal(target.native[10:, :, :3], 255 - native[10:, :, :3])


def profile_of(name: str) -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(name)).tobytes()


def test_a_documents_own_profile_is_honoured_both_ways() -> None:
    """An sRGB profile must agree with no profile, within LittleCMS's 16-bit rounding."""
    native = noise(32, 32)
    plain, profiled = canvas(native, "RGB", "u8"), canvas(native, "RGB", "u8", profile=profile_of("sRGB"))
    assert (plain.picture(plain.box) - profiled.picture(plain.box)).abs().max() < 2e-3
    target = fresh(profiled)
    target.write(plain.box, profiled, 1 - profiled.picture(plain.box), None, False)
    assert np.abs(target.native.astype(int) - (255 - native.astype(int))).max() <= 1


def test_a_profile_that_does_not_fit_is_explained() -> None:
    for broken in (b"nonsense", profile_of("LAB"), profile_of("sRGB")[:200]):
        with pytest.raises(CalotypeError) as refused:
            canvas(noise(4, 4), "RGB", "u8", profile=broken)
        assert refused.value.code == "BAD_PROFILE"


def test_more_ink_reads_darker() -> None:
    ink = np.zeros((4, 4, 4), np.uint8)
    ink[2:] = (0, 0, 0, 255)
    picture = canvas(ink, "CMYK", "u8").picture(Box(0, 0, 4, 4))
    assert picture[:, 0].min() > 0.95
    assert picture[:, 3].max() < 0.2


def test_encode_and_decode_are_inverse_and_match_the_standard() -> None:
    x = torch.linspace(0, 1, 1001)
    assert (colour.encode(colour.decode(x)) - x).abs().max() < 1e-6
    assert colour.decode(torch.tensor([0.5]))[0] == pytest.approx(0.21404, abs=1e-5)
