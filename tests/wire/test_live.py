"""A live preview against a real engine: views are small, newest values win, nothing else is disturbed."""

import os
import signal
from types import SimpleNamespace

import numpy as np
import pytest

from calotype_wire import connection, places
from calotype_wire.client import Request, Result
from calotype_wire.live import LivePreview
from conftest import layer, noise, pixels, wait_for

WIDE = np.repeat(np.repeat(noise(75, 150), 8, axis=0), 8, axis=1)
"""600 x 1200 px."""


@pytest.fixture
def live(session):
    """preview, session, changes: how often it said that there is something else to see, others: results."""
    seen = SimpleNamespace(session=session, changes=0, others=[])

    def changed():
        seen.changes += 1

    def pump():
        seen.others += [e for e in session.pump() if not seen.preview.take(e) and isinstance(e, Result)]
        seen.preview.turn()

    def settle(condition=lambda: True):
        def done():
            pump()
            return not seen.preview.busy and condition()

        wait_for(done, 60)

    seen.preview, seen.pump, seen.settle = LivePreview(session, changed), pump, settle
    return seen


def invert(*layers, selection=None):
    return Request("invert", layers, {}, selection)


def grey(value, height=40, width=60):
    return layer(np.full((height, width, 3), value, np.uint8))


def test_a_large_16_bit_layer_is_seen_small_in_8_bits_before_and_after(live):
    deep = WIDE.astype(np.uint16) * 257
    live.preview.look(invert(layer(deep, depth="u16", x=30, y=-20)))
    live.settle()
    before, (after,) = live.preview.before, live.preview.after
    assert (before.width, before.height, before.format.channels) == (512, 256, "RGB")
    expected = WIDE.reshape(75, 8, 150, 8, 3).mean((1, 3)).mean((0, 1))
    assert np.abs(pixels(before)[..., :3].mean((0, 1)) - expected).max() < 1
    assert np.array_equal(pixels(after)[..., :3], 255 - pixels(before)[..., :3])
    assert live.changes >= 2


def test_a_part_is_seen_in_its_own_pixels(live):
    live.preview.look(invert(layer(WIDE)), part=(100, 0))
    live.settle()
    assert np.array_equal(pixels(live.preview.before)[..., :3], WIDE[:512, -512:])


def test_only_what_is_selected_changes(live):
    mask = np.zeros((600, 1200, 1), np.uint8)
    mask[:, :600] = 255
    live.preview.look(invert(layer(WIDE, x=5, y=7), selection=layer(mask, "G", x=5, y=7)))
    live.settle()
    before, after = (pixels(each)[..., :3] for each in (live.preview.before, live.preview.after[0]))
    assert np.array_equal(after[:, :256], 255 - before[:, :256])
    assert np.array_equal(after[:, 256:], before[:, 256:])


def test_a_part_without_selection_shows_no_change(live):
    mask = np.zeros((600, 1200, 1), np.uint8)
    mask[:9, :9] = 255
    live.preview.look(invert(layer(WIDE), selection=layer(mask, "G")), part=(100, 100))
    live.settle()
    assert live.preview.before is not None
    assert live.preview.after == []


def test_other_layers_keep_their_place_or_are_pictures_of_their_own(live):
    over = layer(np.full((20, 30, 4), 200, np.uint8), "RGBA", x=70, y=50)
    photo = layer(WIDE, x=10, y=10)
    live.preview.look(Request("parts", [photo, over], {"other": 1}))
    live.settle()
    live.preview.show("parts", {})
    sent = live.preview._layers[1]
    assert (sent.width, sent.height) == (512, 256)
    alpha = pixels(sent)[..., 3] > 100
    ys, xs = np.nonzero(alpha)
    assert (xs.min(), ys.min()) == pytest.approx((60 * 512 / 1200, 40 * 512 / 1200), abs=1)
    live.preview.look(Request("parts", [photo, over], {"other": 1}), alone=[1])
    live.settle()
    assert (live.preview._layers[1].width, live.preview._layers[1].height) == (30, 20)


def test_the_newest_values_win_and_a_slow_picture_is_not_waited_for(live):
    live.preview.look(Request("slow", [grey(10)], {"steps": 10000}))
    wait_for(lambda: live.pump() or live.preview.before is not None, 60)
    for steps in range(5000, 5020):
        live.preview.show("slow", {"steps": steps})
        live.pump()
    live.preview.show("invert", {})
    live.settle()
    assert pixels(live.preview.after[0])[0, 0, 0] == 245


def test_what_there_is_so_far_is_shown(live):
    live.preview.look(Request("slow", [grey(10)], {"steps": 1000}))
    wait_for(lambda: live.pump() or live.preview.after, 60)
    (so_far,) = live.preview.after
    assert (so_far.width, so_far.height) == (512, 26)
    assert set(bytes(so_far.pixels)) == {128}
    assert live.preview.busy
    live.preview.stop()
    assert not live.preview.busy
    assert live.preview.before is None


def test_a_failure_is_a_sentence_and_the_next_values_are_shown(live):
    live.preview.look(Request("fail", [grey(10)], {"how": "sentence"}))
    live.settle()
    assert live.preview.sentence.startswith("This was expected.")
    assert live.preview.after == []
    live.preview.show("invert", {})
    live.settle()
    assert live.preview.sentence == ""
    assert len(live.preview.after) == 1


def test_a_view_that_fails_is_told_and_values_alone_do_not_ask_again(live):
    gone = Request("invert", [grey(10)])
    live.preview.look(gone)
    wait_for(lambda: live.pump() or live.preview.before is not None, 60)
    os.kill(connection.load(places.connection_file()).pid, signal.SIGKILL)
    installed = places.installation_file().read_text("utf-8")
    places.installation_file().unlink()
    live.preview.look(gone)
    wait_for(lambda: live.pump() or live.preview.sentence, 60)
    assert not live.preview.sees
    live.preview.show("invert", {})
    assert not live.preview.busy
    places.installation_file().write_text(installed, "utf-8")
    live.preview.look(gone)
    live.settle()
    assert pixels(live.preview.after[0])[0, 0, 0] == 245


def test_what_a_small_view_does_not_show_is_no_failure(live):
    live.preview.look(Request("fail", [grey(10)], {"how": "unchanged"}))
    live.settle()
    assert live.preview.sentence == ""
    assert live.preview.after == [live.preview.before]


def test_a_result_of_another_shape_is_not_drawn_over_the_view(live):
    mask = np.zeros((64, 64, 1), np.uint8)
    mask[:16] = 255
    photo = layer(noise(64, 64))
    live.preview.look(Request("upscale", [photo], {}, layer(mask, "G")))
    live.settle()
    assert live.preview.after == []
    assert "another shape" in live.preview.sentence


def test_a_job_beside_it_is_not_disturbed(live):
    live.preview.look(Request("slow", [grey(10)], {"steps": 10000}))
    job = live.session.submit(invert(grey(20)))
    live.preview.stop()
    wait_for(lambda: live.pump() or live.others, 60)
    assert live.others[0].job == job


def test_a_preview_is_neither_checked_nor_corrected(live):
    live.preview.look(Request("enhance", [layer(WIDE)], {"check": "what no engine knows"}))
    live.settle()
    assert not live.preview.sentence
    assert len(live.preview.after) == 1
