"""C-FIND at instance level (PS3.4 C.4.1, C.6.2.1): which of our objects a peer lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dicom_node.deliver.commit.ask import ProofNotOffered
from dicom_node.deliver.send.association import Call, NoContextAccepted, RequestedAssociation, associated
from dicom_node.deliver.send.statuses import words_of
from dicom_node.deliver.verify.sent_object import SentObject
from dicom_node.node.errors import DeliveryError
from dicom_node.node.small_data_set import MalformedDataSet, decode, encode, text_of
from dicom_node.node.upper_layer.dimse import encode_find_request

STUDY_ROOT_FIND: Final = "1.2.840.10008.5.1.4.1.2.2.1"
_IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
_LEVEL: Final = 0x00080052
_STUDY: Final = 0x0020000D
_SERIES: Final = 0x0020000E
_INSTANCE: Final = 0x00080018
_PENDING: Final = (0xFF00, 0xFF01)  # PS3.4 C.4.1.1.4
_SUCCESS: Final = 0x0000


def find_missing(call: Call, objects: Sequence[SentObject]) -> list[SentObject]:
    """The objects that a peer does not list.

    Raises:
        ProofNotOffered: it accepts no query.
        DeliveryError: no association, no answer, or a status that is no success.
    """
    try:
        with associated(call, ((STUDY_ROOT_FIND, _IMPLICIT_VR_LITTLE_ENDIAN),)) as association:
            return [obj for obj in objects if not _is_listed(association, call, obj)]
    except NoContextAccepted as error:
        raise ProofNotOffered(
            f"{call.name} accepts no query (Study Root C-FIND): allow it there for {call.calling_ae_title}, or leave "
            "out +verify"
        ) from error


def _is_listed(association: RequestedAssociation, call: Call, wanted: SentObject) -> bool:
    identifier = encode(
        {
            _LEVEL: "IMAGE",
            _STUDY: wanted.study_instance_uid,
            _SERIES: wanted.series_instance_uid,
            _INSTANCE: wanted.sop_instance_uid,
        }
    )
    message_id = association.request(
        STUDY_ROOT_FIND, lambda number: encode_find_request(number, STUDY_ROOT_FIND), identifier
    )
    found = False
    while message_id is not None and (message := association.next_message()) is not None:
        if not message.command.is_response or message.command.message_id != message_id:
            continue
        if message.command.status not in _PENDING:
            if message.command.status != _SUCCESS:
                raise DeliveryError(f"{call.name} answered C-FIND with {words_of(message.command.status)}")
            return found
        found |= _names(message.data, wanted.sop_instance_uid)
    raise DeliveryError(f"{call.name}: no answer to C-FIND")


def _names(data: bytes, sop_instance_uid: str) -> bool:
    try:
        return text_of(decode(data, explicit_vr=False), _INSTANCE) == sop_instance_uid
    except MalformedDataSet:
        return False
