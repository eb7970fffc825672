"""GIMP's plug-in, in the profile of each GIMP 3."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Tuple

from calotype_setup import flatpak
from calotype_setup.editors import (
    Content,
    Profile,
    State,
    below,
    command,
    config_home,
    has_snap,
    missing,
    place,
    plugin,
    present,
    same,
    store_packages,
    windows_folder,
    withdraw,
)
from calotype_setup.environment import clean, quiet

FLATPAK = "org.gimp.GIMP"
SCRIPT = "calotype.py"
REMEMBERED = "*plug-in-calotype-*"
PROGRAMS = ("gimp-console-3", "gimp-console-3.2", "gimp-console-3.0", "gimp-console", "gimp")
START_S = 120.0
"""At its first start GIMP asks every plug-in what it can: 6 s here, more on a cold disk."""
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
"""With a virtual environment in front, GIMP's own plug-ins would fail, and GIMP would remember that."""


class Gimp(Profile):
    """folder: of one version, as in ~/.config/GIMP/3.0."""

    @property
    def plugin(self) -> Path:
        return self.folder / "plug-ins" / "calotype"

    def state(self, vendor: Content) -> State:
        name, remedy = str(self), "run: python3 install.py"
        if not self.plugin.exists():
            return "missing", name, f"no plug-in in {self.folder}; {remedy}"
        if not same(self.plugin, content(vendor)):
            return "broken", name, f"its plug-in in {self.plugin} differs from this source; {remedy}"
        if not os.access(self.plugin / SCRIPT, os.X_OK):  # GIMP would skip it without a word
            return "broken", name, f"{self.plugin / SCRIPT} is not executable; {remedy}"
        return "ok", name, f"plug-in in {self.folder}"

    def put(self, vendor: Content) -> None:
        wanted, made = content(vendor), missing(self.plugin.parent)
        self.plugin.parent.mkdir(parents=True, exist_ok=True)
        place(self.plugin, wanted, made, executable=[SCRIPT])

    def uninstall(self) -> bool:
        there, remembered = present(self.plugin), self.remembered()
        for path in remembered:
            path.unlink()
        if there:
            withdraw(self.plugin)
        return there or bool(remembered)

    def remembered(self) -> List[Path]:
        """Where GIMP keeps what was last chosen in our dialogs."""
        return [path for path in (self.folder / "plug-in-settings").glob(REMEMBERED) if path.is_file()]


def content(vendor: Content) -> Content:
    return below(plugin("plugin_gimp", "calotype", vendor), "calotype")


def profiles(system: str = sys.platform) -> List[Gimp]:
    """Of every GIMP 3 that was ever started."""
    found: Dict[str, Gimp] = {}
    for build, root in roots(system):
        for path in sorted((root / "GIMP").glob("3.*")):
            if re.fullmatch(r"3\.\d+", path.name) and path.is_dir():
                found.setdefault(os.path.realpath(path), Gimp(f"GIMP {path.name}", build, path))
    return list(found.values())


def roots(system: str) -> Iterator[Tuple[str, Path]]:
    """Build, and the folder with its GIMP folder.

    Flathub's GIMP 3 uses the plain one, too (xdg-config/GIMP:create in its manifest); older ones their own.
    """
    home = Path.home()
    if system == "win32":
        yield "", windows_folder("APPDATA", "Roaming")
        for cache in store_packages("*GIMP*"):
            yield "Microsoft Store", cache / "Roaming"
    elif system == "darwin":
        yield "", home / "Library" / "Application Support"
    else:
        yield "", config_home()
        yield "Flatpak", home / ".var" / "app" / FLATPAK / "config"


def prepare() -> None:
    """Have a GIMP 3 that was never started make its profile.

    It has to be GIMP: in a profile that it finds it neither makes its folders nor takes over the settings of
    an older version. Source: app/core/gimp-user-install.c, and tried with 3.0.4.
    """
    program, version = native()
    _, root = next(roots(sys.platform))
    if program and version.startswith("3.") and not (root / "GIMP" / version).exists():
        print(f"GIMP {version} makes its profile, for it was never started")
        with contextlib.suppress(subprocess.TimeoutExpired):  # then unserved() says what to do
            subprocess.run(
                [str(program), "--no-interface", "--quit"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=START_S,
                env=clean(PATH=SYSTEM_PATH),
            )


def native() -> Tuple[Optional[Path], str]:
    """The GIMP of the system's packages: its program, and its version like 3.0."""
    program = None if sys.platform == "win32" else command(*PROGRAMS)  # there PATH does not know it
    said = quiet([str(program), "--version"]).stdout if program else ""
    version = re.search(r"\b(\d+\.\d+)\.\d+", said)
    return program, version[1] if version else ""


def unserved(system: str = sys.platform) -> List[State]:
    """GIMPs that are here and get no plug-in, with the reason."""
    states: List[State] = []
    if has_snap("gimp"):
        sentence = (
            "loads only plug-ins that are Snaps themselves; take GIMP 3 from flathub.org or your system's "
            "packages, start it once, and run: python3 install.py"
        )
        states.append(("missing", "GIMP (Snap)", sentence))
    if profiles(system):
        return states
    version = native()[1]
    if version.startswith("3.") or flatpak.installed(FLATPAK) or program(system):
        sentence = "was never started; start GIMP 3 once, and run: python3 install.py"
        states.append(("missing", "GIMP", sentence))
    elif version or any(any((root / "GIMP").glob("2.*")) for _, root in roots(system)):
        states.append(("ok", "GIMP", "is older than 3; the plug-in needs GIMP 3, from gimp.org"))
    return states


def program(system: str) -> bool:
    """Whether there is a GIMP where installers put it."""
    if system == "win32":
        files = Path(os.environ.get("PROGRAMFILES", r"C:\Program Files"))
        mine = windows_folder("LOCALAPPDATA", "Local") / "Programs"
        return any((place / "GIMP 3").exists() for place in (files, mine))
    if system == "darwin":
        return any((root / "Applications" / "GIMP.app").exists() for root in (Path("/"), Path.home()))
    return False
