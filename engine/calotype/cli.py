"""calotype: a sub-command for every operation, and some for the engine itself."""

import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from calotype import asking, batch, catalogue
from calotype import styles_command as styles
from calotype.community import command as models
from calotype.portfolio import shelf
from calotype.train import command as train
from calotype.version import VERSION
from calotype_wire import launch, params, protocol
from calotype_wire.client import Request
from calotype_wire.errors import CalotypeError
from calotype_wire.protocol import Layer


def main(arguments: list[str] | None = None) -> None:
    """Exit status 0: done; 1: an error with a sentence; 2: wrong usage; 130: cancelled by Ctrl-C."""
    try:
        options = _parser(sys.argv[1:] if arguments is None else arguments).parse_args(arguments)
        options.command(options)
    except CalotypeError as failure:
        if "--json" in (arguments or sys.argv):
            print(json.dumps({"error": failure.code, "sentence": failure.sentence}))
        print(failure.sentence, file=sys.stderr)
        sys.exit(130 if failure.code in asking.WANTED else 1)
    except KeyboardInterrupt:
        sys.exit(130)


ANOMALIES = "Anomalies"
"""What ops.check calls its layer: to know that needs torch."""

ENGINE_COMMANDS = ("serve", "stop", "models", "styles")
"""Commands that start in a blink: they need no catalogue, so no torch."""


