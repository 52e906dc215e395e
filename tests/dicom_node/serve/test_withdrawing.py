"""Results that are withdrawn: the note, where it goes, and what counts no more."""

from __future__ import annotations

import json
from pathlib import Path

import pydicom
import pytest
from support.databases import sqlite_url, with_schema
from support.mr import mr_series
from support.processes import free_port
from support.proving import proving
from support.scp import RecordingScp
from typer.testing import CliRunner

from db.deliveries import DeliveryTable
from db.errors import IllegalTransition
from db.jobs import JobTable
from db.records import NewDelivery
from dicom_node.cli.main import build_app
from dicom_node.node.destinations import Destination

DIGEST = "ab" * 32


def test_a_rejection_note_goes_to_those_who_have_the_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By model, with words and JSON: the PACS that has the results gets one Key Object Selection that names each object
    and the reason; one that never had them gets nothing, neither then nor later; a second time changes nothing; the job
    says who and why, and cannot be retried."""
    url = sqlite_url(tmp_path)
    with_schema(url)
    port = free_port()
    destinations = {
        "pacs": Destination(name="pacs", ae_title="TESTPACS", host="127.0.0.1", port=port),
        "down": Destination(name="down", ae_title="TESTPACS", host="127.0.0.1", port=1),
    }
    monkeypatch.setenv("WMH_NODE_STORAGE", str(tmp_path))
    monkeypatch.setenv("WMH_NODE_DATABASE_URL", url)
    files = mr_series(tmp_path / "outbox" / "1" / "1", 2)
    with RecordingScp(port) as scp, proving(tmp_path, url, destinations) as node:
        jobs, table = JobTable(node.database), DeliveryTable(node.database)
        job = jobs.enqueue("1.2.3", "0" * 64, 1)
        jobs.claim("worker", 60)
        paths = [file.relative_to(tmp_path).as_posix() for file in files]
        measured = {"model": {"name": "m", "version": "1", "digest": DIGEST}}
        jobs.deliver(job.id, "worker", measured, [NewDelivery("pacs", paths), NewDelivery("down", paths)])
        assert node.deliverer.deliver_once()  # to the PACS; the other was not tried yet
        assert [str(delivery.state) for delivery in table.list(job.id)] == ["sent", "pending"]

        def withdraw(*options: str) -> list[dict]:
            words = ["results", "withdraw", "--model", DIGEST[:8], "--reason", "wrong orientation", "--json", *options]
            done = CliRunner().invoke(build_app("results"), words)
            assert done.exit_code == 0, done.output
            return json.loads(done.stdout)

        (would,) = withdraw("--dry-run")
        assert (would["job"], would["destinations"]) == (job.id, ["pacs"])
        assert jobs.get(job.id).withdrawn_at is None
        (row,) = withdraw("--by", "alice@ward")
        assert row == {"job": job.id, "destinations": ["pacs"], "compared_with_it": [], "problem": None}
        assert withdraw() == [], "its model has no other results"
        now = jobs.get(job.id)
        assert (now.withdrawn_by, now.withdrawn_reason, str(now.state)) == (
            "alice@ward", "wrong orientation", "cancelled",
        )  # fmt: skip
        while node.deliverer.deliver_once():
            pass
        standing = [(delivery.destination, str(delivery.kind), str(delivery.state)) for delivery in table.list(job.id)]
        assert standing == [
            ("pacs", "results", "sent"),
            ("down", "results", "cancelled"),
            ("pacs", "withdrawal", "sent"),
        ]
        (note,) = [dataset for dataset in scp.datasets if dataset.Modality == "KO"]
        with pytest.raises(IllegalTransition, match=r"its results were withdrawn \(wrong orientation\)"):
            jobs.retry(job.id)
    source = [pydicom.dcmread(file) for file in files]
    title = note.ConceptNameCodeSequence[0]
    assert (title.CodeValue, title.CodingSchemeDesignator) == ("113001", "DCM")
    (study,) = note.CurrentRequestedProcedureEvidenceSequence
    named = [item.ReferencedSOPInstanceUID for item in study.ReferencedSeriesSequence[0].ReferencedSOPSequence]
    assert sorted(named) == sorted(header.SOPInstanceUID for header in source)
    assert "wrong orientation" in [item.get("TextValue") for item in note.ContentSequence]
    assert (note.PatientID, note.StudyInstanceUID) == (source[0].PatientID, source[0].StudyInstanceUID)
