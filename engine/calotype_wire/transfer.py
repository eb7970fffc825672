"""Pixels on their way, in chunks: an editor's layers to the engine, and a result's from it."""

import mmap
from typing import Any, Dict, Iterator, List, Optional

from calotype_wire import protocol
from calotype_wire.protocol import Header, Layer, LayerShape


def uploaded(job: str, layers: List[Layer]) -> Iterator[List[protocol.Buffer]]:
    """The messages that carry layers' pixels and profiles to the engine."""
    for index, layer in enumerate(layers):
        offset = 0
        for blob in (memoryview(layer.pixels).cast("B"), memoryview(layer.profile)):
            for start in range(0, len(blob), protocol.CHUNK_BYTES):
                piece = blob[start : start + protocol.CHUNK_BYTES]
                header = protocol.pack({"type": "chunk", "job": job, "layer": index, "offset": offset})
                yield [header, piece]
                offset += len(piece)


class Download:
    """Pulled, never pushed: a slow reader costs the engine no memory."""

    def __init__(self, job: str, shapes: List[LayerShape], facts: Dict[str, Any]) -> None:
        self.job = job
        self.facts = facts
        self.outstanding = 0
        self._shapes = shapes
        # A bytearray would be filled with zeros at once, which takes a host's loop 0.2 s for 24 megapixels.
        self._buffers = [memoryview(mmap.mmap(-1, shape.total_bytes)) for shape in shapes]
        self._missing = sum(shape.total_bytes for shape in shapes)
        self._plan = iter(
            [(i, o) for i, s in enumerate(shapes) for o in range(0, s.total_bytes, protocol.CHUNK_BYTES)]
        )

    @property
    def complete(self) -> bool:
        return self._missing == 0

    def next_fetch(self) -> Optional[Header]:
        index, offset = next(self._plan, (None, 0))
        if index is None:
            return None
        self.outstanding += 1
        size = min(protocol.CHUNK_BYTES, self._shapes[index].total_bytes - offset)
        return {"type": "fetch", "job": self.job, "layer": index, "offset": offset, "bytes": size}

    def place(self, header: Header, size: int) -> memoryview:
        """Raises CalotypeError BAD_REQUEST where a chunk would lie outside of its layer."""
        buffer = self._buffers[protocol.get_count(header, "layer", len(self._buffers) - 1)]
        offset = protocol.get_count(header, "offset", len(buffer) - size)
        return memoryview(buffer)[offset : offset + size]

    def put(self, header: Header, payload: protocol.Buffer) -> None:
        """Note that a chunk has come, and copy it unless it was received in place."""
        target = self.place(header, len(payload))
        if not (isinstance(payload, memoryview) and payload.obj is target.obj):
            target[:] = payload
        self._missing -= len(payload)
        self.outstanding -= 1

    def layers(self) -> List[Layer]:
        return [shape.with_bytes(buffer) for shape, buffer in zip(self._shapes, self._buffers)]  # noqa: B905 Python 3.8
