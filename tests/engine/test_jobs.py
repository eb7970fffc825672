"""Jobs through the whole engine: client, server, worker and back."""

import glob
import tempfile
from pathlib import Path

import numpy as np
import pytest

from calotype_wire import places
from calotype_wire.client import Catalogue, Client, Failed, Progress, Request, Result
from calotype_wire.protocol import Layer, PixelFormat
from conftest import Engine, answer, answers, events_until, fail, layer, noise, pixels, run, wait_for

PHOTO = layer(noise(70, 90))


def test_an_identity_of_five_megabytes_comes_back_bit_for_bit(client: Client) -> None:
    big = noise(1201, 1037, 4)
    result = run(client, Request("identity", [layer(big, "RGBA", name="Zoë", x=-5, y=7)]))
    returned = result.layers[0]
    assert np.array_equal(pixels(returned), big)
    assert (returned.x, returned.y, returned.name) == (-5, 7, "Identity")


def test_parameters_arrive_with_defaults_filled_in(client: Client) -> None:
    result = run(client, Request("identity", [PHOTO], {"amount": 7, "words": "ü"}))
    assert result.facts["parameters"] == [7.0, 3, False, "a", "ü"]


def test_the_catalogue_names_each_operation_and_parameter(client: Client) -> None:
    client.ask_catalogue()
    catalogue = events_until(client, Catalogue)
    names = {operation.name: [p.name for p in operation.parameters] for operation in catalogue.operations}
    assert names["denoise"] == ["strength", "noise", "jpeg", "blur", "fidelity", "model", "check"]
    assert {"restore", "remove_scratches", "enhance", "upscale"} <= set(names)
    assert "identity" in names


def test_a_tiled_operation_changes_every_pixel_exactly_once(client: Client) -> None:
    photo = noise(1500, 1300)
    assert np.array_equal(pixels(run(client, Request("invert", [layer(photo)])).layers[0]), 255 - photo)


def progressed(client: Client, request: Request) -> list[Progress]:
    """All that is told of a job."""
    job = client.submit(request)
    seen: list[Progress] = []
    while job in client.jobs:
        client.wait(0.05)
        seen += [event for event in client.pump() if isinstance(event, Progress)]
    return seen


def test_progress_rises_and_tells_the_time_left(client: Client) -> None:
    seen = progressed(client, Request("slow", [PHOTO], {"steps": 40, "step_ms": 20}))
    fractions = [event.fraction for event in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] > 0.5
    assert seen[-1].seconds_left is not None


def test_what_goes_on_in_the_middle_tells_the_time_left_by_its_own_pace(client: Client) -> None:
    last = progressed(client, Request("resumed", [PHOTO]))[-1]
    assert last.seconds_left is not None
    assert last.seconds_left / (1 - last.fraction) > 5  # it takes 10 s for all, and had 80 % when it began


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (Request("nothing", [PHOTO]), "UNKNOWN_OPERATION"),
        (Request("restore", [PHOTO], {"sharpness": 3}), "BAD_PARAMETER"),
        (Request("restore", [PHOTO], {"strength": float("nan")}), "BAD_PARAMETER"),
        (Request("restore", [PHOTO], {"strength": float("inf")}), "BAD_PARAMETER"),
        (Request("restore", [PHOTO], {"strength": True}), "BAD_PARAMETER"),
        (Request("restore", [PHOTO], {"strength": "80"}), "BAD_PARAMETER"),
        (Request("restore", [PHOTO], {"strength": 1e308}), "BAD_PARAMETER"),
        (Request("restore", [PHOTO], {"strength": -1}), "BAD_PARAMETER"),
        (Request("identity", [PHOTO], {"count": 2.5}), "BAD_PARAMETER"),
        (Request("identity", [PHOTO], {"kind": "c"}), "BAD_PARAMETER"),
        (Request("identity", [PHOTO], {"flag": 1}), "BAD_PARAMETER"),
        (Request("identity", [PHOTO], {"words": 1}), "BAD_PARAMETER"),
        (Request("identity", [PHOTO], priority="first"), "BAD_REQUEST"),
        (Request("identity", []), "BAD_REQUEST"),
        (Request("identity", [PHOTO], selection=PHOTO), "BAD_REQUEST"),
        (Request("identity", [PHOTO], selection_to="nowhere"), "BAD_REQUEST"),
        (Request("fail", [PHOTO], {"how": "nan"}), "BAD_RESULT"),
        (Request("fail", [PHOTO], {"how": "black"}), "BAD_RESULT"),
        (Request("fail", [PHOTO], {"how": "unchanged"}), "UNCHANGED"),
        (Request("fail", [PHOTO], {"how": "memory"}), "OUT_OF_MEMORY"),
        (Request("fail", [PHOTO], {"how": "bug"}), "INTERNAL"),
        (Request("fail", [PHOTO], {"how": "exit"}), "WORKER_LOST"),
        (Request("fail", [PHOTO], {"how": "kill"}), "OUT_OF_MEMORY"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.operation} {value.parameters}",
)
def test_a_bad_job_is_answered_and_the_next_one_runs(client: Client, request_: Request, code: str) -> None:
    failed = fail(client, request_)
    assert failed.code == code
    assert failed.sentence.endswith((".", "…"))
    assert "Traceback" not in failed.sentence
    run(client, Request("identity", [PHOTO]))


