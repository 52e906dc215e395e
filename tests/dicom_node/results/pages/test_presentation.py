"""The outlines as a presentation state."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from support.peers import peer
from support.rasters import filled
from support.result_cases import CASES, Case, segmentation_of, series_of
from support.result_facts import facts_of

from dicom_node.results.pages.presentation import build_presentation_state, layers_of
from dicom_node.results.result_set import part10_bytes
from dicom_node.series.read.series import FlairSeries
from segmentation.regions import RegionRule

pytestmark = pytest.mark.slow

# DCMTK's checker (3.6.7) does not know DT with an offset from UTC, which PS3.5 6.2 has.
KNOWS_NO_OFFSET = "ContributionDateTime"


def written(series: FlairSeries, folder: Path, *, empty: bool = False) -> Path:
    """The presentation state of a series as a file."""
    segmentation = segmentation_of(series, empty=empty, divided=None if empty else RegionRule(4.0))
    path = folder / "presentation.dcm"
    path.write_bytes(part10_bytes(build_presentation_state(series, segmentation, facts_of(series))))
    return path


def polygons_of(state: Dataset) -> Iterator[tuple[str, str, int | None, list[list[float]]]]:
    """(layer, SOPInstanceUID, frame number, points) of every line."""
    for annotation in state.GraphicAnnotationSequence:
        for line in annotation.get("GraphicObjectSequence", []):
            (image,) = annotation.ReferencedImageSequence
            frame = image.get("ReferencedFrameNumber")
            points = np.array(line.GraphicData).reshape(-1, 2)
            assert (line.GraphicType, line.GraphicAnnotationUnits) == ("POLYLINE", "PIXEL")
            assert line.NumberOfGraphicPoints == len(points)
            yield annotation.GraphicLayer, image.ReferencedSOPInstanceUID, frame, points.tolist()


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.slow
def test_filling_the_lines_gives_the_masks(case: Case, tmp_path: Path) -> None:
    """In every geometry the lines of each layer, read from the file, surround its pixels in the right image exactly."""
    series = series_of(case, tmp_path / "source")
    state = pydicom.dcmread(written(series, tmp_path, empty=case.empty))
    lines = list(polygons_of(state))
    segmentation = segmentation_of(series, empty=case.empty, divided=None if case.empty else RegionRule(4.0))
    for layer in layers_of(segmentation):
        for frame, mask in zip(series.frames, layer.mask, strict=True):
            mine = [
                points
                for name, instance, number, points in lines
                if (name, instance, number) == (layer.name, frame.sop_instance_uid, frame.frame_number)
            ]
            assert np.array_equal(filled(mine, mask.shape), mask)
    assert bool(lines) == (not case.empty)


@pytest.mark.parametrize("case", [CASES[0], CASES[3], CASES[8]], ids=str)
def test_it_is_of_the_sources_study_and_always_alike(case: Case, tmp_path: Path) -> None:
    """It has the source's patient and study, refers to its images and no others, and has the same bytes each time."""
    series = series_of(case, tmp_path / "source")
    first = written(series, tmp_path, empty=case.empty).read_bytes()
    second = written(series, tmp_path, empty=case.empty)
    assert first == second.read_bytes()
    state = pydicom.dcmread(second)
    assert state.PatientID == series.headers[0].PatientID
    assert state.StudyInstanceUID == series.study_instance_uid
    (referenced,) = state.ReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == series.series_instance_uid
    images = {image.ReferencedSOPInstanceUID for image in referenced.ReferencedImageSequence}
    assert images == {frame.sop_instance_uid for frame in series.frames}
    layers = {item.GraphicLayer for item in state.GraphicLayerSequence}
    assert {item.GraphicLayer for item in state.GraphicAnnotationSequence} <= layers
    (note,) = [item.TextObjectSequence[0] for item in state.GraphicAnnotationSequence if "TextObjectSequence" in item]
    assert "RESEARCH USE ONLY" in note.UnformattedTextValue


def test_images_keep_their_window(tmp_path: Path) -> None:
    """The window and rescale that the images state are the state's too; without one a window for FLAIR is given."""
    series = series_of(CASES[0], tmp_path / "source")
    for header in series.headers:
        header.WindowCenter, header.WindowWidth = ["600", "700"], ["1200", "900"]
        header.RescaleSlope, header.RescaleIntercept = "2.5", "-7"
    state = pydicom.dcmread(written(series, tmp_path))
    (voi,) = state.SoftcopyVOILUTSequence
    assert (voi.WindowCenter, voi.WindowWidth) == (600, 1200)
    assert state.PresentationLUTShape == "IDENTITY"
    assert (state.RescaleSlope, state.RescaleIntercept) == (2.5, -7)

    for number, header in enumerate(series.headers):
        header.RescaleSlope = str(1 + number)
    state = pydicom.dcmread(written(series, tmp_path))
    assert "RescaleSlope" not in state
    assert state.SoftcopyVOILUTSequence[1].WindowCenter == (600 + 7) / 2
    assert state.SoftcopyVOILUTSequence[1].WindowWidth == 600

    for header in series.headers:
        del header.WindowCenter
    (voi, *_) = pydicom.dcmread(written(series, tmp_path)).SoftcopyVOILUTSequence
    assert 0 < voi.WindowWidth < 4 * 4096


def test_inverted_images_stay_inverted(tmp_path: Path) -> None:
    """Of MONOCHROME1 images the state says so; one without a window gets none, since ours is for turned values."""
    series = series_of(CASES[0], tmp_path / "source")
    for header in series.headers:
        header.PhotometricInterpretation = "MONOCHROME1"
        del header.WindowCenter
    state = pydicom.dcmread(written(series, tmp_path))
    assert state.PresentationLUTShape == "INVERSE"
    assert "SoftcopyVOILUTSequence" not in state


@pytest.mark.peer("dciodvfy")
@pytest.mark.peer("dcmpschk")
@pytest.mark.parametrize("case", [CASES[1], CASES[4], CASES[8]], ids=str)
def test_peers_accept_it(case: Case, tmp_path: Path) -> None:
    """dciodvfy has nothing to say but what it does not know, and DCMTK's checker of presentation states also."""
    file = written(series_of(case, tmp_path / "source"), tmp_path, empty=case.empty)
    done = subprocess.run([peer("dciodvfy"), "-new", str(file)], capture_output=True, text=True, check=False)
    found = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(("Error", "Warning"))]
    assert [line for line in found if "ContributingEquipmentSequence" not in line or "DeviceUID" not in line] == []
    done = subprocess.run([peer("dcmpschk"), str(file)], capture_output=True, text=True, check=False)
    affected = [line for line in (done.stdout + done.stderr).splitlines() if "Affected attribute" in line]
    assert [line for line in affected if KNOWS_NO_OFFSET not in line] == []
