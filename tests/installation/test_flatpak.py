"""Editors in a sandbox of Flatpak's, which may hide the engine from them."""

import json
import sys
from pathlib import Path

import pytest

from calotype_setup import flatpak
from calotype_wire import launch, places
from calotype_wire.errors import CalotypeError

KRITA = (
    "[Application]\nname=org.kde.krita\n\n[Context]\nshared=network;ipc;\nfilesystems=xdg-run/gvfs;host;\n"
)


def make_flatpak(home, app="org.kde.krita", metadata=KRITA):
    active = home / "system flatpaks/app" / app / "current/active"
    active.mkdir(parents=True)
    (active / "metadata").write_text(metadata)


def override(home, text, name="org.kde.krita"):
    (home / "flatpaks/overrides").mkdir(parents=True, exist_ok=True)
    (home / "flatpaks/overrides" / name).write_text(text)


def test_a_flatpak_reaches_the_engine_but_cannot_start_it(home):
    make_flatpak(home)
    ((state, name, sentence),) = flatpak.states(places.data_dir())
    assert (state, name) == ("ok", "Krita (Flatpak) sandbox")
    assert "python3 install.py serve" in sentence


@pytest.mark.parametrize("name", ["org.kde.krita", "global"])
def test_a_flatpak_without_network_is_told_the_command_that_gives_it_back(home, name):
    make_flatpak(home)
    override(home, "[Context]\nshared=!network;\n", name)
    ((state, _, sentence),) = flatpak.states(places.data_dir())
    assert state == "broken"
    assert "flatpak override --user --share=network org.kde.krita" in sentence
    override(home, "[Context]\nshared=network;\n")  # what that command writes
    assert flatpak.states(places.data_dir())[0][0] == "ok"


def test_a_flatpak_that_does_not_see_calotypes_folder_is_told_the_command_that_shows_it(home):
    make_flatpak(home)
    override(home, "[Context]\nfilesystems=!host;xdg-pictures;\n")
    ((state, _, sentence),) = flatpak.states(places.data_dir())
    assert state == "broken"
    assert f"flatpak override --user '--filesystem={places.data_dir()}' org.kde.krita" in sentence.replace(
        "'\"'\"'", "'"
    )
    override(home, f"[Context]\nfilesystems=!host;{places.data_dir()}:ro;\n")
    assert flatpak.states(places.data_dir())[0][0] == "ok"
    override(home, "[Context]\nfilesystems=!host;home;\n")
    assert flatpak.states(places.data_dir())[0][0] == "ok"
    assert flatpak.states(Path("/srv/calotype"))[0][0] == "broken"


def test_in_a_flatpak_the_engine_is_asked_of_the_user(home, tmp_path, monkeypatch):
    places.data_dir().mkdir(parents=True)
    record = {"python": sys.executable, "version": "1", "source": "1"}
    places.installation_file().write_text(json.dumps(record))
    assert launch.engine_python() == sys.executable
    monkeypatch.setattr(launch, "FLATPAK", tmp_path)
    with pytest.raises(CalotypeError, match=r"python3 install\.py serve") as refused:
        launch.engine_python()
    assert refused.value.code == "SANDBOXED"
