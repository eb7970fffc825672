"""A request of a command, run on this user's engine, which is started where none runs."""

import json
import sys
from typing import Any

from calotype_wire import launch
from calotype_wire.client import Client, Failed, Progress, Request, Result
from calotype_wire.errors import CalotypeError

WANTED = ("CANCELLED", "PAUSED")
"""Codes of errors that the user asked for, by Ctrl-C."""

KNOWN_OF = ("source", "style", "threshold")
"""What Check takes of Correct's parameters."""


def answer(request: Request, quiet: bool) -> Result:
    """With a progress bar unless quiet. Ctrl-C cancels the job. A picture that there is nothing to do to is
    its own result, checked if need be: a file was asked for, and what comes next in a chain wants a picture.
    """
    from rich.progress import Progress as Bar

    client = launch.engine("calotype command", sys.executable)
    with Bar(transient=True, disable=quiet) as bar:
        task = bar.add_task("Starting", total=1.0)
        try:
            for event in client.run(request):
                if isinstance(event, Progress):
                    bar.update(task, completed=event.fraction, description=event.stage)
                elif isinstance(event, Failed) and event.code == "UNCHANGED":
                    unchanged, sentence = event.job or "", event.sentence
                    break
                elif isinstance(event, Failed):
                    raise CalotypeError(event.code, event.sentence)
                elif isinstance(event, Result):
                    return event
        except KeyboardInterrupt:
            ended = _cancelled(client)
            if isinstance(ended, Failed):
                raise CalotypeError(ended.code, ended.sentence) from None
            if ended is None or ended.layers:
                raise
            return ended  # what has learnt has kept it already
        finally:
            client.close()
    facts = _checked(request, quiet)
    facts |= {"unchanged": True, "report": [sentence, *facts.get("report", [])], "seconds": 0.0}
    return Result(unchanged, list(request.layers[:1]), facts)


def _checked(request: Request, quiet: bool) -> dict[str, Any]:
    """What Check says of a picture that was left as it is; nothing where that was not asked for."""
    corrects = request.operation == "correct"
    if not corrects and request.parameters.get("check", "off") == "off":
        return {}
    layers = request.layers if corrects else request.layers[:1]
    given = {key: request.parameters[key] for key in KNOWN_OF if corrects and key in request.parameters}
    facts = answer(Request("check", layers, given, request.selection, priority=request.priority), quiet).facts
    return {key: facts[key] for key in ("check", "report")}


def _cancelled(client: Client) -> Failed | Result | None:
    """How the job ended; None where nobody knows. What learns puts away first what it has learnt."""
    for job in client.jobs:
        client.cancel(job, pause=True)
    for _ in range(200):
        for event in client.pump():
            if isinstance(event, Failed | Result):
                return event
        if not client.jobs:
            return None
        client.wait(0.05)
    return None


def remark(facts: dict[str, Any]) -> str:
    """For a picture's metadata: its scores, where it was checked."""
    return json.dumps({"calotype": facts["check"]["scores"]}) if "check" in facts else ""
