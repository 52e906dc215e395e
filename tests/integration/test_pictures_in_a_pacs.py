"""Pages, presentation state and PDF in Orthanc: taken by C-STORE as they are, and shown."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from support.orthanc import AE_TITLE, Orthanc, orthanc
from support.result_cases import CASES, segmentation_of, series_of
from support.result_facts import facts_of

from dicom_node.deliver.send import send_files
from dicom_node.node.errors import NotAnalysable
from dicom_node.results.pages.encapsulated_pdf import build_pdf
from dicom_node.results.pages.presentation import build_presentation_state
from dicom_node.results.pages.summary import build_refusal, build_summary
from dicom_node.results.result_set import part10_bytes
from segmentation.regions import RegionRule


def send(objects: Sequence[Dataset], pacs: Orthanc, folder: Path) -> None:
    """Send objects to Orthanc, which says of each that it took it."""
    files = []
    for number, dataset in enumerate(objects):
        files.append(folder / f"{number}.dcm")
        files[-1].write_bytes(part10_bytes(dataset))
    to = SimpleNamespace(ae_title=AE_TITLE, host="127.0.0.1", port=pacs.dicom_port)
    assert all(outcome.ok for outcome in send_files(files, to))


def stored(pacs: Orthanc, dataset: Dataset) -> str:
    """Orthanc's id of an instance that it was sent."""
    (found,) = pacs.find("Instance", SOPInstanceUID=dataset.SOPInstanceUID)
    return found


@pytest.mark.peer("Orthanc")
def test_a_pacs_takes_and_shows_them(tmp_path: Path) -> None:
    """Orthanc stores every object, its preview of a page has the pixels that were drawn, and its PDF is ours."""
    series = series_of(CASES[0], tmp_path / "source")
    segmentation = segmentation_of(series, divided=RegionRule(4.0))
    facts = facts_of(series)
    pages = build_summary(series, segmentation, series.flags, facts)
    refusal = build_refusal(series.headers, NotAnalysable("not_axial", "The slices are sagittal."), facts)
    document = build_pdf(series, segmentation, series.flags, facts)
    state = build_presentation_state(series, segmentation, facts)
    objects = [*pages, *refusal, document, state]
    with orthanc(tmp_path / "pacs", {}) as pacs:
        send(objects, pacs, tmp_path)
        for page in (*pages, *refusal):
            preview = Image.open(BytesIO(pacs.get_bytes(f"/instances/{stored(pacs, page)}/preview")))
            assert np.array_equal(np.asarray(preview.convert("RGB")), page.pixel_array)
        pdf = pacs.get_bytes(f"/instances/{stored(pacs, document)}/pdf")
        assert pdf.rstrip(b"\x00") == document.EncapsulatedDocument.rstrip(b"\x00")
        kept = pydicom.dcmread(BytesIO(pacs.get_bytes(f"/instances/{stored(pacs, state)}/file")))
        assert kept.GraphicAnnotationSequence == pydicom.dcmread(BytesIO(part10_bytes(state))).GraphicAnnotationSequence
