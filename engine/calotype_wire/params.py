"""The kinds of parameter that an operation can declare, and how a value is checked against one.

An operation declares each parameter once; forms, command-line options, validation messages and
documentation are made from it. Every kind has a name, a label, a help text and a default.
"""

import dataclasses
import difflib
import math
import os
import re
from dataclasses import dataclass
from typing import Any, ClassVar, Dict, List, Mapping, Sequence, Tuple, Type

from calotype_wire.errors import CalotypeError


def _refuse(sentence: str) -> CalotypeError:
    return CalotypeError("BAD_PARAMETER", sentence)


@dataclass(frozen=True)
class Parameter:
    """optional: None is a value too and means that the engine decides."""

    kind: ClassVar[str] = ""
    name: str
    label: str
    help: str
    default: Any = None
    optional: bool = False

    def check(self, value: Any) -> Any:
        """The value as the operation gets it. Raises CalotypeError BAD_PARAMETER."""
        if value is None:
            if self.optional:
                return None
            raise _refuse(f"{self.label} needs a value.")
        return self._check(value)

    def _check(self, value: Any) -> Any:
        raise NotImplementedError

    def to_wire(self) -> Dict[str, Any]:
        return {"kind": self.kind, **dataclasses.asdict(self)}


@dataclass(frozen=True)
class Number(Parameter):
    kind: ClassVar[str] = "number"
    minimum: float = 0.0
    maximum: float = 100.0
    unit: str = ""
    whole: bool = False

    def _check(self, value: Any) -> Any:
        if type(value) not in (int, float) or not math.isfinite(value):
            raise _refuse(f"{self.label} must be a number.")
        if self.whole and value != int(value):
            raise _refuse(f"{self.label} must be a whole number.")
        if not self.minimum <= value <= self.maximum:
            unit = f" {self.unit}" if self.unit else ""
            raise _refuse(
                f"{self.label} must lie between {self.minimum:g} and {self.maximum:g}{unit}, not {value:g}."
            )
        return int(value) if self.whole else float(value)


@dataclass(frozen=True)
class Choice(Parameter):
    """choices: (value, label) pairs."""

    kind: ClassVar[str] = "choice"
    choices: Tuple[Tuple[str, str], ...] = ()

    def _check(self, value: Any) -> Any:
        known = [choice[0] for choice in self.choices]
        if value not in known:
            raise _refuse(f"{self.label} must be one of {', '.join(known)}.")
        return value


@dataclass(frozen=True)
class Toggle(Parameter):
    kind: ClassVar[str] = "toggle"

    def _check(self, value: Any) -> Any:
        if type(value) is not bool:
            raise _refuse(f"{self.label} must be on or off.")
        return value


@dataclass(frozen=True)
class Text(Parameter):
    kind: ClassVar[str] = "text"
    longest: int = 1000

    def _check(self, value: Any) -> Any:
        if type(value) is not str or len(value) > self.longest:
            raise _refuse(f"{self.label} must be a text of at most {self.longest} characters.")
        return value


@dataclass(frozen=True)
class File(Text):
    """A path on the user's machine; the operation opens it. folder: it may be a folder of files."""

    kind: ClassVar[str] = "file"
    folder: bool = False


@dataclass(frozen=True)
class Style(Choice):
    """The name of a trained style. folder: where a picture shows what each does. none: label of the choice of
    no style, '', where that is one.
    """

    kind: ClassVar[str] = "style"
    folder: str = ""
    none: str = ""

    def among(self, choices: Sequence[Tuple[str, str]]) -> "Style":
        """Where these can be chosen."""
        nothing = [("", self.none)] if self.none else []
        return dataclasses.replace(self, choices=tuple([*nothing, *choices]))

    def _check(self, value: Any) -> Any:
        known = [choice[0] for choice in self.choices]
        if value not in known:
            wrong = str(value)[:40]
            alike = difflib.get_close_matches(wrong, known, 5) or known[:5]
            more = " and more" if len(alike) < len(known) else ""
            raise _refuse(f"There is no style '{wrong}'. There is: {', '.join(alike)}{more}.")
        return value

    def swatch(self, name: str) -> str:
        """The path of that picture; it need not be there."""
        return os.path.join(self.folder, f"{name}.jpg")


@dataclass(frozen=True)
class Pictures(Choice):
    """What an editor sends to be worked on, one of PICTURES: the first layers of the job, or where there are
    several, also those that no other parameter names.
    """

    kind: ClassVar[str] = "pictures"


PICTURES = ("document", "layer", "layers", "documents")
"""All that is seen of the document, the active layer, every layer that is selected, or all that is seen of
every document that is open, the active one first; a selection is the active one's.
"""


FINISH = "check"
"""Name of the parameter that says how a run ends, whether its result is checked, or corrected too; and of
the fact that tells what was found.
"""


@dataclass(frozen=True)
class OtherLayer(Parameter):
    """Another layer of the document: its place among the layers that are sent with the job, from 1.

    any_size: it need not be as large as the picture. none: label of the choice of no layer.
    """

    kind: ClassVar[str] = "layer"
    any_size: bool = False
    none: str = "Automatic"

    def _check(self, value: Any) -> Any:
        if type(value) is not int or not 1 <= value < 64:
            raise _refuse(f"{self.label} must be one of the document's layers.")
        return value


