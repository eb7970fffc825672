"""What a selection keeps, blends and turns into transparency."""

import numpy as np
import pytest
import torch

from calotype.image.codec import Canvas
from calotype.image.selection import Selection
from calotype.models.contract import Contract
from calotype.models.device import Device
from calotype.ops.task import Task
from calotype_wire.errors import CalotypeError
from conftest import layer, noise

CONTRACT = Contract("none", multiple=16, halo_px=32, bytes_a_pixel=20)
CPU = Device("cpu", torch.float32)


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
    source = Canvas.of(layer(native))
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
    native = noise(64, 64, len(channels), 1)
    if channels == "RGBA":
        native[..., 3] = 200
    source = Canvas.of(layer(native, channels))
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
    source = Canvas.of(layer(native))
    mask = np.zeros((300, 64), np.uint8)
    mask[20:290, 10:50] = 200
    task = task_of(source, mask, into_alpha=True)
    task.unchanged("same")
    result = task.results[0].native
    assert np.array_equal(result[..., 3], mask)
    assert np.array_equal(result[..., :3], native)


def test_a_black_result_is_an_error_though_the_context_is_bright() -> None:
    source = Canvas.of(layer(noise(200, 200)))
    mask = np.zeros((200, 200), np.uint8)
    mask[90:110, 90:110] = 255
    task = task_of(source, mask, into_alpha=False)
    with pytest.raises(CalotypeError) as refused:
        task.retouch(lambda picture, box: picture * 0, CONTRACT, "", "")
    assert refused.value.code == "BAD_RESULT"
