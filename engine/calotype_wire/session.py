"""All that an editor's plugin needs of the engine: it is found, started, and found again by itself."""

import json
from typing import Any, Dict, Iterator, List, Optional, Set, Tuple

from calotype_wire import launch, params, places
from calotype_wire.client import Client, Event, Failed, Request, Result, Styles, new_job
from calotype_wire.errors import CalotypeError


class Session:
    """pump() belongs into the host's loop, some fifty times a second while busy: it never blocks or raises.

    Every submitted job ends with exactly one Result or Failed, whatever becomes of the engine.
    """

    def __init__(self, name: str) -> None:
        """name: of the editor, for the engine's log."""
        self._name = name
        self._client: Optional[Client] = None
        self._search: Optional[Iterator[Optional[Client]]] = None
        self._waiting: Dict[str, Request] = {}
        self._running: Dict[str, Optional[Request]] = {}  # None: the engine has it
        self._tried_again: Set[str] = set()
        self._asked: List[Tuple[str, Dict[str, Any]]] = []  # about styles
        self._asking = 0  # of those that were sent
        self._ended: List[Event] = []

    @property
    def state(self) -> str:
        """'ready', 'starting', or 'asleep': nobody needs the engine now, and it starts when somebody does."""
        if self._client is not None:
            return "ready"
        return "starting" if self._search is not None else "asleep"

    @property
    def busy(self) -> bool:
        """Whether pump() has something to do."""
        return bool(
            self._search or self._waiting or self._running or self._asked or self._asking or self._ended
        )

    def wake(self) -> None:
        """Have the engine ready, and its catalogue told by an event, before the first job."""
        if self._client is None and self._search is None:
            self._search = launch.finding(self._name)

    def submit(self, request: Request) -> str:
        """The job's id. The layers' bytes must stay as they are until the job has ended."""
        ended = self.pump()  # notices that the engine has left since the last job
        self._ended += ended
        job = new_job()
        self._waiting[job] = request
        self.wake()
        return job

    def cancel(self, job: str, pause: bool = False) -> None:
        """As Client.cancel."""
        if self._waiting.pop(job, None):
            self._ended.append(Failed(job, "CANCELLED", "Cancelled."))
        elif self._client is not None:
            self._client.cancel(job, pause)

    def ask_styles(self, action: str = "list", **fields: Any) -> None:
        """As Client.ask_styles, as soon as there is an engine."""
        self._asked.append((action, fields))
        self.wake()

    def pump(self) -> List[Event]:
        """Do what is possible now; what has happened."""
        try:
            self._find()
            events = self._client.pump() if self._client is not None else []
            self._let_go()
        except CalotypeError as error:
            events = self._lost(error)
        except (OSError, MemoryError, ValueError, KeyError) as error:
            sentence = f"Calotype could not go on ({error}). Free some disk space and memory, and try again."
            events = self._lost(CalotypeError("BROKEN", sentence))
        events, self._ended = self._ended + events, []
        for event in events:
            if isinstance(event, (Result, Failed)):
                self._running.pop(event.job or "", None)
            if isinstance(event, Styles) or (isinstance(event, Failed) and event.job is None):
                self._asking = max(0, self._asking - 1)
        return events

    def close(self) -> None:
        """The engine drops this editor's jobs when the connection closes."""
        if self._client is not None:
            self._client.close()
        self._client = self._search = None

    def _find(self) -> None:
        if self._client is None and self._search is not None:
            self._client = next(self._search)
            if self._client is None:
                return
            self._search = None
            self._client.ask_catalogue()
        if self._client is not None:
            for job, request in list(self._waiting.items()):
                del self._waiting[job]
                self._running[job] = request
                self._client.submit(request, job)
            for action, fields in self._asked:
                self._client.ask_styles(action, **fields)
            self._asking += len(self._asked)
            self._asked = []

    def _let_go(self) -> None:
        """Pictures that the engine has taken: trainings run for long."""
        if self._client is not None:
            for job in self._running.keys() - self._client.unaccepted:
                self._running[job] = None

    def _lost(self, error: CalotypeError) -> List[Event]:
        """An engine that was just leaving takes no job: those that it never accepted go to the next one."""
        again = {}
        if error.code == "ENGINE_LOST" and self._client is not None:
            untaken = self._client.unaccepted - self._tried_again
            again = {job: request for job, request in self._running.items() if request and job in untaken}
        self.close()
        failed: List[Optional[str]] = [job for job in [*self._running, *self._waiting] if job not in again]
        if self._asked or self._asking or (not failed and error.code != "ENGINE_LOST"):
            failed.append(None)  # for questions about styles, or for nothing but the engine
        self._running, self._waiting, self._asked, self._asking = {}, again, [], 0
        self._tried_again |= set(again)
        if again:
            self.wake()
        return [Failed(job, error.code, error.sentence) for job in failed]


def known_operations() -> List[params.Operation]:
    """What the engine last said it can do, for menus made before it runs; empty where it never ran."""
    try:
        cached = json.loads(places.catalogue_file().read_text("utf-8"))
        return params.offered(params.catalogue_from_wire(cached["operations"]))
    except (OSError, ValueError, KeyError, TypeError):
        return []
