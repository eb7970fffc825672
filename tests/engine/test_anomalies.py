"""Check and Correct: faults are found where they are, and nothing is ever made worse."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from skimage import data as photos
from skimage import transform
from test_operations import CPU, task_of

from calotype.image.codec import Canvas
from calotype.models.anomaly import CONTRACT, GATE, Calibrated
from calotype.ops import declare, finish, inspection, ladder, regions
from calotype.ops.inspection import LABELS, Map
from calotype.ops.ladder import Known, Rules
from calotype.ops.task import Cancelled, Task
from calotype_wire import params
from calotype_wire.errors import CalotypeError

SIDE = 224


def photo(side: int = SIDE) -> np.ndarray:
    return np.ascontiguousarray(transform.resize(photos.chelsea()[:, 60:360], (side, side)), np.float32)


def spoilt(side: int = SIDE) -> np.ndarray:
    """With a checkerboard, and with noise, each in a part of its own."""
    made = photo(side)
    part = made[32:96, 32:96]
    board = ((np.indices(part.shape[:2]) // 2).sum(0) % 2 > 0)[..., None]
    made[32:96, 32:96] = part * np.where(board, 1.3, 0.7).astype(np.float32)
    part = made[128:192, 128:192]
    part += np.random.default_rng(0).normal(0, 0.2, part.shape).astype(np.float32)
    return made.clip(0, 1)


def tensor(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))


def bytes_of(picture: np.ndarray) -> np.ndarray:
    return np.rint(picture * 255).astype(np.uint8)


def opaque(picture: np.ndarray) -> np.ndarray:
    return np.dstack([bytes_of(picture), np.full(picture.shape[:2], 255, np.uint8)])


def run(name: str, task: Task, **values: Any) -> list[Canvas]:
    finish.build(name, values).run(task)
    return task.results


# ---- looking


def test_faults_are_found_where_they_are() -> None:
    task = task_of(bytes_of(spoilt()))
    (layer,) = run("check", task)
    alpha = layer.native[..., -1]
    assert alpha.shape == (SIDE, SIDE)
    right = np.ones((SIDE, SIDE), bool)
    for there in (slice(32, 96), slice(128, 192)):
        assert (alpha[there, there] > 127).mean() > 0.6
        right[there.start - 16 : there.stop + 16, there.start - 16 : there.stop + 16] = False
    assert (alpha[right] > 127).mean() < 0.1
    told = task.facts["check"]
    assert len(told["regions"]) >= 2
    assert {"noise", "checkerboard"} & {region["kind"] for region in told["regions"]}
    assert "wrong" in task.facts["report"][0]


def test_a_picture_with_faults_scores_less_than_without() -> None:
    scores = []
    for picture in (photo(), spoilt()):
        task = task_of(bytes_of(picture))
        run("check", task)
        scores.append(task.facts["check"]["scores"])
    assert scores[1]["realism"] < scores[0]["realism"] - 10
    assert scores[1]["total"] < scores[0]["total"] - 5
    assert scores[0]["style"] is None


def test_a_soft_picture_is_less_sharp() -> None:
    nothing = torch.zeros(28, 28)
    figures = [inspection.sharpness(tensor(photo()), nothing)]
    for side in (160, 96):
        small = transform.resize(photo(), (side, side), anti_aliasing=True)
        figures.append(
            inspection.sharpness(tensor(transform.resize(small, (SIDE, SIDE)).astype(np.float32)), nothing)
        )
    assert figures[0] > figures[1] > figures[2]
    assert figures[2] >= 0
    assert figures[0] <= 100


@pytest.mark.parametrize("side", [1, 300])
def test_where_there_is_no_detail_sharpness_is_not_judged(side: int) -> None:
    task = task_of(np.full((side, side, 3), 128, np.uint8))
    run("check", task)
    scores = task.facts["check"]["scores"]
    assert scores["sharpness"] is None
    assert scores["total"] == scores["realism"]


def test_what_the_source_had_and_the_result_lost_is_found() -> None:
    source = photo()
    result = source.copy()
    result[64:128, 96:160] = transform.resize(
        source[64:128, 0:64][::-1], (64, 64)
    )  # sharp, but another thing
    without, with_source = task_of(bytes_of(result)), task_of(bytes_of(result), opaque(source))
    (alone,), (both,) = run("check", without), run("check", with_source, source=1)
    there = (slice(72, 120), slice(104, 152), -1)
    assert (both.native[there] > 127).mean() > (alone.native[there] > 127).mean()
    assert "content" in {region["kind"] for region in with_source.facts["check"]["regions"]}


def test_a_style_gets_a_score_and_its_own_painting_the_better_one() -> None:
    painting = run("stylize", task_of(bytes_of(photo())), style="scream", refine=0)[0].native.copy()
    scores = {}
    for style in ("scream", "seascape"):
        task = task_of(painting)
        run("check", task, style=style)
        scores[style] = task.facts["check"]["scores"]["style"]
    assert scores["scream"] > scores["seascape"]


def test_a_refined_painting_is_no_fault() -> None:
    task = task_of(bytes_of(photo()))
    run("stylize", task, style="starry-night", refine=20, check="check")
    bounds = [region["bounds"] for region in task.facts["check"]["regions"]]
    assert sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in bounds) < 0.2 * SIDE**2
    assert task.facts["check"]["scores"]["realism"] > 60


def test_a_restored_photo_is_not_held_against_its_damage() -> None:
    worn = photo()
    worn[:, 100:103] = 0.98
    task = task_of(bytes_of(worn))
    run("remove_scratches", task, where="found", sensitivity=80, check="check")
    assert "content" not in {region["kind"] for region in task.facts["check"]["regions"]}


def test_the_threshold_decides_what_is_a_region_and_what_the_layer_marks() -> None:
    shares, areas = [], []
    for threshold in (5, 50, 99):
        task = task_of(bytes_of(spoilt()))
        (layer,) = run("check", task, threshold=threshold)
        shares.append(float((layer.native[..., -1] > 127).mean()))
        bounds = [region["bounds"] for region in task.facts["check"]["regions"]]
        areas.append(sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in bounds))
    assert shares[0] > shares[1] >= shares[2]
    assert areas[0] > areas[1] >= areas[2]


def test_beyond_the_selection_nothing_is_found() -> None:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[:, : SIDE // 2] = 255
    (layer,) = run("check", task_of(bytes_of(spoilt()), mask=mask))
    assert (layer.native[:, : SIDE // 2, -1] > 127).any()
    assert not (layer.native[:, SIDE // 2 + 16 :, -1] > 127).any()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 90), (33, 65), (100, 31)])
def test_any_size_can_be_checked(height: int, width: int) -> None:
    task = task_of(bytes_of(photo()[:height, :width]))
    (layer,) = run("check", task)
    assert layer.native.shape[:2] == (height, width)


def test_a_grey_document_gets_a_grey_layer() -> None:
    task = task_of(bytes_of(spoilt())[..., :1], channels="G")
    (layer,) = run("check", task)
    assert layer.format.channels == "GA"


@pytest.mark.parametrize("contract", [CONTRACT, GATE], ids=["quality", "gate"])
def test_parts_agree_with_the_whole(contract: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = tensor(spoilt(256))
    whole = inspection.look(picture, CPU, contract).wrong
    monkeypatch.setattr(inspection, "SIDE_PX", 96)
    parts = inspection.look(picture, CPU, contract).wrong
    assert (whole - parts).abs().mean() < 0.02


def test_what_is_not_to_be_seen_is_not_found() -> None:
    hidden = opaque(spoilt())
    hidden[112:, :, 3] = 0
    task = task_of(hidden, channels="RGBA")
    run("check", task)
    bounds = [region["bounds"] for region in task.facts["check"]["regions"]]
    assert bounds
    assert all(y1 <= 112 for _, _, _, y1 in bounds)


def part_of(picture: np.ndarray, x: int, y: int, side: int, *others: np.ndarray) -> Task:
    """A task on a part of picture, where it lies in the document; the others lie at its corner."""
    task = task_of(picture[y : y + side, x : x + side], *others)
    task.layers[0] = Canvas(replace(task.layers[0].shape, x=x, y=y), task.layers[0].data)
    return task


def test_of_a_larger_source_counts_what_lies_below() -> None:
    task = part_of(bytes_of(photo()), 64, 48, 112, opaque(photo()))
    run("check", task, source=1)
    assert "content" not in {region["kind"] for region in task.facts["check"]["regions"]}
    broken = photo()
    broken[80:120, 80:120] = 0.5
    task = part_of(bytes_of(broken), 64, 48, 112, opaque(photo()))
    (made,) = run("correct", task, source=1)
    there = made.native[80 - 48 : 120 - 48, 80 - 64 : 120 - 64].astype(float)
    assert np.abs(there - bytes_of(photo())[80:120, 80:120]).mean() < 20


def test_a_source_that_lies_elsewhere_is_told_of() -> None:
    for name in ("check", "correct"):
        task = part_of(bytes_of(photo()), 110, 48, 112, opaque(photo(96)))
        with pytest.raises(CalotypeError, match="does not lie below"):
            run(name, task, source=1)


def test_a_picture_may_reach_beyond_its_source() -> None:
    """As strokes do that reach over the canvas; and a source may have holes."""
    hole = opaque(photo()[16:, 16:])
    hole[150:, :60, 3] = 0
    task = task_of(bytes_of(photo()), hole)
    task.layers[0] = Canvas(replace(task.layers[0].shape, x=-16, y=-16), task.layers[0].data)
    run("check", task, source=1)
    assert "content" not in {region["kind"] for region in task.facts["check"]["regions"]}


def test_regions_are_what_touches_without_specks() -> None:
    wrong = torch.zeros(12, 16)
    wrong[1:4, 1:5] = 0.9
    wrong[2, 2] = 0.1  # a hole in it
    wrong[8:11, 9:13] = 0.8
    wrong[6:8, 0] = 0.9  # a speck
    kinds = torch.zeros(len(LABELS), 12, 16)
    kinds[0, :6], kinds[5, 6:] = 1, 1
    found = regions.of(Map(wrong, torch.full((12, 16), 0.5), kinds), 0.5, 123, 90)
    assert [(region.kind, region.bounds) for region in found] == [
        ("noise", (8, 8, 40, 32)),
        ("seam", (72, 64, 104, 88)),
    ]
    assert bool(found[0].cells[2, 2])
    assert found[0].severity == pytest.approx(50)


# ---- repairing


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
    with pytest.raises(CalotypeError, match="No repair"):
        run("correct", task_of(bytes_of(spoilt())), **steps)


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


# ---- at the end of other operations


def test_every_operation_that_makes_pictures_can_end_with_a_check() -> None:
    names = {o.name for o in declare.declared() if "check" in [p.name for p in o.parameters]}
    assert names == {"colorize", "denoise", "enhance", "remove_scratches", "restore", "stylize", "upscale"}


@pytest.mark.parametrize("name", ["restore", "stylize", "upscale"])
def test_a_result_is_checked_where_that_is_asked_for(name: str) -> None:
    pixels = bytes_of(spoilt(96))
    values = {"refine": 0} if name == "stylize" else {}
    plain, checked = task_of(pixels), task_of(pixels)
    run(name, plain, **values)
    run(name, checked, check="check", **values)
    assert "check" not in plain.facts
    scores = checked.facts["check"]["scores"]
    assert 0 <= scores["total"] <= 100
    assert (scores["style"] is not None) == (name == "stylize")
    assert np.array_equal(plain.results[0].native, checked.results[0].native)
    assert any("of 100" in sentence for sentence in checked.facts["report"])


def test_what_is_not_selected_is_not_found_in_a_result() -> None:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[:, : SIDE // 2] = 255
    task = task_of(bytes_of(spoilt()), mask=mask)
    run("enhance", task, check="check")
    bounds = [region["bounds"] for region in task.facts["check"]["regions"]]
    assert bounds
    assert all(x1 <= SIDE // 2 for _, _, x1, _ in bounds)


def test_a_result_is_corrected_where_that_is_asked_for() -> None:
    task = task_of(bytes_of(spoilt()))
    made = run("enhance", task, check="correct")[0].native
    plain = run("enhance", task_of(bytes_of(spoilt())))[0].native
    assert task.facts["check"]["repairs"]
    assert not np.array_equal(made, plain)
    before, after = (inspection.look(tensor(p / np.float32(255)), CPU, GATE).badness() for p in (plain, made))
    assert after < before


def test_what_is_not_selected_is_not_repaired_in_a_result() -> None:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[:, :164] = 255  # through the noise
    task = task_of(bytes_of(spoilt()), mask=mask)
    made = run("enhance", task, check="correct")[0].native
    assert task.facts["check"]["repairs"]
    assert np.array_equal(made[:, 164:], bytes_of(spoilt())[:, 164:])


def test_where_little_is_selected_little_of_a_repair_is_laid() -> None:
    mask = np.full((SIDE, SIDE), 60, np.uint8)
    task = task_of(bytes_of(spoilt()), mask=mask)
    made = run("enhance", task, check="correct")[0].native
    assert task.facts["check"]["repairs"]
    again = task_of(made)
    run("check", again)
    told, found = (each.facts["check"]["scores"]["realism"] for each in (task, again))
    assert told == pytest.approx(found, abs=1)


def test_of_what_was_enlarged_all_is_checked() -> None:
    """Though it comes to be as large as the layer of which a quarter was selected."""
    mask = np.zeros((192, 192), np.uint8)
    mask[48:144, 48:144] = 255
    task = task_of(bytes_of(spoilt(192)), mask=mask)
    (made,) = run("upscale", task, scale="2", check="check")
    assert made.box == task.layers[0].box
    again = task_of(made.native)
    run("check", again)
    assert task.facts["check"]["scores"] == again.facts["check"]["scores"]
    assert task.facts["check"]["regions"] == again.facts["check"]["regions"]


def test_a_finish_that_there_is_not_is_told_of() -> None:
    with pytest.raises(CalotypeError) as caught:
        finish.build("restore", {"check": "always"})
    assert caught.value.code == "BAD_PARAMETER"


def test_no_style_is_a_choice_where_the_style_need_not_be_known() -> None:
    (style,) = [p for p in params.find(declare.declared(), "check").parameters if p.name == "style"]
    assert isinstance(style, params.Style)
    assert style.choices[0] == ("", "Not known")
    assert style.check("") == ""
    (painted,) = [p for p in params.find(declare.declared(), "stylize").parameters if p.name == "style"]
    assert isinstance(painted, params.Style)
    assert "" not in [value for value, _ in painted.choices]
