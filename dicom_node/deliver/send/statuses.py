"""What a peer's answer to C-STORE means: the one table that sending, words and deliveries go by."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class StoreStatus(Enum):
    """The outcome for the object, and so whether to send it again.

    STORED: the peer holds it. ALREADY_THERE: the peer holds an object of that UID; the same one, where the UID stands
    for the content, as our results' UIDs do. TRY_AGAIN: not stored, for a reason that may pass. REFUSED: not stored,
    and later attempts will probably fail too. NOT_UNDERSTOOD: the same by the standard, and also what a peer with a
    fault answers to everything: only time, and its answers to other objects, separate the two.
    """

    STORED = "stored"
    ALREADY_THERE = "already stored"
    TRY_AGAIN = "try again"
    REFUSED = "refused"
    NOT_UNDERSTOOD = "not understood"


@dataclass(frozen=True)
class Status:
    """One row: the statuses from `first` to `last`."""

    first: int
    last: int
    answer: StoreStatus
    words: str


# PS3.4 table B.2-1 (C-STORE), PS3.7 annex C (general). What the table does not know is tried again. A full disk may be
# Cxxx too: SCPs on pynetdicom answer 0xC211 whatever went wrong while they stored.
STATUSES: Final = (
    Status(0x0000, 0x0000, StoreStatus.STORED, ""),
    Status(0xB000, 0xB000, StoreStatus.STORED, "stored, but the peer changed elements"),
    Status(0xB006, 0xB006, StoreStatus.STORED, "stored, but the peer dropped elements"),
    Status(0xB007, 0xB007, StoreStatus.STORED, "stored, but the peer reports that it does not match its SOP class"),
    Status(0x0111, 0x0111, StoreStatus.ALREADY_THERE, "duplicate SOP instance"),
    Status(0xA700, 0xA7FF, StoreStatus.TRY_AGAIN, "out of resources"),
    Status(0x0110, 0x0110, StoreStatus.TRY_AGAIN, "processing failure"),
    Status(0x0124, 0x0124, StoreStatus.TRY_AGAIN, "not authorized"),
    Status(0x0210, 0x0210, StoreStatus.TRY_AGAIN, "duplicate invocation"),
    Status(0x0211, 0x0211, StoreStatus.TRY_AGAIN, "unrecognized operation"),
    Status(0x0212, 0x0212, StoreStatus.TRY_AGAIN, "mistyped argument"),
    Status(0xC000, 0xCFFF, StoreStatus.NOT_UNDERSTOOD, "cannot understand"),
    Status(0xA900, 0xA9FF, StoreStatus.REFUSED, "data set does not match SOP class"),
    Status(0x0112, 0x0112, StoreStatus.REFUSED, "no such SOP instance"),
    Status(0x0117, 0x0117, StoreStatus.REFUSED, "invalid object instance"),
    Status(0x0118, 0x0118, StoreStatus.REFUSED, "no such SOP class"),
    # Also the status of a rejected presentation context.
    Status(0x0122, 0x0122, StoreStatus.REFUSED, "SOP class not supported"),
)
_UNKNOWN: Final = Status(0x0000, 0xFFFF, StoreStatus.TRY_AGAIN, "unknown status")


def store_status_of(status: int | None) -> StoreStatus:
    """What a status means; None, when no answer came, is tried again."""
    return StoreStatus.TRY_AGAIN if status is None else _row(status).answer


def words_of(status: int | None) -> str:
    """A status as text, e.g. "0xA700 out of resources"."""
    return "nothing" if status is None else f"0x{status:04X} {_row(status).words}".rstrip()


def _row(status: int) -> Status:
    return next((row for row in STATUSES if row.first <= status <= row.last), _UNKNOWN)
