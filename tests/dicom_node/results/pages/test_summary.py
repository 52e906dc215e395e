"""The summary image, and the page about a series that was not analysed."""

from __future__ import annotations

import subprocess
from copy import deepcopy
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from support.data import shared_data
from support.dicom_series import scan_from_nifti, write_scan
from support.peers import peer
from support.result_cases import CASES, Case, segmentation_of, series_of
from support.result_facts import MODEL, facts_of

from dicom_node.node.errors import NotAnalysable
from dicom_node.results.common.colours import DEEP_RGB, PERIVENTRICULAR_RGB, WMH_RGB, Colour
from dicom_node.results.common.comparison import EarlierResult, FollowUpFinding, NotCompared
from dicom_node.results.common.predecessor import ReportReference
from dicom_node.results.pages.content import content_of_series
from dicom_node.results.pages.encapsulated_pdf import build_pdf
from dicom_node.results.pages.pages import draw_pages
from dicom_node.results.pages.summary import build_refusal, build_summary
from dicom_node.results.result_set import part10_bytes
from dicom_node.series.read.series import FlairSeries, read_series
from segmentation.interval import VolumeInterval
from segmentation.regions import RegionRule

pytestmark = pytest.mark.slow

NOT_AXIAL = NotAnalysable("not_axial", "The slices are sagittal; axial slices are expected.")
EARLIER = ReportReference("1.2.3", "1.2.4", "1.2.840.10008.5.1.4.1.1.88.34", "1.2.5")


def complaints(dataset: Dataset, file: Path) -> list[str]:
    """What dciodvfy finds wrong, but for what it does not know: Device UID in Contributing Equipment."""
    file.write_bytes(part10_bytes(dataset))
    done = subprocess.run([peer("dciodvfy"), "-new", str(file)], capture_output=True, text=True, check=False)
    found = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(("Error", "Warning"))]
    return [line for line in found if "ContributingEquipmentSequence" not in line or "DeviceUID" not in line]


def has(page: np.ndarray, colour: Colour) -> bool:
    """A pixel of a page has this colour, to the eye."""
    return bool((np.abs(page.astype(int) - colour).sum(axis=2) < 12).any())


def pages_of(series: FlairSeries, told: FollowUpFinding | None = None, **changes: object) -> list[np.ndarray]:
    """The pages about a divided segmentation of a series."""
    segmentation = segmentation_of(series, divided=RegionRule(4.0))
    segmentation = replace(segmentation, measures=replace(segmentation.measures, **changes))  # type: ignore[arg-type]
    return [np.asarray(page) for page in draw_pages(content_of_series(series, segmentation, (), MODEL, told))]


@pytest.mark.peer("dciodvfy")
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.slow
def test_every_geometry_has_a_valid_summary(case: Case, tmp_path: Path) -> None:
    """For every geometry the pages are square RGB instances of one series in the source's study, valid, and the same
    bytes each time."""
    series = series_of(case, tmp_path / "source")
    segmentation = segmentation_of(series, empty=case.empty, divided=None if case.empty else RegionRule(4.0))
    pages, again = (build_summary(series, segmentation, series.flags, facts_of(series)) for _ in range(2))
    assert [part10_bytes(page) for page in pages] == [part10_bytes(page) for page in again]
    assert 1 <= len(pages) <= 3
    assert len({page.SeriesInstanceUID for page in pages}) == 1
    assert len({page.SOPInstanceUID for page in pages}) == len(pages)
    first = series.headers[0]
    used = {frame.sop_instance_uid for frame in series.frames}
    for number, page in enumerate(pages, start=1):
        assert (page.PatientID, page.StudyInstanceUID) == (first.PatientID, first.StudyInstanceUID)
        assert (page.InstanceNumber, page.Rows, page.Columns) == (number, 1024, 1024)
        assert page.pixel_array.shape == (1024, 1024, 3)
        assert {source.ReferencedSOPInstanceUID for source in page.SourceImageSequence} == used
    assert complaints(pages[0], tmp_path / "summary.dcm") == []


def test_parts_have_their_colours_on_every_page(tmp_path: Path) -> None:
    """Each page shows both parts' colours; without ventricles the whole has one, and the other is nowhere."""
    series = series_of(CASES[0], tmp_path / "source")
    for page in pages_of(series):
        assert has(page, PERIVENTRICULAR_RGB)
        assert has(page, DEEP_RGB)
    undivided = build_summary(series, segmentation_of(series), (), facts_of(series))
    for page in (page.pixel_array for page in undivided):
        assert has(page, WMH_RGB)
        assert not has(page, DEEP_RGB)


def test_a_recommendation_cannot_be_overlooked(tmp_path: Path) -> None:
    """Where a review is recommended, a box in the first page's upper right corner has the alert's colour."""
    series = series_of(CASES[0], tmp_path / "source")
    recommended, not_flagged = (
        pages_of(series, review_recommended=flag, uncertainty_index=0.36 if flag else 0.1)[0][40:98, 630:]
        for flag in (True, False)
    )
    alert = [(np.abs(box.astype(int) - WMH_RGB).sum(axis=2) < 12).mean() for box in (recommended, not_flagged)]
    assert alert[0] > 0.4
    assert alert[1] == 0


