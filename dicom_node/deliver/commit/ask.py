"""N-ACTION "Request Storage Commitment", and the report when it comes in the same association (PS3.4 J.3.2, J.3.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from dicom_node.deliver.send.association import Call, Message, NoContextAccepted, RequestedAssociation, associated
from dicom_node.deliver.send.statuses import words_of
from dicom_node.node.commitment import (
    COMMITMENT_INSTANCE,
    REQUEST_COMMITMENT,
    STORAGE_COMMITMENT,
    CommitmentData,
    Reference,
    decode_commitment,
    encode_commitment,
)
from dicom_node.node.errors import DeliveryError
from dicom_node.node.small_data_set import MalformedDataSet
from dicom_node.node.upper_layer.dimse import Command, encode_action_request

_IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
_SUCCESS: Final = 0x0000
_PROCESSING_FAILURE: Final = 0x0110
# A report that comes in this association comes at once; others come in one of their own, and are not waited for.
_REPORT_SECONDS: Final = 2.0

TakeReport = Callable[[CommitmentData], int]
"""Takes a report and gives the status of our answer to it; its rows are committed when it returns."""


class ProofNotOffered(DeliveryError):
    """The destination gives no proof of this kind at all."""

    permanent = True


def ask_commitment(call: Call, transaction_uid: str, objects: Sequence[Reference], take: TakeReport) -> bool:
    """Ask a peer to take responsibility for objects.

    Args:
        call: the peer, and how to call it.
        transaction_uid: whose row is committed already.
        objects: what it stored.
        take: for a report that comes in this association.

    Returns:
        whether the report about this transaction came in this association.

    Raises:
        ProofNotOffered: the peer does not accept the SOP class.
        DeliveryError: no association, no answer, or a status other than 0x0000.
    """
    try:
        with associated(call, ((STORAGE_COMMITMENT, _IMPLICIT_VR_LITTLE_ENDIAN),)) as association:
            return _ask(association, call, transaction_uid, encode_commitment(transaction_uid, objects), take)
    except NoContextAccepted as error:
        raise ProofNotOffered(
            f"{call.name} accepts no storage commitment: allow it there for {call.calling_ae_title}, or write +verify "
            "in place of +commit"
        ) from error


def _ask(association: RequestedAssociation, call: Call, transaction_uid: str, data: bytes, take: TakeReport) -> bool:
    def encode(message_id: int) -> bytes:
        return encode_action_request(message_id, STORAGE_COMMITMENT, COMMITMENT_INSTANCE, REQUEST_COMMITMENT)

    message_id = association.request(STORAGE_COMMITMENT, encode, data)
    status, reported = None, False
    while message_id is not None and status is None and (message := association.next_message()) is not None:
        reported |= _take(association, message, transaction_uid, take)
        if message.command.is_response and message.command.message_id == message_id:
            status = message.command.status
    if reported:
        return True
    if status is None:
        raise DeliveryError(f"{call.name}: no answer to the request of storage commitment")
    if status != _SUCCESS:
        raise DeliveryError(f"{call.name} answered the request of storage commitment with {words_of(status)}")
    while (message := association.next_message(_REPORT_SECONDS)) is not None:
        if _take(association, message, transaction_uid, take):
            return True
    return False


def _take(association: RequestedAssociation, message: Message, transaction_uid: str, take: TakeReport) -> bool:
    """Take a message that is a report, and answer it; whether it was about this transaction."""
    if message.command.command_field != Command.N_EVENT_REPORT_RQ:
        return False
    try:
        report = decode_commitment(message.data, explicit_vr=False)
    except MalformedDataSet:
        association.respond(message, _PROCESSING_FAILURE)
        return False
    association.respond(message, take(report))
    return report.transaction_uid == transaction_uid
