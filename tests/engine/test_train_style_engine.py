"""Styles are learnt by a real engine: beside filters, paused, killed, gone on with."""

import signal
from collections.abc import Iterator
from typing import Any

import numpy as np
import psutil
import pytest
from test_train_style import CELLS, PHOTO

import styles
from calotype import asking
from calotype.portfolio import shelf, trainings
from calotype_wire.client import Catalogue, Client, Event, Failed, Preview, Progress, Request, Result, Styles
from conftest import Engine, answer, events_until, fail, layer, pixels, run, wait_for

SMALL = layer(CELLS, name="Cells")


def offered(catalogue: Catalogue) -> list[str]:
    """Names of the styles that can be chosen."""
    (operation,) = (each for each in catalogue.operations if each.name == "stylize")
    return [value for value, _ in operation.parameters[1].choices]


def submitted(client: Client, **values: Any) -> str:
    """A training that runs, by its job."""
    job = client.submit(Request("train_style", [SMALL], {"level": "standard", "seconds": 60, **values}))
    progress = events_until(client, Progress, 60)
    while not progress.curve:
        progress = events_until(client, Progress, 60)
    return job


def learner(engine: Engine) -> psutil.Process:
    """The process that has given way to all others."""
    children = psutil.Process(engine.process.pid).children()
    return max(children, key=lambda child: child.nice())


