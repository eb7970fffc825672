"""The connection file and the folders around it: private, whole, and never written through a link."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from calotype_wire import atomic, connection, places
from calotype_wire.connection import Connection

ENGINE = Connection("tcp://127.0.0.1:5", "a" * 64, 17, "0.1.0")


def test_the_file_is_private_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "connection.json"
    ENGINE.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert connection.load(path) == ENGINE


def test_a_link_in_its_place_is_replaced_and_its_target_untouched(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    path = tmp_path / "connection.json"
    path.symlink_to(victim)
    assert connection.load(path) is None
    ENGINE.save(path)
    assert victim.read_text() == "mine"
    assert not path.is_symlink()


def test_a_fifo_in_its_place_neither_hangs_nor_loads(tmp_path: Path) -> None:
    path = tmp_path / "connection.json"
    os.mkfifo(path)
    assert connection.load(path) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        "{",
        '{"endpoint": 1, "token": 2, "pid": 3, "engine": 4}',
        json.dumps({"endpoint": "e", "token": "t", "pid": True, "engine": "x"}),
        "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    ],
)
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "connection.json"
    path.write_text(text, encoding="latin-1")
    assert connection.load(path) is None


def test_a_folder_that_others_can_read_is_narrowed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    places.make_private(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_is_a_link_or_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "file").touch()
    for name in ("link", "file"):
        with pytest.raises(PermissionError):
            places.make_private(tmp_path / name)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    os.chown(folder, 12345, 12345)
    with pytest.raises(PermissionError):
        places.make_private(folder)


def test_a_writer_killed_at_random_times_leaves_old_or_new_but_never_torn(tmp_path: Path) -> None:
    path = tmp_path / "style"
    path.write_bytes(b"0" * 400_000)
    code = (
        "import sys; from pathlib import Path; from calotype_wire import atomic\n"
        "i = 0\n"
        "while True:\n"
        "    i += 1; atomic.write(Path(sys.argv[1]), str(i % 10).encode() * 400_000)\n"
    )
    for round_ in range(10):
        writer = subprocess.Popen([sys.executable, "-c", code, str(path)])
        try:
            writer.wait(0.2 + 0.013 * round_)
        except subprocess.TimeoutExpired:
            pass
        writer.kill()
        writer.wait()
        data = path.read_bytes()
        assert len(data) == 400_000
        assert len(set(data)) == 1


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.json"
    path.write_text("old")
    with pytest.raises(TypeError):
        atomic.write(path, "text is not bytes")  # type: ignore[arg-type]
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["catalogue.json"]
