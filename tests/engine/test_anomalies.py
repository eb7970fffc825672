"""Check: faults are found where they are, and nowhere else."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from skimage import data as photos
from skimage import transform
from test_operations import CPU, task_of

from calotype.image.codec import Canvas
from calotype.models.anomaly import CONTRACT, GATE
from calotype.ops import finish, inspection, regions
from calotype.ops.inspection import LABELS, Map
from calotype.ops.task import Task
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
