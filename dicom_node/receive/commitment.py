"""Storage commitment at the receiver (PS3.4 annex J), in both roles.

| message | we are | what happens |
|---|---|---|
| N-ACTION of a sender | SCP | the inbox's rows are looked up, the answer is written down, and reported |
| N-EVENT-REPORT of a destination | SCU | the report is taken about the transaction that we asked for |

A report to a sender leaves in the association of its request, or, where the settings give its address and port, in one
of its own (the role `deliver`). A repeated report changes nothing; one about no transaction of ours is answered 0x0110.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dicom_node.node import metrics
from dicom_node.node.commitment import (
    ALL_COMMITTED,
    CLASS_INSTANCE_CONFLICT,
    COMMITMENT_INSTANCE,
    FAILURES_EXIST,
    NO_SUCH_OBJECT,
    REQUEST_COMMITMENT,
    STORAGE_COMMITMENT,
    CommitmentData,
    Reference,
    decode_commitment,
    encode_commitment,
)
from dicom_node.node.small_data_set import MalformedDataSet
from dicom_node.node.upper_layer.dimse import Command, CommandSet
from dicom_node.receive.incoming import is_uid
from dicom_node.receive.statuses import Status

if TYPE_CHECKING:
    from db.commitment_answers import CommitmentAnswerTable
    from db.proofs import ProofTable

_COMMANDS: Final = {Command.N_ACTION_RQ: REQUEST_COMMITMENT, Command.N_EVENT_REPORT_RQ: 0}


@dataclass(frozen=True)
class Report:
    """What leaves in the association of the request: the row, the event type, and the data set."""

    answer_id: int
    event_type_id: int
    data: bytes


@dataclass(frozen=True)
class Reply:
    """What a message is answered, and the report that follows."""

    status: Status
    comment: str = ""
    report: Report | None = None


def is_commitment(command: CommandSet) -> bool:
    """Whether it is a message of storage commitment."""
    return command.command_field in _COMMANDS and command.sop_class_uid == STORAGE_COMMITMENT


class CommitmentDesk:
    """Answers messages of storage commitment; one per receiver process, used by all its threads.

    Args:
        proofs: transactions that we asked for.
        answers: what senders asked us for.
        exclusive: one writer at a time, see `Store`.
        reported_separately: AE titles that get their reports in an association of their own.
    """

    def __init__(
        self,
        proofs: ProofTable,
        answers: CommitmentAnswerTable,
        exclusive: Callable[[], AbstractContextManager[None]],
        reported_separately: Collection[str],
    ) -> None:
        self._proofs = proofs
        self._answers = answers
        self._exclusive = exclusive
        self._separately = frozenset(reported_separately)

    def reply(self, command: CommandSet, data: bytes, calling_ae_title: str, *, explicit_vr: bool) -> Reply:
        """Take a message; its rows are committed when this returns.

        Raises:
            Exception: the database failed; the peer has to ask again.
        """
        if command.sop_instance_uid != COMMITMENT_INSTANCE:
            return Reply(Status.NO_SUCH_SOP_INSTANCE, "expected the well-known instance of storage commitment")
        try:
            said = decode_commitment(data, explicit_vr=explicit_vr)
        except MalformedDataSet as error:
            return Reply(Status.PROCESSING_FAILURE, str(error))
        if not is_uid(said.transaction_uid):
            return Reply(Status.INVALID_ARGUMENT, "Transaction UID is missing or not a UID")
        if command.command_field == Command.N_EVENT_REPORT_RQ:
            return self._take_report(command, said)
        if command.type_id != REQUEST_COMMITMENT:
            return Reply(Status.NO_SUCH_ACTION, f"expected action type 1, got {command.type_id}")
        return self._confirm(said, calling_ae_title)

    def is_reported(self, answer_id: int) -> None:
        """The sender has taken the report."""
        with self._exclusive():
            self._answers.sent(answer_id)

    def _take_report(self, command: CommandSet, said: CommitmentData) -> Reply:
        if command.type_id not in (ALL_COMMITTED, FAILURES_EXIST):
            return Reply(Status.NO_SUCH_EVENT, f"expected event type 1 or 2, got {command.type_id}")
        with self._exclusive():
            outcome = self._proofs.report(said.transaction_uid, said.committed_uids(), said.failure_words())
        if outcome == "taken" and (seconds := self._proofs.seconds_to_proof(said.transaction_uid)) is not None:
            metrics.result_proven(seconds)
        if outcome == "unknown":
            return Reply(Status.PROCESSING_FAILURE, "this transaction was not asked for here")
        return Reply(Status.SUCCESS)

    def _confirm(self, said: CommitmentData, calling_ae_title: str) -> Reply:
        """What the inbox holds of a request. A request without objects is answered with none."""
        classes = self._answers.classes_of([reference.sop_instance_uid for reference in said.references])
        committed: list[Reference] = []
        failed: list[tuple[Reference, int]] = []
        for reference in said.references:
            if reference.sop_class_uid in classes.get(reference.sop_instance_uid, ()):
                committed.append(reference)
            else:
                is_known = reference.sop_instance_uid in classes
                failed.append((reference, CLASS_INSTANCE_CONFLICT if is_known else NO_SUCH_OBJECT))
        separately = calling_ae_title in self._separately
        with self._exclusive():
            answer_id = self._answers.owe(
                said.transaction_uid,
                calling_ae_title,
                [(reference.sop_class_uid, reference.sop_instance_uid) for reference in committed],
                [(reference.sop_class_uid, reference.sop_instance_uid, reason) for reference, reason in failed],
                separately=separately,
            )
        if answer_id is None or separately:  # asked before: the report about it is on its way, or was there
            return Reply(Status.SUCCESS)
        event = FAILURES_EXIST if failed else ALL_COMMITTED
        return Reply(
            Status.SUCCESS, report=Report(answer_id, event, encode_commitment(said.transaction_uid, committed, failed))
        )
