"""install.py, run as a user runs it. One test installs everything; the others end before that."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from calotype_setup import engine
from installation.installer import SOURCE, wait_for


@pytest.mark.timeout(900)
def test_an_installation_survives_crashes_and_upgrades_and_leaves_only_models(installer, tmp_path):
    checkout = tmp_path / "Île de la Cité 代码"
    skipped = shutil.ignore_patterns("__pycache__", "runs", ".*")
    for name in ("engine", "plugin_krita", "plugin_gimp"):
        shutil.copytree(SOURCE / name, checkout / name, ignore=skipped)
    for name in ("install.py", "pyproject.toml", "README.md"):
        shutil.copy(SOURCE / name, checkout)
    installer.source, home = checkout, installer.home

    # the record comes last, and means the same from every folder
    with installer.start(cwd=tmp_path, CALOTYPE_HOME=home.name) as process:
        wait_for(home / "env-1")
        assert not installer.record.exists()
        assert "is installed" in process.communicate()[0]
    assert process.returncode == 0
    assert (home / "catalogue.json").exists()

    # again is cheap
    record = installer.record.read_bytes()
    assert "installed already" in installer()
    assert installer.record.read_bytes() == record

    # a crash in an upgrade leaves the former installation
    for name in ("models", "styles"):
        (home / name).mkdir()
        (home / name / "mine.safetensors").write_text(name)
    with installer.start("--force") as process:
        wait_for(home / "env-2" / "tmp")
        os.killpg(process.pid, signal.SIGKILL)
    assert installer.record.read_bytes() == record
    assert re.search(r"PSNR \d+", installer("demo", "--out", tmp_path / "démo 1"))
    older_engine = installer.engine_pid()
    assert "missing" not in installer("doctor")

    # an upgrade takes over and sweeps
    installer("--force")
    assert installer.environments() == ["env-2"]
    assert not engine.is_engine(older_engine)
    assert (home / "models" / "mine.safetensors").read_text() == "models"

    # and so does the way out
    photo = tmp_path / "démo 1" / "before.png"
    assert "after:" in installer("demo", photo, "--out", tmp_path / "démo 2")
    newer_engine = installer.engine_pid()
    assert f"process {newer_engine}" in installer("doctor")
    said = installer("uninstall")
    assert not engine.is_engine(newer_engine)
    assert "env-2" in said
    assert "Kept there: models, styles" in said
    assert sorted(path.name for path in home.iterdir()) == ["models", "styles"]


def test_everything_means_models_and_styles_too_but_nobody_elses_files(installer):
    for name in ("models", "styles", "run"):
        (installer.home / name).mkdir(parents=True)
    (installer.home / "diary.txt").touch()
    assert "Kept there: diary.txt" in installer("uninstall", "--everything")
    assert [path.name for path in installer.home.iterdir()] == ["diary.txt"]


def test_uninstalling_nothing_says_so_and_makes_nothing(installer):
    assert "There is no installation" in installer("uninstall")
    assert not installer.home.exists()


@pytest.mark.parametrize("words", [["instal"], ["--forse"], ["doctor", "--quick"]])
def test_an_unknown_word_is_named(installer, words):
    assert words[-1] in installer(*words, status=2)


def test_a_half_finished_environment_is_not_an_installation(installer):
    (installer.home / "env-1" / "bin").mkdir(parents=True)
    (installer.home / "env-1" / "bin" / "python").symlink_to(sys.executable)
    assert "missing engine: run: python3 install.py" in installer("doctor", status=1)


def offline():
    """pip without an index and without the settings of this machine."""
    return {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""}


def test_an_installation_that_lost_its_libraries_is_broken_and_a_failed_repair_leaves_it(installer):
    python = installer.home / "env-1" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", python.parent.parent], check=True)
    record = {"python": str(python), "version": "1", "source": engine.source_hash()}
    installer.record.write_text(json.dumps(record))
    assert "broken  engine: ModuleNotFoundError" in installer("doctor", status=1)

    said = installer(status=1, **offline())
    assert "pip could not install PyTorch" in said
    assert f"The whole log: {installer.home / 'log' / 'install.log'}" in said
    assert installer.environments() == ["env-1"]
    assert json.loads(installer.record.read_text()) == record


def test_an_installation_that_lost_pytorch_is_repaired_although_the_catalogue_is_cached(installer):
    env = installer.home / "env-1"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", env], check=True)
    python = str(env / "bin" / "python")
    find = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(find, capture_output=True, text=True, check=True).stdout.strip())
    theirs = sysconfig.get_path("purelib")
    (packages / "shared.pth").write_text(f"import site; site.addsitedir({theirs!r})")
    (packages / "torch.py").write_text("raise ImportError('libtorch_cpu.so: file too short')")
    surroundings = {**os.environ, "CALOTYPE_HOME": str(installer.home)}
    for each in (sys.executable, python):  # the second one reads what the first one wrote
        subprocess.run(
            [each, "-m", "calotype", "operations"], env=surroundings, check=True, capture_output=True
        )
    installer.record_as(python)
    assert "broken  PyTorch: ImportError: libtorch_cpu.so" in installer("doctor", status=1)
    assert "installed already" not in installer(status=1, **offline())


def test_what_a_dead_installer_left_is_swept_by_the_next_one(installer):
    (installer.home / "env-7" / "bin").mkdir(parents=True)
    installer.record_as(sys.executable)
    assert "installed already" in installer()
    assert installer.environments() == []


def test_a_folder_of_the_users_does_not_take_the_engines_place(installer, tmp_path):
    installer.home.mkdir()
    installer.record_as(sys.executable)
    (tmp_path / "calotype").mkdir()
    (tmp_path / "calotype" / "__init__.py").write_text("raise SystemExit('not the engine')")
    assert "not the engine" not in installer("doctor", cwd=tmp_path)


def test_an_environment_without_its_python_is_broken(installer):
    installer.home.mkdir()
    record = {"python": str(installer.home / "env-1/bin/python"), "version": "1", "source": "1"}
    installer.record.write_text(json.dumps(record))
    assert "is gone; run: python3 install.py --force" in installer("doctor", status=1)


def test_a_home_that_cannot_be_written_is_one_sentence(installer):
    installer.home.touch()  # modes do not bind root, a file in the way does
    for command in ([], ["demo"]):
        said = installer(*command, status=1)
        assert said.count("\n") == 1
        assert "set CALOTYPE_HOME to another folder" in said
    assert "broken  data folder" in installer("doctor", status=1)


def test_a_full_disk_is_said_before_anything_is_downloaded(installer):
    installer.home.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(installer.home)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("only root may mount a small disk")
    try:
        assert "The disk is too full" in installer(status=1)
        assert installer.environments() == []
    finally:
        subprocess.run(["umount", str(installer.home)], check=True)


def test_two_installers_do_not_get_in_each_others_way(installer):
    installer.home.mkdir()
    with engine.alone(installer.home):
        assert "Another install.py is at work" in installer(status=1)


def test_an_engine_whose_environment_is_broken_ends_by_its_process(installer):
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "calotype"])
    connect(installer.home, process.pid)
    installer("uninstall")
    assert process.wait(10) == -signal.SIGTERM


def test_a_process_that_only_inherited_the_engines_number_lives_on(installer):
    with subprocess.Popen(["sleep", "60"]) as process:
        connect(installer.home, process.pid)
        installer("uninstall")
        assert process.poll() is None
        process.kill()


def connect(home, pid):
    (home / "run").mkdir(parents=True)
    fields = {"endpoint": "tcp://127.0.0.1:9", "token": "0" * 64, "pid": pid, "engine": "1"}
    (home / "run" / "connection.json").write_text(json.dumps(fields))
