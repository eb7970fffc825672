"""How an operation that makes pictures can end: its result is checked, or checked and corrected."""

from dataclasses import dataclass
from typing import Any

from calotype.image.codec import Canvas, bands
from calotype.ops import check, correct, declare
from calotype.ops.ladder import Outcome, Rules
from calotype.ops.stylize import Stylize
from calotype.ops.task import Task


def build(name: str, values: dict[str, Any]) -> declare.Runnable:
    """As declare.build, with its finish."""
    operation = declare.build(name, values)
    finish = values.get(declare.CHECK.name, "off")
    return operation if finish == "off" else Finished(operation, finish == "correct")


@dataclass(frozen=True)
class Finished:
    operation: declare.Runnable
    corrects: bool

    def run(self, task: Task) -> None:
        self.operation.run(task)
        result = task.results[0]
        style, source = "", None  # what is restored was damaged or grey: nothing of it is to be brought back
        if isinstance(self.operation, Stylize):
            style, source = self.operation.sole_style, task.layers[0]
        rules = Rules() if self.corrects else Rules(rounds=0)
        outcome = correct.found(task, result, source, style, rules)
        if outcome.repairs:
            _lay(task, result, outcome)
        found, scores = outcome.after
        if self.corrects:
            correct.tell(task, result, outcome)
        else:
            task.facts["check"] = check.told(result, outcome.seen, scores, outcome.left)
            task.report(check.sentence(scores, outcome.left))
        if task.lies_on_first(result) and outcome.left and result.shape.place.kind == "layer":
            check.show(task, found, outcome.left, visible=False)


def _lay(task: Task, result: Canvas, outcome: Outcome) -> None:
    """The repairs into a result that there is, where it is selected."""
    change = correct.changer(outcome, result.box)
    on_first = task.lies_on_first(result)
    for rows in bands(result.box):
        task.progress(0.9, "Correcting")
        inside = task.share(rows) if on_first else None
        result.write(rows, result, change(result.picture(rows), rows).clamp(0, 1), inside, False)
