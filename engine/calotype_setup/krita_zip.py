"""The plugin as a zip for Krita's own Tools > Scripts > Import Python Plugin from File.

Source for what the importer expects: Krita's plugins/python/plugin_importer/plugin_importer.py.
"""

from __future__ import annotations

import io
import zipfile

from calotype_setup.editors import Content
from calotype_setup.krita import MODULE, content


def build(vendor: Content) -> bytes:
    """The same bytes wherever it is built: no dates, no compressor, one order.

    vendor: without home.txt, for the zip may go to another machine.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        add(archive, f"{MODULE}/", b"")  # the importer looks for this very entry
        for name, data in sorted(content(vendor).items()):
            add(archive, name, data)
    return packed.getvalue()


def add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name)
    entry.create_system = 3
    entry.external_attr = (0o040755 << 16 | 0x10) if name.endswith("/") else 0o100644 << 16
    archive.writestr(entry, data)
