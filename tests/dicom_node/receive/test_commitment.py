"""Storage commitment that a scanner asks us for, by pynetdicom: in its association, and in one that we open."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pydicom
from pynetdicom import AE, evt
from pynetdicom.sop_class import MRImageStorage, StorageCommitmentPushModel
from support.mr import mr_series
from support.processes import free_port, until
from support.receiver import ReceiverProcess

from db.commitment_answers import CommitmentAnswerTable
from db.engine import open_database
from dicom_node.deliver.commit.reporter import CommitmentReporter, report_commitment
from dicom_node.deliver.send import send_files
from dicom_node.deliver.send.association import Call, Timeouts
from dicom_node.node.commitment import COMMITMENT_INSTANCE
from dicom_node.node.destinations import Destination


def _request(transaction_uid: str, *references: tuple[str, str]) -> pydicom.Dataset:
    request = pydicom.Dataset()
    request.TransactionUID = transaction_uid
    request.ReferencedSOPSequence = []
    for sop_class, instance in references:
        item = pydicom.Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, instance
        request.ReferencedSOPSequence.append(item)
    return request


class _Reports:
    def __init__(self) -> None:
        self.taken: list[tuple[int, pydicom.Dataset]] = []
        self.handlers = [(evt.EVT_N_EVENT_REPORT, self._take)]

    def _take(self, event: Any) -> tuple[int, None]:
        self.taken.append((event.event_type, event.event_information))
        return 0x0000, None


def test_a_scanner_asks(tmp_path: Path) -> None:
    """The report says which of the images we hold: in the association of the request; where the node knows where the
    scanner listens, in one of its own with the node as SCP, once. Another instance or no UID is refused."""
    port = free_port()
    with ReceiverProcess(tmp_path, reported_separately=("LISTENER",)) as receiver:
        files = mr_series(tmp_path / "series", 2)
        assert all(outcome.ok for outcome in send_files(files, receiver.address))
        held = [str(pydicom.dcmread(file).SOPInstanceUID) for file in files]
        other_class = "1.2.840.10008.5.1.4.1.1.2"
        references = [(MRImageStorage, held[0]), (other_class, held[1]), (MRImageStorage, "1.2.3.4")]

        def ask(calling: str, request: pydicom.Dataset, reports: _Reports, wait: bool) -> int:
            ae = AE(ae_title=calling)
            ae.add_requested_context(StorageCommitmentPushModel)
            association = ae.associate("127.0.0.1", receiver.port, ae_title="WMHNODE", evt_handlers=reports.handlers)
            assert association.is_established
            status, _ = association.send_n_action(request, 1, StorageCommitmentPushModel, COMMITMENT_INSTANCE)
            if wait:
                until(lambda: reports.taken, "the report", 60, receiver.log)
            association.release()
            return int(status.Status)

        here = _Reports()
        assert ask("SCANNER1", _request("1.2.9.1", *references), here, wait=True) == 0x0000
        ((event_type, report),) = here.taken
        assert (event_type, report.TransactionUID) == (2, "1.2.9.1")
        assert [item.ReferencedSOPInstanceUID for item in report.ReferencedSOPSequence] == [held[0]]
        assert [item.FailureReason for item in report.FailedSOPSequence] == [0x0119, 0x0112]
        assert ask("SCANNER1", _request("no uid"), _Reports(), wait=False) == 0x0115

        assert ask("LISTENER", _request("1.2.9.2", *references[:1]), _Reports(), wait=False) == 0x0000
        there, listener = _Reports(), AE(ae_title="LISTENER")
        listener.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
        server = listener.start_server(("127.0.0.1", port), block=False, evt_handlers=there.handlers)
        address = Destination(name="peer", ae_title="LISTENER", host="127.0.0.1", port=port)
        try:
            with closing(open_database(receiver.settings.database_url)) as database:
                reporter = CommitmentReporter(
                    CommitmentAnswerTable(database),
                    {"LISTENER": address},
                    lambda peer, answer: report_commitment(Call(peer, "WMHNODE", Timeouts(), None), answer),
                )
                assert reporter.report_once()
                assert not reporter.report_once()
        finally:
            server.shutdown()
        ((event_type, report),) = there.taken
        assert (event_type, report.TransactionUID, len(report.ReferencedSOPSequence)) == (1, "1.2.9.2", 1)
