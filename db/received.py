"""What the inbox takes and gives: frozen records of received instances, associations and series."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class AssociationEnd(StrEnum):
    """How an association ended (PS3.8 section 7).

    RELEASED by A-RELEASE: the sender had said all. ABORTED by A-ABORT or a lost connection. LOST: the receiver itself
    was killed and found the association open at its next start.
    """

    RELEASED = "released"
    ABORTED = "aborted"
    LOST = "lost"


class RecordOutcome(StrEnum):
    """What an instance was to its series in the inbox.

    NEW: not seen before. DUPLICATE: same SOP Instance UID, same bytes; nothing was added. CONFLICT: same SOP Instance
    UID, other bytes; kept beside the first and flagged.
    """

    NEW = "new"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class ReceivedInstance:
    """One instance that lies on disk and waits for its row.

    Attributes:
        path: of the file, relative to STORAGE, POSIX form.
        sha256: of the file's bytes, lower-case hex.
        association_id: from `Inbox.open_association`.
    """

    sop_instance_uid: str
    sop_class_uid: str
    series_instance_uid: str
    study_instance_uid: str
    transfer_syntax_uid: str
    path: str
    sha256: str
    size_bytes: int
    association_id: int


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """One instance of the inbox.

    Attributes:
        ordinal: 1 for the first instance of its series, 2 for the next, ... in the order in which they became durable.
            A job that was made for n instances is about the ordinals 1 to n, whatever comes later.
        is_conflict: another file of the series with the same SOP Instance UID came before.
        known_elsewhere: a file of another series with the same SOP Instance UID came before. The two series stay
            independent of each other.
    """

    sop_instance_uid: str
    sop_class_uid: str
    series_instance_uid: str
    study_instance_uid: str
    transfer_syntax_uid: str
    path: str
    sha256: str
    size_bytes: int
    association_id: int
    ordinal: int
    is_conflict: bool
    known_elsewhere: bool
    received_at: datetime


@dataclass(frozen=True, slots=True)
class SeriesActivity:
    """A series that has instances newer than its last verdict.

    Attributes:
        instance_count: instances of the series, conflicts included.
        last_received_at: when the last of them came; a duplicate counts, since the sender is still at it.
        open_associations: associations that brought instances of this series and are still open.
        last_end: how the one that ended last ended; None when none has.
        conflict_count: how many of the instances are other bytes under a known SOP Instance UID.
    """

    series_instance_uid: str
    study_instance_uid: str
    instance_count: int
    last_received_at: datetime
    open_associations: int
    last_end: AssociationEnd | None
    conflict_count: int
