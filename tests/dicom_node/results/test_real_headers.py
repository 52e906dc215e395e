"""Results of real instances from many vendors, with all that is odd in their headers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from support.data import shared_data
from support.peers import peer
from support.result_cases import result_set_of, segmentation_of

from dicom_node.node.errors import NotAnalysable
from dicom_node.results.check.result_checks import findings_of
from dicom_node.results.result_set import write_result_set
from dicom_node.series.dicom.frames import frames_of
from dicom_node.series.dicom.parsing import read_header
from dicom_node.series.geometry.planes import plane_of
from dicom_node.series.read.series import FlairSeries, SourceFrame


def one_frame_series(header: Dataset) -> FlairSeries | None:
    """The first frame of an instance as if it were a FLAIR series of one slice; None when it has no plane."""
    try:
        frames = frames_of([header])
    except NotAnalysable:
        return None
    plane = plane_of(frames[0]) if frames else None
    if plane is None:
        return None
    affine = np.eye(4)
    row_mm, column_mm = plane.pixel_spacing_mm
    affine[:3, 0], affine[:3, 1] = plane.along_row * column_mm, plane.along_column * row_mm
    affine[:3, 2], affine[:3, 3] = plane.normal * 5.0, plane.position
    voxels = np.random.default_rng(1).random((1, plane.rows, plane.columns)).astype(np.float32)
    header.FrameOfReferenceUID = str(header.get("FrameOfReferenceUID") or "1.2.3")
    return FlairSeries(
        stored=voxels,
        affine=affine,
        spacing_mm=(5.0, row_mm, column_mm),
        frames=(SourceFrame(str(header.SOPInstanceUID), str(header.SOPClassUID), frames[0].number),),
        headers=(header,),
        series_instance_uid=str(header.SeriesInstanceUID),
        study_instance_uid=str(header.StudyInstanceUID),
        frame_of_reference_uid=header.FrameOfReferenceUID,
        instances_digest="0" * 64,
        files_digest="0" * 64,
        flags=(),
    )


def first_of_each_series(root: Path) -> list[FlairSeries]:
    """One usable instance of every series under a folder."""
    found: dict[str, FlairSeries] = {}
    for path in sorted(root.rglob("*")):
        if not path.is_file():
            continue
        try:
            header = read_header(path)
        except NotAnalysable:
            continue
        if str(header.get("SeriesInstanceUID", "")) not in found:
            series = one_frame_series(header)
            if series is not None:
                found[series.series_instance_uid] = series
    return list(found.values())


@pytest.mark.shared_data
@pytest.mark.slow
@pytest.mark.peer("dciodvfy")
def test_real_headers_give_results_without_errors(tmp_path: Path) -> None:
    """Every real MR series that has a geometry gives results that pass the checks, without errors of dciodvfy."""
    series_of_vendors = first_of_each_series(shared_data("dicom"))
    assert len(series_of_vendors) > 10
    errors = []
    for series in series_of_vendors:
        result_set = result_set_of(series, segmentation_of(series))
        errors += [f"the checks: {finding}" for finding in findings_of(result_set.objects, series.headers)]
        for file in write_result_set(result_set, tmp_path):
            done = subprocess.run([peer("dciodvfy"), "-new", str(file)], capture_output=True, text=True, check=False)
            lines = (done.stdout + done.stderr).splitlines()
            maker = f"{series.headers[0].get('Manufacturer')}, {file.name}"
            errors += [f"{maker}: {line}" for line in lines if line.startswith("Error")]
            assert done.returncode in (0, 1), lines
    assert errors == []
