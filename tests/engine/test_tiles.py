"""Pictures in tiles: every pixel once, as if in one piece, within the memory that there is."""

import errno

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from calotype.image import metrics, tiles
from calotype.image.codec import Box
from calotype.models import loaded
from calotype.models.device import Device
from calotype_wire.errors import CalotypeError
from conftest import noise

CPU = Device("cpu", torch.float32)


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
        OSError(errno.ENOMEM, "Cannot allocate memory"),
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
