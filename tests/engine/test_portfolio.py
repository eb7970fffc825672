"""The user's styles on disk: no name, no crash and no full disk harms one that is there."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import styles
from calotype import catalogue, stylebook
from calotype.portfolio import shelf, stylefile, trainings
from calotype_wire import params, places
from calotype_wire.errors import CalotypeError


@pytest.fixture(autouse=True)
def _home(home: Path) -> None:
    home.mkdir(parents=True)


def complaint(work, *arguments: object) -> CalotypeError:
    with pytest.raises(CalotypeError) as caught:
        work(*arguments)
    return caught.value


def test_a_style_is_added_renamed_duplicated_and_deleted() -> None:
    assert shelf.add("Zoë's hand".replace("'", ""), styles.file()) == "Zoës hand"
    assert shelf.rename("zoës HAND", "My hand") == "My hand"
    assert shelf.duplicate("My hand") == "My hand 2"
    assert [kept.name for kept in shelf.kept()] == ["My hand", "My hand 2"]
    shelf.delete("My hand")
    assert shelf.own_names() == ["My hand 2"]
    assert shelf.get("My hand 2").data == styles.file()


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../up", "a/b", "a\\b", "C:x", "CON", "com1.x", "a\0b", "a\nb", "-", " a", "a:1", "a,b"],
)
def test_names_that_could_lead_elsewhere_are_refused(name: str) -> None:
    assert complaint(shelf.add, name, styles.file()).code == "BAD_PARAMETER"
    shelf.add("good", styles.file())
    assert complaint(shelf.rename, "good", name).code == "BAD_PARAMETER"
    assert [path.name for path in shelf.folder().glob("*.calostyle")] == ["good.calostyle"]


def test_a_name_is_taken_once_whatever_its_case_and_never_the_catalogues() -> None:
    shelf.add("Hand", styles.file())
    assert complaint(shelf.add, "hAND", styles.file()).code == "BAD_PARAMETER"
    assert complaint(shelf.add, "scream", styles.file()).code == "BAD_PARAMETER"
    assert complaint(shelf.rename, "Hand", "Kiss").code == "BAD_PARAMETER"
    assert shelf.rename("Hand", "HAND") == "HAND"
    assert shelf.free_name("hand") == "hand 2"
    assert shelf.free_name("?!") == "Style"


def test_what_is_not_there_is_named() -> None:
    for work in (shelf.get, shelf.delete, shelf.duplicate, trainings.discard):
        assert complaint(work, "nothing").code == "NO_STYLE"


def test_a_style_goes_out_and_comes_in_again(tmp_path: Path) -> None:
    shelf.add("Hand", styles.file())
    shelf.export_file("Hand", tmp_path)
    out = tmp_path / "Hand.calostyle"
    assert out.read_bytes() == styles.file()
    assert shelf.import_file(out) == "Hand 2"
    assert shelf.import_file(out, "Third") == "Third"
    (tmp_path / "bad.calostyle").write_bytes(out.read_bytes()[:-5])
    assert complaint(shelf.import_file, tmp_path / "bad.calostyle").code == "BAD_STYLE"
    assert len(shelf.kept()) == 3


def test_a_damaged_file_is_left_out_and_harms_no_other() -> None:
    shelf.add("Good", styles.file())
    shelf.file_of("Bad").write_bytes(b"no style")
    assert [kept.name for kept in shelf.kept()] == ["Good"]
    assert complaint(shelf.get, "Bad").code == "BAD_STYLE"
    shelf.delete("Bad")
    assert shelf.own_names() == ["Good"]


def test_a_link_in_the_folder_is_told_of_and_harms_no_other(tmp_path: Path) -> None:
    shelf.add("Good", styles.file())
    shelf.file_of("Link").symlink_to(tmp_path / "nowhere")
    assert [kept.name for kept in shelf.kept()] == ["Good"]
    assert "not a link" in shelf.damaged()["Link"]
    shelf.delete("Link")
    assert shelf.damaged() == {}


def test_a_renamed_style_takes_its_log_along_whatever_lies_there() -> None:
    shelf.add("Hand", styles.file())
    for name in ("Hand", "Arm"):  # the file of Arm was deleted by hand
        (trainings.logs_folder() / name).mkdir(parents=True)
        (trainings.logs_folder() / name / "log.csv").write_text(name)
    shelf.favour("Hand", True)
    shelf.rename("Hand", "Arm")
    assert (trainings.logs_folder() / "Arm" / "log.csv").read_text() == "Hand"
    assert shelf.favourites() == {"Arm"}


def test_what_is_unfinished_keeps_its_name() -> None:
    unfinished("Hand")
    shelf.add("Arm", styles.file())
    assert "unfinished" in complaint(shelf.rename, "Arm", "hand").sentence
    assert "unfinished" in complaint(shelf.add, "Hand", styles.file()).sentence
    assert shelf.free_name("hand") == "hand 2"
    assert shelf.add("Hand", styles.file(), learnt=True) == "Hand"


@pytest.mark.parametrize(
    "plan", ["torn", '{"level": "huge"}', "[1]", f'{{"level": "best", "seconds": {10**400}}}']
)
def test_a_damaged_training_is_listed_and_can_be_discarded(plan: str) -> None:
    run = unfinished("Hand")
    (run / "plan.json").write_text(plan)
    assert trainings.unfinished() == []
    (run / "lesson.safetensors").write_bytes(b"what there is to learn")
    assert [each["level"] for each in trainings.unfinished()] == ["damaged"]
    trainings.discard("hand")
    assert trainings.unfinished() == []


def test_a_name_that_no_system_could_keep_gets_a_number() -> None:
    assert shelf.free_name("con") == "con 2"


def test_a_path_that_is_too_long_is_told_of(tmp_path: Path) -> None:
    shelf.add("Hand", styles.file())
    long = tmp_path / ("x" * 300 + ".calostyle")
    assert complaint(shelf.import_file, long).code == "BAD_FILE"
    assert complaint(shelf.export_file, "Hand", long).code == "NOT_WRITTEN"


def test_a_name_is_given_other_cases_whatever_lies_there() -> None:
    shelf.add("Hand", styles.file())
    for name in ("Hand", "hand"):
        (trainings.logs_folder() / name).mkdir(parents=True, exist_ok=True)
        (trainings.logs_folder() / name / "log.csv").write_text(name)
    assert shelf.rename("Hand", "hand") == "hand"
    assert [path.name for path in trainings.logs_folder().iterdir()] == ["hand"]


def test_a_training_that_goes_on_is_no_news() -> None:
    run = unfinished("Hand")
    before = shelf.stamp()
    (run / "checkpoint.safetensors").write_bytes(b"new")
    assert shelf.stamp() == before
    with trainings.training("Hand"):
        assert shelf.stamp() != before
    assert shelf.stamp() == before
    unfinished("Arm")
    assert shelf.stamp() != before


def unfinished(name: str) -> Path:
    """A training's folder, as something has left it."""
    run = trainings.run_folder(name)
    run.mkdir(parents=True)
    (run / "plan.json").write_text('{"level": "standard", "seconds": 60}')
    return run


