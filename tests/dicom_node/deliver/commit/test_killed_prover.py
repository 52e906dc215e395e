"""Kill -9 at each step of a proof: afterwards the PACS has every object, the job is done once, and nothing waits."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    MRImageStorage,
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
)
from support import dying_prover
from support.clock import ManualClock
from support.databases import sqlite_url, with_schema
from support.mr import mr_series
from support.processes import free_port
from support.proving import Proving, proving

from db.proofs import ProofTable
from db.records import ReportOutcome

pytestmark = pytest.mark.slow

_LEASE_SECONDS, _COMMIT_SECONDS = 60, 3600  # as `proving` has them


class Pacs:
    """Stores, lists what it stored, and reports storage commitment in the association of the request.

    `silent`: it takes a request and reports nothing.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.stored: list[str] = []
        self.transactions: list[str] = []
        self.silent = False

    @contextmanager
    def running(self) -> Iterator[None]:
        ae = AE(ae_title="PACS")
        for sop_class in (MRImageStorage, StorageCommitmentPushModel, StudyRootQueryRetrieveInformationModelFind):
            ae.add_supported_context(sop_class)
        handlers = [(evt.EVT_C_STORE, self._store), (evt.EVT_N_ACTION, self._action), (evt.EVT_C_FIND, self._find)]
        server = ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)
        try:
            yield
        finally:
            server.shutdown()

    def _store(self, event: Any) -> int:
        self.stored.append(str(event.request.AffectedSOPInstanceUID))
        return 0x0000

    def _find(self, event: Any) -> Iterator[tuple[int, pydicom.Dataset | None]]:
        asked = event.identifier
        wanted = str(asked.SOPInstanceUID).split("\\")
        for uid in sorted({uid for uid in self.stored if uid in wanted or wanted == [""]}):
            found = pydicom.Dataset()
            found.QueryRetrieveLevel = "IMAGE"
            found.StudyInstanceUID, found.SeriesInstanceUID = asked.StudyInstanceUID, asked.SeriesInstanceUID
            found.SOPInstanceUID = uid
            yield 0xFF00, found

    def _action(self, event: Any) -> tuple[int, None]:
        wanted = event.action_information
        self.transactions.append(str(wanted.TransactionUID))
        if not self.silent:
            report = pydicom.Dataset()
            report.TransactionUID, report.ReferencedSOPSequence = wanted.TransactionUID, wanted.ReferencedSOPSequence
            arguments = (report, 1, StorageCommitmentPushModel, "1.2.840.10008.1.20.1.1")
            threading.Timer(0.1, _unless_gone, (event.assoc, arguments)).start()
        return 0x0000, None


def _unless_gone(association: Any, arguments: tuple[Any, ...]) -> None:
    if association.is_established:
        association.send_n_event_report(*arguments)


@pytest.fixture
def pacs() -> Iterator[Pacs]:
    peer = Pacs()
    with peer.running():
        yield peer


def _die(node: Proving, url: str, pacs: Pacs, proof: str, point: str, when: str) -> None:
    """A process of its own sends and asks, until it is killed."""
    program = str(Path(dying_prover.__file__))
    command = [sys.executable, program, str(node.storage), url, str(pacs.port), proof, point, when]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == -signal.SIGKILL, f"it did not come to {point}: {done.stdout}{done.stderr}"


def _go_on(node: Proving, clock: ManualClock, job_id: int) -> None:
    """What a node does after a restart, until the job has ended: at most some leases and hours later."""
    for wait in (*[_LEASE_SECONDS + 1] * 3, *[_COMMIT_SECONDS + 1] * 3, 0):
        while node.deliverer.deliver_once() or node.prover.prove_once():
            pass
        if node.standing(job_id)[1] != "delivering":
            return
        clock.pass_seconds(wait)
    raise AssertionError(f"stuck: {node.standing(job_id)}, {node.events(job_id)}")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("proof", "point", "silent"),
    [
        ("commit", "stored there", False),
        ("commit", "claim", False),
        ("commit", "row of the question", False),
        ("commit", "question", False),
        ("commit", "report", False),
        ("commit", "wait for a report", True),
        ("verify", "look-up", False),
        ("verify", "listed", False),
    ],
)
def test_killed(tmp_path: Path, pacs: Pacs, proof: str, point: str, when: str, silent: bool) -> None:
    """Whatever step it dies at, the job ends proven, once; a report about a question of before changes nothing."""
    url, clock = sqlite_url(tmp_path), ManualClock()
    with_schema(url)
    with proving(tmp_path, url, {"pacs": dying_prover.destination(pacs.port, proof)}, clock) as node:
        files = mr_series(node.storage / "outbox", 3)
        job_id = node.deliver(files, "pacs")
        pacs.silent = silent
        _die(node, url, pacs, proof, point, when)
        pacs.silent = False
        _go_on(node, clock, job_id)
        assert node.standing(job_id) == (["committed"], "done")
        uids = {str(pydicom.dcmread(file).SOPInstanceUID) for file in files}
        assert set(pacs.stored) == uids
        assert len(pacs.stored) == (2 if (point, when) == ("stored there", "before") else 1) * len(files)
        events = node.events(job_id)
        word = "committed" if proof == "commit" else "verified"
        assert [events.count(what) for what in (word, "done", "not committed")] == [1, 1, 0]
        outcomes = {ProofTable(node.database).report(uid, uids, {}) for uid in pacs.transactions}
        assert outcomes <= {ReportOutcome.TAKEN, ReportOutcome.REPEATED}, "a question that left was known before"
        assert node.standing(job_id) == (["committed"], "done")