def test_a_comparison_is_on_the_first_page_and_has_one_of_its_own(tmp_path: Path) -> None:
    """The change since an earlier scan, what makes it doubtful, and the reason why there is none, each change the first
    page; a change has a page more."""
    series = series_of(CASES[0], tmp_path / "source")
    measures = segmentation_of(series).measures
    earlier = EarlierResult(EARLIER, date(2024, 3, 12), date(2026, 3, 12), 4.0, VolumeInterval(3.0, 5.0))
    warned = replace(earlier, warnings=("The scanner differs.",))
    told = (None, earlier.against(measures), warned.against(measures), NotCompared(EARLIER, "Birth dates differ."))
    drawn = [pages_of(series, change) for change in told]
    assert len({first.tobytes() for first, *_ in drawn}) == len(told)
    assert [len(pages) - len(drawn[0]) for pages in drawn] == [0, 1, 1, 0]
    assert all(np.array_equal(page, other) for page, other in zip(drawn[3][1:], drawn[0][1:], strict=True))


def test_the_summary_tells_what_the_facts_tell(tmp_path: Path) -> None:
    """The comparison that the report is given is the one that the summary and the PDF show."""
    series = series_of(CASES[0], tmp_path / "source")
    segmentation = segmentation_of(series)
    earlier = EarlierResult(EARLIER, date(2024, 3, 12), date(2026, 3, 12), 4.0, VolumeInterval(3.0, 5.0))
    compared = facts_of(series, comparison=earlier.against(segmentation.measures))
    plain = facts_of(series)
    summaries = [build_summary(series, segmentation, (), facts)[0].PixelData for facts in (plain, compared)]
    assert summaries[0] != summaries[1]
    documents = [build_pdf(series, segmentation, (), facts).EncapsulatedDocument for facts in (plain, compared)]
    assert documents[0] != documents[1]


@pytest.mark.peer("dciodvfy")
def test_a_refusal_is_valid_and_says_why(tmp_path: Path) -> None:
    """The page about a refused series is valid, refers to its images, has UIDs of its own, and changes with the
    reason."""
    series = series_of(CASES[0], tmp_path / "source")
    facts = facts_of(series)
    (page,) = build_refusal(series.headers, NOT_AXIAL, facts)
    assert complaints(page, tmp_path / "refusal.dcm") == []
    assert page.SeriesDescription == "WMH: not analysed - RESEARCH USE ONLY"
    assert len(page.ReferencedImageSequence) == len(series.headers)
    assert page.SeriesInstanceUID != build_summary(series, segmentation_of(series), (), facts)[0].SeriesInstanceUID
    (other,) = build_refusal(series.headers, NotAnalysable("not_axial", "Another reason."), facts)
    assert other.PixelData != page.PixelData
    (same,) = build_refusal(series.headers, NOT_AXIAL, facts)
    assert part10_bytes(same) == part10_bytes(page)


@pytest.mark.peer("dciodvfy")
def test_a_refusal_of_odd_instances_is_valid(tmp_path: Path) -> None:
    """Copies, instances of another series and instances without an identity are not referred to."""
    headers = list(series_of(CASES[0], tmp_path / "source").headers)
    facts = facts_of(series_of(CASES[0], tmp_path / "again"))
    stranger, nameless = deepcopy(headers[0]), Dataset()
    stranger.SeriesInstanceUID = "1.2.3.4"
    stranger.SOPInstanceUID = "1.2.3.4.5"
    nameless.SeriesInstanceUID = headers[0].SeriesInstanceUID
    (page,) = build_refusal([*headers, headers[0], stranger, nameless], NOT_AXIAL, facts)
    assert complaints(page, tmp_path / "refusal.dcm") == []
    assert len(page.ReferencedImageSequence) == len(headers)


@pytest.mark.peer("dcm2pnm")
def test_a_peer_shows_the_page_as_it_was_drawn(tmp_path: Path) -> None:
    """DCMTK shows the pixels that were drawn, in their colours."""
    series = series_of(CASES[0], tmp_path / "source")
    page = build_summary(series, segmentation_of(series), (), facts_of(series))[0]
    (tmp_path / "page.dcm").write_bytes(part10_bytes(page))
    subprocess.run([peer("dcm2pnm"), "+op", str(tmp_path / "page.dcm"), str(tmp_path / "page.ppm")], check=True)
    shown = (tmp_path / "page.ppm").read_bytes()
    assert shown.startswith(b"P6")
    assert shown[-len(page.PixelData) :] == page.PixelData


@pytest.mark.shared_data
@pytest.mark.peer("dciodvfy")
def test_a_real_scan_has_a_summary(tmp_path: Path) -> None:
    """A real scan, planned oblique, has a summary on which most of the first page is no background."""
    scan = scan_from_nifti(shared_data("flair-unlabelled", "openms_patient03_study1.nii.gz")).tilted(14)
    series = read_series(write_scan(scan, tmp_path / "source"))
    pages = build_summary(series, segmentation_of(series), series.flags, facts_of(series))
    assert len(pages) == 3
    assert complaints(pages[0], tmp_path / "summary.dcm") == []
    assert (pages[0].pixel_array.max(axis=2) > 40).mean() > 0.3
    assert pydicom.dcmread(tmp_path / "summary.dcm").BurnedInAnnotation == "NO"
