"""Every operation on a real picture, in this process: what it must do, and what it must leave alone."""

from typing import Any

import numpy as np
import pytest
import torch
from skimage import data as photos
from skimage import transform

from calotype import demo, ops
from calotype.image.codec import Canvas
from calotype.image.selection import Selection
from calotype.image.tint import Tint, split, tint_of
from calotype.models.device import Device
from calotype.ops import declare
from calotype.ops.task import Task
from calotype.train import ageing, defects, degradations
from calotype_wire import params
from calotype_wire.errors import CalotypeError
from conftest import layer

CPU = Device("cpu", torch.float32)
ops.discover()
FILTERS = [o for o in declare.declared() if "strength" in [p.name for p in o.parameters]]


def old_photo(side: int = 160) -> np.ndarray:
    """(side, side, 3), u8: faded, noisy, with a white scratch from top to bottom at x = 40."""
    clean = transform.resize(photos.astronaut(), (side, side), anti_aliasing=True).astype(np.float32)
    worn = ageing.fade(clean, np.random.default_rng(1), severity=0.8)
    worn = degradations.gaussian_noise(worn, 12, np.random.default_rng(2))
    worn[:, 40:43] = 0.98
    return (worn.clip(0, 1) * 255).round().astype(np.uint8)


def task_of(
    pixels: np.ndarray,
    *others: np.ndarray,
    channels: str = "RGB",
    depth: str = "u8",
    mask: np.ndarray | None = None,
) -> Task:
    """others: further layers, grey or RGBA. mask: of the selection, (H, W)."""
    further = [Canvas.of(layer(p, "G" if p.shape[2] == 1 else "RGBA")) for p in others]
    canvases = [Canvas.of(layer(pixels, channels, depth)), *further]
    selection = None
    if mask is not None:
        sent = layer(mask[..., None], "G")
        selection = Selection(sent.describe(), memoryview(bytearray(sent.pixels)), canvases[0].shape)

    def allocate(name: str, size: int, content: Any) -> memoryview:
        return memoryview(bytearray(content or size))

    return Task(canvases, selection, False, CPU, allocate, lambda *_: None)


def result(name: str, task: Task, **values: Any) -> np.ndarray:
    declare.build(name, values).run(task)
    return task.results[0].native


@pytest.mark.parametrize("operation", FILTERS, ids=lambda o: o.name)
@pytest.mark.parametrize(("channels", "depth"), [("RGBA", "u16"), ("G", "u8"), ("RGB", "f32")])
def test_strength_zero_returns_the_layer_bit_for_bit(
    operation: params.Operation, channels: str, depth: str
) -> None:
    dtype = {"u8": np.uint8, "u16": np.uint16, "f32": np.float32}[depth]
    pixels = (
        np.random.default_rng(0).random((40, 50, len(channels))) * (200 if dtype != np.float32 else 1)
    ).astype(dtype)
    assert np.array_equal(
        result(operation.name, task_of(pixels, channels=channels, depth=depth), strength=0), pixels
    )


def _others(parameter: params.Parameter) -> list[Any]:
    """Values that must give another result than the default does."""
    if isinstance(parameter, params.Number):
        return [v for v in (parameter.minimum, parameter.maximum, 60) if v != parameter.default]
    if isinstance(parameter, params.Choice):
        return [value for value, _ in parameter.choices if value != parameter.default]
    if isinstance(parameter, params.OtherLayer):
        return [1]
    if isinstance(parameter, params.Palette):
        return [["#c02020", "#20c020"], ["#2020c0", "#20a0a0"]]
    if isinstance(parameter, params.File):
        return [str(demo.PHOTO)]
    if parameter.name == "blend":
        return ["scream", "scream, kiss:2"]
    return [not parameter.default]


ELSEWHERE = ("model", "blend_layer", "check")
"""Parameters with a test of their own: models are the user's, the layer says where a blend is what, and how
an operation ends is test_finish.py's, and Correct is test_repairs.py's.
"""


