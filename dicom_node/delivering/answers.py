"""What a destination's answer to C-STORE means for the delivery: one cited table.

| status                 | meaning (PS3.4 B.2.3, PS3.7 annex C)                               | so the delivery is |
|------------------------|--------------------------------------------------------------------|--------------------|
| 0000, B000, B006, B007 | stored, also with a warning (`SendOutcome.ok`)                     | sent               |
| 0111                   | duplicate SOP instance: it has it already, and our UIDs stand for the bytes | sent      |
| A7xx                   | out of resources                                                   | tried again        |
| 0110, 0124, 0210 ...   | processing failure, not authorised, others                         | tried again        |
| Cxxx                   | cannot understand (many PACS also say so when they are in trouble) | tried again        |
| 0112, 0117, 0118, 0122 | SOP class or instance not known or not supported                   | refused            |
| A9xx                   | data set does not match SOP class                                  | refused            |
| none                   | no association, no answer, connection lost                         | tried again        |
"""

from __future__ import annotations

from enum import Enum

from dicom_node.sending import SendOutcome

_ALREADY_THERE = 0x0111
_REFUSED = frozenset({0x0112, 0x0117, 0x0118, 0x0122})
_MISMATCH = range(0xA900, 0xAA00)


class Answer(Enum):
    """How to go on after an attempt to send one file."""

    SENT = "sent"
    TRY_AGAIN = "try again"
    REFUSED = "refused"


def read_answer(outcome: SendOutcome) -> Answer:
    """The table above."""
    if outcome.ok or outcome.status == _ALREADY_THERE:
        return Answer.SENT
    if outcome.status in _REFUSED or (outcome.status is not None and outcome.status in _MISMATCH):
        return Answer.REFUSED
    return Answer.TRY_AGAIN
