"""Which editors there are, from which source, on which system."""

import shutil

from calotype_setup import checkup, editors, gimp, krita
from installation.homes import make_linux, profiles, script, tree


def names(states):
    return {name: state for state, name, _ in states}


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