@dataclass(frozen=True)
class Palette(Parameter):
    """Two to eight sRGB colours, "#rrggbb"."""

    kind: ClassVar[str] = "palette"

    def _check(self, value: Any) -> Any:
        if not isinstance(value, (list, tuple)) or not 2 <= len(value) <= 8:
            raise _refuse(f"{self.label} must have two to eight colours.")
        for colour in value:
            if not isinstance(colour, str) or not re.fullmatch("#[0-9a-fA-F]{6}", colour):
                raise _refuse(f"{self.label}: write each colour as #rrggbb.")
        return list(value)


KINDS: Dict[str, Type[Parameter]] = {
    kind.kind: kind for kind in (Number, Choice, Toggle, Text, File, Style, Pictures, OtherLayer, Palette)
}


@dataclass(frozen=True)
class Operation:
    """What an editor must know of an operation to offer it.

    extra: of each result after the first, the name of the command line's option for it, and its help.
    whole: all of the layer decides what becomes of a part, so all is sent even where a part is selected.
    offered: False where only programs ask for it, so that it is in no menu. background: it learns instead of
    making layers, for minutes and behind everything else; it can be paused. layers_min: how many it must be
    sent. report: its results show something of the picture and do not replace it.
    """

    name: str
    label: str
    help: str
    parameters: Tuple[Parameter, ...] = ()
    extra: Tuple[Tuple[str, str], ...] = ()
    whole: bool = False
    offered: bool = True
    background: bool = False
    layers_min: int = 1
    report: bool = False

    def check(self, values: Mapping[str, Any]) -> Dict[str, Any]:
        """A value for every parameter, defaults filled in. Raises CalotypeError BAD_PARAMETER."""
        known = [parameter.name for parameter in self.parameters]
        for name in values:
            if name not in known:
                raise _refuse(
                    f"{self.label} has no parameter '{str(name)[:40]}'. It has: {', '.join(known) or 'none'}."
                )
        return {p.name: p.check(values.get(p.name, p.default)) for p in self.parameters}

    def alone(self, values: Mapping[str, Any]) -> List[int]:
        """Of checked values: the other layers that are pictures of their own, by their places among all."""
        kinds = [p for p in self.parameters if isinstance(p, OtherLayer) and p.any_size]
        return [values[kind.name] for kind in kinds if values[kind.name]]

    def to_wire(self) -> Dict[str, Any]:
        parameters = [parameter.to_wire() for parameter in self.parameters]
        wire = {"name": self.name, "label": self.label, "help": self.help, "parameters": parameters}
        extra = [list(pair) for pair in self.extra]
        flags = {"whole": self.whole, "offered": self.offered, "background": self.background}
        return {**wire, "extra": extra, **flags, "layers_min": self.layers_min, "report": self.report}

    def with_styles(self, choices: Sequence[Tuple[str, str]]) -> "Operation":
        """Where a style can be chosen, these can."""
        parameters = tuple(p.among(choices) if isinstance(p, Style) else p for p in self.parameters)
        return dataclasses.replace(self, parameters=parameters)

    @staticmethod
    def from_wire(wire: Mapping[str, Any]) -> "Operation":
        parameters = tuple(parameter_from_wire(parameter) for parameter in wire["parameters"])
        extra = tuple((pair[0], pair[1]) for pair in wire.get("extra", []))
        flags = wire.get("whole") is True, wire.get("offered") is not False, wire.get("background") is True
        least = wire.get("layers_min", 1)
        report = wire.get("report") is True
        return Operation(wire["name"], wire["label"], wire["help"], parameters, extra, *flags, least, report)


def parameter_from_wire(wire: Mapping[str, Any]) -> Parameter:
    """A kind of a newer engine becomes Unknown; fields that this code does not know are left out."""
    kind = KINDS.get(wire["kind"], Unknown)
    fields = {f.name for f in dataclasses.fields(kind)}
    values = {key: value for key, value in wire.items() if key in fields}
    if "choices" in values:
        values["choices"] = tuple((choice[0], choice[1]) for choice in values["choices"])
    return kind(**values)


@dataclass(frozen=True)
class Unknown(Parameter):
    """A kind that this plugin is too old for: shown nowhere, always at its default."""

    kind: ClassVar[str] = "unknown"

    def check(self, value: Any) -> Any:
        return self.default


def catalogue_from_wire(wire: Sequence[Mapping[str, Any]]) -> List[Operation]:
    return [Operation.from_wire(operation) for operation in wire]


def offered(catalogue: Sequence[Operation]) -> List[Operation]:
    """Those for people."""
    return [operation for operation in catalogue if operation.offered]


def find(catalogue: Sequence[Operation], name: str) -> Operation:
    """Raises CalotypeError UNKNOWN_OPERATION."""
    for operation in catalogue:
        if operation.name == name:
            return operation
    names = ", ".join(operation.name for operation in catalogue)
    raise CalotypeError("UNKNOWN_OPERATION", f"There is no operation '{name[:40]}'. There is: {names}.")
