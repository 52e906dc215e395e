"""Withdrawing results: the note in the outbox first, then the rows that send it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from db.records import Delivery, DeliveryKind, NewDelivery
from db.withdrawals import Withdrawal, WithdrawalTable
from dicom_node.node.errors import ResultError
from dicom_node.node.files import make_folder, write_whole
from dicom_node.node.profiles import MESSAGE_SUFFIXES, kind_of_message
from dicom_node.results.report.message import build_message_withdrawal
from dicom_node.results.withdrawal import build_withdrawal


def withdraw_results(
    withdrawals: WithdrawalTable,
    storage: Path,
    job_id: int,
    by: str,
    reason: str,
    now: datetime,
    *,
    patient_safety: bool = False,
) -> Withdrawal:
    """Withdraw the results of one job, from every destination that has them or may have them.

    Args:
        withdrawals: the table.
        storage: STORAGE.
        job_id: whose results.
        by: who, for the audit.
        reason: in words of a person; the note holds it.
        now: with a time zone.
        patient_safety: whether the results must not be seen any more.

    Raises:
        UnknownRow, IllegalTransition: see `WithdrawalTable.withdraw`.
        ResultError: the result set is no longer in the outbox, so that no note can name its objects.
    """
    withdrawals.job(job_id)
    holders = withdrawals.holders(job_id)
    wrong_there = holders_of_wrong(withdrawals, job_id)
    notes = [
        NewDelivery(
            holder.destination,
            [_written(storage, job_id, holder, reason, now, patient_safety)],
            DeliveryKind.WITHDRAWAL,
        )
        for holder in wrong_there
    ]
    replaced = {holder.destination for holder in holders} - {holder.destination for holder in wrong_there}
    one_report = {holder.destination for holder in wrong_there if kind_of_message(holder.files[0]) is not None}
    return withdrawals.withdraw(job_id, by, reason, notes, replaced, one_report)


def holders_of_wrong(withdrawals: WithdrawalTable, job_id: int) -> list[Delivery]:
    """Deliveries whose destination has the results, or may have them, and nothing newer in their place.

    A report to another system stands for the series, not for the result: a newer one has taken its place, and must not
    be taken back.
    """
    return [
        holder
        for holder in withdrawals.holders(job_id)
        if kind_of_message(holder.files[0]) is None or not withdrawals.is_replaced(holder)
    ]


def _written(storage: Path, job_id: int, held: Delivery, reason: str, now: datetime, patient_safety: bool) -> str:
    """Write the note for what one destination has, synced; its path as in STORAGE."""
    files = [storage / file for file in held.files]
    if missing := [file.name for file in files if not file.exists()]:
        raise ResultError(
            f"the result set of job {job_id} is incomplete in the outbox ({', '.join(missing)} missing), so no "
            f"note can list its objects: delete them at {held.destination} manually"
        )
    # Not a number: the numbered folders are result sets.
    folder = storage / "outbox" / str(job_id) / "withdrawn"
    make_folder(folder)
    name, content = _note(files, reason, now, patient_safety)
    target = folder / f"withdrawal-{_digest(held.files)}{name}"
    write_whole(target, content)
    return target.relative_to(storage).as_posix()


def _note(files: Sequence[Path], reason: str, now: datetime, patient_safety: bool) -> tuple[str, bytes]:
    """The ending of its file's name, and the note in the form of what it takes back."""
    if (kind := kind_of_message(files[0].name)) is not None:
        try:
            sent = files[0].read_bytes()
        except OSError as error:
            raise ResultError(f"{files[0].name} of the result set cannot be read: {error.strerror}") from error
        return MESSAGE_SUFFIXES[kind], build_message_withdrawal(kind, sent, reason, now)
    buffer = io.BytesIO()
    note = build_withdrawal(files, reason, now, patient_safety=patient_safety)
    note.save_as(buffer, enforce_file_format=True)
    return ".dcm", buffer.getvalue()


def _digest(files: Sequence[str]) -> str:
    """Destinations that have the same objects share a note."""
    return hashlib.sha256("\n".join(files).encode()).hexdigest()[:16]
