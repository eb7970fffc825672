"""How an operation is declared: once, as a frozen dataclass whose fields are its parameters."""

import dataclasses
import re
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from calotype import stylebook
from calotype.community import cards
from calotype.ops.task import Task
from calotype.portfolio import shelf
from calotype_wire import params, places

C = TypeVar("C", bound=type)


class Runnable(Protocol):
    """What an operation's class provides."""

    def run(self, task: Task) -> None: ...


CHECK = params.Choice(
    params.FINISH,
    "Check the result",
    "Look for what went wrong in the result, score it, and repair it where that makes it better.",
    "off",
    choices=(("off", "No"), ("check", "Check"), ("correct", "Check and correct")),
)

_declared: dict[str, tuple[params.Operation, type]] = {}


def operation(
    label: str,
    help: str,
    extra: tuple[tuple[str, str], ...] = (),
    whole: bool = False,
    offered: bool = True,
    background: bool = False,
    layers_min: int = 1,
    report: bool = False,
    generates: bool = False,
) -> Callable[[C], C]:
    """Declare a frozen dataclass with run(task) as an operation, named as the class but in snake case.

    extra: for results after the first, the command line's option that writes it, and its help. whole: it
    must see all of the layer, even where a part is selected. offered: False leaves it to programs.
    background, layers_min, report: as of params.Operation. generates: its finish can be chosen.
    """

    def declare(cls: C) -> C:
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        parameters = tuple(
            dataclasses.replace(field.metadata["parameter"], name=field.name)
            for field in dataclasses.fields(cls)
        )
        if generates:
            parameters = (*parameters, CHECK)
        _declared[name] = (
            params.Operation(
                name, label, help, parameters, extra, whole, offered, background, layers_min, report
            ),
            cls,
        )
        return cls

    return declare


def number(
    label: str,
    help: str,
    default: float | None,
    minimum: float = 0.0,
    maximum: float = 100.0,
    unit: str = "%",
    whole: bool = False,
) -> Any:
    """A number field. default None: the engine decides unless the user does."""
    kind = params.Number("", label, help, default, default is None, minimum, maximum, unit, whole)
    return _field(kind)


def toggle(label: str, help: str, default: bool) -> Any:
    return _field(params.Toggle("", label, help, default))


def model(kind: str, more: str = "") -> Any:
    """Ours, 'calotype', or one of the user's models of that kind. more: what its help adds."""
    text = f"Ours, or one that you have added with 'calotype models add'{more}."
    return choice("Model", text, "calotype", {"calotype": "Calotype", **cards.choices(kind)})


def choice(label: str, help: str, default: str, choices: dict[str, str]) -> Any:
    """choices: value to label."""
    return _field(params.Choice("", label, help, default, False, tuple(choices.items())))


def text(label: str, help: str, default: str = "") -> Any:
    return _field(params.Text("", label, help, default))


def file(label: str, help: str, folder: bool = False) -> Any:
    """A path, or None. folder: of a folder, too."""
    return _field(params.File("", label, help, None, True, folder=folder))


def style(label: str, help: str, none: str = "") -> Any:
    """The name of one of the catalogue, or of the user's own: those that there are when it is asked for.

    none: label of "no style", '', which is the default then.
    """
    default, folder = "" if none else stylebook.catalogue()[0].name, str(places.swatches_dir())
    kind = params.Style("", label, help, default, False, (), folder, none)
    return _field(kind.among(shelf.choices()))


def pictures(label: str, help: str, default: str) -> Any:
    """Which of an editor's pictures are sent: one of params.PICTURES."""
    labels = ("The whole document", "The active layer", "The selected layers", "All open documents")
    choices = tuple(zip(params.PICTURES, labels, strict=True))
    return _field(params.Pictures("", label, help, default, False, choices))


def palette(label: str, help: str) -> Any:
    """Two to eight colours, or None."""
    return _field(params.Palette("", label, help, None, True))


def other_layer(label: str, help: str, any_size: bool = False, none: str = "Automatic") -> Any:
    """An index into task.layers, or None, which is labelled none."""
    return _field(params.OtherLayer("", label, help, None, True, any_size, none))


def _field(parameter: params.Parameter) -> Any:
    return dataclasses.field(default=parameter.default, metadata={"parameter": parameter})


def declared() -> list[params.Operation]:
    choices = shelf.choices()
    return [declaration.with_styles(choices) for declaration, _ in _declared.values()]


def build(name: str, values: dict[str, Any]) -> Runnable:
    """The operation with its checked parameters. Raises CalotypeError UNKNOWN_OPERATION, BAD_PARAMETER."""
    declaration = params.find(declared(), name)
    cls = _declared[name][1]
    checked = declaration.check(values)
    checked.pop(CHECK.name, None)
    result: Runnable = cls(**checked)
    return result
