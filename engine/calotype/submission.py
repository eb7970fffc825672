"""A submitted job, checked before any memory is taken for it."""

from collections.abc import Sequence
from typing import Any

from calotype.scheduler import Job
from calotype_wire import params, protocol
from calotype_wire.protocol import Header, LayerShape, get, get_id


def read(
    client: bytes, header: Header, operations: Sequence[params.Operation]
) -> tuple[Job, list[LayerShape]]:
    """The job, and the layers that its editor is going to upload, the selection last.

    Raises CalotypeError BAD_REQUEST, BAD_PARAMETER, UNKNOWN_OPERATION, TOO_LARGE.
    """
    operation = params.find(operations, get(header, "operation", str))
    fields: dict[str, Any] = {
        "operation": operation.name,
        "parameters": operation.check(get(header, "parameters", dict)),
        "selection": get(header, "selection", bool),
        "selection_to": get(header, "selection_to", str),
    }
    if fields["selection_to"] not in ("pixels", "alpha"):
        raise protocol.bad_request("The field 'selection_to' must be 'pixels' or 'alpha'.")
    wire = get(header, "layers", list)
    least = max(operation.layers_min, int(fields["selection"])) + fields["selection"]
    if not least <= len(wire) <= protocol.LAYERS_MAX:
        raise protocol.bad_request("A job needs a layer to work on, and not more than 64 in all.")
    shapes = [LayerShape.from_wire(layer) for layer in wire]
    if fields["selection"] and len(shapes[-1].format.channels) != 1:
        raise protocol.bad_request("A selection must have one channel.")
    priority = get(header, "priority", str)
    if priority not in protocol.PRIORITIES:
        raise protocol.bad_request(f"The priority must be one of {', '.join(protocol.PRIORITIES)}.")
    if operation.background:
        priority = protocol.BACKGROUND
    return Job(client, get_id(header), priority, get(header, "supersedes", str)[:64], fields), shapes
