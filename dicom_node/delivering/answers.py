"""What a destination's answer to C-STORE means for the delivery: one cited table.

| status      | meaning (PS3.4 B.2.3, PS3.7 annex C)                | so the delivery is           |
|-------------|-----------------------------------------------------|------------------------------|
| 0000        | success                                             | sent                         |
| B000        | coercion of data elements                           | sent                         |
| B006        | elements discarded                                  | sent                         |
| B007        | data set does not match SOP class                   | sent                         |
| 0111        | duplicate SOP instance: it has it already (our UIDs stand for the bytes) | sent    |
| A7xx        | out of resources                                    | tried again                  |
| 0110, 0124, 0210 ... | processing failure, not authorised, others | tried again                  |
| Cxxx        | cannot understand (many PACS also say so when they are in trouble) | tried again   |
| 0122, 0112, 0117, 0118 | SOP class not supported or not known     | refused                      |
| A9xx        | data set does not match SOP class                   | refused                      |
| no status   | no association, no answer, connection lost          | tried again                  |
"""

from __future__ import annotations

from enum import Enum

_SENT = frozenset({0x0000, 0xB000, 0xB006, 0xB007, 0x0111})
_REFUSED = frozenset({0x0112, 0x0117, 0x0118, 0x0122})
_MISMATCH = range(0xA900, 0xAA00)


class Answer(Enum):
    """How to go on after an attempt to send one file."""

    SENT = "sent"
    TRY_AGAIN = "try again"
    REFUSED = "refused"


def read_answer(status: int | None) -> Answer:
    """The table above; `status` is None when there was no answer."""
    if status in _SENT:
        return Answer.SENT
    if status in _REFUSED or (status is not None and status in _MISMATCH):
        return Answer.REFUSED
    return Answer.TRY_AGAIN
