"""The zip that Krita's own importer takes."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from calotype_setup import krita
from installation.homes import make_zip


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
