"""What a report of storage commitment does to its delivery, whichever way it came."""

from __future__ import annotations

from db.proofs import ProofTable
from db.records import ReportOutcome
from dicom_node.deliver.commit.ask import TakeReport
from dicom_node.node import metrics
from dicom_node.node.commitment import CommitmentData, report_status


def take_report(proofs: ProofTable) -> TakeReport:
    """Writes a report to the tables; gives the status of our answer: 0x0110 for a transaction that is not ours."""

    def take(report: CommitmentData) -> int:
        outcome = proofs.report(report.transaction_uid, report.committed_uids(), report.failure_words())
        if outcome is ReportOutcome.TAKEN and (seconds := proofs.seconds_to_proof(report.transaction_uid)) is not None:
            metrics.result_proven(seconds)
        return report_status(outcome is not ReportOutcome.UNKNOWN)

    return take
