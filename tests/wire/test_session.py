"""A Session against real engines that sleep, die, hang and come back."""

import gc
import os
import signal
import tempfile
import weakref

import numpy as np

from calotype_wire import connection, places
from calotype_wire import session as sessions
from calotype_wire.client import Client, Failed, Progress, Request, Result
from conftest import layer, noise, wait_for

PHOTO = layer(noise(64, 64))


def ended(session, job, timeout_s=30):
    found = []

    def done():
        found.extend(e for e in session.pump() if isinstance(e, Result | Failed) and e.job == job)
        return found

    wait_for(done, timeout_s)
    return found[0]


def wait_for_progress(session):
    """A job that the engine never accepted would go to the next engine instead of failing."""
    wait_for(lambda: any(isinstance(event, Progress) for event in session.pump()), 30)


def engine_pid():
    return connection.load(places.connection_file()).pid


def test_it_starts_the_engine_and_tells_what_it_can_do(session):
    assert session.state == "asleep"
    job = session.submit(Request("identity", [PHOTO]))
    assert session.state == "starting"
    result = ended(session, job)
    assert bytes(result.layers[0].pixels) == bytes(PHOTO.pixels)
    assert session.state == "ready"
    assert not session.busy
    assert "identity" in [operation.name for operation in sessions.known_operations()]


def test_an_engine_that_left_between_jobs_is_started_anew_without_a_word(session):
    ended(session, session.submit(Request("identity", [PHOTO])))
    first = engine_pid()
    os.kill(first, signal.SIGTERM)
    wait_for(lambda: not places.connection_file().exists())
    assert isinstance(ended(session, session.submit(Request("identity", [PHOTO]))), Result)
    assert engine_pid() != first


def test_an_engine_killed_under_a_job_fails_it_and_the_next_job_works(session):
    job = session.submit(Request("slow", [PHOTO], {"steps": 10000}))
    wait_for_progress(session)
    os.kill(engine_pid(), signal.SIGKILL)
    failed = ended(session, job)
    assert failed.code == "ENGINE_LOST"
    assert isinstance(ended(session, session.submit(Request("identity", [PHOTO]))), Result)


def test_an_engine_that_hangs_fails_the_job_and_is_replaced_for_the_next(session):
    job = session.submit(Request("slow", [PHOTO], {"steps": 10000}))
    wait_for_progress(session)
    hung = engine_pid()
    os.kill(hung, signal.SIGSTOP)
    assert ended(session, job).code == "ENGINE_HUNG"
    assert isinstance(ended(session, session.submit(Request("identity", [PHOTO])), 60), Result)
    assert engine_pid() != hung


def test_a_job_cancelled_before_the_engine_runs_ends_cancelled(session):
    job = session.submit(Request("slow", [PHOTO], {"steps": 10000}))
    session.cancel(job)
    assert ended(session, job).code == "CANCELLED"
    wait_for(places.connection_file().exists)  # only an engine that is up can be stopped after the test


def test_a_cancelled_job_ends_once_even_if_another_is_submitted_at_once(session):
    ended(session, session.submit(Request("identity", [PHOTO])))
    session.cancel(session.submit(Request("slow", [PHOTO])))
    session.submit(Request("identity", [PHOTO]))
    found = []
    wait_for(lambda: found.extend(session.pump()) or any(isinstance(e, Result) for e in found), 30)
    assert len([e for e in found if isinstance(e, Failed)]) == 1


def test_no_engine_to_be_found_fails_the_job_with_what_to_do(session):
    places.installation_file().unlink()
    failed = ended(session, session.submit(Request("identity", [PHOTO])))
    assert failed.code == "NOT_INSTALLED"
    assert "install.py" in failed.sentence


def test_questions_about_styles_are_answered_too_where_a_job_fails(session):
    places.installation_file().unlink()
    job = session.submit(Request("identity", [PHOTO]))
    session.ask_styles()
    found = []
    wait_for(lambda: found.extend(session.pump()) or len(found) >= 2)
    assert {event.job for event in found} == {job, None}
    assert not session.busy


def test_pictures_are_let_go_when_the_engine_has_them(session):
    picture = layer(noise(64, 64))
    kept = weakref.ref(picture)
    job = session.submit(Request("slow", [picture], {"steps": 1000}))
    del picture
    wait_for_progress(session)
    wait_for(lambda: session.pump() is not None and gc.collect() is not None and kept() is None)
    session.cancel(job)
    assert ended(session, job).code == "CANCELLED"


def test_results_of_every_kind_keep_their_place(session):
    other = layer(np.full((8, 8, 3), 7, np.uint8))
    job = session.submit(Request("parts", [PHOTO, other], {"other": 1, "colours": ["#000000", "#ffffff"]}))
    result = ended(session, job)
    kinds = [(part.name, part.place.kind, part.place.group) for part in result.layers]
    assert kinds == [
        ("First", "layer", "Parts"),
        ("First's mask", "mask", ""),
        ("Second", "layer", "Parts"),
        ("Of its own", "document", ""),
    ]
    assert (result.layers[0].place.blend, result.layers[0].place.opacity) == ("multiply", 0.5)
    assert not result.layers[2].place.visible
    assert bytes(result.layers[2].pixels) == bytes(other.pixels)
    assert "#ffffff" in result.facts["report"][0]


def test_an_editor_without_a_place_for_files_fails_the_job_with_a_sentence(session, monkeypatch):
    def full(*arguments, **more):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "TemporaryFile", full)
        failed = ended(session, session.submit(Request("identity", [PHOTO])))
    assert failed.code == "NOT_STARTED"
    assert "No space left" in failed.sentence
    assert not session.busy


def test_a_surprise_while_pumping_ends_every_job_once(session, monkeypatch):
    ended(session, session.submit(Request("identity", [PHOTO])))
    jobs = [session.submit(Request("slow", [PHOTO], {"steps": 1000})) for _ in range(2)]

    def broken(client):
        raise ValueError("that was no number")

    with monkeypatch.context() as patch:
        patch.setattr(Client, "pump", broken)
        events = session.pump()
        assert sorted(event.job for event in events) == sorted(jobs)
        assert all("that was no number" in event.sentence for event in events)
        assert session.pump() == []


def test_the_engine_imports_nothing_from_the_editors_folder(session, tmp_path, monkeypatch):
    for name in ("msgpack", "random", "torch", "zmq"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from the wrong folder')")
    monkeypatch.chdir(tmp_path)
    assert isinstance(ended(session, session.submit(Request("identity", [PHOTO]))), Result)
