"""Operations that end with a check, or with a repair, of what they made."""

import numpy as np
import pytest
from test_anomalies import SIDE, bytes_of, run, spoilt, tensor
from test_operations import CPU, task_of

from calotype.models.anomaly import GATE
from calotype.ops import declare, finish, inspection
from calotype_wire import params
from calotype_wire.errors import CalotypeError


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
