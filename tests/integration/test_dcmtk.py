"""End to end with DCMTK: storescu sends, dcmqrscp is the PACS and answers findscu and movescu."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from support.data import shared_data
from support.dcmtk import PACS_AE_TITLE, dcmqrscp, findscu_series, movescu_series, storescu
from support.dicom_series import series_from_nifti
from support.node import AE_TITLE, Node
from support.processes import free_port
from support.results import check_refers_to, headers

pytestmark = [pytest.mark.peer("dcmqrscp"), pytest.mark.peer("storescu"), pytest.mark.slow, pytest.mark.timeout(600)]


def test_storescu_in_dcmqrscp_out(tmp_path: Path) -> None:
    """A real FLAIR sent with storescu is found as SEG and SR in DCMTK's archive by C-FIND, and fetched by C-MOVE."""
    files = series_from_nifti(shared_data("flair-wmh", "101228", "flair.nii.gz"), tmp_path / "series")
    source = headers(files)
    study_uid = str(source[0].StudyInstanceUID)
    pacs_port, asker_port = free_port(), free_port()
    with (
        dcmqrscp(tmp_path / "pacs", pacs_port, asker_port, {}),
        Node(tmp_path / "node", f"pacs={PACS_AE_TITLE}@127.0.0.1:{pacs_port}") as node,
    ):
        storescu(files, AE_TITLE, node.port)
        (job,) = node.ended_jobs()
        assert str(job.state) == "done", job.reason
        fetched: dict[str, list[pydicom.Dataset]] = {"SEG": [], "SR": []}
        for modality, found in fetched.items():
            for series_uid in findscu_series(pacs_port, study_uid, modality):
                (file,) = movescu_series(pacs_port, asker_port, study_uid, series_uid, tmp_path / series_uid)
                found.append(pydicom.dcmread(file))
    (sr,) = fetched["SR"]
    assert len(fetched["SEG"]) == 2  # of the WMH; of their regions and the ventricles
    check_refers_to(fetched["SEG"], sr, source)
