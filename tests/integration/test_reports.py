"""From a series to the RIS and the health record: the whole node, an HL7 server, a FHIR server that validates."""

from __future__ import annotations

import json
from pathlib import Path

import pydicom
import pytest
from support.dcmtk import storescu
from support.fhir_server import FhirStore, fhir_server
from support.mllp import mllp_server
from support.models import tiny_bundle
from support.node import AE_TITLE, Node
from support.phantoms import phantom_files
from support.results import outbox_of

from dicom_node.demo.phantom.phantom import PhantomSpec
from segmentation.bundle import reference_bundle

pytestmark = [pytest.mark.peer("storescu"), pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("is_usable", [True, False])
def test_one_number_from_the_node_to_every_system(tmp_path: Path, is_usable: bool) -> None:
    """A series that is sent to the node ends as a report at both systems, whose volume is that of the SR, or is absent
    where it must not be used; the job is done then."""
    files = phantom_files(PhantomSpec(slices=24), tmp_path / "flair")
    # The tiny one marks the scalp, so that its volume must not be used.
    model = reference_bundle() if is_usable else tiny_bundle(tmp_path / "model")
    store = FhirStore()
    with mllp_server() as (port, received), fhir_server(store) as url:
        destinations = f"ris=mllp://127.0.0.1:{port}+oru, ehr={url}"
        with Node(tmp_path / "node", destinations, model) as node:
            storescu(files, AE_TITLE, node.port)
            (job,) = node.ended_jobs()
            assert str(job.state) == "done", job.reason
            folder = outbox_of(node.storage, job.id)
            measured = json.loads((folder / "measurements.json").read_text())
            sr = pydicom.dcmread(folder / "sr.dcm")
    (message,) = received
    value = next(str(row[5]) for row in message.segments("OBX") if str(row[3][0][0]) == "WMH-VOL")
    coded = {one["code"]["coding"][0]["code"]: one for one in store.all("Observation")}["WMH-VOL"]
    (stated,) = [
        item.MeasuredValueSequence[0].NumericValue
        for item in sr.ContentSequence[-1].ContentSequence[0].ContentSequence
        if item.ValueType == "NUM" and item.ConceptNameCodeSequence[0].CodeValue == "118565006"
    ]
    assert (measured["reliability"] != "not_reliable") == is_usable
    if not is_usable:
        assert value == "" and "valueQuantity" not in coded
    else:
        assert float(value) == coded["valueQuantity"]["value"] == float(stated)
        assert float(value) == pytest.approx(measured["wmh_volume_ml"], abs=0.005)
    assert str(message.segment("PID")[3]) == str(pydicom.dcmread(files[0]).PatientID)
