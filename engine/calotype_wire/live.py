"""A live preview: a small view of what an operation would do, brought up to date as its parameters move.

The engine reduces the layers once (operation 'view'); after that only the small ones travel. The document is
never touched.
"""

import time
from typing import Any, Callable, List, Mapping, Optional, Sequence, Set, Tuple

from calotype_wire import params
from calotype_wire.client import Event, Failed, Preview, Request, Result
from calotype_wire.protocol import Layer
from calotype_wire.session import Session

PATIENCE_S = 0.4, 10.0
"""How long newer values wait, at least and at most, for the picture of older ones: 1.5 times as long as the
last one took. So a slider in motion always shows something.
"""


class LivePreview:
    """before: the view, RGB or RGBA; None until it is there. after: what is shown over it, lowest first.

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
        self._took_s = 0.0
        self._showed = False  # something of the effect under way
        self._wanted: Optional[Tuple[str, Mapping[str, Any]]] = None
        self._scene: Any = None  # that the layers are of
        self._glanced: Any = None
        self._asked: Any = None

    @property
    def sees(self) -> bool:
        """Whether there are layers to show anything of, or will be."""
        return bool(self._view or self._layers)

    @property
    def busy(self) -> bool:
        """Whether what is shown will change."""
        return bool(self._view or self._effect or self._wanted)

    def due(self, scene: Any, operation: str, values: Mapping[str, Any], patient: bool = False) -> bool:
        """Whether the layers must be read now, for look(). Where they are as they were, shows the values.

        scene: something else as soon as the layers look different. patient: wait until they look the same
        twice.
        """
        asked = operation, values
        if scene == self._scene and (self.sees or asked == self._asked):
            if asked != self._asked:
                self._asked = asked
                self.show(*asked)
            return False
        if patient and scene != self._glanced:
            self._glanced = scene
            return False
        self._scene, self._asked = scene, asked
        return True

    def forget(self) -> None:
        """The layers are due, however they look."""
        self._scene = self._asked = None

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
        self._layers = []
        view = Request("view", request.layers, values, request.selection, "pixels", "preview")
        self._view = self._submit(view)
        self._wanted = request.operation, request.parameters

    def show(self, operation: str, values: Mapping[str, Any]) -> None:
        """The same layers, with other values or by another operation. Nothing where sees is False."""
        if self.sees:
            self._wanted = operation, values
            self.turn()

    def turn(self) -> None:
        """To be called many times a second."""
        if self._wanted is None or self._view is not None or not self._layers:
            return
        least, most = PATIENCE_S
        patience_s = least if self._showed else min(max(least, 1.5 * self._took_s), most)
        if self._effect is not None and time.monotonic() - self._asked_at < patience_s:
            return
        (operation, values), self._wanted = self._wanted, None
        values = {key: value for key, value in values.items() if key != params.FINISH}  # takes too long
        self._cancel_effect()
        if self._selection is not None and not any(bytes(self._selection.pixels)):
            self.after, self.sentence = [], ""  # nothing of what is seen is selected
            self._changed()
            return
        request = Request(operation, self._layers, values, self._selection, "pixels", "preview")
        self._effect = self._submit(request)
        self._asked_at, self._showed = time.monotonic(), False

    def stop_working(self) -> None:
        """Leave the engine to something else. The picture stays."""
        self._cancel_effect()
        if self._view is not None:
            self._session.cancel(self._view)
            self._layers = []
        self._view = self._wanted = None

    def stop(self) -> None:
        """And forget the picture."""
        self._clear()
        self.forget()

    def _clear(self) -> None:
        self.stop_working()
        self._layers, self._selection = [], None
        self.before, self.after, self.sentence = None, [], ""

    def fail(self, sentence: str) -> None:
        """There is nothing to show, and why."""
        self._clear()
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
            self.fail(event.sentence)

    def _take_effect(self, event: Event) -> None:
        assert self.before is not None
        if isinstance(event, Preview):
            self._showed = True
            self.after, self.sentence = [event.picture], ""
        elif isinstance(event, Result):
            self._effect, self._took_s = None, time.monotonic() - self._asked_at
            seen = [layer for layer in event.layers if layer.place.visible and layer.place.kind != "mask"]
            self.after = [layer for layer in seen if _alike(layer, self.before)]
            self.sentence = "" if self.after else "The result is of another shape: run the filter to see it."
        elif isinstance(event, Failed):
            self._effect = None
            unchanged = event.code == "UNCHANGED"  # of what is seen; the layer itself may well be changed
            self.after, self.sentence = ([self.before], "") if unchanged else ([], event.sentence)
        else:
            return
        self._changed()

    def _submit(self, request: Request) -> str:
        job = self._session.submit(request)
        self._mine.add(job)
        return job

    def _cancel_effect(self) -> None:
        if self._effect is not None:
            self._session.cancel(self._effect)
            self._effect = None


def moved(part: Tuple[float, float], by: Tuple[float, float], size: Tuple[int, int]) -> Tuple[float, float]:
    """The middle of what is seen, in per cent, when the picture was dragged by so many pixels of size."""
    x, y = (min(100.0, max(0.0, old - 100 * d / n)) for old, d, n in zip(part, by, size))  # noqa: B905 Python 3.8
    return x, y


def _alike(layer: Layer, before: Layer) -> bool:
    """Whether a result shows the same part, on however many pixels."""
    across, down = layer.width / before.width, layer.height / before.height
    return abs(across - down) < 0.02 * (across + down)


def _size(layer: Layer) -> Tuple[int, int]:
    return layer.width, layer.height