@pytest.mark.parametrize(
    ("operation", "parameter"),
    [(o, p) for o in FILTERS for p in o.parameters if p.name not in ELSEWHERE and o.name != "correct"],
    ids=lambda x: x.name,
)
def test_each_parameter_changes_the_result(operation: params.Operation, parameter: params.Parameter) -> None:
    pixels = old_photo(96)
    if parameter.name == "sepia":
        grey = pixels.mean(axis=2, keepdims=True) / 255
        pixels = (grey * np.array([255, 230, 190])).astype(np.uint8)
    painted = np.zeros((96, 96, 4), np.uint8)
    painted[30:60, 60:63] = 255, 40, 40, 255
    selected = painted[..., 3] if parameter.name == "where" else None

    def run(**values: Any) -> bytes:
        task = task_of(pixels, painted, mask=selected)
        if operation.name == "stylize":
            values = {"refine": 0, **values}  # the default takes its time
        try:
            pixels_made = result(operation.name, task, **values).tobytes()
            return pixels_made + repr(task.results[0].shape.place).encode()
        except CalotypeError as nothing_found:
            return nothing_found.code.encode()

    seen = [run(), *(run(**{parameter.name: value}) for value in _others(parameter))]
    assert len(set(seen)) >= 2
    if not isinstance(parameter, params.Number):
        assert len(set(seen)) == len(seen)


