"""Between an operation's parameters and a procedure's arguments, which scripts and dialogs fill in."""

import re
from collections.abc import Mapping
from typing import Any

from gi.repository import Gimp, GObject
from pixels import bad_input

from calotype_wire import params
from calotype_wire.params import Operation, Parameter

READWRITE = GObject.ParamFlags.READWRITE
AUTOMATIC = "automatic"
RESERVED = ("run-mode", "image", "drawables", "procedure")
"""Arguments and properties that GIMP itself gives to a filter."""

BUTTON_KEYS = "hrcols"
"""Help, Reset, Cancel, OK, Load and Save: the keys of a dialog's own buttons."""

Arguments = dict[str, Parameter]


def arguments(operation: Operation) -> Arguments:
    """What can be asked for in GIMP: not a kind that a newer engine brought; it stays at its default."""
    return {_argument(p): p for p in operation.parameters if not isinstance(p, params.Unknown)}


def _argument(parameter: Parameter) -> str:
    name = parameter.name.replace("_", "-")
    return f"{name}-value" if name in RESERVED else name


def asks(operation: Operation) -> bool:
    return bool(arguments(operation))


def wanted(operation: Operation, checked: Mapping[str, Any]) -> str:
    """Of checked values: what is to be sent, one of params.PICTURES."""
    names = [p.name for p in operation.parameters if isinstance(p, params.Pictures)]
    return str(checked[names[0]]) if names else "layer"


def add_arguments(procedure: Gimp.Procedure, operation: Operation) -> None:
    taken = set(BUTTON_KEYS)
    for name, parameter in arguments(operation).items():
        _add(procedure, name, _with_key(parameter.label, taken), parameter)


def _with_key(label: str, taken: set[str]) -> str:
    """The label with an underscore before a letter that is no other widget's key yet."""
    for index, letter in enumerate(label.lower()):
        if letter.isalpha() and letter not in taken:
            taken.add(letter)
            return f"{_plain(label[:index])}_{_plain(label[index:])}"
    return _plain(label)


def _plain(label: str) -> str:
    return label.replace("_", "__")


def values(operation: Operation, config: Gimp.ProcedureConfig) -> tuple[dict[str, Any], list[Gimp.Layer]]:
    """Parameters as the engine takes them, and the other layers that they count, from 1."""
    found: dict[str, Any] = {}
    others: list[Gimp.Layer] = []
    for name, parameter in arguments(operation).items():
        value = config.get_property(name)
        if isinstance(parameter, params.OtherLayer):
            if value is not None:
                others.append(value)
                value = len(others)
        else:
            value = _value(parameter, value)
        found[parameter.name] = value
    return found, others


def forget_name(operation: Operation, config: Gimp.ProcedureConfig) -> None:
    """What is learnt is called by the parameter 'name'; GIMP would offer it again."""
    if "name" in arguments(operation):
        config.set_property("name", "")


def automatic(number: params.Number) -> float:
    """What stands for None where a number is optional: one below all that it can be."""
    return number.minimum - 1


def colours(text: str) -> list[str]:
    return [colour for colour in re.split(r"[\s,;]+", text) if colour]


def _add(procedure: Gimp.Procedure, name: str, label: str, parameter: Parameter) -> None:
    what = (name, label, parameter.help)
    if isinstance(parameter, params.Number):
        _add_number(procedure, what, parameter)
    elif isinstance(parameter, params.Style):  # GIMP keeps choices as they were when it started
        procedure.add_string_argument(*what, parameter.default or "", READWRITE)
    elif isinstance(parameter, params.Choice | params.Toggle) and (
        parameter.optional or isinstance(parameter, params.Choice)
    ):
        choice = Gimp.Choice.new()
        for index, (value, shown) in enumerate(_choices(parameter)):
            choice.add(value, index, shown, "")
        default = AUTOMATIC if parameter.default is None else str(parameter.default)
        procedure.add_choice_argument(*what, choice, default, READWRITE)
    elif isinstance(parameter, params.Toggle):
        procedure.add_boolean_argument(*what, bool(parameter.default), READWRITE)
    elif isinstance(parameter, params.File):
        procedure.add_file_argument(*what, Gimp.FileChooserAction.ANY, True, None, READWRITE)  # or a folder
    elif isinstance(parameter, params.OtherLayer):
        procedure.add_layer_argument(*what, True, READWRITE)
    elif isinstance(parameter, params.Palette):
        help = f"{parameter.help} Two to eight colours as #rrggbb, with commas between them."
        procedure.add_string_argument(name, label, help, ", ".join(parameter.default or []), READWRITE)
    else:
        procedure.add_string_argument(*what, parameter.default or "", READWRITE)


def _add_number(procedure: Gimp.Procedure, what: tuple[str, str, str], number: params.Number) -> None:
    name, label, help = what
    minimum, default = number.minimum, number.default
    if number.optional:
        minimum = automatic(number)
        default = minimum if default is None else default
        help = f"{help} {minimum:g}: automatic."
    if number.whole and max(abs(minimum), abs(number.maximum)) < 1 << 31:
        integers = (int(minimum), int(number.maximum), int(default))
        procedure.add_int_argument(name, label, help, *integers, READWRITE)
    else:
        procedure.add_double_argument(name, label, help, minimum, number.maximum, default, READWRITE)


def _choices(parameter: params.Choice | params.Toggle) -> list[tuple[str, str]]:
    known = [("True", "On"), ("False", "Off")] if isinstance(parameter, params.Toggle) else parameter.choices
    return ([(AUTOMATIC, "Automatic")] if parameter.optional else []) + list(known)


def _value(parameter: Parameter, value: Any) -> Any:
    """Of an argument, as the engine takes it."""
    if isinstance(parameter, params.File):
        return _path(parameter, value)
    if isinstance(parameter, params.Number):
        if parameter.optional and value == automatic(parameter):
            return None
        return int(value) if parameter.whole and value == int(value) else value
    if isinstance(parameter, params.Text | params.Style) and parameter.optional:
        return value or None
    if isinstance(parameter, params.Choice | params.Toggle) and parameter.optional:
        if value == AUTOMATIC:
            return None
        return value == "True" if isinstance(parameter, params.Toggle) else value
    if isinstance(parameter, params.Palette):
        return colours(value or "") or None
    return value


def _path(parameter: Parameter, file: Any) -> str | None:
    if file is None:
        return None
    path: str | None = file.get_path()
    if path is None:
        raise bad_input(f"{parameter.label}: choose a file that lies on this computer.")
    return path
