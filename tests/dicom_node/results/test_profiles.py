"""What each profile is sent, and that what it is sent belongs together."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import get_args

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from support.result_cases import CASES, result_set_of, segmentation_of, series_of

from dicom_node.node.errors import ResultError
from dicom_node.node.profiles import (
    DEFAULT_OPTIONS,
    PROFILES,
    DeliveryOptions,
    ObjectKind,
    Profile,
    SegEncoding,
    SegForm,
)
from dicom_node.results.common.predecessor import ReportReference
from dicom_node.results.common.uids import in_form
from dicom_node.results.result_set import ResultObject, ResultSet, part10_bytes
from dicom_node.series.read.series import FlairSeries
from segmentation.regions import RegionRule
from segmentation.segment import Segmentation

LABELMAP = replace(PROFILES["generic"], seg_encoding="labelmap")
OCCUPANCY = replace(PROFILES["slicer"], seg_encoding="occupancy")
WISH = DeliveryOptions(PROFILES["ohif"])
EVERY = (*PROFILES.values(), LABELMAP, replace(PROFILES["slicer"], seg_encoding="labelmap"), OCCUPANCY)
TYPES = {"binary": "BINARY", "labelmap": "LABELMAP", "occupancy": "FRACTIONAL"}


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> FlairSeries:
    """An axial series."""
    return series_of(CASES[0], tmp_path_factory.mktemp("series"))


@pytest.fixture(scope="module")
def segmentation(series: FlairSeries) -> Segmentation:
    """WMH in two regions."""
    return segmentation_of(series, divided=RegionRule())


@pytest.fixture(scope="module")
def everything(series: FlairSeries, segmentation: Segmentation) -> ResultSet:
    """What all profiles ask for."""
    return result_set_of(
        series, segmentation, all_options=[DeliveryOptions(profile, probability_map=True) for profile in EVERY]
    )


def uids_in(dataset: Dataset, *keywords: str) -> set[str]:
    """Values of these elements anywhere in an object."""
    return {str(element.value) for element in dataset.iterall() if element.keyword in keywords}


@pytest.mark.parametrize("profile", EVERY, ids=lambda one: f"{one.name}-{one.seg_encoding}")
def test_a_destination_gets_one_consistent_set(profile: Profile, everything: ResultSet) -> None:
    """The objects of a profile come in sending order, the report last, and it refers to the very SEG and REGIONS of the
    same set, under their Tracking UIDs, and to its pages; the PDF to its pages too."""
    sent = everything.of(profile)
    assert list(dict.fromkeys(obj.kind for obj in sent)) == list(profile.objects)
    by_kind = {obj.kind: obj.dataset for obj in sent}
    pages = {str(obj.dataset.SOPInstanceUID) for obj in sent if obj.kind is ObjectKind.SUMMARY}
    every_page = {str(page.SOPInstanceUID) for page in everything.summary}
    for kind in by_kind.keys() & {ObjectKind.SR, ObjectKind.PDF}:
        assert uids_in(by_kind[kind], "ReferencedSOPInstanceUID") & every_page == pages
    if ObjectKind.SR not in by_kind:
        return
    seg, regions, report = (by_kind[kind] for kind in (ObjectKind.SEG, ObjectKind.REGIONS, ObjectKind.SR))
    assert sent[-1].dataset is report
    mentioned = uids_in(report, "ReferencedSOPInstanceUID")
    all_segs = {
        str(obj.dataset.SOPInstanceUID)
        for obj in everything.objects
        if obj.kind in (ObjectKind.SEG, ObjectKind.REGIONS)
    }
    assert mentioned & all_segs == {str(seg.SOPInstanceUID), str(regions.SOPInstanceUID)}
    tracked = [
        str(segment.TrackingUID)
        for seq in (seg, regions)
        for segment in seq.SegmentSequence
        if segment.SegmentNumber > 0
    ]
    assert len(set(tracked)) == len(tracked) == 4
    assert set(tracked) <= uids_in(report, "UID")
    for dataset in (seg, regions):
        assert dataset.SegmentationType == TYPES[profile.seg_encoding]


def test_no_two_objects_share_a_uid_or_a_series(everything: ResultSet) -> None:
    """Each file has its own name and SOPInstanceUID; each kind and form its own series and SeriesNumber."""
    objects = everything.objects
    for values in ([obj.name for obj in objects], [obj.dataset.SOPInstanceUID for obj in objects]):
        assert len(set(values)) == len(values)
    series = {(obj.kind, obj.form): obj.dataset.SeriesInstanceUID for obj in objects}
    assert len(set(series.values())) == len(series)
    numbers = {(obj.kind, obj.form): int(obj.dataset.SeriesNumber) for obj in objects}
    assert len(set(numbers.values())) == len(numbers)
    for obj in objects:
        assert "RESEARCH USE ONLY" in obj.dataset.SeriesDescription
        assert len(obj.dataset.SeriesDescription) <= 64


def test_probability_map_is_off_unless_asked_for(everything: ResultSet) -> None:
    """The option for the probability map adds it to whatever the profile has, and nothing else does."""
    for profile in PROFILES.values():
        without, with_it = everything.of(profile), everything.of(profile, probability_map=True)
        added = set(map(name_of, with_it)) - set(map(name_of, without))
        assert added == {"probability.dcm"}
        assert DEFAULT_OPTIONS.probability_map is False


def name_of(one: ResultObject) -> str:
    """Its file name."""
    return one.name


def test_what_was_not_built_is_not_left_out_silently(series: FlairSeries, segmentation: Segmentation) -> None:
    """A set that was built for other profiles says that it lacks something."""
    plain = result_set_of(series, segmentation)
    assert [obj.kind for obj in plain.of(PROFILES["generic"])] == [obj.kind for obj in plain.objects]
    for profile, probability_map in ((PROFILES["slicer"], False), (LABELMAP, False), (PROFILES["generic"], True)):
        with pytest.raises(ResultError, match="expected"):
            plain.of(profile, probability_map)


def test_what_a_wish_adds_changes_nothing_else(
    series: FlairSeries, segmentation: Segmentation, everything: ResultSet
) -> None:
    """The generic set has the same bytes whatever the other destinations want."""
    plain = {obj.name: part10_bytes(obj.dataset) for obj in result_set_of(series, segmentation).objects}
    many = {obj.name: obj.dataset for obj in everything.objects}
    assert {name: part10_bytes(many[name]) for name in plain} == plain


def test_a_report_names_its_predecessor_in_its_own_form(series: FlairSeries, segmentation: Segmentation) -> None:
    """After a late slice the report of each form refers to the earlier report of that form."""
    all_options = [DeliveryOptions(PROFILES["slicer"])]
    earlier = result_set_of(series, segmentation, all_options=all_options)
    later = result_set_of(series, segmentation, all_options=all_options, predecessor=ReportReference.to(earlier.sr))
    for before, after in zip(earlier.objects, later.objects, strict=True):
        if before.kind is ObjectKind.SR:
            report = pydicom.dcmread(BytesIO(part10_bytes(after.dataset)))
            (study,) = report.PredecessorDocumentsSequence
            assert uids_in(study, "ReferencedSOPInstanceUID") == {str(before.dataset.SOPInstanceUID)}
            assert uids_in(study, "SeriesInstanceUID") == {str(before.dataset.SeriesInstanceUID)}


def test_other_forms_have_uids_of_the_first_forms_uids() -> None:
    """Each form derives another UID from one UID, always the same."""
    forms = [SegForm(encoding, empty) for encoding in get_args(SegEncoding) for empty in (True, False)]
    found = [in_form("1.2.3", form) for form in forms]
    assert found[0] == "1.2.3"
    assert len(set(found)) == len(forms)
    assert found == [in_form("1.2.3", form) for form in forms]


@pytest.mark.parametrize(
    "changes",
    [
        {"objects": ()},
        {"objects": (ObjectKind.SR,)},
        {"objects": (ObjectKind.REGIONS, ObjectKind.SEG)},
        {"seg_encoding": "fractional"},
    ],
    ids=["nothing", "a report without what it refers to", "another order", "no such encoding"],
)
def test_a_profile_is_valid_once_constructed(changes: dict[str, object]) -> None:
    """A row of the table that could not be sent is refused when it is written."""
    with pytest.raises(ValueError, match="expected"):
        replace(PROFILES["generic"], **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rows", "columns", "suffix"), [(512, 512, ""), (230, 230, "-occupancy"), (47, 41, "-occupancy"), (250, 252, "")]
)
def test_ohif_gets_whole_bytes(rows: int, columns: int, suffix: str) -> None:
    """OHIF is never sent frames of bits that do not end at a byte, which it scrambles; the others get what they get."""
    assert PROFILES["ohif"].form_for(rows, columns).suffix == suffix
    assert {PROFILES[name].form_for(rows, columns).suffix for name in ("generic", "legacy")} == {""}
    assert PROFILES["slicer"].form_for(rows, columns).suffix == "-nonempty"


def test_an_odd_matrix_for_ohif(tmp_path: Path) -> None:
    """What OHIF is sent of a 47 x 41 matrix: bytes of 0 and 255, and the report that refers to them."""
    odd = series_of(CASES[2], tmp_path)
    found = segmentation_of(odd)
    sent = {obj.name: obj.dataset for obj in result_set_of(odd, found, all_options=[WISH]).of(PROFILES["ohif"])}
    assert list(sent) == ["seg-occupancy.dcm", "summary.dcm", "summary-2.dcm", "sr-occupancy.dcm"]
    seg = sent["seg-occupancy.dcm"]
    assert (seg.SegmentationType, seg.SegmentationFractionalType, seg.MaximumFractionalValue) == (
        "FRACTIONAL",
        "OCCUPANCY",
        255,
    )
    read = pydicom.dcmread(BytesIO(part10_bytes(seg))).pixel_array
    assert set(np.unique(read)) == {0, 255}
    assert int((read > 0).sum()) == int(found.mask.sum())
    assert str(seg.SOPInstanceUID) in uids_in(sent["sr-occupancy.dcm"], "ReferencedSOPInstanceUID")


def test_every_profile_says_why() -> None:
    """Each row of the table states what it rests on."""
    for name, profile in PROFILES.items():
        assert profile.name == name
        assert len(profile.why) > 80
