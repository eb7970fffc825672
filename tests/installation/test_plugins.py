"""The plugins on their way into Krita and GIMP, and out again: real folders, real files, fake homes."""

import ast
import os
import subprocess
import sys

from calotype_setup import editors, krita
from calotype_wire import launch, places
from installation.homes import make_linux, profiles, script, tree


def test_every_profile_gets_its_plugin_and_gives_it_back_without_a_trace(home, vendor):
    expected = make_linux(home)
    before = tree(home)
    assert [str(profile) for profile in profiles()] == expected
    assert {profile.state(vendor)[0] for profile in profiles()} == {"missing"}
    assert all(profile.install(vendor) for profile in profiles())
    assert {profile.state(vendor)[0] for profile in profiles()} == {"ok"}
    after = tree(home)
    assert not any(profile.install(vendor) for profile in profiles())
    assert tree(home) == after
    assert all(profile.uninstall() for profile in profiles())
    assert tree(home) == before
    assert not any(profile.uninstall() for profile in profiles())


def test_what_the_editors_remembered_for_us_goes_with_the_plugins(home, vendor):
    make_linux(home)
    settings = home / ".config/GIMP/3.0/plug-in-settings"
    settings.mkdir()
    (settings / "GimpProcedureConfigRun-file-png-load.last").write_text("(quality 1)")
    before = tree(home)
    for profile in profiles():
        profile.install(vendor)
    (settings / "GimpProcedureConfigRun-plug-in-calotype-restore.last").write_text("(strength 100)")
    kritarcs = home / ".config/kritarc", home / ".var/app/org.kde.krita/config/kritarc"
    for path in kritarcs:
        path.write_bytes(path.read_bytes() + b"\n[MainWindow][DockWidget calotype]\nheight=200\n")
        path.write_bytes(path.read_bytes() + b'\n[calotype]\nrestore={"strength": 100.0}\n')
    assert all(profile.uninstall() for profile in profiles())
    assert tree(home) == before
    assert not any(profile.uninstall() for profile in profiles())


def test_the_files_lie_where_the_editors_look(home, vendor):
    make_linux(home)
    for profile in profiles():
        profile.install(vendor)
    for data, settings in (
        (".local/share", ".config"),
        (".var/app/org.kde.krita/data", ".var/app/org.kde.krita/config"),
    ):
        for name in (
            "pykrita/calotype_krita.desktop",
            "pykrita/calotype_krita/__init__.py",
            "actions/calotype_krita.action",
        ):
            assert (home / data / "krita" / name).is_file()
        assert (
            b"\n[python]\nenable_calotype_krita=true\n" in b"\n" + (home / settings / "kritarc").read_bytes()
        )
    assert (home / ".config/kritarc").stat().st_mode & 0o777 == 0o640
    for version in ("3.0", "3.2"):
        plugin = home / ".config/GIMP" / version / "plug-ins/calotype"
        assert os.access(plugin / "calotype.py", os.X_OK)
        assert (plugin / "vendor/calotype_wire/home.txt").read_text("utf-8") == f"{places.data_dir()}\n"
    assert not (home / ".config/GIMP/2.10/plug-ins/calotype").exists()


def test_no_compiled_code_goes_into_an_editor_and_old_pythons_can_read_what_does(home, vendor):
    profile = krita.Krita("Krita", "", home / "krita", home / "kritarc")
    profile.install(vendor)
    files = [path for path in profile.module.rglob("*") if path.is_file()]
    assert not {path.suffix for path in files} & {".so", ".pyd", ".dll", ".dylib", ".pyc"}
    assert (profile.module / "vendor/msgpack/COPYING").read_text().startswith("Copyright")
    for path in (profile.module / "vendor").rglob("*.py"):
        ast.parse(path.read_text("utf-8"), feature_version=(3, 8))


ASK = """
import sys
sys.path.insert(0, sys.argv[1])
import msgpack
from calotype_wire import places
print(msgpack.Packer.__module__, places.data_dir(), msgpack.unpackb(msgpack.packb([1, b"\\0"])))
"""


def ask(vendored, **environment):
    command = [sys.executable, "-I", "-X", "utf8", "-B", "-c", ASK, str(vendored)]
    return subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=True).stdout


def test_a_plugin_reads_msgpack_without_compiled_code_and_knows_calotypes_folder(home, vendor):
    folder = home / "calotype"
    editors.place(folder, {f"vendor/{name}": data for name, data in vendor.items()}, [])
    sandbox = {"XDG_DATA_HOME": str(home / "sandbox")}
    assert ask(folder / "vendor", **sandbox) == f"msgpack.fallback {places.data_dir()} [1, b'\\x00']\n"
    assert "/elsewhere" in ask(folder / "vendor", CALOTYPE_HOME="/elsewhere")
    (folder / "vendor/calotype_wire/home.txt").unlink()  # as in the zip for Krita's importer
    assert str(home / "sandbox" / "calotype") in ask(folder / "vendor", **sandbox)


def test_an_engine_that_a_plugin_starts_uses_the_plugins_folder(home, tmp_path, monkeypatch):
    written = tmp_path / "home.txt"
    written.write_text(f"{home / 'data é'}\n", "utf-8")
    monkeypatch.setattr(places, "HOME_FILE", written)
    monkeypatch.delenv("CALOTYPE_HOME")
    script(home / "bin/python", f'printf %s "$CALOTYPE_HOME" > "{tmp_path}/told"')
    process = launch._start(str(home / "bin/python"), [])
    process.wait(10)
    process.complaints.close()
    assert (tmp_path / "told").read_text("utf-8") == str(home / "data é")
