"""A live preview: a small view of what an operation would do, brought up to date as its parameters move.

The engine reduces the layers once (operation 'view'); after that only the small ones travel. The document is
never touched.
"""

import time
from typing import Any, Callable, List, Mapping, Optional, Sequence, Set, Tuple

from calotype_wire.client import Event, Failed, Preview, Request, Result
from calotype_wire.protocol import Layer
from calotype_wire.session import Session

PATIENCE_S = 0.4
"""How long newer values wait for the picture of older ones, so that there is always something to see."""


class LivePreview:
    """before: the view, RGBA; None until it is there. after: what is shown over it, lowest first.

    sentence: what is wrong, for the user; otherwise empty.
    """

    def __init__(self, session: Session, changed: Callable[[], None]) -> None:
        """changed: called when there is something else to see."""
        self.before: Optional[Layer] = None
        self.after: List[Layer] = []
        self.sentence = ""
        self._session = session
        self._changed = changed
        self._mine: Set[str] = set()  # jobs that have not ended
        self._layers: List[Layer] = []
        self._selection: Optional[Layer] = None
        self._view: Optional[str] = None  # jobs under way
        self._effect: Optional[str] = None
        self._asked_at = 0.0
        self._wanted: Optional[Tuple[str, Mapping[str, Any]]] = None

    @property
    def busy(self) -> bool:
        """Whether what is shown will change."""
        return bool(self._view or self._effect or self._wanted)

    def look(
        self, request: Request, alone: Sequence[int] = (), part: Optional[Tuple[float, float]] = None
    ) -> None:
        """Show what request would do, to layers that may be new.

        alone: which of its layers are pictures of their own. part: the middle, in per cent of the layer, of
        the part that is seen in its own pixels; None for all, reduced.
        """
        values: Mapping[str, Any] = {"alone": ",".join(map(str, alone))}
        if part is not None:
            values = {**values, "actual": True, "x": part[0], "y": part[1]}
        self.stop_working()
        view = Request("view", request.layers, values, request.selection, "pixels", "preview")
        self._view = self._submit(view)
        self._wanted = request.operation, request.parameters

    def show(self, operation: str, values: Mapping[str, Any]) -> None:
        """The same layers, with other values or by another operation."""
        self._wanted = operation, values
        self.turn()

    def turn(self) -> None:
        """To be called many times a second."""
        if self._wanted is None or self._view is not None or not self._layers:
            return
        if self._effect is not None and time.monotonic() - self._asked_at < PATIENCE_S:
            return
        (operation, values), self._wanted = self._wanted, None
        self._cancel_effect()
        if self._selection is not None and not any(bytes(self._selection.pixels)):
            self.after = []  # nothing of what is seen is selected
            self._changed()
            return
        request = Request(operation, self._layers, values, self._selection, "pixels", "preview")
        self._effect = self._submit(request)
        self._asked_at = time.monotonic()

    def stop_working(self) -> None:
        """Leave the engine to something else. The picture stays."""
        self._cancel_effect()
        if self._view is not None:
            self._session.cancel(self._view)
        self._view = self._wanted = None

    def stop(self) -> None:
        """And forget the picture."""
        self.stop_working()
        self._layers, self._selection = [], None
        self.before, self.after, self.sentence = None, [], ""

    def fail(self, sentence: str) -> None:
        """There is nothing to show, and why."""
        self.stop()
        self.sentence = sentence
        self._changed()

    def take(self, event: Event) -> bool:
        """Whether the event belongs to the preview."""
        job = getattr(event, "job", None)
        if job not in self._mine:
            return False
        if isinstance(event, (Result, Failed)):
            self._mine.discard(job)
        if job == self._view:
            self._take_view(event)
        elif job == self._effect:
            self._take_effect(event)
        return True

    def _take_view(self, event: Event) -> None:
        if isinstance(event, Result):
            self._view = None
            layers = list(event.layers)
            self._selection = layers.pop() if len(layers[-1].format.channels) == 1 else None
            if self.before is None or _size(self.before) != _size(layers[0]):
                self.after = []
            self._layers, self.before = layers, layers[0]
            self.turn()
            self._changed()
        elif isinstance(event, Failed):
            self._view = None
            if event.code != "CANCELLED":
                self.fail(event.sentence)

    def _take_effect(self, event: Event) -> None:
        if isinstance(event, Preview):
            self.after = [event.picture]
        elif isinstance(event, Result):
            self._effect = None
            self.after = [
                layer for layer in event.layers if layer.place.visible and layer.place.kind != "mask"
            ]
        elif isinstance(event, Failed):
            self._effect = None
            self.after = []
        else:
            return
        self.sentence = event.sentence if isinstance(event, Failed) else ""
        self._changed()

    def _submit(self, request: Request) -> str:
        job = self._session.submit(request)
        self._mine.add(job)
        return job

    def _cancel_effect(self) -> None:
        if self._effect is not None:
            self._session.cancel(self._effect)
            self._effect = None


def _size(layer: Layer) -> Tuple[int, int]:
    return layer.width, layer.height