def test_favourites_come_first_and_follow_a_name() -> None:
    shelf.add("Hand", styles.file())
    shelf.favour("kiss", True)
    assert shelf.choices()[0][0] == "kiss"
    shelf.favour("Hand", True)
    shelf.rename("Hand", "Arm")
    assert {name for name, _ in shelf.choices()[:2]} == {"Arm", "kiss"}
    shelf.favour("kiss", False)
    shelf.delete("Arm")
    assert shelf.favourites() == frozenset()
    shelf.favourites_file().write_bytes(b"\xff{")
    assert shelf.favourites() == frozenset()


def test_a_list_is_full_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "COUNT_MAX", 2)
    shelf.add("a", styles.file())
    shelf.add("b", styles.file())
    assert "Export and delete" in complaint(shelf.add, "c", styles.file()).sentence


def test_the_catalogue_and_its_thumbnails_follow_the_shelf() -> None:
    operation = params.Operation("x", "X", "", (params.Style("style", "Style", "", "kiss"),))
    shelf.add("Hand", styles.file())
    (chosen,) = catalogue.with_styles([operation])[0].parameters
    assert chosen.check("Hand") == "Hand"
    catalogue.save_cached([operation], "")
    assert (places.swatches_dir() / "Hand.jpg").read_bytes() == shelf.get("Hand").thumbnail
    shelf.delete("Hand")
    catalogue.save_cached([operation], "")
    assert not (places.swatches_dir() / "Hand.jpg").exists()
    assert (places.swatches_dir() / "kiss.jpg").exists()
    with pytest.raises(CalotypeError):
        catalogue.with_styles([operation])[0].parameters[0].check("Hand")


