"""install.py, run as a user runs it. One test installs everything; the others end before that."""

import ast
import contextlib
import functools
import hashlib
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
import time
import zipfile
from pathlib import Path

import pytest

from calotype_setup import engine, environment

SOURCE = Path(__file__).resolve().parent.parent
ODD = "mes données 照片"


class Installer:
    """install.py of a checkout, with a CALOTYPE_HOME of its own, and a HOME without editors beside it."""

    def __init__(self, home, source=SOURCE):
        self.home, self.source = home, source
        self.record = home / "installation.json"

    def surroundings(self):
        user = self.home.with_name("user")
        cache, pip = Path.home() / ".cache", Path.home() / ".config" / "pip" / "pip.conf"
        return {
            "CALOTYPE_HOME": str(self.home),
            "PYTHONUTF8": "1",
            "HOME": str(user),
            "XDG_CONFIG_HOME": str(user / ".config"),
            "XDG_DATA_HOME": str(user / ".local" / "share"),
            "FLATPAK_SYSTEM_DIR": str(user / "flatpak"),
            "FLATPAK_USER_DIR": str(user / "flatpak"),
            "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(cache)),  # what pip has downloaded
            "PIP_CONFIG_FILE": os.environ.get("PIP_CONFIG_FILE", str(pip)),
        }

    def start(self, *arguments, python=(sys.executable,), cwd=None, **more):
        return subprocess.Popen(
            [*python, str(self.source / "install.py"), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            env={**os.environ, **self.surroundings(), **more},
            start_new_session=True,
            cwd=cwd,
        )

    def __call__(self, *arguments, status=0, **more):
        with self.start(*arguments, **more) as process:
            said, _ = process.communicate()
        assert process.returncode == status, said
        assert "Traceback" not in said
        return said

    def record_as(self, python):
        facts = {"python": python, "version": "1", "source": engine.source_hash()}
        self.record.write_text(json.dumps(facts))

    def environments(self):
        return sorted(path.name for path in self.home.glob("env-*"))

    def engine_pid(self):
        return json.loads((self.home / "run" / "connection.json").read_text())["pid"]


@pytest.fixture
def installer(tmp_path):
    yield Installer(tmp_path / ODD)
    with contextlib.suppress(AssertionError):
        Installer(tmp_path / ODD)("uninstall")
    shutil.rmtree(tmp_path, ignore_errors=True)  # a gigabyte, where a test failed


def wait_for(path):
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.01)


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


# Old Pythons


def test_install_py_parses_on_python_3_8():
    ast.parse((SOURCE / "install.py").read_text("utf-8"), feature_version=(3, 8))


AGED = """
import runpy, sys
sys.version_info, sys.argv = (3, 9, 1), sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(params=["real", "pretended"])
def old_python(request):
    if request.param == "pretended":
        return sys.executable, "-c", AGED
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    known = [shutil.which("python3.8"), shutil.which("python3.9"), *root.glob("versions/3.[89].*/bin/python")]
    for python in filter(None, known):
        if subprocess.run([python, "-c", ""], capture_output=True).returncode == 0:
            return (str(python),)
    return pytest.skip("no Python 3.8 or 3.9 here")


def test_an_old_python_alone_says_what_is_needed(installer, old_python):
    said = installer(python=old_python, PATH="", status=1)
    assert "needs Python 3.10 or newer" in said
    assert said.count("\n") == 1
    assert "broken  Python" in installer("doctor", python=old_python, status=1)


def test_an_old_python_hands_over_to_a_newer_one(installer, old_python, tmp_path):
    (tmp_path / "python3.11").symlink_to(sys.executable)
    installer.home.touch()
    said = installer(python=old_python, PATH=str(tmp_path), status=1)
    assert f"going on with {tmp_path / 'python3.11'}" in said
    assert "set CALOTYPE_HOME" in said  # of the newer one


# What pip is asked for


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """The Python of an environment with nothing but pip."""
    folder = tmp_path_factory.mktemp("bare")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            environment.importlib.util, "find_spec", lambda name: None
        )  # Debian without python3-venv
        return environment.create(folder / "env", folder / "install.log")


def test_an_environment_gets_its_pip_where_ensurepip_is_missing(bare):
    said = subprocess.run([bare, "-m", "pip", "--version"], capture_output=True, text=True, check=True).stdout
    assert str(Path(bare).parent.parent) in said


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A package index of one's own: index(name of a wheel) adds it and gives its path."""
    folder = tmp_path / "simple"
    handler = functools.partial(Quiet, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    yield functools.partial(publish, folder)
    server.shutdown()
    thread.join()
    server.server_close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass


def publish(folder, name):
    project, version = name.split("-")[:2]
    path = folder / project / name
    path.parent.mkdir(parents=True)
    facts = f"{project}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{facts}/METADATA", f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n")
        wheel.writestr(f"{facts}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{facts}/RECORD", "")
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    page = f'<!DOCTYPE html><html><body><a href="{name}#sha256={checksum}">{name}</a></body></html>'
    (path.parent / "index.html").write_text(page)
    return path


without_gpu = pytest.mark.skipif(
    environment.nvidia() or sys.platform != "linux", reason="Linux without a GPU only"
)


@without_gpu
@pytest.mark.parametrize(
    ("version", "asked"),
    [
        (environment.TORCH, [f"torch=={environment.TORCH}+cpu", "--index-url", environment.TORCH_CPU_INDEX]),
        (f"{environment.TORCH}+cpu", [f"torch=={environment.TORCH}"]),
    ],
)
def test_a_machine_without_gpu_never_asks_for_cuda(bare, index, version, asked):
    index(f"torch-{version}-py3-none-any.whl")
    assert environment.torch_arguments(bare) == asked


@without_gpu
def test_a_wheel_that_lies_on_the_disk_comes_first(bare, index, monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", str(index(f"torch-{environment.TORCH}-py3-none-any.whl").parent))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert environment.torch_arguments(bare) == [f"torch=={environment.TORCH}"]


def test_a_fetched_pip_is_the_one_that_the_index_means(index, tmp_path):
    path = index(f"pip-{environment.PIP}-py3-none-any.whl")
    assert environment.pip_wheel(tmp_path).read_bytes() == path.read_bytes()
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match="damaged"):
        environment.pip_wheel(tmp_path)
