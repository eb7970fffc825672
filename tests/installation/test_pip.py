"""What pip is asked for, and where pip itself comes from."""

import functools
import hashlib
import http.server
import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from calotype_setup import environment


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
