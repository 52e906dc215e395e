"""`wmh-node destinations`: where results go, and what a destination takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from pynetdicom import AE
from pynetdicom.sop_class import (
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    StorageCommitmentPushModel,
    Verification,
)
from support.fhir_server import FhirStore, fhir_server
from support.mllp import mllp_server
from support.processes import free_port
from typer.testing import CliRunner

from dicom_node.cli.main import build_app
from dicom_node.deliver.look import open_warning
from dicom_node.node.destinations import MllpDestination


def _run(*arguments: str, code: int = 0) -> Result:
    """The command in this process: a process for each would cost seconds."""
    done = CliRunner().invoke(build_app("destinations"), arguments)
    assert done.exit_code == code, done.output
    return done


def test_list_and_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PACS that answers C-ECHO and takes no report is named with what is missing; one that is down, or does not know
    us, with what to do; a mistyped name with the one that was meant."""
    ae = AE(ae_title="PACS")
    for sop_class in (Verification, SecondaryCaptureImageStorage, SegmentationStorage, StorageCommitmentPushModel):
        ae.add_supported_context(sop_class)
    strict = AE(ae_title="STRICT")
    strict.add_supported_context(Verification)
    strict.require_calling_aet = ["SCANNER1"]
    ports = free_port(), free_port()
    environment = {
        "WMH_NODE_STORAGE": str(tmp_path),
        "WMH_NODE_DESTINATIONS": f"pacs=PACS@127.0.0.1:{ports[0]}+commit, down=PACS@127.0.0.1:1+verify, "
        f"strict=STRICT@127.0.0.1:{ports[1]}, web=http://127.0.0.1:1/dicom-web",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    servers = [
        entry.start_server(("127.0.0.1", port), block=False) for entry, port in zip((ae, strict), ports, strict=True)
    ]
    try:
        listed = json.loads(_run("destinations", "list", "--json").stdout)
        assert [(entry["name"], entry["kind"], entry["proof"]) for entry in listed] == [
            ("pacs", "dicom", "commit"), ("down", "dicom", "verify"), ("strict", "dicom", None), ("web", "web", None),
        ]  # fmt: skip
        answer = _run("destinations", "test", "pacs", "--json", code=1)
        tested = json.loads(answer.stdout)
        missing = [entry["words"] for entry in tested["contexts"] if not entry["accepted"]]
        assert missing == ["reports (Comprehensive 3D SR Storage)"]
        assert "it accepts no reports (Comprehensive 3D SR Storage) in Explicit VR Little Endian" in tested["problem"]
        down = _run("destinations", "test", "down", code=1)
        refused = "connection refused by 127.0.0.1:1: is the PACS running, does the firewall allow it?"
        assert refused in down.stderr
        unknown = _run("destinations", "test", "strict", code=1)
        assert "the PACS does not know our AE title WMHNODE: add it there" in unknown.stderr
        web = _run("destinations", "test", "web", code=1)
        assert refused in web.stderr
        wrong = _run("destinations", "test", "pcas", code=2)
        assert "did you mean pacs?" in wrong.stderr
    finally:
        for server in servers:
            server.shutdown()


def test_reports_to_other_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An HL7 receiver is connected and sent nothing, with a warning where the way is open; a FHIR server says what it
    speaks; one that is down is named with what to do."""
    monkeypatch.setenv("WMH_NODE_STORAGE", str(tmp_path))
    with mllp_server() as (port, received), fhir_server(FhirStore()) as url:
        monkeypatch.setenv(
            "WMH_NODE_DESTINATIONS",
            f"ris=mllp://127.0.0.1:{port}+oru, ehr={url}, down=mllps://127.0.0.1:{free_port()}+oru",
        )
        listed = json.loads(_run("destinations", "list", "--json").stdout)
        assert [(entry["name"], entry["kind"], entry["profile"]) for entry in listed] == [
            ("ris", "mllp", "oru"), ("ehr", "fhir", "fhir"), ("down", "mllp", "oru"),
        ]  # fmt: skip
        assert "it answers" in _run("destinations", "test", "ris").stdout
        assert "CapabilityStatement" in _run("destinations", "test", "ehr").stdout
        assert (
            "is the HL7 receiver running"
            in json.loads(_run("destinations", "test", "down", "--json", code=1).stdout)["problem"]
        )
    assert received == []
    open_way = MllpDestination(name="ris", host="10.0.0.9", port=2575, message="oru", tls=False)
    assert "everybody on the way can read the report" in open_warning(open_way)
