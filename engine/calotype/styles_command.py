"""calotype styles: list, rename, delete, bring in and take out the user's styles."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from calotype.portfolio import shelf, trainings
from calotype_wire import styles
from calotype_wire.styles import SUFFIX


def add(commands: Any) -> None:
    command = commands.add_parser("styles", help="list, rename, delete, import and export your styles")
    actions = command.add_subparsers(required=True, metavar="ACTION")

    listing = _action(actions, "list", _list, "list your styles, and what is unfinished")
    listing.add_argument("--json", action="store_true")
    listing.add_argument(
        "--search", default="", metavar="TEXT", help="those whose name or source has all its words"
    )

    renaming = _action(actions, "rename", _rename, "give a style another name")
    renaming.add_argument("name")
    renaming.add_argument("to")
    for action, run, help in (
        ("duplicate", _duplicate, "copy a style"),
        ("delete", _delete, "delete a style, or what is unfinished of one"),
    ):
        _action(actions, action, run, help).add_argument("name")
    loving = _action(actions, "favourite", _favour, "show a style first in every list")
    loving.add_argument("name")
    loving.add_argument("--off", action="store_true", help="no longer")

    importing = _action(actions, "import", _import, f"add a {SUFFIX} file that you were given")
    importing.add_argument("file", type=Path)
    importing.add_argument("--name", default="", help="otherwise the file's")

    exporting = _action(
        actions, "export", _export, f"write a style as a {SUFFIX} file, or its network as ONNX"
    )
    exporting.add_argument("name")
    exporting.add_argument("file", type=Path, help=f"a {SUFFIX} file, an .onnx file, or a folder")


def _action(actions: Any, name: str, run: Any, help: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=help)
    parser.set_defaults(command=run)
    return parser


def _list(options: argparse.Namespace) -> None:
    kept = shelf.kept()
    found = styles.matching([style.to_wire() for style in kept], options.search)
    unfinished = trainings.unfinished()
    damaged = shelf.damaged()
    if options.json:
        _say(json.dumps({"styles": found, "unfinished": unfinished, "damaged": damaged}, indent=1))
        return
    cards = {style.name: style.card for style in kept}
    for style in found:
        card = cards[style["name"]]
        star = "* " if style["favourite"] else ""
        learnt = f"{card.steps} steps in {card.seconds:.0f} s, " if card.steps else ""
        figures = (
            f"distance of style {card.style:.2f}, of content {card.content:.2f}, {style['bytes']:,} bytes"
        )
        _say(f"{star}{style['name']}: {card.level}, {learnt}{figures}")
        _say(f"  from {', '.join(card.sources)}, {card.made[:16].replace('T', ' ')}")
    if kept and not found:
        _say(f"None of your styles has '{options.search}' in its name or source.")
    for each in unfinished:
        name, state = each["name"], "in training" if each["running"] else "unfinished"
        _say(f"{name}: {state}")
        _say(f'  go on: calotype train-style --name "{name}"; discard: calotype styles delete "{name}"')
    for name, sentence in damaged.items():
        _say(f"{name}: {sentence}")
        _say(f'  discard: calotype styles delete "{name}"')
    if not kept and not unfinished and not damaged:
        _say("You have no styles of your own. Train one: calotype train-style PICTURE --name NAME")


def _rename(options: argparse.Namespace) -> None:
    _say(f"It is called '{shelf.rename(options.name, options.to)}' now.")


def _duplicate(options: argparse.Namespace) -> None:
    _say(f"The copy is called '{shelf.duplicate(options.name)}'.")


def _delete(options: argparse.Namespace) -> None:
    remove = trainings.discard if trainings.is_unfinished(options.name) else shelf.delete
    remove(options.name)
    _say("Deleted.")


def _favour(options: argparse.Namespace) -> None:
    shelf.favour(options.name, not options.off)


def _import(options: argparse.Namespace) -> None:
    _say(f"The style is called '{shelf.import_file(options.file, options.name)}'.")


def _export(options: argparse.Namespace) -> None:
    if options.file.suffix.lower() == ".onnx":
        from calotype.models import exported

        apart = exported.style(options.name, options.file)
        _say(f"{options.file} (ONNX Runtime agrees with torch to {apart:.1g})")
        return
    shelf.export_file(options.name, options.file)
    _say(f"{options.file}")


def _say(text: str) -> None:
    sys.stdout.write(text.encode("utf-8", "replace").decode() + "\n")
