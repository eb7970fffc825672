"""The report of a batch: report.csv for programs, report.html with thumbnails for people, the worst first."""

import csv
import html
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pyvips

from calotype_wire import atomic

if TYPE_CHECKING:
    from calotype.batch import Done

THUMBNAIL_PX = 360
THUMBNAILS = "report"
REGIONS_MAX = 12

COLUMNS = (
    "picture",
    "total",
    "sharpness",
    "realism",
    "style",
    "regions",
    "worst",
    "repairs",
    "quality_before",
    "quality_after",
    "seconds",
    "error",
)


def write(out: Path, title: str, done: "list[Done]", count: int) -> None:
    """Of what is done so far, of so many pictures."""
    ordered = sorted(done, key=_worst_first)
    table = io.StringIO()
    rows = csv.writer(table)
    rows.writerow(COLUMNS)
    rows.writerows(_row(each) for each in ordered)
    atomic.write(out / "report.csv", table.getvalue().encode("utf-8", "replace"), 0o644)
    failed = sum(bool(each.error) for each in done)
    state = f"{len(done)} of {count} pictures" + (f", {failed} failed" if failed else "")
    cards = "\n".join(_card(out, each) for each in ordered)
    page = _PAGE.format(title=html.escape(title), state=state, cards=cards)
    atomic.write(out / "report.html", page.encode("utf-8", "replace"), 0o644)


def _worst_first(each: "Done") -> tuple[int, float, str]:
    total = _check(each).get("scores", {}).get("total")
    return (0, 0.0, each.name) if each.error else (1, 101.0 if total is None else total, each.name)


def _check(each: "Done") -> dict[str, Any]:
    found: dict[str, Any] = each.facts.get("check", {})
    return found


def _row(each: "Done") -> list[Any]:
    check, quality = _check(each), each.facts.get("quality", {})
    scores, regions = check.get("scores", {}), check.get("regions", [])
    return [
        _plain(each.name),
        *(scores.get(key) for key in ("total", "sharpness", "realism", "style")),
        check.get("count"),
        regions[0]["kind"] if regions else None,
        len(check.get("repairs", [])) if check else None,
        quality.get("before"),
        quality.get("after"),
        each.seconds,
        _plain(each.error),
    ]


def _plain(text: str) -> str:
    """Not taken for a formula by a program that opens the table."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _card(out: Path, each: "Done") -> str:
    name = html.escape(each.name)
    if each.error:
        return f'<div class="card failed"><h2>{name}</h2><p>{html.escape(each.error)}</p></div>'
    check = _check(each)
    scores = check.get("scores", {})
    said = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in each.facts.get("report", []))
    parts = ", ".join(
        f"{key} {scores[key]:.0f}" for key in ("sharpness", "realism", "style") if scores.get(key)
    )
    score = f'<b class="score">{scores["total"]:.0f}</b> <small>{parts}</small>' if scores else ""
    boxes = "".join(_box(region, each.facts["size"]) for region in check.get("regions", [])[:REGIONS_MAX])
    picture = f'<img src="{_address(_thumbnail(out, each))}" alt="">{boxes}'
    link = f'<a href="{_address(each.output)}"><span class="picture">{picture}</span></a>'
    return f'<div class="card">{link}<h2>{name}</h2>{score}{said}</div>'


def _address(path: str) -> str:
    return quote(os.fsencode(path))


def _box(region: dict[str, Any], size: list[int]) -> str:
    x0, y0, x1, y1 = region["bounds"]
    width, height = size
    place = f"left:{100 * x0 / width:.1f}%;top:{100 * y0 / height:.1f}%;"
    place += f"width:{100 * (x1 - x0) / width:.1f}%;height:{100 * (y1 - y0) / height:.1f}%"
    return f'<i style="{place}" title="{html.escape(region["kind"])}"></i>'


def _thumbnail(out: Path, each: "Done") -> str:
    """Its path below out; made where it is older than the picture. The picture's own where that fails."""
    source, path = out / each.output, out / THUMBNAILS / (each.output + ".jpg")
    try:
        if not path.exists() or path.stat().st_mtime < source.stat().st_mtime:
            path.parent.mkdir(parents=True, exist_ok=True)
            small = pyvips.Image.thumbnail_buffer(source.read_bytes(), THUMBNAIL_PX, export_profile="srgb")
            small = small.flatten(background=255) if small.hasalpha() else small
            atomic.write(path, small.jpegsave_buffer(Q=85), 0o644)
    except (OSError, pyvips.Error):
        return each.output
    return path.relative_to(out).as_posix()


_PAGE = """<!doctype html>
<meta charset="utf-8">
<title>Calotype: {title}</title>
<style>
body {{ font: 14px sans-serif; background: #222; color: #ddd; margin: 24px }}
.cards {{ display: flex; flex-wrap: wrap; gap: 16px }}
.card {{ background: #333; padding: 12px; width: 360px; border-radius: 6px }}
.failed {{ background: #533 }}
.picture {{ position: relative; display: inline-block }}
.picture img {{ max-width: 100%; display: block }}
.picture i {{ position: absolute; border: 2px solid #f60; box-sizing: border-box }}
.score {{ font-size: 22px }}
h2 {{ font-size: 14px; overflow-wrap: anywhere }}
</style>
<h1>{title}</h1>
<p>{state}. Frames show what looks wrong; the worst pictures come first.</p>
<div class="cards">
{cards}
</div>
"""