def test_a_long_sentence_is_cut_to_what_fits_a_dialog(client: Client) -> None:
    assert len(fail(client, Request("fail", [PHOTO], {"how": "sentence"})).sentence) <= 400


def test_a_selection_that_misses_the_layer_or_selects_nothing_is_explained(client: Client) -> None:
    empty = layer(np.zeros((70, 90, 1), np.uint8), "G")
    assert "Nothing is selected" in fail(client, Request("invert", [PHOTO], selection=empty)).sentence
    beside = layer(np.full((10, 10, 1), 255, np.uint8), "G", x=500)
    assert "outside of the layer" in fail(client, Request("invert", [PHOTO], selection=beside)).sentence


def test_a_cancel_ends_a_running_a_waiting_and_an_uploading_job(client: Client) -> None:
    running = client.submit(Request("slow", [PHOTO], {"steps": 2000}))
    waiting = client.submit(Request("slow", [PHOTO]))
    events_until(client, Progress)
    uploading = client.submit(Request("identity", [layer(noise(3000, 4000, 4), "RGBA")]))
    for job in (uploading, waiting, running):
        client.cancel(job)
    ended = answers(client, [running, waiting, uploading], 10)
    assert {event.code for event in ended.values() if isinstance(event, Failed)} == {"CANCELLED"}
    assert len(ended) == 3


def test_a_newer_preview_takes_the_place_of_the_older(client: Client) -> None:
    request = Request("slow", [PHOTO], {"steps": 300}, priority="preview", supersedes="docker")
    older = client.submit(request)
    events_until(client, Progress)
    newer = client.submit(Request("identity", [PHOTO], priority="preview", supersedes="docker"))
    ended = answers(client, [older, newer], 10)
    assert isinstance(ended[older], Failed)
    assert ended[older].code == "CANCELLED"
    assert isinstance(ended[newer], Result)


def test_a_preview_overtakes_a_batch(client: Client) -> None:
    blocker = client.submit(Request("slow", [PHOTO], {"steps": 30}))
    events_until(client, Progress)
    batch = client.submit(Request("slow", [PHOTO], {"steps": 100}, priority="batch"))
    preview = client.submit(Request("identity", [PHOTO], priority="preview"))
    answer(client, preview)
    assert batch in client.jobs
    answers(client, [batch])
    assert blocker not in client.jobs


def test_a_second_editor_waits_for_one_job_only(engine: Engine, client: Client) -> None:
    other = engine.client()
    crowd = [client.submit(Request("slow", [PHOTO], {"steps": 5})) for _ in range(100)]
    events_until(client, Progress)
    run(other, Request("identity", [PHOTO]))
    client.wait(0.1)
    client.pump()
    assert len(client.jobs) > 50
    for job in crowd[::2]:
        client.cancel(job)
    assert len(answers(client, list(client.jobs), 60)) > 50
    other.close()


def test_more_jobs_than_the_queue_holds_are_refused_with_a_sentence(client: Client) -> None:
    jobs = [client.submit(Request("slow", [PHOTO], {"steps": 1})) for _ in range(140)]
    ended = answers(client, jobs, 60)
    refused = [event for event in ended.values() if isinstance(event, Failed)]
    assert {event.code for event in refused} == {"BUSY"}
    assert len(ended) == 140


def test_an_editor_that_goes_takes_its_jobs_with_it(engine: Engine, client: Client) -> None:
    going = engine.client()
    going.submit(Request("slow", [PHOTO], {"steps": 3000}))
    events_until(going, Progress)
    finished = places.log_file().read_text().count("slow done")
    going.close()
    run(client, Request("identity", [PHOTO]))
    assert places.log_file().read_text().count("slow done") == finished


def test_thirty_thousand_pixels_square_are_refused_before_anything_is_sent(client: Client) -> None:
    class Huge(Layer):
        def __post_init__(self) -> None:
            pass

    failed = fail(client, Request("identity", [Huge(30_000, 30_000, PixelFormat(), b"")]))
    assert failed.code == "TOO_LARGE"
    assert "30000 x 30000" in failed.sentence


def test_results_leave_nothing_behind(engine: Engine, client: Client) -> None:
    for _ in range(3):
        run(client, Request("identity", [layer(noise(500, 500))]))
    bases = [Path("/dev/shm"), Path(tempfile.gettempdir())]
    pattern = f"calotype-{engine.process.pid}-*/[0-9]*/*"
    wait_for(lambda: not [file for base in bases for file in glob.glob(str(base / pattern))])
