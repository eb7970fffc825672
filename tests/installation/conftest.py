"""A source that tests may change, a user without editors, and an installer."""

import contextlib
import shutil
import sys

import pytest

from calotype_setup import editors, engine
from calotype_wire import places
from installation.installer import SOURCE, Installer

ODD = "mes données 照片"
PLACEHOLDERS = {
    "plugin_krita/calotype_krita.desktop": "[Desktop Entry]\nX-KDE-Library=calotype_krita\nName=Calotype\n",
    "plugin_krita/calotype_krita.action": "<ActionCollection/>\n",
    "plugin_krita/calotype_krita/__init__.py": "",
    "plugin_gimp/calotype/calotype.py": "",
}


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A copy of this source that a test may change."""
    copy = tmp_path / "Île de la Cité 代码"
    skipped = shutil.ignore_patterns("__pycache__")
    for folder in ("plugin_krita", "plugin_gimp", "engine/calotype_wire"):
        with contextlib.suppress(FileNotFoundError):
            shutil.copytree(SOURCE / folder, copy / folder, ignore=skipped)
    for name, text in PLACEHOLDERS.items():  # while a plugin is not written yet
        if not (copy / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_text(text)
    monkeypatch.setattr(editors, "SOURCE", copy)
    return copy


@pytest.fixture
def home(tmp_path, monkeypatch, source):
    """A user without editors."""
    home = tmp_path / "Zoë's home"
    (home / "bin").mkdir(parents=True)
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", str(home / "bin"))
    monkeypatch.setenv("CALOTYPE_HOME", str(home / ".local/share/calotype"))
    monkeypatch.setenv("FLATPAK_SYSTEM_DIR", str(home / "system flatpaks"))
    monkeypatch.setenv("FLATPAK_USER_DIR", str(home / "flatpaks"))
    return home


@pytest.fixture(scope="session")
def msgpack():
    return engine.msgpack(sys.executable)


@pytest.fixture
def vendor(home, msgpack):
    return editors.vendored(msgpack, places.data_dir())


@pytest.fixture
def installer(tmp_path):
    yield Installer(tmp_path / ODD)
    with contextlib.suppress(AssertionError):
        Installer(tmp_path / ODD)("uninstall")
    shutil.rmtree(tmp_path, ignore_errors=True)  # a gigabyte, where a test failed
