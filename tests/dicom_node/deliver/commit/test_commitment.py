"""Storage commitment and verification with real peers: Orthanc, which reports in its own association, and a
pynetdicom SCP that reports in ours."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import JPEGLSLossless
from pynetdicom import AE, evt
from pynetdicom.sop_class import MRImageStorage, StorageCommitmentPushModel
from support.clock import ManualClock
from support.databases import sqlite_url, with_schema
from support.mr import mr_series, summary_page
from support.orthanc import AE_TITLE, orthanc
from support.processes import free_port, until
from support.proving import Proving, proving
from support.receiver import ReceiverProcess

from dicom_node.node.destinations import Destination
from dicom_node.receive.receiver_settings import AllowedPeer

FAILED = 0x0112


class CommittingScp:
    """Stores MR images and answers for those that a test says, in the association of the request.

    `lost`: SOP Instance UIDs that it says it does not have, each once. `silent`: it never reports.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.stored: list[str] = []
        self.asked: list[list[str]] = []
        self.lost: set[str] = set()
        self.silent = False
        self.statuses: list[int] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        ae = AE(ae_title="PACS")
        ae.add_supported_context(MRImageStorage)
        ae.add_supported_context(StorageCommitmentPushModel)
        handlers = [(evt.EVT_C_STORE, self._store), (evt.EVT_N_ACTION, self._action)]
        server = ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)
        try:
            yield
        finally:
            server.shutdown()

    def _store(self, event: Any) -> int:
        self.stored.append(str(event.request.AffectedSOPInstanceUID))
        return 0x0000

    def _action(self, event: Any) -> tuple[int, None]:
        wanted = event.action_information
        self.asked.append([str(item.ReferencedSOPInstanceUID) for item in wanted.ReferencedSOPSequence])
        if not self.silent:
            report = self._report(wanted)
            threading.Timer(0.1, self._send, (event.assoc, report)).start()
        return 0x0000, None

    def _report(self, wanted: pydicom.Dataset) -> pydicom.Dataset:
        report = pydicom.Dataset()
        report.TransactionUID = wanted.TransactionUID
        report.ReferencedSOPSequence = [
            item for item in wanted.ReferencedSOPSequence if item.ReferencedSOPInstanceUID not in self.lost
        ]
        failed = [item for item in wanted.ReferencedSOPSequence if item.ReferencedSOPInstanceUID in self.lost]
        for item in failed:
            item.FailureReason = FAILED
        self.lost.clear()
        if failed:
            report.FailedSOPSequence = failed
        return report

    def _send(self, association: Any, report: pydicom.Dataset) -> None:
        event_type = 2 if "FailedSOPSequence" in report else 1
        for _twice in range(2):  # the same report again changes nothing
            status, _ = association.send_n_event_report(
                report, event_type, StorageCommitmentPushModel, "1.2.840.10008.1.20.1.1"
            )
            self.statuses.append(status.get("Status", -1))


def _destination(port: int, **options: Any) -> Destination:
    return Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=port, **options)


@pytest.fixture
def scp() -> Iterator[CommittingScp]:
    peer = CommittingScp(free_port())
    with peer.running():
        yield peer


@pytest.fixture
def node(tmp_path: Path, scp: CommittingScp, clock: ManualClock) -> Iterator[Proving]:
    url = sqlite_url(tmp_path)
    with_schema(url)
    with proving(tmp_path, url, {"pacs": _destination(scp.port, commit=True)}, clock) as node:
        yield node


def test_a_report_in_the_same_association(node: Proving, scp: CommittingScp) -> None:
    """The job is done when the PACS takes responsibility; of a partial failure only the lost object is sent again."""
    files = mr_series(node.storage / "outbox", 3)
    uids = [str(pydicom.dcmread(file).SOPInstanceUID) for file in files]
    scp.lost = {uids[1]}
    job_id = node.deliver(files, "pacs")
    assert node.deliverer.deliver_once()
    assert node.standing(job_id) == (["sent"], "delivering")
    assert node.prover.prove_once()
    (row,) = node.rows(job_id)
    assert str(row.state) == "pending"
    assert row.reason == f"not held there: {files[1].name} (0x0112 no such object instance)"
    assert node.deliverer.deliver_once()
    assert node.prover.prove_once()
    assert node.standing(job_id) == (["committed"], "done")
    assert (scp.stored, scp.asked) == ([*uids, uids[1]], [uids, [uids[1]]])
    assert node.events(job_id)[-5:] == ["sent", "not committed", "sent", "committed", "done"]


def test_no_report(node: Proving, scp: CommittingScp, clock: ManualClock) -> None:
    """A PACS that takes the request and is silent is asked again after the hours that are set, then it is said so."""
    scp.silent = True
    job_id = node.deliver(mr_series(node.storage / "outbox", 1), "pacs")
    node.deliverer.deliver_once()
    for _ in range(2):
        assert node.prover.prove_once()
        assert not node.prover.prove_once(), "its report is awaited"
        clock.pass_seconds(3601)
    assert node.prover.prove_once()
    assert node.standing(job_id) == (["unanswered"], "failed")
    assert len(scp.asked) == 2
    (row,) = node.rows(job_id)
    assert "no report of storage commitment in 2.0 hours after 2 requests" in (row.reason or "")


