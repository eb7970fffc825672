"""What breaks around the engine: processes killed and stopped, disks full, folders in the way."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from calotype_wire import connection, launch, places
from calotype_wire.client import Catalogue, Client, Failed, Progress, Request
from calotype_wire.errors import CalotypeError
from conftest import Engine, answer, events_until, fail, layer, noise, run, wait_for

PHOTO = layer(noise(40, 40))
SERVE = [sys.executable, "-m", "calotype", "serve"]


def serve_fails() -> str:
    """The sentence with which an engine refuses to start."""
    refused = subprocess.run(SERVE, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 1, refused
    assert "Traceback" not in refused.stderr
    return refused.stderr.strip()


def test_ten_engines_that_start_at_once_have_one_winner(home: Path) -> None:
    for _ in range(3):
        racers = [subprocess.Popen(SERVE, stdout=subprocess.PIPE, text=True) for _ in range(10)]
        wait_for(lambda racers=racers: sum(racer.poll() is None for racer in racers) <= 1, 60)
        losers = [racer for racer in racers if racer.poll() is not None]
        assert len(losers) == 9
        assert {loser.returncode for loser in losers} == {0}
        (winner,) = set(racers) - set(losers)
        wait_for(lambda: connection.load(places.connection_file()) is not None)
        winner.terminate()
        winner.wait(20)
        for racer in racers:
            said = racer.communicate()[0]
            assert racer is winner or "runs already" in said


def test_two_editors_that_start_the_engine_at_once_share_one(home: Path) -> None:
    code = "import sys; from calotype_wire import launch; c = launch.engine('t', sys.executable); c.close()"
    editors = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(4)]
    assert [editor.wait(60) for editor in editors] == [0, 0, 0, 0]
    found = connection.load(places.connection_file())
    assert found is not None
    wait_for(lambda: engines(home) == [found.pid])


def engines(home: Path) -> list[int]:
    """The process numbers of all engines of home."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline", "environ"])
        if "serve" in (process.info["cmdline"] or [])
        and (process.info["environ"] or {}).get("CALOTYPE_HOME") == str(home)
    ]


@pytest.mark.parametrize("moment", ["idle", "upload", "job", "reply"])
def test_a_killed_engine_is_noticed_and_the_next_one_starts_and_sweeps(start, moment: str) -> None:
    engine = start()
    client = engine.client()
    run(client, Request("identity", [PHOTO]))
    big = layer(noise(4000, 3000, 4), "RGBA")
    if moment == "upload":
        client.submit(Request("identity", [big]))
        wait_for(lambda: not client.pump() and bool(client._uploads))
    elif moment == "job":
        client.submit(Request("slow", [PHOTO], {"steps": 1000}))
        events_until(client, Progress)
    elif moment == "reply":
        client.submit(Request("identity", [big]))
        wait_for(lambda: not client.pump() and bool(client._downloads), 20)
    workers = engine.worker_pids()
    engine.process.kill()
    engine.process.wait()
    with pytest.raises(CalotypeError) as lost:
        pump_for(client, 10)
    assert lost.value.code == "ENGINE_LOST"
    client.close()
    second = launch.engine("test", sys.executable)
    run(second, Request("identity", [PHOTO]))
    second.close()
    wait_for(lambda: not any(map(psutil.pid_exists, workers)))
    left = [p for p in Path("/dev/shm").glob(f"calotype-{engine.process.pid}-*")]
    assert left == []


def pump_for(client: Client, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        client.wait(0.05)
        client.pump()


def test_a_stopped_engine_is_reported_and_goes_on_when_it_wakes(start) -> None:
    engine = start()
    client = engine.client()
    run(client, Request("identity", [PHOTO]))
    engine.process.send_signal(signal.SIGSTOP)
    with pytest.raises(CalotypeError) as hung:
        pump_for(client, 10)
    assert hung.value.code == "ENGINE_HUNG"
    client.close()
    engine.process.send_signal(signal.SIGCONT)
    awake = engine.client()
    run(awake, Request("identity", [PHOTO]))
    awake.close()


def test_an_editor_that_slept_does_not_blame_the_engine(start) -> None:
    engine = start()
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[1]); from conftest import *\n"
        "c = connect(connection.load(places.connection_file()), 'sleeper')\n"
        "print('connected', flush=True)\n"
        "j = c.submit(Request('slow', [layer(noise(40, 40))], {'steps': 100, 'step_ms': 20}))\n"
        "print(type(answer(c, j, 1000)).__name__)\n"
    )
    tests = str(Path(__file__).parents[1])
    editor = subprocess.Popen([sys.executable, "-c", code, tests], stdout=subprocess.PIPE, text=True)
    assert editor.stdout is not None
    assert editor.stdout.readline() == "connected\n"
    editor.send_signal(signal.SIGSTOP)
    time.sleep(5)
    editor.send_signal(signal.SIGCONT)
    assert editor.communicate(timeout=60)[0].strip() == "Result"
    assert engine.process.poll() is None


