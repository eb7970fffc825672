"""Identity: the least that an operation can do, to time everything around it. For CALOTYPE_OPERATIONS."""

from dataclasses import dataclass

from calotype.ops.declare import operation
from calotype.ops.task import Task


@operation("Identity", "Gives the layer back as it is.")
@dataclass(frozen=True)
class Identity:
    def run(self, task: Task) -> None:
        task.copy(task.layers[0], "Identity")