def _parser(arguments: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("calotype", description="AI retouching for old photos.")
    parser.add_argument("--version", action="version", version=VERSION)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    known = [] if arguments[:1] and arguments[0] in ENGINE_COMMANDS else offered()
    for operation in known:
        _add_operation(commands, operation)

    listing = commands.add_parser("operations", help="list the operations and their parameters")
    listing.add_argument("--json", action="store_true")
    listing.add_argument("--markdown", action="store_true", help="as docs/operations.md")
    listing.set_defaults(command=_operations)

    serve = commands.add_parser("serve", help="run the engine (editors and commands start it by themselves)")
    serve.add_argument("--unload-after", type=float, metavar="SECONDS", help="free the models when unused")
    serve.add_argument("--exit-after", type=float, metavar="SECONDS", help="end when unused")
    serve.add_argument("--stuck-after", type=float, metavar="SECONDS", help="end a model that says nothing")
    serve.set_defaults(command=_serve)

    stop = commands.add_parser("stop", help="end the engine that runs")
    stop.set_defaults(command=_stop)

    demo = commands.add_parser("demo", help="restore a photo and say what was gained")
    demo.add_argument("photo", type=Path, nargs="?", help="a photo of yours; otherwise one that we aged")
    demo.add_argument("--out", type=Path, default=Path("calotype-demo"), help="folder for the pictures")
    demo.set_defaults(command=_demo)

    export = commands.add_parser("export", help="write a part of the dual network as an ONNX file")
    export.add_argument("part", choices=("colour", "style", "both"))
    export.add_argument("output", type=Path, help="an .onnx file; what goes in and out is in docs/style.md")
    export.set_defaults(command=_export)

    train.add(commands)
    batch.add(commands)
    models.add(commands)
    styles.add(commands)
    return parser


def offered() -> list[params.Operation]:
    return params.offered(catalogue.load_cached() or _discovered())


def _discovered() -> list[params.Operation]:
    from calotype import ops
    from calotype.ops import declare

    fingerprint = catalogue.fingerprint()
    ops.discover()
    catalogue.save_cached(declare.declared(), fingerprint)
    return declare.declared()


def _add_operation(commands: Any, operation: params.Operation) -> None:
    command = commands.add_parser(
        operation.name.replace("_", "-"), help=operation.help, description=operation.help
    )
    if operation.background:
        command.add_argument("inputs", type=Path, nargs="*", metavar="PICTURE", help="or a folder of them")
    else:
        command.add_argument("input", type=Path, help="a JPEG, PNG, TIFF or WebP picture")
    if not operation.background and not operation.report:
        command.add_argument("output", type=Path, help="the new picture; its suffix chooses the format")
    command.add_argument(
        "--selection", type=Path, help="a grey picture of the same size: white is changed, black is not"
    )
    command.add_argument("--json", action="store_true", help="print the result's facts as JSON")
    for parameter in operation.parameters:
        _add_parameter(command, parameter)
    for name, help in operation.extra:
        command.add_argument("--" + name.replace("_", "-"), dest=name, type=Path, metavar="FILE", help=help)
    command.set_defaults(command=_learn if operation.background else _run, operation=operation)


def _add_parameter(command: argparse.ArgumentParser, parameter: params.Parameter) -> None:
    flag = "--" + parameter.name.replace("_", "-")
    help = parameter.help
    if isinstance(parameter, params.Pictures):
        return  # those that are named
    if isinstance(parameter, params.Number):
        help += f" {parameter.minimum:g} to {parameter.maximum:g} {parameter.unit}".rstrip() + "."
        if parameter.default is not None:
            help += f" Default {parameter.default:g}."
        kind: Any = int if parameter.whole else float
        command.add_argument(flag, dest=parameter.name, type=kind, metavar="N", help=help.replace("%", "%%"))
    elif isinstance(parameter, params.Toggle):
        command.add_argument(flag, dest=parameter.name, action=argparse.BooleanOptionalAction, help=help)
    elif isinstance(parameter, params.Style):
        command.add_argument(flag, dest=parameter.name, metavar="STYLE", help=help)
    elif isinstance(parameter, params.Choice):
        command.add_argument(
            flag, dest=parameter.name, choices=[c[0] for c in parameter.choices if c[0]], help=help
        )
    elif isinstance(parameter, params.OtherLayer):
        help += "" if parameter.any_size else " A picture of the same size."
        command.add_argument(flag, dest=parameter.name, type=Path, metavar="FILE", help=help)
    elif isinstance(parameter, params.Palette):
        help += " As #rrggbb, with commas between them."
        command.add_argument(flag, dest=parameter.name, type=_colours, metavar="COLOURS", help=help)
    elif isinstance(parameter, params.File):
        command.add_argument(flag, dest=parameter.name, type=os.path.abspath, metavar="FILE", help=help)
    else:
        command.add_argument(flag, dest=parameter.name, help=help)


def _colours(text: str) -> list[str]:
    return [colour.strip() for colour in text.split(",")]


def _run(options: argparse.Namespace) -> None:
    from calotype.image import files

    operation: params.Operation = options.operation
    extra = [path for name, _ in operation.extra if (path := getattr(options, name))]
    output = None if operation.report else options.output
    for target in (*([output] if output else []), *extra):
        files.check_target(target)
    document = files.read(options.input)
    layers = [document.layer]
    given = _given(options, layers)
    if document.note:
        print(document.note, file=sys.stderr)
    selection = _selection(options.selection, document.layer) if options.selection else None
    result = asking.answer(Request(operation.name, layers, given, selection, priority="batch"), options.json)
    if output:
        files.write(output, result.layers[0], document, asking.remark(result.facts))
    shown = result.layers[1:] if output else result.layers
    if output:
        shown = [layer for layer in shown if layer.name != ANOMALIES]  # they have no file of their own
    for path, layer in zip(extra, shown, strict=False):
        files.write_mask(path, layer)
    for path in extra[len(shown) :]:
        print(f"{path} was not written: this run had nothing for it.", file=sys.stderr)
    if options.json:
        print(json.dumps({**({"output": str(output)} if output else {}), **result.facts}))
        return
    if output:
        print(f"{str(output).encode('utf-8', 'replace').decode()} ({result.facts['seconds']:.1f} s)")
    for sentence in result.facts.get("report", []):
        print(sentence)


def _given(options: argparse.Namespace, layers: list[Layer]) -> dict[str, Any]:
    """The parameters that were given; pictures among them are added to layers, of which there is one."""
    from calotype.image import files

    operation: params.Operation = options.operation
    values = {p.name: getattr(options, p.name, None) for p in operation.parameters}
    given = {name: value for name, value in values.items() if value is not None}
    for parameter in operation.parameters:
        if isinstance(parameter, params.OtherLayer) and parameter.name in given:
            other = files.read(given[parameter.name]).layer
            if not parameter.any_size:
                _check_size(given[parameter.name], other, layers[0])
            given[parameter.name] = len(layers)
            layers.append(other)
    operation.check(given)
    return given


def _learn(options: argparse.Namespace) -> None:
    """Pictures that are learnt from go as layers; a folder is read by the engine."""
    from calotype.image import files

    folders = [path for path in options.inputs if path.is_dir()]
    pictures = [path for path in options.inputs if path not in folders]
    if folders:
        if len(folders) > 1 or options.more:
            raise CalotypeError("BAD_PARAMETER", "Name one folder, and pictures beside it.")
        options.more = os.path.abspath(folders[0])
    if len(pictures) > protocol.LAYERS_MAX - 2:
        raise CalotypeError(
            "BAD_PARAMETER", "These are too many pictures. Put them into a folder, and name it."
        )
    layers = [replace(files.read(path).layer, name=path.stem) for path in pictures]
    if not layers and (options.selection or options.exclude_layer):
        raise CalotypeError(
            "BAD_PARAMETER", "A selection, or what is left out, belongs to a picture: name one."
        )
    first, others = layers[:1], layers[1:]
    given = _given(options, first)
    selection = _selection(options.selection, layers[0]) if options.selection else None
    request = Request(options.operation.name, [*first, *others], given, selection, priority="batch")
    try:
        result = asking.answer(request, options.json)
    except CalotypeError as ended:
        if ended.code != "PAUSED":
            raise
        sentence = "Paused: 'calotype styles list' says how to go on, or how to discard it."
        raise CalotypeError(ended.code, sentence) from None
    if options.json:
        print(json.dumps(result.facts))
        return
    for sentence in result.facts.get("report", []):
        print(sentence)


def _selection(path: Path, layer: Layer) -> Layer:
    from calotype.image import files

    mask = files.read(path).layer
    if mask.format.channels != "G":
        raise CalotypeError("BAD_FILE", f"{path.name} must be a grey picture without transparency.")
    _check_size(path, mask, layer)
    return replace(mask, profile=b"")


def _check_size(path: Path, other: Layer, layer: Layer) -> None:
    if (other.width, other.height) != (layer.width, layer.height):
        raise CalotypeError(
            "BAD_FILE", f"{path.name} must be as large as the picture, {layer.width} x {layer.height} pixels."
        )


def _operations(options: argparse.Namespace) -> None:
    operations = offered()
    if options.json:
        print(json.dumps([operation.to_wire() for operation in operations], indent=1))
        return
    if options.markdown:
        print(_markdown(operations), end="")
        return
    for operation in operations:
        print(f"{operation.name.replace('_', '-')}: {operation.help}")
        for parameter in operation.parameters:
            print(f"  --{parameter.name.replace('_', '-')}: {parameter.help}")


def _markdown(operations: list[params.Operation]) -> str:
    lines = ["# Operations", "", "Made by `calotype operations --markdown` from their declarations."]
    for operation in operations:
        command = operation.name.replace("_", "-")
        lines += ["", f"## {operation.label}", "", operation.help, ""]
        files = "PICTURE..." if operation.background else "IN" if operation.report else "IN OUT"
        lines += [f"`calotype {command} {files} [--selection MASK] ...`", ""]
        lines += ["| parameter | | values | default |", "|---|---|---|---|"]
        for parameter in operation.parameters:
            default = "automatic" if parameter.default is None else f"{parameter.default}"
            flag = f"`--{parameter.name.replace('_', '-')}`"
            if isinstance(parameter, params.Pictures):
                flag = f"{parameter.label} (editors)"
            lines.append(f"| {flag} | {parameter.help} | {_values(parameter)} | {default} |")
        for name, help in operation.extra:
            flag = name.replace("_", "-")
            lines.append(f"| `--{flag}` | {help[0].upper()}{help[1:]} (command line). | file | not written |")
    return "\n".join(lines) + "\n"


def _values(parameter: params.Parameter) -> str:
    if isinstance(parameter, params.Number):
        return f"{parameter.minimum:g} to {parameter.maximum:g} {parameter.unit}".rstrip()
    if isinstance(parameter, params.Style):
        own = set(shelf.own_names())
        return ", ".join(
            [*(value for value, _ in parameter.choices if value and value not in own), "your own"]
        )
    if isinstance(parameter, params.Choice):
        return ", ".join(value for value, _ in parameter.choices)
    return parameter.kind


def _serve(options: argparse.Namespace) -> None:
    from calotype.serve import serve
    from calotype.server import Settings

    given = {"unload_s": options.unload_after, "exit_s": options.exit_after, "silence_s": options.stuck_after}
    serve(Settings(**{key: value for key, value in given.items() if value is not None}))


def _stop(options: argparse.Namespace) -> None:
    print("The engine has ended." if launch.stop() else "No engine runs.")


def _export(options: argparse.Namespace) -> None:
    import torch

    from calotype.models import dual, exported
    from calotype.models.device import Device

    network = dual.shipped(Device("cpu", torch.float32))
    apart = exported.export(options.part, options.output, network)
    print(f"{options.output} (ONNX Runtime agrees with torch to {apart:.1g})")


def _demo(options: argparse.Namespace) -> None:
    from calotype import demo

    demo.run(options.photo, options.out)


if __name__ == "__main__":
    main()