def test_no_commitment_at_all(tmp_path: Path) -> None:
    """A PACS that stores and knows no storage commitment is refused with what to do; nothing is asked for ever."""
    ae = AE(ae_title="PACS")
    ae.add_supported_context(MRImageStorage)
    port, url = free_port(), sqlite_url(tmp_path)
    with_schema(url)
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, lambda _event: 0x0000)])
    try:
        with proving(tmp_path, url, {"pacs": _destination(port, commit=True)}) as node:
            job_id = node.deliver(mr_series(tmp_path / "outbox", 1), "pacs")
            node.deliverer.deliver_once()
            node.prover.prove_once()
            assert node.standing(job_id) == (["refused"], "failed")
            (row,) = node.rows(job_id)
            assert "allow it there for WMHNODE, or write +verify in place of +commit" in (row.reason or "")
    finally:
        server.shutdown()


@pytest.mark.peer("Orthanc")
def test_orthanc_reports_to_our_receiver(tmp_path: Path) -> None:
    """Orthanc reports in its own association, as SCP by role selection: our receiver takes it though `peers` does
    not name it, and takes no image from it; C-FIND proves the same set; an image that Orthanc lost is sent again."""
    pacs_port, receiver_port = free_port(), free_port()
    peers = (AllowedPeer("SCANNER1"), AllowedPeer(AE_TITLE, "127.0.0.1", reports_only=True))
    destinations = {
        "commit": Destination(name="commit", ae_title=AE_TITLE, host="127.0.0.1", port=pacs_port, commit=True),
        "verify": Destination(name="verify", ae_title=AE_TITLE, host="127.0.0.1", port=pacs_port, verify=True),
    }
    with (
        ReceiverProcess(tmp_path / "node", port=receiver_port, peers=peers) as receiver,
        orthanc(tmp_path / "orthanc", {"wmhnode": ("WMHNODE", receiver_port)}, dicom_port=pacs_port) as server,
        proving(tmp_path / "node" / "storage", receiver.settings.database_url, destinations) as node,
    ):
        files = mr_series(node.storage / "outbox", 3)
        job_id = node.deliver(files, "commit", "verify")
        assert node.deliverer.deliver_once()
        assert node.deliverer.deliver_once()
        (lost,) = server.find("Instance", SOPInstanceUID=str(pydicom.dcmread(files[0]).SOPInstanceUID))
        server.delete(f"/instances/{lost}")
        assert node.prover.prove_once()
        assert node.prover.prove_once()
        until(lambda: node.standing(job_id)[0] == ["pending", "pending"], "what Orthanc lost", 30, receiver.log)
        assert [row.files_to_send for row in node.rows(job_id)] == [(f"outbox/{files[0].name}",)] * 2
        for _ in range(2):
            assert node.deliverer.deliver_once()
        for _ in range(2):
            assert node.prover.prove_once()
        until(lambda: node.standing(job_id) == (["committed", "committed"], "done"), "proofs", 30, receiver.log)
        server.post("/modalities/wmhnode/store", {"Resources": server.get("/instances"), "Permissive": True})
        assert not receiver.files(), receiver.log_text()


@pytest.mark.peer("Orthanc")
@pytest.mark.parametrize("proof", ["commit", "verify"])
def test_a_page_that_went_compressed_is_proven(tmp_path: Path, proof: str) -> None:
    """Orthanc holds the page compressed, and not our bytes: storage commitment and C-FIND still prove it."""
    pacs_port, receiver_port = free_port(), free_port()
    pacs = Destination(name="pacs", ae_title=AE_TITLE, host="127.0.0.1", port=pacs_port, **{proof: True})
    with (
        ReceiverProcess(tmp_path / "node", port=receiver_port) as receiver,
        orthanc(tmp_path / "orthanc", {"wmhnode": ("WMHNODE", receiver_port)}, dicom_port=pacs_port) as server,
        proving(tmp_path / "node" / "storage", receiver.settings.database_url, {"pacs": pacs}) as node,
    ):
        file = summary_page(node.storage / "outbox" / "summary.dcm")
        job_id = node.deliver([file], "pacs")
        assert node.deliverer.deliver_once()
        sent = pydicom.dcmread(file)
        (known,) = server.find("Instance", SOPInstanceUID=str(sent.SOPInstanceUID))
        stored = pydicom.dcmread(io.BytesIO(server.get_bytes(f"/instances/{known}/file")))
        assert stored.file_meta.TransferSyntaxUID == JPEGLSLossless
        assert len(stored.PixelData) < len(sent.PixelData) / 4
        assert node.prover.prove_once()
        until(lambda: node.standing(job_id) == (["committed"], "done"), "the proof", 30, receiver.log)
