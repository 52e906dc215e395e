"""What a receiver of HL7 wants in a message besides the report: its address in MSH, and the order's segment ORC.

The outbox has one message for all receivers; where it goes to is the destination's, and is filled in as it leaves. The
control ID (MSH-10) stays: it stands for the report.
"""

from __future__ import annotations

from typing import Final

from dicom_node.node.destinations import MllpDestination
from dicom_node.node.hl7_text import Message, Segment, composite, segment

_SENDING_FACILITY, _RECEIVING_APPLICATION, _RECEIVING_FACILITY = 4, 5, 6
_OBSERVATIONS_FOLLOW: Final = "RE"  # ORC-1, HL7 table 0119
_PLACER, _FILLER = 2, 3  # order numbers, in ORC as in OBR (4.5.1, 4.5.3)


def addressed(message: Message, destination: MllpDestination) -> Message:
    """The message as this destination wants it; the same one where it wants nothing."""
    names = {
        _SENDING_FACILITY: destination.sending_facility,
        _RECEIVING_APPLICATION: destination.receiving_application,
        _RECEIVING_FACILITY: destination.receiving_facility,
    }
    changes = {number: composite(name.split("^")) for number, name in names.items() if name is not None}
    header = message.header.with_fields(changes) if changes else message.header
    body = message.segments[1:]
    if destination.order_segment:
        body = tuple(one for row in body for one in ((_order(row), row) if row.name == "OBR" else (row,)))
    return Message((header, *body))


def _order(request: Segment) -> Segment:
    """ORC stands before its OBR (7.3.1)."""
    numbers = {number: request.field(number) for number in (_PLACER, _FILLER)}
    return segment("ORC", {1: _OBSERVATIONS_FOLLOW, **numbers})
