"""An operation that the engine learns between two starts of GIMP."""

import json
from dataclasses import asdict, dataclass

from calotype.ops.declare import choice, file, number, operation, other_layer, palette, style, text, toggle
from calotype.ops.task import Task


@operation("Echo", "Names its result after what it was given.")
@dataclass(frozen=True)
class Echo:
    level: float = number("Level", "A number.", 50)
    whole: int = number("Whole", "A whole number.", 3, 1, 9, unit="", whole=True)
    auto: float | None = number("Auto", "Automatic unless you set it.", None)
    flag: bool = toggle("Flag", "On or off.", False)
    kind: str = choice("Kind", "One of two.", "a", {"a": "A", "b": "B"})
    words: str = text("Words", "A text.")
    look: str = style("Look", "A style.")
    other: int | None = other_layer("Other", "A layer.")
    colours: list[str] | None = palette("Colours", "A palette.")  # noqa: RUF009 a field, as all of them
    path: str | None = file("Path", "A file.")

    def run(self, task: Task) -> None:
        given = {name: value for name, value in asdict(self).items() if value not in (None, "")}
        task.copy(task.layers[0], json.dumps(given, sort_keys=True, ensure_ascii=False))
