"""Krita's settings: our line, and the groups that Krita writes for us. All other bytes stay.

Source for how they are read: KConfigIniBackend of KDE Frameworks.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

GROUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*(\[.*\])\s*")
OURS = re.compile(rb"\s*enable_calotype_krita\s*(?:\[[^\]]*\]\s*)*=\s*(.*?)\s*")
ENTRY = b"enable_calotype_krita=true"
GROUPS = (b"[calotype]", b"[MainWindow][DockWidget calotype]")
"""What was last chosen, by the plugin's writeSetting, and where the docker was, by Krita itself."""
FALSE = (b"false", b"no", b"off", b"0")
RESOURCES = re.compile(rb"\s*ResourceDirectory\s*((?:\[[^\]]*\]\s*)*)=\s*(.*?)\s*")
ESCAPED = re.compile(rb"\\(x[0-9a-fA-F]{2}|.)")


def enabled(text: bytes) -> bool:
    """As Krita reads it: of several entries the last one holds."""
    values = [match[1].lower() for _, match in entries(lines(text))]
    return bool(values) and values[-1] not in FALSE


def enable(text: bytes) -> bytes:
    found = lines(text)
    ours = entries(found)
    for index, match in ours:
        if match[1].lower() in FALSE:
            found[index] = match.string[: match.start(1)] + b"true" + match.string[match.end(1) :]
    if ours:
        return b"".join(found)
    end = b"\r\n" if found and found[0].endswith(b"\r\n") else b"\n"
    headers = [
        index for index, group, line in grouped(found) if group == b"[python]" and GROUP.fullmatch(line)
    ]
    if headers:
        whole = found[headers[0]].endswith(b"\n")
        added = ENTRY + end if whole else end + ENTRY
        return b"".join([*found[: headers[0] + 1], added, *found[headers[0] + 1 :]])
    if not text:
        return b"[python]" + end + ENTRY + end
    whole = text.endswith(b"\n")  # a file that ends without a line end shall do so again after disable()
    return text + (b"" if whole else end) + end + b"[python]" + end + ENTRY + (end if whole else b"")


def disable(text: bytes) -> bytes:
    """Without our entry, and without the group if that was all it held."""
    found = lines(text)
    ours = [index for index, _ in entries(found)]
    if not ours:
        return text
    unended = ours[-1] == len(found) - 1 and not found[-1].endswith(b"\n")
    dropped = set(ours).union(*(emptied(found, set(ours), index) for index in ours))
    kept = [line for index, line in enumerate(found) if index not in dropped]
    text = b"".join(kept)
    if not unended:
        return text
    added = 2 if found[-2].endswith(b"\r\n") else 1
    return text[:-added]


def forget(text: bytes) -> bytes:
    """Without our groups, and without the blank line before those at the end."""
    found = list(grouped(lines(text)))
    kept = [line for _, group, line in found if group not in GROUPS]
    if kept and found[-1][1] in GROUPS and not kept[-1].strip():
        kept.pop()
    return b"".join(kept)


def emptied(found: List[bytes], ours: "set[int]", entry: int) -> List[int]:
    """The header of entry's group and the blank line before it, where the group holds nothing else."""
    header = max(index for index in range(entry) if GROUP.fullmatch(found[index]))
    after = range(header + 1, len(found))
    end = next((index for index in after if GROUP.fullmatch(found[index])), len(found))
    if any(found[index].strip() for index in range(header + 1, end) if index not in ours):
        return []
    if header and not found[header - 1].strip():
        return [header - 1, header]
    return [header]


def resource_folder(text: bytes) -> Optional[Path]:
    """The folder that the user chose instead of Krita's own. Source: KoResourcePaths::getAppDataLocation."""
    for _, group, line in grouped(lines(text)):
        match = RESOURCES.fullmatch(line)
        if match and not group:
            path = os.fsdecode(ESCAPED.sub(unescaped, match[2]))
            path = os.path.expandvars(path) if b"$e" in match[1] else path
            return Path(path) if os.path.isabs(path) else None
    return None


def unescaped(match: "re.Match[bytes]") -> bytes:
    code = match[1]
    if len(code) == 3:
        return bytes([int(code[1:], 16)])
    return {b"s": b" ", b"t": b"\t", b"n": b"\n", b"r": b"\r"}.get(code, code)


def lines(text: bytes) -> List[bytes]:
    return re.findall(rb"[^\n]*\n|[^\n]+", text)


def grouped(found: List[bytes]) -> Iterator[Tuple[int, bytes, bytes]]:
    """Each line with its number and its group."""
    group = b""
    for index, line in enumerate(found):
        header = GROUP.fullmatch(line)
        if header:
            group = header[1].replace(b"[$i]", b"")
        yield index, group, line


def entries(found: List[bytes]) -> "List[Tuple[int, re.Match[bytes]]]":
    matches = [(index, OURS.fullmatch(line)) for index, group, line in grouped(found) if group == b"[python]"]
    return [(index, match) for index, match in matches if match]
