"""Reports of storage commitment to senders that asked us, in associations of their own (PS3.4 J.3.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from db.commitment_answers import CommitmentAnswerTable
from db.records import CommitmentAnswer
from dicom_node.deliver.commit.ask import ProofNotOffered
from dicom_node.deliver.deliverer import IDLE_SECONDS
from dicom_node.deliver.send.association import Call, NoContextAccepted, associated
from dicom_node.deliver.send.statuses import words_of
from dicom_node.node.commitment import (
    ALL_COMMITTED,
    COMMITMENT_INSTANCE,
    FAILURES_EXIST,
    STORAGE_COMMITMENT,
    Reference,
    encode_commitment,
)
from dicom_node.node.destinations import Destination
from dicom_node.node.errors import DeliveryError
from dicom_node.node.logger import get_logger
from dicom_node.node.logs import describe_error
from dicom_node.node.upper_layer.associate import Role
from dicom_node.node.upper_layer.dimse import encode_event_report

log = get_logger()

_IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
_LEASE_SECONDS: Final = 300.0
_FIRST_SECONDS: Final = 15.0
_MOST_ATTEMPTS: Final = 12  # with doubling waits: about 17 hours


class CommitmentReporter:
    """Sends the reports that are due, one at a time.

    Args:
        answers: what is owed.
        addresses: where senders take reports, by AE title.
        report: sends one report, see `report_commitment`.
    """

    def __init__(
        self,
        answers: CommitmentAnswerTable,
        addresses: Mapping[str, Destination],
        report: Callable[[Destination, CommitmentAnswer], None],
    ) -> None:
        self._answers = answers
        self._addresses = addresses
        self._report = report

    def step(self) -> float:
        """For `run_until_stopped`."""
        return 0.0 if self.report_once() else IDLE_SECONDS

    def report_once(self) -> bool:
        """Send one report; False when none is due."""
        if not self._addresses or (answer := self._answers.claim(self._addresses, _LEASE_SECONDS)) is None:
            return False
        facts = {"calling": answer.calling_ae_title, "attempt": answer.attempts}
        try:
            self._report(self._addresses[answer.calling_ae_title], answer)
        except Exception as error:  # the edge towards peers: one that breaks us must not end the reports to others
            reason = str(error) if isinstance(error, DeliveryError) else describe_error(error)
            if answer.attempts >= _MOST_ATTEMPTS:
                self._answers.give_up(answer.id, reason)
                log.error("report of storage commitment given up", **facts, reason=reason)  # noqa: TRY400
            else:
                self._answers.postpone(answer.id, reason, _FIRST_SECONDS * 2 ** (answer.attempts - 1))
                log.warning("report of storage commitment not sent yet", **facts, reason=reason)
        else:
            self._answers.sent(answer.id)
            log.info("storage commitment reported", **facts, failed=len(answer.failed))
        return True


def report_commitment(call: Call, answer: CommitmentAnswer) -> None:
    """Report to a sender, as the SCP of an association that we ask for (role selection, PS3.7 D.3.3.4).

    Raises:
        DeliveryError: no association, no answer, or a status other than 0x0000.
    """
    committed = [Reference(*pair) for pair in answer.committed]
    failed = [(Reference(sop_class, instance), reason) for sop_class, instance, reason in answer.failed]
    event = FAILURES_EXIST if failed else ALL_COMMITTED

    def encode(message_id: int) -> bytes:
        return encode_event_report(message_id, STORAGE_COMMITMENT, COMMITMENT_INSTANCE, event)

    contexts = ((STORAGE_COMMITMENT, _IMPLICIT_VR_LITTLE_ENDIAN),)
    try:
        with associated(call, contexts, [Role(STORAGE_COMMITMENT, scu=False, scp=True)]) as association:
            data = encode_commitment(answer.transaction_uid, committed, failed)
            message_id = association.request(STORAGE_COMMITMENT, encode, data)
            message = None if message_id is None else association.next_message()
    except NoContextAccepted as error:
        raise ProofNotOffered(f"{call.name} accepts no storage commitment reports on this port") from error
    if message is None:
        raise DeliveryError(f"{call.name}: no answer to the report of storage commitment")
    if message.command.status != 0x0000:
        raise DeliveryError(f"{call.name} answered the report with {words_of(message.command.status)}")