class TestEngine:
    def test_a_curve_and_samples_come_and_a_pause_is_no_loss(self, client: Client) -> None:
        job = submitted(client, name="Paused")
        picture = events_until(client, Preview, 60).picture
        assert (picture.width, picture.height) == (192, 192)
        client.cancel(job, pause=True)
        ended = answer(client, job)
        assert isinstance(ended, Failed)
        assert ended.code == "PAUSED"
        other = submitted(client, name="Other")  # for which the next ones wait
        for pause, code, said in ((True, "PAUSED", "is kept"), (False, "CANCELLED", "still among")):
            resumed = client.submit(Request("train_style", [], {"name": "Paused"}))
            client.cancel(resumed, pause)
            ended = answer(client, resumed)
            assert isinstance(ended, Failed)
            assert (ended.code, said in ended.sentence) == (code, True)
        client.cancel(other)
        answer(client, other)
        client.ask_styles()
        told = events_until(client, Styles)
        assert [each["name"] for each in told.unfinished] == ["Paused"]
        client.ask_styles("discard", name="Paused")
        assert events_until(client, Styles).unfinished == []

    def test_filters_run_while_a_style_is_learnt_and_a_cancel_leaves_nothing(
        self, client: Client, engine: Engine
    ) -> None:
        job = submitted(client, name="Beside")
        assert learner(engine).nice() == 10
        for _ in range(3):
            assert np.array_equal(pixels(run(client, Request("invert", [SMALL])).layers[0]), 255 - CELLS)
        assert job in client.jobs, "it learns still"
        waits = client.submit(Request("train_style", [SMALL], {"name": "Waits"}))
        client.cancel(waits, pause=True)
        ended = answer(client, waits)
        assert isinstance(ended, Failed)
        assert ended.code == "CANCELLED", "there is nothing to be kept"
        client.cancel(job)
        ended = answer(client, job)
        assert isinstance(ended, Failed)
        assert ended.code == "CANCELLED"
        client.ask_styles()
        assert events_until(client, Styles).unfinished == []

    def test_a_new_style_is_told_to_every_editor_and_can_be_used_at_once(
        self, client: Client, engine: Engine
    ) -> None:
        other = engine.client()
        other.ask_catalogue()
        events_until(other, Catalogue)
        result = run(client, Request("train_style", [SMALL], {"level": "instant", "name": "Told"}))
        assert result.layers == []
        wait_for(lambda: any("Told" in offered(e) for e in other.pump() if isinstance(e, Catalogue)))
        request = Request("stylize", [layer(PHOTO)], {"style": "Told", "refine": 0})
        assert np.abs(pixels(run(other, request).layers[0]).astype(float) - PHOTO).mean() > 5
        client.ask_styles("rename", name="Told", to="Retold")
        assert "Retold" in [each["name"] for each in events_until(client, Styles).styles]
        assert fail(client, request).code == "BAD_PARAMETER"
        client.ask_styles("delete", name="Retold")
        assert "Retold" not in [each["name"] for each in events_until(client, Styles).styles]

    def test_a_style_that_another_program_brings_can_be_used_at_once(self, client: Client) -> None:
        for name in ("Brought", "Brought again"):
            shelf.add(name, styles.file())
            request = Request("stylize", [layer(PHOTO)], {"style": name, "refine": 0})
            assert np.abs(pixels(run(client, request).layers[0]).astype(float) - PHOTO).mean() > 5
            shelf.delete(name)

    def test_a_learner_that_is_killed_loses_little_and_goes_on(self, client: Client, engine: Engine) -> None:
        job = submitted(client, name="Killed")
        checkpoint = trainings.run_folder("Killed") / "checkpoint.safetensors"
        first = checkpoint.stat().st_mtime_ns
        wait_for(lambda: client.pump() is not None and checkpoint.stat().st_mtime_ns != first, 60)
        learner(engine).send_signal(signal.SIGKILL)
        ended = answer(client, job)
        assert isinstance(ended, Failed)
        assert "is kept" in ended.sentence
        plan = trainings.run_folder("Killed") / "plan.json"
        styles.hurry(plan, 7)
        result = run(client, Request("train_style", [], {"name": "Killed"}))
        assert result.facts["steps"] >= 2

    @pytest.mark.parametrize("pause", [True, False])
    def test_what_has_ended_while_it_is_paused_is_a_result(self, client: Client, pause: bool) -> None:
        job = client.submit(Request("heedless", [SMALL]))
        events_until(client, Progress, 60)
        client.cancel(job, pause)
        ended = answer(client, job)
        if pause:
            assert isinstance(ended, Result)
            assert ended.facts["kept"]
        else:
            assert isinstance(ended, Failed)
            assert ended.code == "CANCELLED"

    @pytest.mark.usefixtures("engine")
    def test_ctrl_c_at_the_very_end_still_gives_the_result(self, monkeypatch: pytest.MonkeyPatch) -> None:
        run_it = Client.run

        def interrupted(self: Client, request: Request) -> Iterator[Event]:
            for event in run_it(self, request):
                if isinstance(event, Progress):
                    raise KeyboardInterrupt
                yield event

        monkeypatch.setattr(Client, "run", interrupted)
        assert asking.answer(Request("heedless", [SMALL]), quiet=True).facts["kept"]

    def test_an_editor_that_closes_pauses_its_training(self, engine: Engine, client: Client) -> None:
        editor = engine.client()
        submitted(editor, name="Left")
        editor.close()

        def paused() -> bool:
            client.pump()
            return [each["running"] for each in trainings.unfinished() if each["name"] == "Left"] == [False]

        wait_for(paused, 30)
        client.ask_styles("discard", name="Left")
        events_until(client, Styles)

    @pytest.mark.parametrize(
        ("action", "fields", "code"),
        [
            ("rename", {"name": "nobody", "to": "b"}, "NO_STYLE"),
            ("rename", {"name": "nobody"}, "BAD_REQUEST"),
            ("delete", {"name": "scream"}, "NO_STYLE"),
            ("import", {"path": "relative"}, "BAD_PARAMETER"),
            ("import", {"path": "/dev/zero"}, "BAD_FILE"),
            ("import", {"path": "/proc/self/exe"}, "BAD_FILE"),
            ("export", {"name": "nobody", "path": "/tmp/x"}, "NO_STYLE"),
            ("explode", {}, "BAD_REQUEST"),
            ("discard", {"name": "../.."}, "NO_STYLE"),
            ("favour", {"name": "scream", "on": "yes"}, "BAD_REQUEST"),
        ],
    )
    def test_what_cannot_be_done_with_styles_is_said(
        self, client: Client, action: str, fields: dict[str, Any], code: str
    ) -> None:
        client.ask_styles(action, **fields)
        assert events_until(client, Failed).code == code

    def test_a_training_without_pictures_or_a_name_says_what_to_do(self, client: Client) -> None:
        assert fail(client, Request("train_style", [])).code == "NO_STYLE"

    def test_two_trainings_take_turns(self, client: Client) -> None:
        values = {"level": "standard", "seconds": 7}
        jobs = [
            client.submit(Request("train_style", [SMALL], {**values, "name": f"Turn {k}"})) for k in range(2)
        ]
        assert all(isinstance(answer(client, job, 120), Result) for job in jobs)
        assert {"Turn 0", "Turn 1"} <= set(shelf.own_names())