def test_a_stuck_worker_is_stopped_and_the_next_job_runs(start) -> None:
    client = start("--stuck-after", "3").client()
    run(client, Request("identity", [PHOTO]))
    job = client.submit(Request("fail", [PHOTO], {"how": "stuck"}))
    waiting = client.submit(Request("identity", [PHOTO]))
    ended = answer(client, job, 20)
    assert isinstance(ended, Failed)
    assert ended.code == "WORKER_LOST"
    assert "stuck" in ended.sentence
    assert not isinstance(answer(client, waiting, 30), Failed)
    client.close()


def test_a_cancel_of_a_stuck_job_kills_its_worker(start) -> None:
    client = start().client()
    run(client, Request("identity", [PHOTO]))
    job = client.submit(Request("fail", [PHOTO], {"how": "stuck"}))
    client.wait(0.3)
    client.cancel(job)
    ended = answer(client, job, 15)
    assert isinstance(ended, Failed)
    assert ended.code == "CANCELLED"
    run(client, Request("identity", [PHOTO]))
    client.close()


def test_an_unused_worker_ends_and_comes_back_for_the_next_job(start) -> None:
    engine = start("--unload-after", "0.5")
    client = engine.client()
    run(client, Request("identity", [PHOTO]))
    wait_for(lambda: not engine.worker_pids(), 10)
    run(client, Request("identity", [PHOTO]))
    client.close()


def test_an_unused_engine_ends_and_leaves_no_file_that_blocks_the_next(start) -> None:
    engine = start("--exit-after", "1")
    workers = engine.worker_pids()
    engine.process.wait(20)
    assert engine.process.returncode == 0
    assert not places.connection_file().exists()
    assert not any(map(psutil.pid_exists, workers))
    launch.engine("next", sys.executable).close()


