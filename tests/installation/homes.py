"""What homes of users hold: editors in use for years, and what was put into them."""

import os

from calotype_setup import editors, gimp, krita, krita_zip

SETTINGS = b"""AllowLCMSOptimization=true
favoritePresets=b)_Basic-5_Size,\xff\xfe

[hsxColorSlider]
hsxColorSlider=true

[python]
enable_ten_brushes=true
"""


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


def make_zip(tmp_path, msgpack):
    path = tmp_path / "calotype_krita.zip"
    path.write_bytes(krita_zip.build(editors.vendored(msgpack, None)))
    return path