def test_all_styles_that_may_be_kept_fit_a_message() -> None:
    longest = [
        (f"{k:03}" + "\N{CJK UNIFIED IDEOGRAPH-4E00}" * (shelf.NAME_CHARS_MAX - 3))
        for k in range(shelf.COUNT_MAX)
    ]
    choices = [(name, "") for name in longest] + [(s.name, s.label) for s in stylebook.catalogue()]
    size = len(json.dumps(choices, ensure_ascii=False).encode())
    assert size < 32 * 1024, "half of what a header takes"


SAVER = (
    "import sys; from pathlib import Path; from calotype_wire import atomic\n"
    "path, *others = map(Path, sys.argv[1:])\n"
    "files = [other.read_bytes() for other in others]\n"
    "i = 0\n"
    "while True:\n"
    "    i += 1; atomic.write(path, files[i % 2], 0o644); print(i, flush=True)\n"
)


def test_a_hundred_kills_while_saving_tear_nothing(tmp_path: Path) -> None:
    known = {level: tmp_path / level for level in ("standard", "fine")}
    for level, path in known.items():
        path.write_bytes(styles.file(level))
    shelf.add("Hand", styles.file("standard"))
    command = [sys.executable, "-c", SAVER, str(shelf.file_of("Hand")), *map(str, known.values())]
    found = set()
    for k in range(100):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as saver:
            assert saver.stdout is not None
            saver.stdout.readline()  # it saves, again and again
            time.sleep(0.0007 * (k % 13))
            saver.kill()
        found.add(stylefile.read(shelf.file_of("Hand")).card.level)
    assert found == set(known)
    assert [kept.name for kept in shelf.kept()] == ["Hand"], "what is left over of a save is no style"
    shelf.duplicate("Hand")
    assert not list(shelf.folder().glob(".*.tmp")), "and goes with the next change"


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_leaves_the_old_style_and_says_so(tmp_path: Path) -> None:
    shelf.folder().mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(shelf.folder())], check=True)
    try:
        unfinished("Foot")
        shelf.add("Hand", styles.file())
        shelf.add("Arm", styles.file())
        for _ in range(3):
            assert "Free some disk space" in complaint(shelf.add, "Leg", styles.file()).sentence
        assert [kept.name for kept in shelf.kept()] == ["Arm", "Hand"]
        assert shelf.get("Hand").data == styles.file()
        assert not [path for path in shelf.folder().iterdir() if path.name.endswith(".tmp")]
        subprocess.run(["mount", "-o", "remount,ro", str(shelf.folder())], check=True)
        assert "could not be written" in complaint(shelf.delete, "Hand").sentence
        assert [kept.name for kept in shelf.kept()] == ["Arm", "Hand"]
        assert [each["running"] for each in trainings.unfinished()] == [False]
    finally:
        subprocess.run(["umount", str(shelf.folder())], check=True)


def test_one_training_of_a_name_at_a_time() -> None:
    unfinished("Hand")
    with trainings.training("Hand"):
        assert trainings.unfinished()[0]["running"]
        assert complaint(trainings.discard, "Hand").code == "BUSY"
        codes: list[str] = []
        other = threading.Thread(target=lambda: codes.append(complaint(trainings.discard, "Hand").code))
        other.start()
        other.join()
        assert codes == ["BUSY"]
    assert not trainings.unfinished()[0]["running"]
    trainings.discard("Hand")
    assert trainings.unfinished() == []