def test_two_workers_serve_two_jobs_at_once(start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALOTYPE_DEVICES", "cpu,cpu")
    engine = start()
    client = engine.client()
    run(client, Request("identity", [PHOTO]))
    jobs = [client.submit(Request("slow", [PHOTO], {"steps": 1000})) for _ in range(2)]
    running: set[str] = set()
    deadline = time.monotonic() + 30
    while len(running) < 2 and time.monotonic() < deadline:
        client.wait(0.05)
        running |= {event.job for event in client.pump() if isinstance(event, Progress)}
    assert running == set(jobs)
    assert len(engine.worker_pids()) == 2
    client.close()


def test_a_worker_short_of_memory_takes_smaller_tiles_or_says_so(start) -> None:
    engine = start()
    client = engine.client()
    run(client, Request("restore", [layer(noise(64, 64))]))
    (worker,) = (psutil.Process(pid) for pid in engine.worker_pids())
    limit = worker.memory_info().vms + (220 << 20)
    worker.rlimit(psutil.RLIMIT_AS, (limit, limit))
    ended = answer(client, client.submit(Request("restore", [layer(noise(2100, 2100))])), 200)
    if isinstance(ended, Failed):
        assert ended.code == "OUT_OF_MEMORY"
    else:
        assert ended.facts["tile_px"] < 1024
    run(client, Request("restore", [layer(noise(64, 64))]))
    client.close()


@pytest.mark.parametrize("kind", ["link", "folder", "fifo"])
def test_something_else_at_the_lock_is_refused_and_not_touched(home: Path, kind: str) -> None:
    places.run_dir().mkdir(parents=True, mode=0o700)
    lock = places.run_dir() / "engine.lock"
    victim = home / "victim"
    victim.write_text("mine")
    make(kind, lock, victim)
    assert "is not a plain file" in serve_fails()
    assert victim.read_text() == "mine"


@pytest.mark.parametrize("kind", ["link", "folder", "fifo"])
def test_something_else_at_the_connection_file_harms_no_victim(home: Path, kind: str) -> None:
    places.run_dir().mkdir(parents=True, mode=0o700)
    victim = home / "victim"
    victim.write_text("mine")
    make(kind, places.connection_file(), victim)
    if kind == "folder":
        assert "cannot use its folder" in serve_fails()
    else:
        Engine().stop()
    assert victim.read_text() == "mine"


def make(kind: str, path: Path, victim: Path) -> None:
    if kind == "link":
        path.symlink_to(victim)
    elif kind == "folder":
        path.mkdir()
        (path / "content").touch()
    else:
        os.mkfifo(path)


def test_a_run_folder_that_is_a_link_is_refused(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    (tmp_path / "elsewhere").mkdir()
    places.run_dir().symlink_to(tmp_path / "elsewhere")
    assert "is not a folder of its own" in serve_fails()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_home_that_cannot_be_written_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALOTYPE_HOME", "/proc/nowhere")
    assert "CALOTYPE_HOME" in serve_fails()
    with pytest.raises(CalotypeError, match="CALOTYPE_HOME") as refused:
        launch.engine("test", sys.executable)
    assert refused.value.code == "NOT_STARTED"


def test_a_connection_file_left_by_a_dead_engine_never_blocks(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # somebody else's port by now
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        places.run_dir().mkdir(parents=True, mode=0o700)
        endpoint = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        connection.Connection(endpoint, "a" * 64, dead.pid, "0").save(places.connection_file())
        client = launch.engine("test", sys.executable)
        run(client, Request("identity", [PHOTO]))
        client.close()
        assert launch.stop()
        connection.Connection(endpoint, "a" * 64, dead.pid, "0").save(places.connection_file())
        assert launch.stop()
        assert not places.connection_file().exists()


def test_a_worker_that_can_no_longer_be_spawned_is_explained_and_the_engine_lives(start) -> None:
    engine = start("--unload-after", "0.5")
    client = engine.client()
    run(client, Request("identity", [PHOTO]))
    wait_for(lambda: not engine.worker_pids())
    logs = places.log_file().parent
    logs.rename(logs.with_name("moved"))
    logs.touch()  # the worker's log cannot be opened: as good as a Python that was deleted
    failed = fail(client, Request("identity", [PHOTO]))
    assert failed.code == "ENGINE_BROKEN"
    assert "install.py" in failed.sentence
    logs.unlink()
    logs.with_name("moved").rename(logs)
    run(client, Request("identity", [PHOTO]))
    client.close()


def test_an_engine_that_is_not_installed_is_explained(home: Path) -> None:
    with pytest.raises(CalotypeError, match=r"install\.py") as refused:
        launch.engine("editor")
    assert refused.value.code == "NOT_INSTALLED"
    home.mkdir()
    places.installation_file().write_text(json.dumps({"python": str(home / "gone" / "python")}))
    with pytest.raises(CalotypeError, match=r"install\.py"):
        launch.engine("editor")


def test_a_worker_that_cannot_start_ends_the_job_with_what_to_do(start, monkeypatch, tmp_path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "bad.py").write_text("import a_module_that_is_missing")
    monkeypatch.setenv("CALOTYPE_OPERATIONS", str(broken))
    client = start().client()
    failed = fail(client, Request("restore", [PHOTO]))
    assert failed.code == "ENGINE_BROKEN"
    assert "install.py" in failed.sentence
    client.close()


@pytest.fixture
def small_disk(tmp_path: Path):
    """A folder on a disk of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> None:
    with contextlib.suppress(OSError), (folder / "ballast").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(512))


def test_a_full_disk_under_the_log_does_not_stop_the_engine(small_disk: Path, monkeypatch, start) -> None:
    monkeypatch.setenv("CALOTYPE_HOME", str(small_disk))
    engine = Engine()
    client = engine.client()
    run(client, Request("identity", [PHOTO]))
    fill(small_disk)
    for _ in range(5):
        run(client, Request("identity", [PHOTO]))
    client.close()
    engine.stop()


def test_a_full_disk_at_the_start_is_explained(small_disk: Path, monkeypatch) -> None:
    monkeypatch.setenv("CALOTYPE_HOME", str(small_disk))
    places.run_dir().mkdir(parents=True)
    fill(small_disk)
    assert "No space left" in serve_fails()


def test_no_timer_of_engine_or_wire_looks_at_the_wall_clock() -> None:
    """A clock that jumps by years must end nothing: only time.monotonic() may be asked."""
    source = Path(__file__).parents[2] / "engine"
    guilty = [path.name for path in source.rglob("*.py") if "time.time()" in path.read_text()]
    assert guilty == []


LATE = """
from dataclasses import dataclass
from pathlib import Path
from calotype.ops.declare import operation

if "{name}" == "early":
    Path(__file__).with_name("late.py").write_text({late!r})

@operation("{name}", "Does nothing.")
@dataclass(frozen=True)
class {name}:
    def run(self, task):
        task.copy(task.layers[0], "{name}")
"""


def test_what_is_added_while_a_worker_starts_is_offered(
    start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "more"
    folder.mkdir()
    late = LATE.format(name="late", late="")
    (folder / "early.py").write_text(LATE.format(name="early", late=late))
    monkeypatch.setenv("CALOTYPE_OPERATIONS", str(folder))
    client = start().client()
    client.ask_catalogue()
    offered = {operation.name for operation in events_until(client, Catalogue, 60).operations}
    client.close()
    assert {"early", "late"} <= offered
