"""Stylize: styles of the catalogue and of any picture, blended, in tiles that agree, over a selection."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data as photos
from test_operations import task_of

from calotype import demo, ops, stylebook
from calotype.image.codec import Canvas
from calotype.models import distances, dual, encoder, manner
from calotype.ops import declare, stylize
from calotype.ops.task import Task
from calotype_wire.errors import CalotypeError

ops.discover()


def photo(height: int = 96, width: int = 128) -> np.ndarray:
    return photos.astronaut()[: 2 * height : 2, 100 : 100 + 2 * width : 2]


def paint(task: Task, **values: Any) -> Canvas:
    """By the network alone, unless values say otherwise."""
    declare.build("stylize", {"refine": 0, **values}).run(task)
    return task.results[0]


def painted(*others: np.ndarray, **values: Any) -> np.ndarray:
    """(96, 128, 3), float."""
    return paint(task_of(photo(), *others), **values).native.astype(float)


def apart(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(float) - b).mean())


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.maximum(np.square(a.astype(float) - b).mean(), 1e-9)))


def test_the_catalogue_has_a_row_for_each_of_its_styles() -> None:
    known = [manner.of_catalogue(style.name) for style in stylebook.catalogue()]
    assert len(known) >= 24
    assert all(each.row.shape == (1, dual.ROW) for each in known)


def test_each_style_paints_in_its_own_way() -> None:
    made = [painted(style=style.name) for style in stylebook.catalogue()]
    for index, one in enumerate(made):
        assert apart(one, photo()) > 3
        assert all(apart(one, other) > 1 for other in made[index + 1 :])


def test_the_edges_are_painted_as_they_are_where_the_picture_goes_on() -> None:
    sky = photos.rocket()[60:316:2, 240:560:2].copy()
    larger = np.pad(sky, ((64, 64), (64, 64), (0, 0)), mode="reflect")
    for name in ("starry-night", "scream"):
        alone = paint(task_of(sky), style=name).native.astype(float)
        inside = paint(task_of(larger), style=name).native.astype(float)[64:-64, 64:-64]
        away = np.abs(alone - inside)
        away[8:-8, 8:-8] = 0
        count = away.size - away[8:-8, 8:-8].size
        assert away.sum() / count < 12, "21 to 32 without a margin"


def test_strength_goes_from_the_photo_to_the_painting() -> None:
    whole, half = painted(style="scream"), painted(style="scream", strength=50)
    assert apart(half, (whole + photo()) / 2) < 1


def test_any_layer_and_any_file_is_a_style_and_both_give_the_same(tmp_path: Path) -> None:
    picture = photos.coffee()[::2, ::2]
    layer = np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])
    from_layer = painted(layer, style_layer=1)
    shutil.copy(demo.PHOTO, tmp_path / "a.png")
    assert apart(from_layer, painted()) > 1
    assert apart(from_layer, painted(style_image=str(tmp_path / "a.png"))) > 1
    Image.fromarray(picture).save(tmp_path / "b.png")
    assert np.array_equal(from_layer, painted(style_image=str(tmp_path / "b.png")))


def test_a_blend_lies_between_its_styles_and_its_weights_are_shares() -> None:
    one, other = painted(blend="scream"), painted(blend="kiss")
    both = painted(blend="scream:1, kiss:1")
    assert np.array_equal(one, painted(style="scream"))
    assert np.array_equal(both, painted(blend="scream:0.5,kiss:0.5"))
    assert apart(both, one) < apart(other, one)
    assert apart(both, other) < apart(one, other)
    assert painted(blend="scream, kiss, irises, dusk").any()


def test_a_blend_layer_says_where_each_style_is() -> None:
    marks = np.zeros((96, 128, 4), np.uint8)
    marks[:, 64:] = 255, 0, 0, 255
    both = painted(marks, blend="scream, kiss", blend_layer=1)
    one, other = painted(blend="scream"), painted(blend="kiss")
    left, right = (slice(None), slice(0, 40)), (slice(None), slice(88, 128))
    assert apart(both[left], one[left]) < 0.7 * apart(both[left], other[left])
    assert apart(both[right], other[right]) < 0.7 * apart(both[right], one[right])


@pytest.mark.parametrize(
    "blend", ["nothing:1", "scream:x", "scream:-1", "scream:0", "scream:inf", ",".join(["scream"] * 5)]
)
def test_a_blend_that_cannot_be_is_told_so(blend: str) -> None:
    with pytest.raises(CalotypeError, match="Blend") as refused:
        painted(blend=blend)
    assert refused.value.code == "BAD_PARAMETER"


def test_a_blend_layer_must_be_transparent() -> None:
    with pytest.raises(CalotypeError, match="no transparency"):
        painted(np.zeros((96, 128, 1), np.uint8), blend="scream, kiss", blend_layer=1)


def test_kept_colours_are_the_photos() -> None:
    def chroma(picture: np.ndarray) -> np.ndarray:
        luma = picture @ np.array([0.2126, 0.7152, 0.0722])
        return picture - luma[..., None]

    kept, free = painted(keep_colours=True), painted()
    assert apart(chroma(kept), chroma(photo())) < 0.4 * apart(chroma(free), chroma(photo()))
    assert apart(kept, photo()) > 3


def test_a_grey_photo_is_coloured_and_painted_in_one_pass() -> None:
    grey = photo().mean(axis=2, keepdims=True).astype(np.uint8)
    made = paint(task_of(grey, channels="G"), colourise=True)
    assert made.format.channels == "RGB"
    assert made.shape.place.kind == "document"
    kept = paint(task_of(grey, channels="G"), colourise=True, keep_colours=True).native.astype(int)
    assert np.ptp(kept, axis=2).mean() > 3


@pytest.mark.parametrize("more", [{}, {"colourise": True}, {"blend": "scream, kiss", "blend_layer": 1}])
def test_tiles_and_the_whole_are_the_same_painting(monkeypatch: pytest.MonkeyPatch, more: dict) -> None:
    marks = np.zeros((256, 256, 4), np.uint8)
    marks[:128] = 255, 0, 0, 255
    picture = photos.astronaut()[:256, 100:356]
    monkeypatch.setattr(stylize, "SIDE_PX", 128)
    whole = paint(task_of(picture, marks), brush=50, **more).native
    monkeypatch.setattr(stylize.tiles, "side_within", lambda *_: 128)
    parts = paint(task_of(picture, marks), brush=50, **more).native
    assert psnr(whole, parts) > 40


def test_the_same_brush_paints_a_large_photo_as_it_does_a_small_one() -> None:
    small, large = (photos.astronaut().repeat(times, axis=0).repeat(times, axis=1) for times in (2, 3))
    one, other = paint(task_of(small), brush=100).native, paint(task_of(large), brush=100).native
    assert other.shape == large.shape

    def blurred(picture: np.ndarray) -> np.ndarray:
        side = len(picture) // 256
        return picture.reshape(256, side, 256, side, 3).mean(axis=(1, 3))

    fine = paint(task_of(small), brush=50).native
    assert apart(blurred(other), blurred(one)) < apart(blurred(fine), blurred(one)) / 4


def test_only_a_feathered_selection_is_painted() -> None:
    mask = np.zeros((96, 128), np.uint8)
    mask[:, 40:88] = 255
    mask[:, 30:40] = np.linspace(0, 255, 10)
    made = paint(task_of(photo(), mask=mask)).native.astype(float)
    free = painted()
    assert np.array_equal(made[:, :30], photo()[:, :30])
    assert np.array_equal(made[:, 88:], photo()[:, 88:])
    assert apart(made[:, 40:88], free[:, 40:88]) < 0.5
    half = (photo()[:, 35] * (1 - mask[0, 35] / 255)) + free[:, 35] * (mask[0, 35] / 255)
    assert apart(made[:, 35], half) < 1.5


def away(picture: np.ndarray, style: str) -> float:
    seen = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    judge = encoder.shipped(torch.device("cpu"))
    moments = distances.moments(judge(seen)[distances.STYLE_STAGES])
    return distances.style_apart(moments, manner.of_catalogue(style).moments).item()


def test_refining_brings_the_painting_nearer_to_the_style() -> None:
    assert away(painted(style="scream", refine=20), "scream") < 0.8 * away(painted(style="scream"), "scream")


def test_what_a_blend_layer_says_is_refined_too() -> None:
    marks = np.zeros((96, 128, 4), np.uint8)
    marks[:, 64:] = 255, 0, 0, 255
    both = painted(marks, blend="scream, great-wave", blend_layer=1, refine=20)
    left, right = both[:, :64], both[:, 64:]
    assert away(left, "scream") < away(right, "scream")
    assert away(right, "great-wave") < away(left, "great-wave")


def test_refining_tells_how_far_it_is_and_can_be_stopped() -> None:
    task, seen = task_of(photo()), []

    def progress(fraction: float, stage: str) -> None:
        seen.append(fraction)
        if stage == "Refining" and len(seen) > 5:
            raise KeyboardInterrupt

    task.progress = progress
    with pytest.raises(KeyboardInterrupt):
        paint(task, refine=1000)
    assert seen == sorted(seen)
