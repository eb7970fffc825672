"""The plugins on their way into Krita and GIMP, and out again: real folders, real files, fake homes."""

import ast
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from calotype_setup import checkup, editors, engine, flatpak, gimp, krita, krita_zip, kritarc
from calotype_wire import launch, places
from calotype_wire.errors import CalotypeError
from test_install import Installer, wait_for
from test_kritarc import SETTINGS

SOURCE = Path(__file__).resolve().parent.parent
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


@pytest.fixture(scope="module")
def msgpack():
    return engine.msgpack(sys.executable)


@pytest.fixture
def vendor(home, msgpack):
    return editors.vendored(msgpack, places.data_dir())


def tree(folder):
    """Everything below folder: links, folders, and files with their content and mode."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = os.readlink(path)
        else:
            found[name] = "folder" if path.is_dir() else (path.read_bytes(), path.stat().st_mode)
    return found


def script(path, text):
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)


def profiles():
    return [*krita.profiles(), *gimp.profiles()]


def names(states):
    return {name: state for state, name, _ in states}


# In and out


def make_linux(home):
    """Krita and GIMP, from the system and from Flathub, in use for years."""
    for folder in (".local/share/krita/pykrita/ten_brushes", ".var/app/org.kde.krita/data/krita/actions"):
        (home / folder).mkdir(parents=True)
    (home / ".local/share/krita/pykrita/ten_brushes/__init__.py").write_text("")
    (home / ".config").mkdir()
    (home / ".config/kritarc").write_bytes(SETTINGS)
    (home / ".config/kritarc").chmod(0o640)
    for version in ("2.10", "3.0", "3.2", "3.0 backup"):
        (home / ".config/GIMP" / version / "plug-ins" / "other").mkdir(parents=True)
    (home / ".var/app/org.gimp.GIMP/config/GIMP/3.0").mkdir(parents=True)
    return ["Krita (Flatpak)", "Krita", "GIMP 3.0", "GIMP 3.2", "GIMP 3.0 (Flatpak)"]


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


def test_in_a_flatpak_the_engine_is_asked_of_the_user(home, tmp_path, monkeypatch):
    places.data_dir().mkdir(parents=True)
    record = {"python": sys.executable, "version": "1", "source": "1"}
    places.installation_file().write_text(json.dumps(record))
    assert launch.engine_python() == sys.executable
    monkeypatch.setattr(launch, "FLATPAK", tmp_path)
    with pytest.raises(CalotypeError, match=r"python3 install\.py serve") as refused:
        launch.engine_python()
    assert refused.value.code == "SANDBOXED"


# Shortcuts in Krita


def tell_operations(*labels):
    """As the engine caches its catalogue."""
    told = [
        {"name": f"o{n}", "label": label, "help": f"Helps <{n}> & more."} for n, label in enumerate(labels)
    ]
    places.catalogue_file().parent.mkdir(parents=True, exist_ok=True)
    places.catalogue_file().write_text(json.dumps({"operations": told}), "utf-8")


def actions(text):
    found = ElementTree.fromstring(text).iter("Action")
    return {action.get("name"): {field.tag: field.text for field in action} for action in found}


def test_every_filter_is_an_action_of_krita_s_that_can_be_given_a_shortcut(home, vendor):
    profile = krita.Krita("Krita", "", home / "krita", home / "kritarc")
    file = profile.folder / "actions/calotype_krita.action"
    plain = (SOURCE / "plugin_krita/calotype_krita.action").read_bytes()
    profile.install(vendor)
    assert file.read_bytes() == plain
    tell_operations("Größe & <Rest>", 'Say "cheese"')
    assert "differs" in profile.state(vendor)[2]
    assert profile.install(vendor)
    assert not profile.install(vendor)
    found = actions(file.read_bytes())
    assert found["calotype_o0"] == {
        "icon": None,
        "text": "Größe & <Rest>",
        "toolTip": "Helps <0> & more.",
        "activationFlags": "10000",
        "activationConditions": "0",
        "shortcut": None,
        "isCheckable": "false",
    }
    assert found["calotype_o1"]["text"] == 'Say "cheese"'
    assert found == {**actions(plain), **{name: found[name] for name in ("calotype_o0", "calotype_o1")}}
    assert profile.uninstall()
    assert not file.exists()


@pytest.mark.parametrize("text", ["", "[]", '{"operations": [{"name": "x"}]}', '{"operations": 3}', None])
def test_a_catalogue_that_cannot_be_read_adds_no_actions(home, vendor, text):
    places.data_dir().mkdir(parents=True)
    if text is not None:
        places.catalogue_file().write_text(text)
    plain = (SOURCE / "plugin_krita/calotype_krita.action").read_bytes()
    assert krita.content(vendor)["calotype_krita.action"] == plain


def test_the_zip_brings_the_filters_actions_along(home, tmp_path, msgpack):
    tell_operations("Restore")
    with zipfile.ZipFile(make_zip(tmp_path, msgpack)) as archive:
        assert "calotype_o0" in actions(archive.read("calotype_krita.action"))


# Upgrades and accidents


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


# Which editors there are


def test_a_krita_that_was_never_started_gets_its_folders_and_loses_them_again(home, vendor):
    script(home / "bin/krita", "")
    (home / "flatpaks/app/org.kde.krita").mkdir(parents=True)
    before = tree(home)
    assert [str(profile) for profile in krita.profiles()] == ["Krita (Flatpak)", "Krita"]
    assert all(profile.install(vendor) for profile in krita.profiles())
    assert (home / ".var/app/org.kde.krita/config/kritarc").exists()
    assert all(profile.uninstall() for profile in krita.profiles())
    assert tree(home) == before


GIMP_3 = """
if [ "$1" = --version ]; then echo 'GNU Image Manipulation Program version 3.0.4'; exit; fi
/bin/mkdir -p "$HOME/.config/GIMP/3.0/plug-ins"
"""


def test_a_gimp_3_that_was_never_started_makes_its_own_profile(home, vendor):
    script(home / "bin/gimp-console-3.0", GIMP_3)
    assert names(gimp.unserved()) == {"GIMP": "missing"}
    gimp.prepare()
    assert gimp.unserved() == []
    assert [profile.install(vendor) for profile in gimp.profiles()] == [True]


def test_a_gimp_that_cannot_make_its_profile_is_explained(home):
    script(home / "bin/gimp", GIMP_3.replace("/bin/mkdir", ": no"))
    gimp.prepare()
    ((state, name, sentence),) = gimp.unserved()
    assert (state, name) == ("missing", "GIMP")
    assert "start GIMP 3 once" in sentence


def test_an_old_gimp_alone_is_no_fault(home):
    script(home / "bin/gimp", "echo 'GNU Image Manipulation Program version 2.10.38'")
    ((state, _, sentence),) = gimp.unserved()
    assert state == "ok"
    assert "needs GIMP 3" in sentence
    gimp.prepare()
    assert gimp.profiles() == []


def test_a_machine_without_editors_is_well(home):
    assert [state for state, _, _ in checkup.editor_states()] == ["ok"]


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


def test_one_profile_under_two_names_is_served_once(home):
    make_linux(home)
    shutil.rmtree(home / ".var/app/org.gimp.GIMP/config/GIMP")
    (home / ".var/app/org.gimp.GIMP/config/GIMP").symlink_to(home / ".config/GIMP")
    assert [str(profile) for profile in gimp.profiles()] == ["GIMP 3.0", "GIMP 3.2"]


def test_windows_and_its_store(home, monkeypatch, vendor):
    roaming, local = home / "AppData/Roaming", home / "AppData/Local"
    monkeypatch.setenv("APPDATA", str(roaming))
    monkeypatch.setenv("LOCALAPPDATA", str(local))
    monkeypatch.setenv("PROGRAMFILES", str(home / "Program Files"))
    assert [krita.profiles("win32"), gimp.profiles("win32"), gimp.unserved("win32")] == [[], [], []]
    (home / "Program Files/GIMP 3").mkdir(parents=True)
    assert names(gimp.unserved("win32")) == {"GIMP": "missing"}
    (home / "Program Files/Krita (x64)").mkdir()
    (local / "Packages/49800Krita_abc/LocalCache").mkdir(parents=True)
    (local / "Packages/GIMP.43237F745459_xyz/LocalCache/Roaming/GIMP/3.0").mkdir(parents=True)
    (roaming / "GIMP/3.0").mkdir(parents=True)
    store, native = krita.profiles("win32")
    assert (str(store), store.folder) == (
        "Krita (Microsoft Store)",
        local / "Packages/49800Krita_abc/LocalCache/Roaming/krita",
    )
    assert store.settings == local / "Packages/49800Krita_abc/LocalCache/Local/kritarc"
    assert (str(native), native.folder, native.settings) == ("Krita", roaming / "krita", local / "kritarc")
    assert [str(profile) for profile in gimp.profiles("win32")] == ["GIMP 3.0", "GIMP 3.0 (Microsoft Store)"]
    assert all(profile.install(vendor) for profile in (store, native, *gimp.profiles("win32")))


def test_a_mac(home, vendor):
    library = home / "Library"
    (home / "Applications/krita.app").mkdir(parents=True)
    (library / "Application Support/GIMP/3.0").mkdir(parents=True)
    (profile,) = krita.profiles("darwin")
    assert profile.folder == library / "Application Support/krita"
    assert profile.settings == library / "Preferences/kritarc"
    assert [each.folder for each in gimp.profiles("darwin")] == [library / "Application Support/GIMP/3.0"]


def test_snaps_are_explained_and_left_alone(home):
    for name in ("krita", "gimp"):
        (home / "snap" / name / "current/.config/GIMP/3.0").mkdir(parents=True)
    assert names([*krita.unserved(), *gimp.unserved()]) == {
        "Krita (Snap)": "missing",
        "GIMP (Snap)": "missing",
    }
    assert profiles() == []
    assert editors.is_snap("/snap/bin/krita")
    assert editors.is_snap("/var/lib/snapd/snap/bin/krita")


# Flatpaks

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


# The zip


def make_zip(tmp_path, msgpack):
    path = tmp_path / "calotype_krita.zip"
    path.write_bytes(krita_zip.build(editors.vendored(msgpack, None)))
    return path


def test_the_zip_holds_what_kritas_importer_asks_for_and_no_path_of_this_machine(home, tmp_path, msgpack):
    path = make_zip(tmp_path, msgpack)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        found = archive.namelist()
    assert found[0] == "calotype_krita/"
    assert [name for name in found if name.endswith(".desktop")] == ["calotype_krita.desktop"]
    assert {"calotype_krita.action", "calotype_krita/__init__.py"} <= set(found)
    assert {"calotype_krita/vendor/msgpack/fallback.py", "calotype_krita/vendor/msgpack/COPYING"} <= set(
        found
    )
    assert "calotype_krita/vendor/calotype_wire/launch.py" in found
    assert not [name for name in found if name.endswith(("home.txt", ".pyc", ".so"))]
    assert str(home).encode() not in path.read_bytes()


def test_the_zip_is_the_same_whenever_it_is_built(home, tmp_path, msgpack, source):
    first = make_zip(tmp_path, msgpack).read_bytes()
    for path in source.rglob("*"):
        os.utime(path, (1, 1))
    assert make_zip(tmp_path, msgpack).read_bytes() == first


def importers():
    """Krita's own, of this machine or of the tests' sandbox."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    roots = [Path("/"), *cache.glob("calotype-hosts/*/")]
    return [
        path
        for root in roots
        for path in root.glob("usr/share/krita/pykrita/plugin_importer/plugin_importer.py")
    ]


@pytest.mark.skipif(not importers(), reason="no Krita here")
@pytest.mark.parametrize("importer", importers())
def test_kritas_own_importer_takes_the_zip(home, tmp_path, msgpack, vendor, importer):
    resources = home / "krita"
    resources.mkdir()
    command = [sys.executable, "-B", importer, make_zip(tmp_path, msgpack), resources]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    profile = krita.Krita("Krita", "", resources, home / "kritarc")
    without_home = {name: data for name, data in vendor.items() if not name.endswith("home.txt")}
    assert "switched off" in profile.state(without_home)[2]  # Krita asks the user
    assert "differs" in profile.state(vendor)[2]
    assert profile.install(vendor)
    assert profile.state(vendor)[0] == "ok"
    assert profile.uninstall()
    assert not list(home.rglob("calotype_krita*"))


# The command


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
