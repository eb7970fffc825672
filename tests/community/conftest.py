"""A home of its own for every test, and nothing that a model may make run in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CALOTYPE_HOME", str(tmp_path / "Zoë's home"))
    return tmp_path / "Zoë's home"


@pytest.fixture(autouse=True)
def nothing_is_left_of_a_canary(tmp_path: Path) -> Iterator[None]:
    yield
    assert not (tmp_path / "canary").exists()
