"""Correct: what is wrong is repaired, and nothing is ever made worse."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from test_anomalies import SIDE, bytes_of, opaque, photo, run, spoilt, tensor
from test_operations import CPU, task_of

from calotype.models.anomaly import GATE, Calibrated
from calotype.ops import inspection, ladder
from calotype.ops.inspection import LABELS, Map
from calotype.ops.ladder import Known, Rules
from calotype.ops.task import Cancelled
from calotype_wire.errors import CalotypeError


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_ever_worse_to_the_gate(seed: int) -> None:
    rng = np.random.default_rng(seed)
    picture = photo()
    y, x = rng.integers(0, SIDE - 72, 2)
    part = picture[y : y + 72, x : x + 72]
    part += rng.normal(0, rng.uniform(0, 0.3), (72, 72, 1) if seed % 2 else 3).astype(np.float32)
    seen = tensor(picture.clip(0, 1))
    made = ladder.repaired(seen, CPU, Known(), Rules()).picture
    before, after = (inspection.look(each, CPU, GATE).badness() for each in (seen, made))
    assert after <= before


def test_noise_is_repaired_and_what_is_right_stays_bit_for_bit() -> None:
    task = task_of(bytes_of(spoilt()))
    (made,) = run("correct", task)
    clean = bytes_of(photo()).astype(float)
    there = (slice(128, 192), slice(128, 192))
    before = np.abs(bytes_of(spoilt())[there] - clean[there]).mean()
    assert np.abs(made.native[there] - clean[there]).mean() < 0.8 * before
    told = task.facts["check"]
    assert told["repairs"]
    assert all(repair["after"] < repair["before"] for repair in told["repairs"])
    assert told["scores"]["total"] > told["before"]["total"]
    assert np.array_equal(made.native[200:, :24], bytes_of(spoilt())[200:, :24])


def test_a_grey_picture_stays_grey() -> None:
    grey = bytes_of(np.repeat(spoilt().mean(axis=2, keepdims=True), 3, axis=2))
    (made,) = run("correct", task_of(grey))
    assert np.ptp(made.native[..., :3].astype(int), axis=2).max() <= 1
    assert not np.array_equal(made.native[..., :3], grey)


def test_a_stain_on_a_grey_picture_does_not_become_another_one() -> None:
    stained = np.repeat(photo().mean(axis=2, keepdims=True), 3, axis=2)
    stained[96:128, 96:128] = 0.8, 0.5, 0.4
    source = np.repeat(photo().mean(axis=2, keepdims=True), 3, axis=2)
    (made,) = run("correct", task_of(bytes_of(stained), opaque(source)), source=1)
    there = made.native[104:120, 104:120].astype(int)
    assert np.ptp(there, axis=2).max() <= 2
    outside = np.ones((SIDE, SIDE), bool)
    outside[80:144, 80:144] = False
    assert np.ptp(made.native[outside].astype(int), axis=1).max() <= 2


@pytest.mark.parametrize("mask", [None, "left half at a third"])
def test_the_score_is_of_what_is_written(mask: str | None) -> None:
    pixels = bytes_of(spoilt())
    selection = None
    if mask:
        selection = np.zeros((SIDE, SIDE), np.uint8)
        selection[:, : SIDE // 2] = 85
    task = task_of(pixels, mask=selection)
    (made,) = run("correct", task, strength=40, strictness=0)
    again = task_of(made.native)
    run("check", again)
    told, found = (each.facts["check"]["scores"]["realism"] for each in (task, again))
    assert told == pytest.approx(found, abs=1)
    before, after = (
        inspection.look(tensor(p / np.float32(255)), CPU, GATE).badness() for p in (pixels, made.native)
    )
    assert after <= before


def test_a_round_that_spoils_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    climb, rounds = ladder._Ladder.climb, []

    def spoiling(self: Any, picture: torch.Tensor, region: Any) -> Any:
        found = climb(self, picture, region)
        if torch.equal(picture, tensor(spoilt())) or found is None:
            return found
        rounds.append(1)
        return (picture + 0.3 * torch.randn(picture.shape)).clamp(0, 1), found[1]

    rules = Rules(rounds=1, strictness=0.0)
    once = ladder.repaired(tensor(spoilt()), CPU, Known(), replace(rules, steps=("clean",)))
    assert len(once.repairs) >= 1
    monkeypatch.setattr(ladder, "REGIONS_MAX", 1)
    first = ladder.repaired(tensor(spoilt()), CPU, Known(), rules)
    monkeypatch.setattr(ladder._Ladder, "climb", spoiling)
    both = ladder.repaired(tensor(spoilt()), CPU, Known(), replace(rules, rounds=3))
    assert rounds, "a second round must have been tried"
    assert torch.equal(both.picture, first.picture)
    assert len(both.repairs) == 1


def test_what_is_left_is_told_though_it_was_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "REGIONS_MAX", 1)
    task = task_of(bytes_of(spoilt()))
    (made,) = run("correct", task, rounds=1)
    again = task_of(made.native)
    run("check", again)
    assert len(task.facts["check"]["repairs"]) == 1
    left = [region["bounds"] for region in task.facts["check"]["regions"]]
    assert left == [region["bounds"] for region in again.facts["check"]["regions"]]
    assert task.facts["check"]["count"] == len(left) >= 1


def test_with_its_source_the_picture_comes_back() -> None:
    alone, helped = task_of(bytes_of(spoilt())), task_of(bytes_of(spoilt()), opaque(photo()))
    clean = bytes_of(photo()).astype(float)
    away = [
        np.abs(run("correct", task, **values)[0].native - clean).mean()
        for task, values in ((alone, {}), (helped, {"source": 1}))
    ]
    assert away[1] < away[0]


def test_only_what_is_painted_is_repaired() -> None:
    marks = np.zeros((SIDE, SIDE, 4), np.uint8)
    marks[128:192, 128:192] = 255
    (made,) = run("correct", task_of(bytes_of(spoilt()), marks), mask=1)
    changed = np.abs(made.native.astype(int) - bytes_of(spoilt())).max(axis=2) > 0
    assert changed[136:184, 136:184].mean() > 0.5
    assert not changed[:104].any()


def test_all_of_it_can_be_painted_and_the_smallest_dab_counts() -> None:
    red = np.zeros((SIDE, SIDE, 4), np.uint8)
    red[...] = 255, 60, 0, 255
    (made,) = run("correct", task_of(bytes_of(spoilt()), red), mask=1, strictness=0)
    assert not np.array_equal(made.native, bytes_of(spoilt()))
    dab = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    dab[160:163, 161:163] = True
    cells = torch.zeros(SIDE // 8, SIDE // 8)
    found = ladder._painted(Map(cells, cells, torch.zeros(len(LABELS), *cells.shape)), dab).wrong
    assert found.nonzero().tolist() == [[20, 20]]


def test_beyond_the_selection_nothing_is_repaired() -> None:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[112:] = 255
    (made,) = run("correct", task_of(bytes_of(spoilt()), mask=mask))
    assert np.array_equal(made.native[:112], bytes_of(spoilt())[:112])


def test_a_picture_with_nothing_wrong_is_left_alone() -> None:
    with pytest.raises(CalotypeError) as caught:
        run("correct", task_of(np.full((96, 96, 3), 128, np.uint8)))
    assert caught.value.code == "UNCHANGED"


def test_an_anomaly_layer_with_nothing_on_it_is_told_of() -> None:
    with pytest.raises(CalotypeError, match="Nothing is marked"):
        run("correct", task_of(bytes_of(spoilt()), np.zeros((SIDE, SIDE, 4), np.uint8)), mask=1)


def test_without_steps_nothing_is_repaired() -> None:
    steps = dict.fromkeys(("repaint", "weaken", "clean", "tone", "fill", "restore"), False)
    with pytest.raises(CalotypeError, match=r"No repair.* Name its source layer and its style, or lower"):
        run("correct", task_of(bytes_of(spoilt())), **steps)
    with pytest.raises(CalotypeError, match=r"No repair.* Lower the strictness"):
        run("correct", task_of(bytes_of(spoilt()), opaque(photo())), source=1, style="scream", **steps)


@pytest.mark.parametrize("step", ladder.STEPS)
def test_only_the_steps_that_are_switched_on_are_taken(step: str) -> None:
    known = Known(tensor(photo()), None, lambda: tensor(photo()))
    found = ladder.repaired(tensor(spoilt()), CPU, known, Rules(rounds=1, steps=(step,)))
    assert {repair.step for repair in found.repairs} <= {step}
    if step in ("source", "repaint", "clean"):
        assert found.repairs


def test_without_rounds_it_only_looks() -> None:
    found = ladder.repaired(tensor(spoilt()), CPU, Known(), Rules(rounds=0))
    assert not found.repairs
    assert torch.equal(found.picture, tensor(spoilt()))


@pytest.mark.parametrize("after", [0, 1, 4])
def test_it_can_be_stopped_whenever_a_network_has_run(after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[int] = []
    judged = Calibrated.judged
    monkeypatch.setattr(Calibrated, "judged", lambda *given: ran.append(1) or judged(*given))

    def tick(fraction: float) -> None:
        if len(ran) > after:
            raise Cancelled

    with pytest.raises(Cancelled):
        ladder.repaired(tensor(spoilt()), CPU, Known(), Rules(), tick=tick)
    assert len(ran) == after + 1


def test_half_the_strength_is_half_of_the_repair() -> None:
    whole, half = (run("correct", task_of(bytes_of(spoilt())), strength=s)[0].native for s in (100, 50))
    middle = (whole.astype(float) + bytes_of(spoilt())) / 2
    assert np.abs(half - middle).max() <= 1


def test_what_does_not_fit_around_is_not_put_into_the_painting() -> None:
    """A source that was painted over, and a painting of it in other tones."""
    source = photo()
    painting = (0.3 + 0.5 * source[..., ::-1]).astype(np.float32)
    other = tensor(painting - 0.15)
    painting[64:128, 64:128] += np.random.default_rng(0).normal(0, 0.2, (64, 64, 3)).astype(np.float32)
    known = Known(tensor(source), None, lambda: other)
    found = ladder.repaired(tensor(painting.clip(0, 1)), CPU, known, Rules(strictness=0))
    assert not {"source", "weaken", "repaint"} & {repair.step for repair in found.repairs}


def test_strictness_refuses_what_is_hardly_better() -> None:
    kept = [
        len(ladder.repaired(tensor(spoilt()), CPU, Known(), Rules(strictness=s, rounds=1)).repairs)
        for s in (0.0, 0.99)
    ]
    assert kept[0] > kept[1]
