"""What the sandboxes of editors from Flathub allow. Sources: flatpak-metadata(5), flatpak-override(1)."""

from __future__ import annotations

import configparser
import os
import shlex
from pathlib import Path
from typing import Iterator, List, Set

from calotype_setup.editors import State, data_home

APPS = {"org.kde.krita": "Krita (Flatpak)", "org.gimp.GIMP": "GIMP (Flatpak)"}
SERVE = "cannot start the engine by itself; before you use it, run in a terminal: python3 install.py serve"


def installations() -> List[Path]:
    user = os.environ.get("FLATPAK_USER_DIR") or data_home() / "flatpak"
    return [Path(user), Path(os.environ.get("FLATPAK_SYSTEM_DIR") or "/var/lib/flatpak")]


def installed(app: str) -> bool:
    return any((root / "app" / app).exists() for root in installations())


def states(home: Path) -> List[State]:
    """Whether each of the editors can reach the engine. home: Calotype's data folder."""
    return [state(app, home) for app in APPS if installed(app)]


def state(app: str, home: Path) -> State:
    name = f"{APPS[app]} sandbox"
    if "network" not in allowed(app, "shared"):
        return "broken", name, f"is without network; run: flatpak override --user --share=network {app}"
    if not visible(home, allowed(app, "filesystems")):
        option = shlex.quote(f"--filesystem={home}")
        return "broken", name, f"does not see {home}; run: flatpak override --user {option} {app}"
    return "ok", name, SERVE


def allowed(app: str, key: str) -> Set[str]:
    """The values of key in what the app asks for, less and more what system and user have overridden."""
    values: Set[str] = set()
    for file in declarations(app):
        parsed = configparser.RawConfigParser(strict=False, delimiters=("=",))
        parsed.read(file, "utf-8")
        for value in parsed.get("Context", key, fallback="").split(";"):
            if value.startswith("!"):
                values.discard(value[1:])
            elif value:
                values.add(value.split(":")[0])
    return values


def declarations(app: str) -> Iterator[Path]:
    """The later ones override the earlier ones."""
    user, system = installations()
    active = [root / "app" / app / "current" / "active" / "metadata" for root in (user, system)]
    yield from [path for path in active if path.exists()][:1]
    for root in (system, user):
        yield root / "overrides" / "global"
        yield root / "overrides" / app


def visible(folder: Path, filesystems: Set[str]) -> bool:
    at_home = Path.home() in folder.parents
    if "host" in filesystems or ("home" in filesystems and at_home):
        return True
    roots = [Path(name).expanduser() for name in filesystems if name[:1] in ("/", "~")]
    return any(root == folder or root in folder.parents for root in roots)
