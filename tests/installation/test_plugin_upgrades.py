"""Plugins that are already there: upgraded, damaged, switched off, moved."""

import os
import subprocess
import sys
import time

import pytest

from calotype_setup import editors, gimp, krita, kritarc
from calotype_wire import places
from installation.homes import make_linux, profiles, script, tree
from installation.installer import SOURCE


def test_a_newer_source_replaces_the_whole_plugin(home, vendor, source):
    make_linux(home)
    for profile in profiles():
        profile.install(vendor)
    for name in ("plugin_krita/calotype_krita", "plugin_gimp/calotype"):
        (source / name / "newer.py").write_text("")
    assert {profile.state(vendor)[0] for profile in profiles()} == {"broken"}
    assert all(profile.install(vendor) for profile in profiles())
    for name in ("plugin_krita/calotype_krita", "plugin_gimp/calotype"):
        (source / name / "newer.py").unlink()
    assert all(profile.install(vendor) for profile in profiles())
    assert not list(home.rglob("newer.py"))
    assert {profile.state(vendor)[0] for profile in profiles()} == {"ok"}


def test_what_python_writes_beside_the_plugin_neither_counts_nor_stays(home, vendor):
    make_linux(home)
    before = tree(home)
    for profile in profiles():
        profile.install(vendor)
    for plugin in [*home.rglob("calotype"), *home.rglob("calotype_krita")]:
        (plugin / "__pycache__").mkdir()
        (plugin / "__pycache__/calotype.cpython-313.pyc").write_bytes(b"\0")
    assert {profile.state(vendor)[0] for profile in profiles()} == {"ok"}
    assert all(profile.uninstall() for profile in profiles())
    assert tree(home) == before


@pytest.mark.parametrize("harm", ["cut", "gone", "home"])
def test_a_damaged_plugin_is_seen_and_repaired(home, vendor, harm):
    make_linux(home)
    profile = gimp.profiles()[0]
    profile.install(vendor)
    if harm == "cut":
        (profile.plugin / "vendor/calotype_wire/zmtp.py").write_text("")
    elif harm == "gone":
        (profile.plugin / "vendor/msgpack/fallback.py").unlink()
    else:
        (profile.plugin / "vendor/calotype_wire/home.txt").write_text("/somewhere/else\n")
    assert profile.state(vendor)[0] == "broken"
    assert profile.install(vendor)
    assert profile.state(vendor)[0] == "ok"


def test_without_an_engine_the_rest_of_the_plugin_is_still_compared(home, vendor):
    make_linux(home)
    profile = gimp.profiles()[0]
    profile.install(vendor)
    bare = editors.vendored(None, places.data_dir())
    assert profile.state(bare)[0] == "ok"
    (profile.plugin / "vendor/calotype_wire/zmtp.py").unlink()
    assert profile.state(bare)[0] == "broken"


def test_a_gimp_script_without_its_execute_bit_is_seen(home, vendor):
    make_linux(home)
    profile = gimp.profiles()[0]
    profile.install(vendor)
    (profile.plugin / "calotype.py").chmod(0o644)
    assert "not executable" in profile.state(vendor)[2]
    assert profile.install(vendor)
    assert profile.state(vendor)[0] == "ok"


def test_a_plugin_that_was_switched_off_in_krita_is_seen(home, vendor):
    make_linux(home)
    profile = krita.profiles()[1]
    profile.install(vendor)
    profile.settings.write_bytes(
        profile.settings.read_bytes().replace(b"calotype_krita=true", b"calotype_krita=false")
    )
    assert "switched off" in profile.state(vendor)[2]


PLACE = """
import sys
from pathlib import Path
from calotype_setup import editors
contents = [{f"{n}.py": bytes([i]) * 4096 for n in range(40)} for i in (0, 1)]
for turn in range(10**9):
    editors.place(Path(sys.argv[1]), contents[turn % 2], [])
    if not turn:
        print("at work", flush=True)
"""


def test_whenever_the_installer_is_killed_the_plugin_is_whole(tmp_path):
    folder = tmp_path / "calotype"
    whole = [{f"{n}.py": bytes([i]) * 4096 for n in range(40)} for i in (0, 1)]
    command = [sys.executable, "-c", PLACE, str(folder)]
    surroundings = {**os.environ, "PYTHONPATH": str(SOURCE / "engine")}
    for turn in range(16):
        with subprocess.Popen(command, env=surroundings, stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"at work\n"
            time.sleep(turn * 0.0017)
            process.kill()
        assert any(editors.same(folder, content) for content in whole)
    editors.withdraw(folder)
    assert list(tmp_path.iterdir()) == []


def test_where_names_cannot_be_exchanged_a_failure_brings_the_old_plugin_back(tmp_path, monkeypatch):
    folder, staged = tmp_path / "calotype", tmp_path / ".calotype.new"
    folder.mkdir()
    (folder / "old.py").touch()
    monkeypatch.setattr(editors, "exchange", lambda one, other: False)
    with pytest.raises(FileNotFoundError):
        editors.swap(staged, folder)
    assert editors.read(folder) == {"old.py": b""}
    staged.mkdir()
    editors.swap(staged, folder)
    assert editors.read(folder) == {}


def test_a_link_to_settings_kept_elsewhere_stays_a_link(home, vendor):
    make_linux(home)
    (home / "dotfiles").mkdir()
    (home / ".config/kritarc").rename(home / "dotfiles/kritarc")
    (home / ".config/kritarc").symlink_to(home / "dotfiles/kritarc")
    before = tree(home)
    for profile in krita.profiles():
        profile.install(vendor)
    assert kritarc.enabled((home / "dotfiles/kritarc").read_bytes())
    for profile in krita.profiles():
        profile.uninstall()
    assert tree(home) == before


def test_a_moved_resource_folder_is_served_and_the_former_one_cleaned(home, vendor):
    make_linux(home)
    settings = home / ".config/kritarc"
    native = krita.profiles()[1]
    native.install(vendor)
    moved = home / "Kräuter"
    settings.write_bytes(f"ResourceDirectory={moved}\n".encode() + settings.read_bytes())
    assert [profile.folder for profile in krita.profiles()][1] == moved
    krita.profiles()[1].install(vendor)
    assert (moved / "pykrita/calotype_krita.desktop").exists()
    for profile in krita.everywhere():
        profile.uninstall()
    assert not list(home.rglob("calotype_krita*"))
    assert not moved.exists()


def test_what_moved_into_our_folders_stays(home, vendor):
    script(home / "bin/krita", "")
    (profile,) = krita.profiles()
    profile.install(vendor)
    (profile.folder / "actions/other.action").write_text("")
    profile.settings.write_bytes(profile.settings.read_bytes() + b"x=1\n")
    profile.uninstall()
    left = [str(path.relative_to(home)) for path in sorted(home.rglob("*")) if path.is_file()]
    assert left == [".config/kritarc", ".local/share/krita/actions/other.action", "bin/krita"]
    assert profile.settings.read_bytes() == b"[python]\nx=1\n"
