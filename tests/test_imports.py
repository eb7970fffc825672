"""Imports go down only, and the editors' half stays free of everything that an editor may not have."""

import ast
import sys
from pathlib import Path

import pytest

ENGINE = Path(__file__).parents[1] / "engine"

LEVELS = [
    {"cli", "__main__", "asking", "batch", "batch_report", "demo", "serve", "make_styles", "styles_command"},
    {"server"},
    {"jobs"},
    {"submission", "workers", "scheduler", "frontend", "catalogue", "styledesk"},
    {"worker"},
    {"ops"},
    {"community"},
    {"train"},
    {"models"},
    {"image"},
    {"portfolio"},
    {"version", "segments", "stylebook", "names"},
]
"""Packages and modules of calotype, highest first. Each may import its own level and what lies below."""


def imports(path: Path) -> set[str]:
    """Absolute names of all modules that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} has a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
    return found


def level(name: str) -> int:
    return next(index for index, names in enumerate(LEVELS) if name in names)


def part_of(path: Path) -> str:
    return path.relative_to(ENGINE / "calotype").with_suffix("").parts[0]


MODULES = [path for path in sorted((ENGINE / "calotype").rglob("*.py")) if path.name != "__init__.py"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ENGINE)))
def test_imports_go_down_only(path: Path) -> None:
    mine = part_of(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "calotype" and len(parts) > 1:
            assert level(parts[1]) >= level(mine), f"{mine} must not import {name}"


def test_every_module_has_its_level() -> None:
    assert {part_of(path) for path in MODULES} == set().union(*LEVELS)


@pytest.mark.parametrize("path", sorted((ENGINE / "calotype_wire").glob("*.py")), ids=lambda path: path.name)
def test_the_wire_needs_the_standard_library_and_msgpack_alone(path: Path) -> None:
    allowed = set(sys.stdlib_module_names) | {"msgpack", "calotype_wire"}
    assert {name.split(".")[0] for name in imports(path)} <= allowed
    ast.parse(path.read_text("utf-8"), feature_version=(3, 8))


@pytest.mark.parametrize("path", sorted((ENGINE / "calotype_setup").glob("*.py")), ids=lambda path: path.name)
def test_the_setup_needs_the_standard_library_and_what_does_not_need_more(path: Path) -> None:
    allowed = set(sys.stdlib_module_names) | {"calotype_wire", "calotype_setup"}
    names = imports(path)
    assert {name.split(".")[0] for name in names} <= allowed
    bare = ("places", "atomic", "connection", "errors")
    assert {name.split(".")[1] for name in names if name.startswith("calotype_wire.")} <= set(bare)
    ast.parse(path.read_text("utf-8"), feature_version=(3, 8))


ROOT = ENGINE.parent
PLUGINS = {
    "plugin_krita/calotype_krita": {"calotype_krita", "krita", "PyQt5", "PyQt6"},
    "plugin_gimp/calotype": {"gi"} | {path.stem for path in (ROOT / "plugin_gimp/calotype").glob("*.py")},
}
PLUGIN_FILES = [(folder, path) for folder in PLUGINS for path in sorted((ROOT / folder).glob("*.py"))]


@pytest.mark.parametrize(("folder", "path"), PLUGIN_FILES, ids=lambda value: Path(value).name)
def test_a_plugin_needs_its_host_and_the_wire_alone(folder: str, path: Path) -> None:
    allowed = set(sys.stdlib_module_names) | {"calotype_wire"} | PLUGINS[folder]
    assert {name.split(".")[0] for name in imports(path)} <= allowed
    ast.parse(path.read_text("utf-8"), feature_version=(3, 8))


@pytest.mark.parametrize(("folder", "path"), PLUGIN_FILES, ids=lambda value: Path(value).name)
def test_a_plugin_knows_no_operation_by_name(folder: str, path: Path) -> None:
    operations = {path.stem for path in (ENGINE / "calotype/ops").glob("*.py")}
    constants = [n.value for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Constant)]
    words = {word for value in constants if isinstance(value, str) for word in value.lower().split()}
    assert not words & (operations - {"task", "declare", "__init__"})


SERVER_SIDE = [
    "serve.py",
    "server.py",
    "jobs.py",
    "frontend.py",
    "workers.py",
    "scheduler.py",
    "submission.py",
    "segments.py",
    "catalogue.py",
    "styledesk.py",
    "portfolio/stylefile.py",
    "portfolio/trainings.py",
    "portfolio/shelf.py",
]


@pytest.mark.parametrize("name", SERVER_SIDE)
def test_the_server_imports_neither_torch_nor_what_imports_it(name: str) -> None:
    heavy = ("torch", "numpy", "calotype.ops", "calotype.models", "calotype.image", "calotype.train")
    assert [n for n in imports(ENGINE / "calotype" / name) if n.startswith(heavy)] == []
