"""calotype models: add, list and remove models."""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from calotype.community import cards
from calotype.community.cards import Card
from calotype_wire import places


def add(commands: Any) -> None:
    models = commands.add_parser("models", help="add, list and remove models of others (ONNX, safetensors)")
    actions = models.add_subparsers(required=True, metavar="ACTION")

    adding = actions.add_parser("add", help="examine a model's file and keep a copy of it")
    adding.add_argument("file", type=Path, help="an .onnx, .safetensors or .pth file")
    adding.add_argument("--name", help="what editors call it; otherwise the file's name")
    adding.add_argument("--licence", metavar="TEXT", help="its licence, where the file does not say")
    adding.add_argument("--json", action="store_true", help="print its card as JSON")
    adding.set_defaults(command=_add)

    listing = actions.add_parser("list", help="list the models that you have added")
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(command=_list)

    removing = actions.add_parser("remove", help="delete a model that you have added")
    removing.add_argument("name")
    removing.set_defaults(command=_remove)


def _add(options: argparse.Namespace) -> None:
    from calotype.community import shelf

    candidate = shelf.examine(options.file, options.name, options.licence)
    _say(json.dumps(_wire(candidate.card)) if options.json else _told(candidate.card))
    shelf.add(candidate)
    _tell_editors(options.json)


def _list(options: argparse.Namespace) -> None:
    if options.json:
        _say(json.dumps([_wire(card) for card in cards.installed()], indent=1))
        return
    for card in cards.installed():
        _say(_told(card))
    for name in cards.damaged():
        _say(f'{name}: its card cannot be read. Remove it: calotype models remove "{name}"')
    if not cards.known_names():
        _say("You have added no models. Add one: calotype models add FILE")


def _remove(options: argparse.Namespace) -> None:
    from calotype.community import shelf

    shelf.remove(options.name)
    _tell_editors(False)


def _told(card: Card) -> str:
    size = f"{card.side_px[1]} x {card.side_px[0]} px windows" if card.side_px[0] else "any size"
    what = f"{card.kind} {card.scale}x" if card.kind == "upscaler" else card.kind
    colours = "colour" if card.channels == 3 else "grey"
    licence = card.licence
    if licence == "unknown":
        licence = "unknown. Ask its author before you publish or sell what it makes"
    return (
        f"{card.name}: {what}, {colours}, {size}, {card.dtype}, {card.format}, from {card.source}\n"
        f"  Licence: {licence}."
    )


def _wire(card: Card) -> dict[str, Any]:
    return {**dataclasses.asdict(card), "label": card.label, "file": str(card.file)}


def _tell_editors(quiet: bool) -> None:
    """A process that sees the models as they are now writes the catalogue that menus are made from."""
    command = [sys.executable, "-m", "calotype", "operations"]
    ours = Path(__file__).parents[2]  # -m imports from the working folder first: never the user's
    environment = {**os.environ, "CALOTYPE_HOME": str(places.data_dir().absolute())}
    subprocess.run(command, stdout=subprocess.DEVNULL, cwd=ours, env=environment, check=False)
    if not quiet:
        _say("Editors that run now show it when you start them again.")


def _say(text: str) -> None:
    print(text)  # noqa: T201
