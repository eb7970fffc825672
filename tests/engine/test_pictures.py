"""Bytes to Pictures and back: what an operation leaves alone comes back bit for bit, at every depth."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageCms
from skimage import data as photos
from skimage.metrics import structural_similarity

from calotype.image import colour, fill, metrics, tiles
from calotype.image.codec import Box, Canvas
from calotype.image.selection import Selection
from calotype.models import loaded
from calotype.models.contract import Contract
from calotype.models.device import Device
from calotype.ops.task import Task
from calotype_wire.errors import CalotypeError
from calotype_wire.protocol import CHANNELS, DEPTHS, Layer, PixelFormat
from conftest import layer, noise

DTYPES = {"u8": np.uint8, "u16": np.uint16, "f16": np.float16, "f32": np.float32}
CONTRACT = Contract("none", multiple=16, halo_px=32, bytes_a_pixel=20)
CPU = Device("cpu", torch.float32)


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


# Selections


def selection_of(mask: np.ndarray, x: int, y: int, source: Canvas) -> Selection:
    data = layer(mask[..., None], "G", x=x, y=y)
    return Selection(data.describe(), memoryview(bytearray(data.pixels)), source.shape)


def invert(source: Canvas, selection: Selection | None, into_alpha: bool = False) -> Canvas:
    def allocate(name: str, size: int, content: memoryview | None) -> memoryview:
        return memoryview(bytearray(content or size))

    task = Task([source], selection, into_alpha, CPU, allocate, lambda fraction, stage: None)
    task.retouch(lambda picture, box: 1 - picture, CONTRACT, "", "")
    return task.results[0]


def test_a_feathered_selection_blends_by_its_weight_and_the_rest_is_bit_identical() -> None:
    native = noise(300, 200)
    source = canvas(native, "RGB", "u8")
    mask = np.zeros((300, 200), np.uint8)
    mask[50:150, 60:120] = 255
    mask[50:150, 120:160] = np.linspace(254, 1, 40).astype(np.uint8)
    result = invert(source, selection_of(mask, 0, 0, source)).native
    assert np.array_equal(result[mask == 0], native[mask == 0])
    assert np.array_equal(result[mask == 255], 255 - native[mask == 255])
    weight = mask[..., None] / 255
    expected = native + weight * (255.0 - 2.0 * native)
    assert np.abs(result - expected).max() <= 0.51


def test_a_selection_lies_where_the_document_says() -> None:
    source = Canvas.of(layer(noise(60, 60), x=100, y=-20))
    result = invert(source, selection_of(np.full((10, 10), 255, np.uint8), 110, 0, source)).native
    changed = np.argwhere((result != source.native).any(axis=2))
    assert changed.min(axis=0).tolist() == [20, 10]
    assert changed.max(axis=0).tolist() == [29, 19]


@pytest.mark.parametrize("channels", ["RGB", "RGBA", "G"])
def test_a_selection_can_become_the_new_layers_transparency(channels: str) -> None:
    native = samples(64, 64, channels, "u8", 1)
    if channels == "RGBA":
        native[..., 3] = 200
    source = canvas(native, channels, "u8")
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 16:48] = 128
    result = invert(source, selection_of(mask, 0, 0, source), into_alpha=True)
    assert result.has_alpha
    alpha = result.native[..., -1]
    assert (alpha[mask == 0] == 0).all()
    assert (alpha[mask != 0] == round((200 if channels == "RGBA" else 255) * 128 / 255)).all()
    inside = result.native[16:48, 16:48, : result.colours].astype(int)
    assert np.abs(inside - (255 - native[16:48, 16:48, : result.colours].astype(int))).max() <= 1


def task_of(source: Canvas, mask: np.ndarray, into_alpha: bool) -> Task:
    return Task(
        [source],
        selection_of(mask, 0, 0, source),
        into_alpha,
        CPU,
        lambda name, size, content: memoryview(bytearray(content or size)),
        lambda fraction, stage: None,
    )


def test_an_unchanged_result_has_the_selection_in_its_transparency_too() -> None:
    native = noise(300, 64)
    source = canvas(native, "RGB", "u8")
    mask = np.zeros((300, 64), np.uint8)
    mask[20:290, 10:50] = 200
    task = task_of(source, mask, into_alpha=True)
    task.unchanged("same")
    result = task.results[0].native
    assert np.array_equal(result[..., 3], mask)
    assert np.array_equal(result[..., :3], native)


def test_a_black_result_is_an_error_though_the_context_is_bright() -> None:
    source = canvas(noise(200, 200), "RGB", "u8")
    mask = np.zeros((200, 200), np.uint8)
    mask[90:110, 90:110] = 255
    task = task_of(source, mask, into_alpha=False)
    with pytest.raises(CalotypeError) as refused:
        task.retouch(lambda picture, box: picture * 0, CONTRACT, "", "")
    assert refused.value.code == "BAD_RESULT"


# Tiles


@settings(max_examples=40, deadline=None)
@given(
    width=st.integers(1, 400),
    height=st.integers(1, 400),
    side=st.sampled_from([128, 192, 256]),
    overlap=st.sampled_from([0, 16, 32, 64]),
    x=st.integers(0, 40),
    scale=st.sampled_from([1, 2]),
)
def test_tiles_cover_every_pixel_once_whatever_the_size(
    width: int, height: int, side: int, overlap: int, x: int, scale: int
) -> None:
    picture = torch.rand(3, height, width + x)
    written = torch.full((3, scale * height, scale * (width + x)), torch.nan)
    sizes = set()

    def write(box: Box, rows: torch.Tensor) -> None:
        assert written[:, box.y0 : box.y1, box.x0 : box.x1].isnan().all()
        written[:, box.y0 : box.y1, box.x0 : box.x1] = rows

    def enlarge(tile: torch.Tensor) -> torch.Tensor:
        sizes.add((tile.shape[2] % 16, tile.shape[3] % 16))
        return 2 * torch.nn.functional.interpolate(tile, scale_factor=scale)

    def run(tile: torch.Tensor, box: Box) -> torch.Tensor:
        assert tile.shape[1:] == (box.height, box.width)
        return tiles.padded(enlarge, tile, 16, scale)

    box = Box(x, 0, width + x, height)

    def read(part: Box) -> torch.Tensor:
        return picture[:, part.y0 : part.y1, part.x0 : part.x1].clone()

    tiles.process(box, read, run, write, overlap, 16, side, scale=scale)
    expected = torch.nn.functional.interpolate(picture[None, :, :, x:] * 2, scale_factor=scale)[0]
    assert torch.allclose(written[:, :, scale * x :], expected, atol=1e-6)
    assert sizes == {(0, 0)}


def test_tiles_and_the_whole_agree_for_the_shipped_network() -> None:
    from calotype.models.restorer import BLIND, Restorer
    from calotype.models.restorer import CONTRACT as RESTORER

    restorer = loaded.load(Restorer, RESTORER, CPU)
    levels = torch.full((1, 3), BLIND)
    picture = torch.from_numpy(noise(640, 640)).permute(2, 0, 1).float() / 255
    picture = torch.nn.functional.avg_pool2d(picture[None], 5, 1, 2)[0]
    tiled = torch.empty_like(picture)

    def write(box: Box, rows: torch.Tensor) -> None:
        tiled[:, box.y0 : box.y1] = rows

    whole = restorer(picture, levels).clamp(0, 1)
    tiles.process(
        Box(0, 0, 640, 640),
        lambda b: picture[:, b.y0 : b.y1, b.x0 : b.x1].clone(),
        lambda tile, box: restorer(tile, levels).clamp(0, 1),
        write,
        RESTORER.halo_px,
        RESTORER.multiple,
        384,
    )
    assert metrics.psnr(tiled, whole) > 55


def test_when_memory_runs_out_the_tile_halves_and_the_result_is_the_same() -> None:
    tried: list[int] = []

    def attempt(side: int) -> None:
        tried.append(side)
        if side > 256:
            raise torch.OutOfMemoryError("injected")

    assert tiles.with_less_memory(attempt) == 256
    assert tried == [1024, 512, 256]


def test_tiles_shrink_with_the_memory_that_is_free() -> None:
    assert tiles.side_within(10 << 30, 300) == tiles.SIDE_PX
    assert tiles.side_within(100 << 20, 300) == 512
    assert tiles.side_within(0, 300) == tiles.SIDE_PX_MIN


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError(),
        RuntimeError("can't allocate memory"),
        RuntimeError("could not create a primitive"),
    ],
)
def test_when_even_small_tiles_do_not_fit_a_sentence_says_so(error: Exception) -> None:
    def attempt(side: int) -> None:
        raise error

    with pytest.raises(CalotypeError) as refused:
        tiles.with_less_memory(attempt)
    assert refused.value.code == "OUT_OF_MEMORY"


def test_a_bug_is_not_taken_for_too_little_memory() -> None:
    def attempt(side: int) -> None:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        tiles.with_less_memory(attempt)


# Metrics


def test_psnr_and_ssim_agree_with_their_definitions() -> None:
    a = torch.from_numpy(noise(64, 48)).permute(2, 0, 1)[None].float() / 255
    b = (a + 0.1 * torch.rand_like(a)).clamp(0, 1)
    mse = float(((a - b) ** 2).mean())
    assert metrics.psnr(a, b) == pytest.approx(-10 * np.log10(mse), abs=1e-4)
    assert metrics.psnr(a, a) == float("inf")
    reference = structural_similarity(
        a[0].permute(1, 2, 0).numpy(),
        b[0].permute(1, 2, 0).numpy(),
        channel_axis=2,
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert metrics.ssim(a, b) == pytest.approx(reference, abs=2e-3)
    with pytest.raises(ValueError):
        metrics.psnr(a, b[..., 1:])


def _scratched(height: int, width: int) -> torch.Tensor:
    mask = torch.zeros(height, width, dtype=torch.bool)
    mask[:, width // 3 : width // 3 + 4] = True
    mask[height // 2 : height // 2 + 3, :] = True
    mask[5:12, 40:47] = True
    return mask


@pytest.mark.parametrize(("height", "width"), [(64, 96), (61, 97), (128, 70)])
def test_a_fill_goes_on_with_what_lies_around_and_leaves_the_rest(height: int, width: int) -> None:
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    smooth = torch.stack([0.2 + 0.6 * x, 0.8 - 0.5 * y, 0.3 + 0.2 * x + 0.3 * y])  # harmonic: solved exactly
    mask = _scratched(height, width)
    scratched = torch.where(mask, 1.0, smooth)
    filled = fill.membrane(scratched, mask)
    assert torch.equal(filled[:, ~mask], smooth[:, ~mask])
    assert (filled - smooth).abs().max() < 3 / 255
    flat = torch.full((3, height, width), 0.37)
    assert (fill.membrane(torch.where(mask, 0.0, flat), mask) - 0.37).abs().max() < 1e-5


def test_a_fill_is_settled_and_brings_a_photo_back() -> None:
    photo = torch.from_numpy(photos.astronaut()[100:300, 100:300].transpose(2, 0, 1).copy()).float() / 255
    mask = _scratched(200, 200)
    scratched = torch.where(mask, 1.0, photo)
    filled = fill.membrane(scratched, mask)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fill, "RELAXATIONS", 4 * fill.RELAXATIONS)
        longer = fill.membrane(scratched, mask)
    assert (filled - longer).abs().max() < 2 / 255
    assert metrics.psnr(filled, photo) > metrics.psnr(scratched, photo) + 15
    assert fill.membrane(photo, torch.zeros_like(mask)) is photo
    assert fill.membrane(photo, torch.ones_like(mask)) is photo
