"""Click to new layer in real Krita and real GIMP, with where the time goes.

    python benchmarks/hosts.py [--megapixels 1,12,24] [--only krita,gimp]

Prints Markdown for docs/benchmarks.md. Needs what tests/hosts needs: Linux, root, Debian's archive.
'interface' is the longest that the plugin held Krita's loop outside of Krita's own calls ('read' and
'insert'). GIMP runs a plug-in as a process of its own, so it never waits for one.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from stage import header, table

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from hosts import rootfs  # noqa: E402
from hosts.gimp import Gimp  # noqa: E402
from hosts.test_krita import TRIALS, Studio  # noqa: E402

NAMES = "identity denoise restore"
PHASES = ("read", "send", "compute", "receive", "insert")


def krita(sides: str, work: Path) -> list[dict[str, Any]]:
    studio = Studio(work, TRIALS)
    try:
        settings = {"SIDES": sides, "NAMES": NAMES, "CALOTYPE_OPERATIONS": str(TRIALS)}
        found = studio.krita.run([HERE / "inside/in_krita.py"], timeout_s=900, **settings)
    finally:
        studio.close()
    if found != {"measure": ""}:
        sys.exit(str(found))
    rows: list[dict[str, Any]] = json.loads((work / "out/rows.json").read_text("utf-8"))
    return rows


def gimp(sides: str, work: Path) -> list[dict[str, Any]]:
    host = Gimp(work)
    shutil.copy(HERE / "inside/stopwatch.py", host.plugin)
    script = host.plugin / "calotype.py"
    watched = "    import filters, pixels, results, stopwatch\n\n"
    watched += '    stopwatch.watch(pixels, "source", results, "insert")\n'
    script.write_text(script.read_text("utf-8").replace("    import filters\n", watched), "utf-8")
    rows = work / "rows.json"
    settings = {"SIDES": sides, "NAMES": NAMES, "STOPWATCH": str(work / "watch.json"), "ROWS": str(rows)}
    rootfs.learn(host.calotype, TRIALS)
    found = host.run(HERE / "inside/in_gimp.py", timeout_s=900, **settings)
    subprocess.run([sys.executable, "-m", "calotype", "stop"], env={**os.environ, **host.environment})
    if found != {"test_measure": ""}:
        sys.exit(str(found))
    measured: list[dict[str, Any]] = json.loads(rows.read_text("utf-8"))
    return measured


def shown(rows: list[dict[str, Any]]) -> str:
    heads = ["picture", "operation", "click to layer", *PHASES, "interface", "peak memory", "cancel"]
    lines = []
    for row in rows:
        seconds = [f"{row[key]:.2f} s" for key in ("total", *PHASES)]
        cancel = f"{1000 * row['cancel']:.0f} ms" if "cancel" in row else ""
        interface = f"{1000 * row['longest']:.0f} ms" if row["longest"] else ""
        size, peak = f"{row['side'] ** 2 / 1e6:.0f} MP", f"{row['peak_mib']:.0f} MiB"
        lines.append([size, row["operation"], *seconds, interface, peak, cancel])
    return table(heads, lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megapixels", default="1,12,24")
    parser.add_argument("--only", default="krita,gimp")
    options = parser.parse_args()
    sides = " ".join(str(round((float(n) * 1e6) ** 0.5)) for n in options.megapixels.split(","))
    print(header("engine's own", "torch", "numpy", "msgpack"))
    for name, measure in (("Krita", krita), ("GIMP", gimp)):
        if name.lower() in options.only.split(","):
            with tempfile.TemporaryDirectory(prefix="calotype-") as work:
                print(f"\n### {name}\n\n{shown(measure(sides, Path(work)))}")


if __name__ == "__main__":
    main()
