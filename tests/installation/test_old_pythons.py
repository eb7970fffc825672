"""install.py, started by a Python that is too old for it."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from installation.installer import SOURCE


def test_install_py_parses_on_python_3_8():
    ast.parse((SOURCE / "install.py").read_text("utf-8"), feature_version=(3, 8))


AGED = """
import runpy, sys
sys.version_info, sys.argv = (3, 9, 1), sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(params=["real", "pretended"])
def old_python(request):
    if request.param == "pretended":
        return sys.executable, "-c", AGED
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    known = [shutil.which("python3.8"), shutil.which("python3.9"), *root.glob("versions/3.[89].*/bin/python")]
    for python in filter(None, known):
        if subprocess.run([python, "-c", ""], capture_output=True).returncode == 0:
            return (str(python),)
    return pytest.skip("no Python 3.8 or 3.9 here")


def test_an_old_python_alone_says_what_is_needed(installer, old_python):
    said = installer(python=old_python, PATH="", status=1)
    assert "needs Python 3.10 or newer" in said
    assert said.count("\n") == 1
    assert "broken  Python" in installer("doctor", python=old_python, status=1)


def test_an_old_python_hands_over_to_a_newer_one(installer, old_python, tmp_path):
    (tmp_path / "python3.11").symlink_to(sys.executable)
    installer.home.touch()
    said = installer(python=old_python, PATH=str(tmp_path), status=1)
    assert f"going on with {tmp_path / 'python3.11'}" in said
    assert "set CALOTYPE_HOME" in said  # of the newer one
