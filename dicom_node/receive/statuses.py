"""What a DIMSE response says, and when.

| status | meaning | we answer it when | source |
|---|---|---|---|
| 0x0000 | success | the instance is on disk and its row committed, now or before | PS3.4 table B.2-1 |
| 0x0110 | processing failure | the database takes no row, an error of ours, an unknown transaction | PS3.7 C.5 |
| 0x0112 | no such SOP instance | storage commitment on another than its well-known instance | PS3.7 C.5 |
| 0x0113, 0x0123 | no such event type, no such action | storage commitment with another type than its own | PS3.7 C.5 |
| 0x0115 | invalid argument value | storage commitment without a Transaction UID | PS3.7 C.5 |
| 0x0117 | invalid object instance | the SOP Instance UID of the command is missing or no UID | PS3.7 C.5 |
| 0x0122 | SOP class not supported | the command's SOP class is not that of its presentation context | PS3.7 C.5 |
| 0x0211 | unrecognized operation | another DIMSE service than these, or in another context | PS3.7 C.5 |
| 0xA700 | out of resources | disk full, quota, file size limit, object larger than we take | PS3.4 table B.2-1 |
| 0xA900 | data set does not match SOP class | UIDs differ from the command or lack, no pixels | PS3.4 table B.2-1 |
| 0xC000 | cannot understand | the data set does not parse, is cut off, or was not sent | PS3.4 table B.2-1 |

C-STORE answers 0x0000 or an error, never a warning: nothing is coerced or discarded.
"""

from __future__ import annotations

import errno
from enum import IntEnum
from typing import Final

from dicom_node.node.errors import ReceivingError


class Status(IntEnum):
    """See the table of this module."""

    SUCCESS = 0x0000
    PROCESSING_FAILURE = 0x0110
    NO_SUCH_SOP_INSTANCE = 0x0112
    NO_SUCH_EVENT = 0x0113
    INVALID_ARGUMENT = 0x0115
    INVALID_OBJECT_INSTANCE = 0x0117
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    NO_SUCH_ACTION = 0x0123
    UNRECOGNIZED_OPERATION = 0x0211
    OUT_OF_RESOURCES = 0xA700
    DATA_SET_DOES_NOT_MATCH = 0xA900
    CANNOT_UNDERSTAND = 0xC000


class Refusal(ReceivingError):
    """An object that is not stored: the status that the sender gets, and why, without patient data.

    Attributes:
        series_instance_uid: of the object, as far as it could be read; not checked, "" when unknown.
    """

    def __init__(self, status: Status, reason: str) -> None:
        self.status = status
        self.reason = reason
        self.series_instance_uid = ""
        super().__init__(f"{reason} [{status:#06x}]")


_NO_ROOM: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE, errno.ENOMEM}


def refusal_of(error: BaseException) -> Refusal:
    """The refusal that an error of the disk or of the database amounts to."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, Refusal):
            return cause
        if isinstance(cause, MemoryError) or (isinstance(cause, OSError) and cause.errno in _NO_ROOM):
            return Refusal(Status.OUT_OF_RESOURCES, "no space left to store the object")
        if "disk is full" in str(cause):  # SQLITE_FULL
            return Refusal(Status.OUT_OF_RESOURCES, "no space left for the database")
        cause = cause.__cause__ or cause.__context__
    return Refusal(Status.PROCESSING_FAILURE, f"{type(error).__name__} while storing the object")
