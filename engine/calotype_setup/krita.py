"""Krita's plugin: its module, its entry in the menus, and the line in kritarc that switches it on."""

from __future__ import annotations

import json
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Tuple
from xml.sax.saxutils import escape, quoteattr

from calotype_setup import flatpak, kritarc
from calotype_setup.editors import (
    Content,
    Profile,
    State,
    below,
    command,
    config_home,
    data_home,
    has_snap,
    missing,
    place,
    plugin,
    present,
    same,
    store_packages,
    stored,
    windows_folder,
    withdraw,
)
from calotype_wire import atomic
from calotype_wire import places as calotype_places

MODULE = "calotype_krita"
FLATPAK = "org.kde.krita"
ACTION = """    <Action name={name}>
      <icon></icon>
      <text>{text}</text>
      <toolTip>{tip}</toolTip>
      <activationFlags>10000</activationFlags>
      <activationConditions>0</activationConditions>
      <shortcut></shortcut>
      <isCheckable>false</isCheckable>
    </Action>
"""


@dataclass(frozen=True)
class Krita(Profile):
    """folder: of the resources."""

    settings: Path

    @property
    def module(self) -> Path:
        return self.folder / "pykrita" / MODULE

    @property
    def beside(self) -> Dict[str, Path]:
        """Where the files beside the module belong."""
        desktop, action = f"{MODULE}.desktop", f"{MODULE}.action"
        return {desktop: self.folder / "pykrita" / desktop, action: self.folder / "actions" / action}

    def state(self, vendor: Content) -> State:
        name, remedy = str(self), "run: python3 install.py"
        if not self.module.exists():
            return "missing", name, f"no plugin in {self.folder}; {remedy}"
        wanted = content(vendor)
        current = all(stored(path) == wanted[file] for file, path in self.beside.items())
        if not current or not same(self.module, below(wanted, MODULE)):
            return "broken", name, f"its plugin in {self.folder} differs from this source; {remedy}"
        if not kritarc.enabled(stored(self.settings)):
            return "broken", name, f"its plugin is switched off in {self.settings}; {remedy}"
        return "ok", name, f"plugin in {self.folder}"

    def put(self, vendor: Content) -> None:
        wanted, made = content(vendor), []
        for folder in (self.module.parent, self.folder / "actions", self.settings.parent):
            made += missing(folder)
            folder.mkdir(parents=True, exist_ok=True)
        made += [] if self.settings.exists() else [self.settings]
        place(self.module, below(wanted, MODULE), made)
        for file, path in self.beside.items():
            atomic.write(path, wanted[file], 0o644)
        rewrite(self.settings, kritarc.enable(stored(self.settings)))

    def uninstall(self) -> bool:
        paths = self.beside.values()
        settings = stored(self.settings)
        without = kritarc.forget(kritarc.disable(settings))
        if settings == without and not any(map(present, [self.module, *paths])):
            return False
        rewrite(self.settings, without)
        for path in paths:
            path.unlink(missing_ok=True)
        withdraw(self.module)
        return True


def content(vendor: Content) -> Content:
    """As the zip for Krita's importer has it."""
    found, file = plugin("plugin_krita", MODULE, vendor), f"{MODULE}.action"
    return {**found, file: with_filters(found[file])}


def with_filters(actions: bytes) -> bytes:
    """Krita drops an action that no file names, so each filter is in it, and can be given a shortcut."""
    added = "".join(
        ACTION.format(name=quoteattr(f"calotype_{name}"), text=escape(label), tip=escape(tip))
        for name, label, tip in filters()
    )
    end = b"  </Actions>"
    return actions.replace(end, added.encode() + end)


def filters() -> List[Tuple[str, str, str]]:
    """Name, label and help of the operations that the engine last told; none where it never ran."""
    try:
        told = json.loads(calotype_places.catalogue_file().read_text("utf-8"))["operations"]
        return [(str(each["name"]), str(each["label"]), str(each["help"])) for each in told]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def profiles(system: str = sys.platform) -> List[Krita]:
    """Of every Krita that is here, even if it was never started."""
    return [
        Krita("Krita", build, kritarc.resource_folder(stored(settings)) or folder, settings)
        for build, folder, settings in places(system)
    ]


def everywhere(system: str = sys.platform) -> List[Krita]:
    """Where the plugin may be, should the user have moved the folder since it was installed."""
    usual = [Krita("Krita", build, folder, settings) for build, folder, settings in places(system)]
    return list(dict.fromkeys(profiles(system) + usual))


def places(system: str) -> Iterator[Tuple[str, Path, Path]]:
    """Build, folder and settings, as they are unless the user has moved them.

    Sources: docs.krita.org, "Resource Management"; QStandardPaths; an AppImage uses the plain ones.
    """
    home = Path.home()
    if system == "win32":
        roaming, local = windows_folder("APPDATA", "Roaming"), windows_folder("LOCALAPPDATA", "Local")
        native = "", roaming / "krita", local / "kritarc"
        for cache in store_packages("*Krita*"):
            yield "Microsoft Store", cache / "Roaming" / "krita", cache / "Local" / "kritarc"
    elif system == "darwin":
        library = home / "Library"
        native = "", library / "Application Support" / "krita", library / "Preferences" / "kritarc"
    else:
        native = "", data_home() / "krita", config_home() / "kritarc"
        own = home / ".var" / "app" / FLATPAK
        if own.exists() or flatpak.installed(FLATPAK):
            yield "Flatpak", own / "data" / "krita", own / "config" / "kritarc"
    if native[1].exists() or native[2].exists() or program(system):
        yield native


def program(system: str) -> bool:
    """Whether a Krita that is no Flatpak, Snap, AppImage or Store app lies where installers put it."""
    if system == "win32":
        files = Path(os.environ.get("PROGRAMFILES", r"C:\Program Files"))
        return (files / "Krita (x64)").exists()
    if system == "darwin":
        return any((root / "Applications" / "krita.app").exists() for root in (Path("/"), Path.home()))
    return command("krita") is not None


def unserved() -> List[State]:
    if not has_snap("krita"):
        return []
    sentence = (
        "cannot reach the engine, whose folder a Snap must not read; take Krita from krita.org, flathub.org "
        "or your system's packages, and run: python3 install.py"
    )
    return [("missing", "Krita (Snap)", sentence)]


def rewrite(settings: Path, text: bytes) -> None:
    """Keeps a link that the user has put there, and the file's mode."""
    if stored(settings) == text:
        return
    target = Path(os.path.realpath(settings))
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o600
    atomic.write(target, text, mode)
