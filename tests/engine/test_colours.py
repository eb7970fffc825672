"""Colorize: luma stays to the last bit, what is painted is what comes, grey documents get a coloured one."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from skimage import data as photos
from test_operations import task_of
from torch import Tensor

from calotype import demo, ops
from calotype.image import chroma, spread
from calotype.image.codec import Box, Canvas, in_rgb
from calotype.image.marks import painted
from calotype.image.metrics import colourfulness
from calotype.ops import declare
from calotype.ops.task import Task
from calotype_wire.errors import CalotypeError
from conftest import layer

ops.discover()


def grey_photo(depth: str = "u8", channels: int = 1) -> np.ndarray:
    """(96, 128, channels)."""
    luma = photos.astronaut()[:192:2, 100:356:2].mean(axis=2, keepdims=True) / 255
    top, dtype = {"u8": (255, np.uint8), "u16": (65535, np.uint16)}[depth]
    return np.repeat((luma * top).round().astype(dtype), channels, axis=2)


def grey_profile(gamma: float) -> bytes:
    """An ICC profile for grey of that gamma. Source: ICC.1:2001-04, clauses 6.1, 6.3.1.3, 6.5."""
    white = struct.pack(">4s4x3i", b"XYZ ", 63190, 65536, 54061)  # D50, in 65536ths
    curve = struct.pack(">4s4xIH2x", b"curv", 1, round(gamma * 256))
    words = b"desc" + struct.pack(">4xI", 5) + b"grey\0" + bytes(79)
    tags, table, offset = (words, white, curve, b"text" + bytes(8)), b"", 128 + 4 + 4 * 12
    for name, tag in zip((b"desc", b"wtpt", b"kTRC", b"cprt"), tags, strict=True):
        table += struct.pack(">4sII", name, offset, len(tag))
        offset += len(tag)
    kind = struct.pack(">I4sI4s4s4s12x4s", offset, bytes(4), 0x02400000, b"mntr", b"GRAY", b"XYZ ", b"acsp")
    head = kind.ljust(68, b"\0") + white[8:]
    return head.ljust(128, b"\0") + struct.pack(">I", 4) + table + b"".join(tags)


def strokes(*marks: tuple[slice, slice, tuple[int, int, int]]) -> np.ndarray:
    """(96, 128, 4): a transparent layer with these boxes painted."""
    paint = np.zeros((96, 128, 4), np.uint8)
    for rows, columns, colour in marks:
        paint[rows, columns] = *colour, 255
    return paint


def colorize(task: Task, **values: Any) -> Canvas:
    declare.build("colorize", values).run(task)
    return task.results[0]


def chroma_of(canvas: Canvas) -> Tensor:
    """(2, H, W)."""
    return chroma.split(canvas.picture(canvas.box)[None])[1][0]


# ---- chroma in whole steps, colours that spread


@pytest.mark.parametrize("steps", [255, 65535])
def test_luma_in_whole_steps_stays_as_it_is_under_any_chroma(steps: int) -> None:
    generator = torch.Generator().manual_seed(0)
    luma = torch.randint(0, steps + 1, (1, 1, 200, 200), generator=generator) / steps
    wanted = torch.rand(1, 2, 200, 200, generator=generator) - 0.5
    picture = (chroma.rounded(luma, wanted, steps) * steps).round().double()
    assert picture.min() >= 0
    assert picture.max() <= steps
    weights = torch.tensor([0.2126, 0.7152, 0.0722], dtype=torch.float64)
    found = torch.einsum("c,bchw->bhw", weights, picture).round()
    assert torch.equal(found, (luma[:, 0] * steps).round().double())


def test_a_colour_spreads_to_the_edges_of_its_surface_and_trust_falls_with_distance() -> None:
    luma = torch.full((1, 1, 64, 96), 0.3)
    luma[..., 48:] = 0.7
    told, known = torch.zeros(1, 2, 64, 96), torch.zeros(1, 1, 64, 96)
    told[0, :, 30:34, 8:12] = torch.tensor([0.2, -0.1])[:, None, None]
    told[0, :, 30:34, 80:84] = torch.tensor([-0.1, 0.3])[:, None, None]
    known[0, 0, 30:34, 8:12] = known[0, 0, 30:34, 80:84] = 1
    found, trust = spread.spread(luma, told, known)
    assert torch.allclose(found[0, :, 10, 40], torch.tensor([0.2, -0.1]), atol=0.02)
    assert torch.allclose(found[0, :, 50, 56], torch.tensor([-0.1, 0.3]), atol=0.02)
    assert trust[0, 0, 32, 10] > 0.95
    assert trust[0, 0, 32, 10] > trust[0, 0, 32, 30] > trust[0, 0, 4, 46] > 0


def test_what_the_solver_leaves_where_no_colour_comes_is_not_blown_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def noise(weights: Any, share: Tensor, wanted: Tensor, guess: Tensor, fade: float) -> Tensor:
        return torch.cat([torch.full_like(guess[:, :2], 4e-4), torch.full_like(guess[:, 2:], -1e-4)], dim=1)

    monkeypatch.setattr(spread, "_solve", noise)
    luma, known = torch.rand(1, 1, 32, 32), torch.ones(1, 1, 32, 32)
    found, trust = spread.spread(luma, torch.zeros(1, 2, 32, 32), known)
    assert found.abs().max() < 0.05
    assert not trust.any()


def test_nothing_known_is_nothing_spread() -> None:
    found, trust = spread.spread(
        torch.rand(1, 1, 32, 32), torch.zeros(1, 2, 32, 32), torch.zeros(1, 1, 32, 32)
    )
    assert not found.any()
    assert not trust.any()


def test_strokes_are_found_where_they_lie_over_the_photo_whatever_their_layer_covers() -> None:
    photo = Canvas.of(layer(grey_photo(channels=3)))
    paint = np.zeros((20, 40, 4), np.uint8)
    paint[4:12, 8:24] = 200, 30, 30, 255
    moved = layer(paint, "RGBA")
    moved = Canvas.of(type(moved)(**{**vars(moved), "x": 100, "y": -4}))
    colours, share = painted(photo, moved, 48, 64)
    assert torch.equal(share[0, :4, 54:62], torch.ones(4, 8))
    assert share.sum() == 32
    assert torch.allclose(colours[:, 1, 56], torch.tensor([200, 30, 30]) / 255, atol=1e-3)


# ---- the operation


def test_a_grey_document_gets_a_coloured_one_with_the_same_luma() -> None:
    grey = grey_photo("u16")
    made = colorize(task_of(grey, channels="G", depth="u16"))
    assert made.shape.place.kind == "document"
    assert (made.format.channels, made.format.depth) == ("RGB", "u16")
    luma = (made.native.astype(np.float64) @ [0.2126, 0.7152, 0.0722]).round()
    assert np.array_equal(luma, grey[..., 0])
    assert colourfulness(made.picture(made.box)[None]) > 0.02


def test_the_luma_of_a_grey_photo_in_colours_stays_bit_for_bit() -> None:
    grey = grey_photo("u16", 3)
    made = colorize(task_of(grey, channels="RGB", depth="u16"))
    assert made.shape.place.kind == "layer"
    luma = (made.native.astype(np.float64) @ [0.2126, 0.7152, 0.0722]).round()
    assert np.array_equal(luma, grey[..., 0])


def test_a_grey_profile_is_left_behind_but_not_its_tones() -> None:
    grey = layer(grey_photo(), "G", profile=grey_profile(1.8))
    coloured = in_rgb(Canvas.of(grey))
    assert coloured.profile == b""
    box = Box(0, 0, 128, 96)
    assert torch.allclose(coloured.picture(box), Canvas.of(grey).picture(box), atol=0.6 / 255)


def test_what_is_painted_is_what_comes() -> None:
    rows, left, right = slice(40, 56), slice(8, 24), slice(104, 120)
    paint = strokes((rows, left, (200, 40, 40)), (rows, right, (40, 60, 200)))
    made = chroma_of(colorize(task_of(grey_photo(channels=3), paint), hints=1))
    red, blue = made[:, 44:52, 12:20].mean((1, 2)), made[:, 44:52, 108:116].mean((1, 2))
    assert red[1] > 0.05
    assert red[1] > red[0]
    assert blue[0] > 0.05
    assert blue[0] > blue[1]


def test_a_palette_and_a_reference_pull_the_colours_towards_theirs(tmp_path: Path) -> None:
    grey = grey_photo(channels=3)
    warm = chroma_of(colorize(task_of(grey), palette=["#c05020", "#e0a060"])).mean((1, 2))
    cold = chroma_of(colorize(task_of(grey), palette=["#2050c0", "#60a0e0"])).mean((1, 2))
    assert warm[1] - warm[0] > cold[1] - cold[0] + 0.02
    blue = np.zeros((30, 50, 4), np.uint8)
    blue[:] = 30, 80, 200, 255
    told = chroma_of(colorize(task_of(grey, blue), reference=1)).mean((1, 2))
    assert warm[1] - warm[0] > told[1] - told[0] + 0.02


def test_colours_that_the_photo_has_are_kept_and_the_rest_gets_some() -> None:
    half = grey_photo(channels=3)
    half[:, :64] = photos.astronaut()[:192:2, 100:228:2]
    made = colorize(task_of(half), keep_colours=True)
    coloured = np.ptp(half, axis=2) > 40
    apart = np.abs(made.native.astype(int) - half)[coloured]
    assert np.median(apart) <= 2
    assert colourfulness(made.picture(Box(64, 0, 128, 96))[None]) > 0.01


def test_twice_the_same_question_has_the_same_answer() -> None:
    first, second = (colorize(task_of(grey_photo(channels=3))).native for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize(
    ("paint", "said"),
    [
        (np.zeros((96, 128, 1), np.uint8), "has no transparency"),
        (np.zeros((96, 128, 4), np.uint8), "Nothing is painted"),
    ],
)
def test_a_hint_layer_without_strokes_is_told_so(paint: np.ndarray, said: str) -> None:
    with pytest.raises(CalotypeError, match=said):
        colorize(task_of(grey_photo(channels=3), paint), hints=1)


def test_a_reference_that_is_no_picture_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(CalotypeError, match="could not be read"):
        colorize(task_of(grey_photo(channels=3)), reference_file=str(tmp_path / "a.png"))
    assert colorize(task_of(grey_photo(channels=3)), reference_file=str(demo.PHOTO))
