"""A request of a command, run on this user's engine, which is started where none runs."""

import json
import sys
from typing import Any

from calotype_wire import launch
from calotype_wire.client import Client, Failed, Progress, Request, Result
from calotype_wire.errors import CalotypeError


def answer(request: Request, quiet: bool) -> Result:
    """With a progress bar unless quiet. Ctrl-C cancels the job."""
    from rich.progress import Progress as Bar

    client = launch.engine("calotype command", sys.executable)
    with Bar(transient=True, disable=quiet) as bar:
        task = bar.add_task("Starting", total=1.0)
        try:
            for event in client.run(request):
                if isinstance(event, Progress):
                    bar.update(task, completed=event.fraction, description=event.stage)
                elif isinstance(event, Failed):
                    raise CalotypeError(event.code, event.sentence)
                elif isinstance(event, Result):
                    return event
        except KeyboardInterrupt:
            _cancel_all(client)
            raise
        finally:
            client.close()
    raise AssertionError("every job is answered")


def _cancel_all(client: Client) -> None:
    for job in client.jobs:
        client.cancel(job, pause=True)
    for _ in range(40):
        client.wait(0.05)
        client.pump()
        if not client.jobs:
            return


def remark(facts: dict[str, Any]) -> str:
    """For a picture's metadata: its scores, where it was checked."""
    return json.dumps({"calotype": facts["check"]["scores"]}) if "check" in facts else ""
