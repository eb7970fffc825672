"""An operation that the engine learns between two starts of GIMP."""

import json
from dataclasses import asdict, dataclass

from calotype.ops.declare import choice, number, operation, style, toggle
from calotype.ops.task import Task


@operation("Echo", "Names its result after what it was given.")
@dataclass(frozen=True)
class Echo:
    level: float = number("Level", "A number.", 50)
    whole: int = number("Whole", "A whole number.", 3, 1, 9, unit="", whole=True)
    auto: float | None = number("Auto", "Automatic unless you set it.", None)
    flag: bool = toggle("Flag", "On or off.", False)
    kind: str = choice("Kind", "One of two.", "a", {"a": "A", "b": "B"})
    look: str | None = style("Look", "A style.")

    def run(self, task: Task) -> None:
        task.copy(task.layers[0], json.dumps(asdict(self), sort_keys=True, ensure_ascii=False))
