"""install.py where the engine is there already: it serves editors, makes the zip, and starts the engine."""

import os
import signal
import sys
import time
import zipfile

import pytest

from calotype_setup import engine
from installation.homes import tree
from installation.installer import Installer, wait_for


@pytest.fixture
def installer(tmp_path):
    """With an engine that is there already: the one that runs these tests."""
    installer = Installer(tmp_path / "mes données")
    installer.home.mkdir()
    installer.record_as(sys.executable)
    yield installer
    installer("uninstall")


def test_the_command_serves_every_editor_says_so_and_cleans_up(installer, tmp_path, source):
    user = tmp_path / "user"
    (user / ".local/share/krita").mkdir(parents=True)
    (user / ".config/GIMP/3.0/plug-ins").mkdir(parents=True)
    (user / ".config/GIMP/3.2").mkdir(parents=True)
    (user / ".config/GIMP/3.2/plug-ins").write_text("a file in the way")
    before = tree(user)
    said = installer(status=1, PATH="")
    assert "Krita: plugin installed; restart it" in said
    assert "GIMP 3.0: plugin installed" in said
    assert "3.2/plug-ins" in said.replace("\n", "")
    (user / ".config/GIMP/3.2/plug-ins").unlink()
    said = installer(PATH="")
    assert "Krita: plugin is up to date" in said
    assert "GIMP 3.2: plugin installed" in said
    said = installer("doctor", PATH="")
    assert said.count("ok      GIMP 3.") == 2
    assert f"ok      Krita: plugin in {user}" in said
    said = installer("uninstall", PATH="")
    assert "Removed the plugin of Krita" in said
    before[".config/GIMP/3.2/plug-ins"] = "folder"
    (user / ".config/GIMP/3.2/plug-ins").mkdir(exist_ok=True)
    assert tree(user) == before


def test_the_zip_is_made_by_one_command(installer, tmp_path):
    said = installer("krita-zip", tmp_path / "plugin.zip")
    assert "Import Python Plugin from File" in said
    assert zipfile.is_zipfile(tmp_path / "plugin.zip")


def test_an_engine_for_sandboxed_editors_runs_until_ctrl_c(installer):
    connection = installer.home / "run" / "connection.json"
    with installer.start("serve") as process:
        wait_for(connection)
        engine_pid = installer.engine_pid()
        os.killpg(process.pid, signal.SIGINT)
        assert "until Ctrl-C" in process.communicate()[0]
    assert process.returncode == 130
    deadline = time.monotonic() + 10
    while engine.is_engine(engine_pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not engine.is_engine(engine_pid)


def test_there_is_nothing_to_serve_before_the_installation(tmp_path):
    assert "Run: python3 install.py" in Installer(tmp_path / "nothing")("serve", status=1)
