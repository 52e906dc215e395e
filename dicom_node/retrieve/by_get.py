"""An archive that sends in the association of our request: C-GET, Study Root (PS3.4 C.4.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from dicom_node.deliver.send.association import Message, RequestedAssociation, Sink
from dicom_node.node.dicom_uids import EXPLICIT_VR_LITTLE_ENDIAN, STUDY_ROOT_GET
from dicom_node.node.errors import DeliveryError
from dicom_node.node.storage_classes import STORAGE_CLASSES
from dicom_node.node.upper_layer.associate import Role
from dicom_node.node.upper_layer.dimse import Command, CommandSet, encode_get_request
from dicom_node.receive.statuses import Refusal, Status, refusal_of
from dicom_node.retrieve.archive import IMPLICIT_VR_LITTLE_ENDIAN, PENDING, SUCCESS, Archive, final_status
from dicom_node.retrieve.arrivals import ArchiveDown, Visit

# PS3.4 table C.4-3, what to do about it.
_GET_WORDS: Final[Mapping[int, str]] = {
    0xA701: "it has no room to count the instances",
    0xA702: "it could not send in our association: does it allow C-GET, in these transfer syntaxes?",
    0xA900: "it does not find the series any more",
    0xB000: "some instances did not arrive",
    0xFE00: "somebody there ended it",
}


def proposed_contexts() -> list[tuple[str, str]]:
    """(SOP class UID, transfer syntax UID) of what may come: what the node reads in every syntax that it takes, what it
    only holds in Explicit VR Little Endian. At most 128 fit (PS3.8 9.3.2.2).
    """
    read = [
        (uid, syntax) for uid, known in STORAGE_CLASSES.items() if known.is_read for syntax in known.transfer_syntaxes
    ]
    held = [(uid, EXPLICIT_VR_LITTLE_ENDIAN.uid) for uid, known in STORAGE_CLASSES.items() if not known.is_read]
    most = 128 - 1
    return [(STUDY_ROOT_GET, IMPLICIT_VR_LITTLE_ENDIAN), *[*read, *held][:most]]


class GetArchive(Archive):
    """For networks in which the archive cannot call us: no port of ours, no entry as a move destination."""

    def _send_here(self, study_uid: str, series_uid: str, names: Sequence[str]) -> str:
        classes = dict.fromkeys(sop_class for sop_class, _syntax in proposed_contexts()[1:])
        roles = [Role(sop_class, scu=False, scp=True) for sop_class in classes]
        with self.asking(*proposed_contexts(), roles=roles) as association:
            if not association.accepts(STUDY_ROOT_GET, IMPLICIT_VR_LITTLE_ENDIAN):
                raise ArchiveDown(f"{self.call.name} accepts no C-GET: allow it there, or use --move")
            with self.arrivals.visit(self.call.destination.ae_title, self.call.destination.host) as visit:
                getting = _Getting(self, association, visit)
                status = final_status(getting.get, study_uid, series_uid, names)
        if getting.refused:
            return getting.refused
        return "" if status == SUCCESS else self.words(status, "C-GET", _GET_WORDS)


class _Getting:
    """C-GET, once or several times in one association.

    Attributes:
        refused: why, of the first object that we refused; "" without one.
    """

    def __init__(self, archive: GetArchive, association: RequestedAssociation, visit: Visit) -> None:
        self._archive = archive
        self._association = association
        self._visit = visit
        self._refusal: Refusal | None = None  # of the object under way
        self.refused = ""

    def get(self, identifier: bytes) -> CommandSet:
        """One C-GET; its final response."""
        message_id = self._association.request(
            STUDY_ROOT_GET, lambda number: encode_get_request(number, STUDY_ROOT_GET), identifier
        )
        for message in self._archive.answers(self._association, message_id, "C-GET", self._begin, self._store):
            if message.command.status not in PENDING:
                return message.command
        raise DeliveryError(f"{self._archive.call.name} did not end C-GET")

    def _begin(self, context_id: int, command: CommandSet) -> Sink:
        self._refusal = None
        sop_class, syntax = self._association.context(context_id) or ("", "")
        try:
            if sop_class != command.sop_class_uid:
                raise Refusal(Status.SOP_CLASS_NOT_SUPPORTED, "the SOP class differs from that of the context")
            return self._visit.begin(sop_class, command.sop_instance_uid, syntax)
        except Refusal as refusal:
            self._refusal = refusal
            return _Nowhere()

    def _store(self, message: Message) -> None:
        """Answer what the archive sends: 0x0000 only for what is on disk and has its row."""
        if message.command.command_field != Command.C_STORE_RQ:
            self._association.respond(message, Status.UNRECOGNIZED_OPERATION)
            return
        try:
            if self._refusal is not None:
                raise self._refusal
            if not message.command.has_data_set:
                raise Refusal(Status.CANNOT_UNDERSTAND, "a C-STORE-RQ without a data set")
            self._visit.keep()
        except Refusal as refusal:
            self.refused = self.refused or f"an object was refused: {refusal.reason}"
            self._association.respond(message, refusal.status)
        except Exception as error:  # passed on: neither disk nor database is the archive's trouble
            self._association.respond(message, refusal_of(error).status)
            self._association.abort()
            raise
        else:
            self._association.respond(message, Status.SUCCESS)


class _Nowhere:
    """For the data set of an object that is refused already."""

    def write(self, fragment: memoryview | bytes) -> None:
        """Drop it."""
