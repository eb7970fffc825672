"""The operations that a user picks from a menu, one file each, found by looking into this folder.

CALOTYPE_OPERATIONS may name one more folder of such files.
"""

import importlib
import importlib.util
import os
import pkgutil
from pathlib import Path


def discover() -> None:
    """Import every operation, so that declare.declared() knows them."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    more = os.environ.get("CALOTYPE_OPERATIONS")
    for path in sorted(Path(more).glob("*.py")) if more else []:
        spec = importlib.util.spec_from_file_location(f"calotype_more_{path.stem}", path)
        if spec and spec.loader:
            spec.loader.exec_module(importlib.util.module_from_spec(spec))
