"""Mirrored and turned pictures, and those that are merely painted on."""

import numpy as np
import pytest

from calotype_wire.turned import turned


def picture(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width), dtype=np.uint8)


def told(before: np.ndarray, now: np.ndarray) -> bool:
    height, width = before.shape
    return turned(before.tobytes(), now.tobytes(), width, height)


@pytest.mark.parametrize("size", [(32, 32), (32, 21)])
def test_views_are_known(size: tuple[int, int]) -> None:
    before = picture(*size)
    for now in (before[::-1], before[:, ::-1], before[::-1, ::-1]):
        assert told(before, np.ascontiguousarray(now))


def test_quarter_turns_of_a_square_are_known() -> None:
    before = picture(32, 32)
    for view in (before, before[::-1]):
        for turns in (1, 2, 3):
            assert told(before, np.ascontiguousarray(np.rot90(view, turns)))


def test_a_mirrored_picture_that_was_painted_on_is_known_too() -> None:
    before = picture(32, 32)
    now = before[:, ::-1].copy()
    now[:10, :10] = 128
    assert told(before, now)


def test_what_was_not_turned_is_not() -> None:
    before = picture(32, 24)
    assert not told(before, before)
    painted = before.copy()
    painted[4:20, 3:30] = 200
    assert not told(before, painted)
    assert not told(before, 255 - before)
    even = np.full((24, 32), 90, np.uint8)
    assert not told(even, painted)
    mirrored = np.concatenate([before, before[:, ::-1]], axis=1)
    assert not told(mirrored, np.ascontiguousarray(mirrored[:, ::-1]))
