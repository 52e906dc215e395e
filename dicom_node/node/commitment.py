"""Storage commitment (PS3.4 annex J): its data sets and its words, for the side that asks and the side that answers.

| reason | meaning (PS3.3 C.14.1.1) |
|---|---|
| 0x0110 | processing failure |
| 0x0112 | no such object instance |
| 0x0119 | class-instance conflict |
| 0x0122 | referenced SOP class not supported |
| 0x0131 | duplicate transaction UID |
| 0x0213 | resource limitation |
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from dicom_node.node.small_data_set import (
    FAILED_SOP_SEQUENCE,
    REFERENCED_SOP_SEQUENCE,
    Elements,
    decode,
    encode,
    items_of,
    number_of,
    text_of,
)

STORAGE_COMMITMENT: Final = "1.2.840.10008.1.20.1"
"""Storage Commitment Push Model SOP Class (PS3.4 J.3)."""
COMMITMENT_INSTANCE: Final = "1.2.840.10008.1.20.1.1"
"""Its well-known SOP Instance."""
REQUEST_COMMITMENT: Final = 1  # Action Type ID (PS3.4 table J.3-1)
ALL_COMMITTED: Final = 1  # Event Type IDs (PS3.4 table J.3-3)
FAILURES_EXIST: Final = 2

NO_SUCH_OBJECT: Final = 0x0112
CLASS_INSTANCE_CONFLICT: Final = 0x0119
PROCESSING_FAILURE: Final = 0x0110

REASONS: Final = MappingProxyType(
    {
        PROCESSING_FAILURE: "processing failure",
        NO_SUCH_OBJECT: "no such object instance",
        CLASS_INSTANCE_CONFLICT: "class-instance conflict",
        0x0122: "SOP class not supported there",
        0x0131: "duplicate transaction UID",
        0x0213: "resource limitation: no room there",
    }
)

_TRANSACTION_UID: Final = 0x00081195
_REFERENCED_CLASS: Final = 0x00081150
_REFERENCED_INSTANCE: Final = 0x00081155
_FAILURE_REASON: Final = 0x00081197
MAX_BYTES: Final = 8 * 1024 * 1024
"""Of one request or report; one of 20 000 instances has 4 MB."""


def reason_words(reason: int | None) -> str:
    """Why an object is not kept."""
    if reason is None:
        return "no reason given"
    return f"0x{reason:04X} {REASONS.get(reason, 'unknown reason')}"


@dataclass(frozen=True)
class Reference:
    """An object by its UIDs."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True)
class CommitmentData:
    """What a request (N-ACTION) or a report (N-EVENT-REPORT) says.

    Attributes:
        references: in a request, what is to be kept; in a report, what is.
        failures: what is not, with the reason; None where none is given.
    """

    transaction_uid: str
    references: tuple[Reference, ...]
    failures: tuple[tuple[Reference, int | None], ...] = ()

    def committed_uids(self) -> frozenset[str]:
        """SOP Instance UIDs that a report says are kept; one that it also says failed is not."""
        failed = {reference.sop_instance_uid for reference, _reason in self.failures}
        return frozenset(reference.sop_instance_uid for reference in self.references) - failed

    def failure_words(self) -> dict[str, str]:
        """Why not, by SOP Instance UID."""
        return {reference.sop_instance_uid: reason_words(reason) for reference, reason in self.failures}


def report_status(is_known: bool) -> int:
    """Our answer to a report: 0x0110 for a transaction that is not ours (PS3.4 J.3.3.3 allows no better one)."""
    return 0x0000 if is_known else PROCESSING_FAILURE


def encode_commitment(
    transaction_uid: str, references: Iterable[Reference], failures: Sequence[tuple[Reference, int]] = ()
) -> bytes:
    """A request, or a report, in Implicit VR Little Endian."""
    kept = [_reference_item(reference) for reference in references]
    lost = [{**_reference_item(reference), _FAILURE_REASON: reason} for reference, reason in failures]
    sequences = {REFERENCED_SOP_SEQUENCE: kept, FAILED_SOP_SEQUENCE: lost}
    return encode({_TRANSACTION_UID: transaction_uid, **{tag: items for tag, items in sequences.items() if items}})


def decode_commitment(data: bytes, *, explicit_vr: bool) -> CommitmentData:
    """Read a request or a report.

    Raises:
        MalformedDataSet: the bytes are no data set.
    """
    elements = decode(data, explicit_vr=explicit_vr)
    return CommitmentData(
        transaction_uid=text_of(elements, _TRANSACTION_UID),
        references=tuple(map(_reference, items_of(elements, REFERENCED_SOP_SEQUENCE))),
        failures=tuple(
            (_reference(item), number_of(item, _FAILURE_REASON)) for item in items_of(elements, FAILED_SOP_SEQUENCE)
        ),
    )


def _reference_item(reference: Reference) -> dict[int, str | int]:
    return {_REFERENCED_CLASS: reference.sop_class_uid, _REFERENCED_INSTANCE: reference.sop_instance_uid}


def _reference(item: Elements) -> Reference:
    return Reference(text_of(item, _REFERENCED_CLASS), text_of(item, _REFERENCED_INSTANCE))