@pytest.mark.parametrize(
    "operation",
    [o for o in FILTERS if o.name not in ("colorize", "correct", "stylize")],
    ids=lambda o: o.name,
)
def test_a_grey_photo_stays_grey(operation: params.Operation) -> None:
    grey = np.repeat(old_photo().mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    made = result(operation.name, task_of(grey)).astype(int)
    assert (made.max(axis=2) - made.min(axis=2)).max() <= 1
    assert not np.array_equal(made, grey)


def test_sepia_is_kept_or_removed_as_the_user_wants() -> None:
    grey = transform.resize(photos.camera(), (160, 160), anti_aliasing=True)[..., None]
    sepia = (ageing.tint(np.repeat(grey, 3, 2).astype(np.float32), np.random.default_rng(0)) * 255).astype(
        np.uint8
    )
    kept, removed = (
        result("restore", task_of(sepia), sepia=value).astype(float) for value in ("keep", "remove")
    )
    warmth = (sepia[..., 0].astype(float) - sepia[..., 2]).mean()
    assert abs((kept[..., 0] - kept[..., 2]).mean() - warmth) < 4
    assert np.ptp(removed, axis=2).max() <= 1


@pytest.mark.parametrize("operation", [o for o in FILTERS if o.name != "correct"], ids=lambda o: o.name)
def test_only_what_is_selected_changes(operation: params.Operation) -> None:
    pixels = old_photo()
    mask = np.zeros((160, 160), np.uint8)
    mask[20:140, 20:80] = 255
    made = result(operation.name, task_of(pixels, mask=mask))
    assert np.array_equal(made[mask == 0], pixels[mask == 0])
    assert not np.array_equal(made, pixels)


# Scratches


def test_a_scratch_is_found_and_filled_and_its_mask_comes_along() -> None:
    clean = transform.resize(photos.astronaut(), (192, 192), anti_aliasing=True).astype(np.float32)
    worn, truth = clean.copy(), np.zeros((192, 192), bool)
    worn[:, 70:73] = 0.97
    truth[:, 70:73] = True
    scratched = (worn * 255).round().astype(np.uint8)
    task = task_of(scratched)
    made = result("remove_scratches", task) / 255
    assert np.abs(made - clean)[truth].mean() < 0.35 * np.abs(worn - clean)[truth].mean()
    assert len(task.results) == 2
    shown = task.results[1]
    assert shown.format.channels == "RGBA"
    assert shown.shape.place.visible is False
    found = shown.native[..., 3] > 127
    assert found[truth].mean() > 0.8
    assert found[~truth].mean() < 0.1
    assert np.array_equal((made * 255).round()[~found], scratched[~found])
    assert any("%" in sentence for sentence in task.facts["report"])


def test_a_painted_layer_says_what_is_filled_wherever_it_lies() -> None:
    pixels = old_photo()
    painted = np.zeros((30, 5, 1), np.uint8)
    painted[:, 1:4] = 255
    task = task_of(pixels, painted)
    task.layers[1] = Canvas.of(layer(painted, "G", x=100, y=-10))
    made = result("remove_scratches", task, mask=1)
    changed = np.argwhere((made != pixels).any(axis=2))
    assert changed.min(axis=0).tolist() == [0, 101]
    assert changed.max(axis=0).tolist() == [19, 103]
    assert len(task.results) == 1


def test_a_mask_in_black_and_white_is_understood_too() -> None:
    pixels = old_photo()
    mask = np.zeros((160, 160, 1), np.uint8)
    mask[20:60, 100:104] = 255
    made = result("remove_scratches", task_of(pixels, mask), mask=1)
    assert np.array_equal(made[mask[..., 0] == 0], pixels[mask[..., 0] == 0])
    assert not np.array_equal(made, pixels)


def test_a_mask_that_comes_back_can_be_given_again() -> None:
    pixels = old_photo()
    first = task_of(pixels)
    made = result("remove_scratches", first)
    again = task_of(pixels)
    again.layers.append(first.results[1])
    assert np.array_equal(result("remove_scratches", again, mask=1), made)


def test_a_selection_can_be_filled_as_a_whole() -> None:
    pixels = old_photo()
    mask = np.zeros((160, 160), np.uint8)
    mask[50:60, 100:110] = 255
    task = task_of(pixels, mask=mask)
    made = result("remove_scratches", task, where="selection")
    inside = made[50:60, 100:110].astype(float)
    assert (
        np.abs(np.diff(inside, axis=0)).mean()
        < 0.5 * np.abs(np.diff(pixels[50:60, 100:110].astype(float), axis=0)).mean()
    )
    assert np.array_equal(made[mask == 0], pixels[mask == 0])
    with pytest.raises(CalotypeError, match="Nothing is selected"):
        result("remove_scratches", task_of(pixels), where="selection")


def test_nothing_found_and_nothing_painted_are_explained() -> None:
    flat = np.full((64, 64, 3), 90, np.uint8)
    with pytest.raises(CalotypeError, match="No scratches were found"):
        result("remove_scratches", task_of(flat))
    with pytest.raises(CalotypeError, match="Nothing is marked"):
        result("remove_scratches", task_of(flat, np.zeros((64, 64, 1), np.uint8)), mask=1)
    with pytest.raises(CalotypeError, match="at least one"):
        result("restore", task_of(flat), scratches=False, cleaning=False, tone=False)


def test_restore_brings_an_old_photo_nearer_to_the_truth_and_every_step_helps() -> None:
    clean = transform.resize(photos.astronaut(), (256, 256), anti_aliasing=True).astype(np.float32)
    worn = ageing.fade(clean, np.random.default_rng(5), severity=0.9)
    worn, _ = defects.damage(worn, np.random.default_rng(6), [])
    worn = degradations.to_8_bit(degradations.gaussian_noise(worn, 15, np.random.default_rng(7)))
    pixels = (worn * 255).round().astype(np.uint8)

    def error(**values: Any) -> float:
        made = result("restore", task_of(pixels), preset="strong", **values)
        return float(np.square(made / 255 - clean).mean())

    whole = error()
    assert whole < 0.8 * float(np.square(worn - clean).mean())
    for step in ("scratches", "cleaning", "tone"):
        assert whole < error(**{step: False}), step


# Quality


def test_a_run_tells_how_good_the_picture_was_and_is() -> None:
    clean = transform.resize(photos.astronaut(), (256, 256), anti_aliasing=True).astype(np.float32)
    noisy = degradations.gaussian_noise(clean, 30, np.random.default_rng(0))
    task = task_of((noisy.clip(0, 1) * 255).round().astype(np.uint8))
    result("denoise", task)
    told = task.facts["quality"]
    assert 0 <= told["before"] < told["after"] - 10 <= 90
    assert any(f"{told['before']:.0f} before" in sentence for sentence in task.facts["report"])


def test_a_part_too_small_to_judge_is_not_judged() -> None:
    task = task_of(old_photo(60))
    result("denoise", task)
    assert "quality" not in task.facts


# Enlarging


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize(("channels", "depth"), [("RGB", "u8"), ("GA", "u16"), ("RGBA", "f32")])
def test_an_enlarged_picture_keeps_format_and_content(scale: int, channels: str, depth: str) -> None:
    dtype, top = {"u8": (np.uint8, 255), "u16": (np.uint16, 65535), "f32": (np.float32, 1)}[depth]
    small = transform.resize(photos.astronaut(), (70, 90), anti_aliasing=True)
    small = small if channels.startswith("RGB") else small.mean(axis=2, keepdims=True)
    if channels.endswith("A"):
        small = np.concatenate([small, np.ones((70, 90, 1))], axis=2)
    pixels = (small * top).astype(dtype)
    task = task_of(pixels, channels=channels, depth=depth)
    large = result("upscale", task, scale=str(scale))
    assert large.shape == (70 * scale, 90 * scale, len(channels))
    assert large.dtype == dtype
    assert task.results[0].shape.place.kind == "document"
    back = large.reshape(70, scale, 90, scale, -1).mean(axis=(1, 3))
    assert np.abs(back - pixels).mean() < 0.02 * top
    if channels.endswith("A"):
        assert (large[..., -1] == top).all()


def test_a_selected_part_is_enlarged_alone_and_the_same() -> None:
    pixels = (transform.resize(photos.astronaut(), (120, 100)) * 255).astype(np.uint8)
    mask = np.zeros((120, 100), np.uint8)
    mask[30:90, 20:80] = 255
    part = result("upscale", task_of(pixels, mask=mask))
    whole = result("upscale", task_of(pixels))[60:180, 40:160]
    assert part.shape == (120, 120, 3)
    assert np.abs(part.astype(int) - whole)[30:-30, 30:-30].max() <= 1


def test_detail_goes_from_a_plain_enlargement_to_a_sharp_one() -> None:
    clean = transform.resize(photos.astronaut()[:256, 100:356], (192, 192), anti_aliasing=True)
    small = (transform.resize(clean, (96, 96), anti_aliasing=False, order=1) * 255).round().astype(np.uint8)
    plain, half, full = (result("upscale", task_of(small), detail=d) / 255.0 for d in (0, 50, 100))
    cubic = torch.nn.functional.interpolate(
        torch.from_numpy(small.transpose(2, 0, 1) / 255.0)[None], scale_factor=2.0, mode="bicubic"
    )[0].clamp(0, 1)
    assert np.abs(plain - cubic.permute(1, 2, 0).numpy()).max() < 1.5 / 255
    assert np.abs((plain + full) / 2 - half).max() < 3 / 255
    assert np.square(full - clean).mean() < np.square(plain - clean).mean()


def test_a_result_that_would_be_too_large_is_refused_before_the_work() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("calotype.ops.task.PIXELS_MAX", 15)
        with pytest.raises(CalotypeError, match="Choose a smaller scale"):
            result("upscale", task_of(np.zeros((2, 2, 3), np.uint8)))


# Tints and thumbnails


def test_a_photo_of_one_tone_is_told_from_a_coloured_one() -> None:
    colour = torch.from_numpy(photos.astronaut()[::2, ::2].transpose(2, 0, 1) / 255).float()
    grey = split(colour)[0].expand(3, -1, -1)
    sepia = torch.from_numpy(ageing.tint(grey.permute(1, 2, 0).numpy(), np.random.default_rng(0))).permute(
        2, 0, 1
    )
    assert [tint_of(x) for x in (colour, grey, sepia)] == [Tint.COLOUR, Tint.GREY, Tint.TONED]
    luma, chroma = split(colour)
    assert torch.allclose(luma + chroma, colour)


@pytest.mark.parametrize(("height", "width"), [(256, 256), (600, 100), (1, 1), (700, 903)])
def test_a_thumbnail_is_the_mean_of_what_is_opaque(height: int, width: int) -> None:
    pixels = np.full((height, width, 4), 100, np.uint8)
    pixels[: height // 2] = (255, 0, 0, 0)  # must not be seen
    pixels[height // 2 :, :, 3] = 255
    seen = task_of(pixels, channels="RGBA").thumbnail
    assert seen.shape == (3, 256, 256)
    assert torch.allclose(seen, torch.tensor(100 / 255), atol=1e-3)


def test_what_tone_does_to_a_part_does_not_depend_on_the_tiles() -> None:
    from calotype.models import tone

    grid = torch.rand(1, 12, 8, 16, 16)
    picture = torch.rand(1, 3, 64, 96)
    whole = tone.apply(grid, picture)
    part = tone.apply(grid, picture[:, :, 16:48, 24:72], 24 / 96, 16 / 64, 72 / 96, 48 / 64)
    assert torch.allclose(whole[:, :, 16:48, 24:72], part, atol=1e-5)
    identity = torch.eye(3, 4).reshape(1, 12, 1, 1, 1).expand(1, 12, 8, 16, 16)
    assert torch.allclose(tone.apply(identity, picture), picture, atol=1e-6)
