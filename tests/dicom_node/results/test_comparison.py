"""The change since an earlier result: numbers, words, and items of the report."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import date
from io import BytesIO
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from support.peers import peer
from support.result_cases import CASES, MODEL, result_set_of, segmentation_of, series_of

from dicom_node.node.profiles import PROFILES, DeliveryOptions, SegForm
from dicom_node.results.check.result_checks import check_result_set
from dicom_node.results.common import codes
from dicom_node.results.common.comparison import (
    EarlierResult,
    FollowUpComparison,
    NoEarlierScan,
    NotCompared,
    Visit,
    in_words,
)
from dicom_node.results.common.lesion_changes import LesionChange, LesionChanges, LesionsNotCompared
from dicom_node.results.common.predecessor import ReportReference
from dicom_node.results.common.uids import in_form
from dicom_node.results.measurements import measurements_json
from dicom_node.results.result_set import part10_bytes
from segmentation.agreement import LIMIT_ML, agreement_limit_ml
from segmentation.interval import VolumeInterval

REPORT = ReportReference("2.25.1", "2.25.2", "1.2.840.10008.5.1.4.1.1.88.34", "2.25.3")
EARLIER = EarlierResult(
    REPORT, date(2024, 2, 1), date(2025, 3, 1), 10.0, VolumeInterval(7.0, 14.0), ("Another scanner: A now, B then.",)
)
OTHER_PERSON = NotCompared(REPORT, "An earlier result has another date of birth.")


def against(volume_ml: float, lower_ml: float, upper_ml: float, earlier: EarlierResult = EARLIER) -> FollowUpComparison:
    return FollowUpComparison(earlier, volume_ml, VolumeInterval(lower_ml, upper_ml))


def test_the_change_in_ml_and_percent() -> None:
    """Now minus earlier, in parts of the earlier; beyond the intervals only when they do not meet."""
    grown = against(25.0, 15.0, 30.0)
    assert (grown.change_ml, grown.change_percent, grown.is_beyond_intervals, grown.days) == (15.0, 150.0, True, 394)
    shrunk = against(8.0, 6.0, 9.0)
    assert (shrunk.change_ml, shrunk.change_percent, shrunk.is_beyond_intervals) == (-2.0, -20.0, False)
    assert not against(20.0, 14.0, 30.0).is_beyond_intervals


def test_from_nothing_there_is_no_percentage() -> None:
    """An earlier volume of 0 has no percentage, in numbers and in words."""
    first = against(3.0, 2.0, 5.0, replace(EARLIER, volume_ml=0.0, interval_ml=VolumeInterval(0.0, 0.5)))
    assert first.change_percent is None and first.as_json["change_percent"] is None
    assert "+3.0 mL (nothing was segmented then): beyond the intervals" in in_words(first)[1]


def test_words_give_both_volumes_with_intervals_and_what_the_change_is_worth() -> None:
    """A reader gets the dates, both volumes, the change, and every warning; ASCII, whatever the character set."""
    words = in_words(against(12.0, 9.0, 15.0))
    assert words == (
        "Compared with the scan of 2024-02-01, 394 days earlier: 12.0 mL (interval 9.0 to 15.0) now, 10.0 mL (interval "
        "7.0 to 14.0) then.",
        "Change +2.0 mL (+20 %): no change beyond the intervals of both volumes, which overlap.",
        f"Two scans of an unchanged brain may differ by {agreement_limit_ml(10.0, 12.0):.1f} mL "
        "(limits of agreement of this method): the change is not more than that.",
        "Rate: +1.9 mL a year.",
        "Another scanner: A now, B then.",
    )
    assert in_words(OTHER_PERSON) == (OTHER_PERSON.reason,)
    assert in_words(None) == ()


def test_no_rate_from_a_short_time_and_no_change_within_the_limits() -> None:
    """Under half a year no rate is given; a change counts as one only beyond the limits, which never reach 0."""
    soon = against(12.0, 9.0, 15.0, replace(EARLIER, now_acquired_on=date(2024, 6, 1)))
    assert soon.yearly_change_ml is None and soon.as_json["yearly_change_ml"] is None
    assert "No yearly rate is given: the scans are less than half a year apart." in in_words(soon)
    small = replace(EARLIER, volume_ml=0.2, interval_ml=VolumeInterval(0.1, 0.4))
    assert not against(0.2 + 0.9 * LIMIT_ML, 0.1, 1.0, small).is_beyond_agreement
    assert against(0.2 + 1.1 * LIMIT_ML, 0.1, 1.0, small).is_beyond_agreement
    assert against(100.0, 90.0, 110.0).is_beyond_agreement


LESIONS = LesionChanges(
    (
        LesionChange("new", 0.0, 0.5, "image 12", 2, "deep"),
        LesionChange("shrunk", 0.9, 0.6, "image 7", 1),
        LesionChange("stable", 1.0, 1.02, "image 3", 3, "periventricular"),
    ),
    np.zeros((2, 3, 4), np.int32),
    0.97,
)


def test_lesions_are_reported_by_kind_and_the_largest_by_name() -> None:
    """Counts and mL of each kind, each changed lesion with place and image, in words and in measurements.json."""
    found = against(12.0, 9.0, 15.0, replace(EARLIER, lesions=LESIONS))
    words = in_words(found)
    assert "Lesions since then: 1 new (+0.50 mL), 0 grown, 1 stable, 1 shrunk (-0.30 mL), 0 gone." in words
    assert "Largest changes: new, deep, +0.50 mL (image 12); shrunk, -0.30 mL (image 7)." in words
    lesions = found.as_json["lesions"]
    assert (lesions["new"], lesions["gone"]) == ({"count": 1, "change_ml": 0.5}, {"count": 0, "change_ml": 0})
    assert [lesion["kind"] for lesion in lesions["list"]] == ["new", "shrunk", "stable"]
    assert "place" not in lesions["list"][1] and "lesions_not_compared" not in found.as_json


def test_doubtful_lesions_are_a_sentence_and_no_numbers() -> None:
    """Where the scans could not be aligned, the volumes stay and no lesion is counted."""
    found = against(12.0, 9.0, 15.0, replace(EARLIER, lesions=LesionsNotCompared("registration_doubtful")))
    assert "lesions" not in found.as_json
    assert found.as_json["lesions_not_compared"]["code"] == "registration_doubtful"
    assert any("could not be aligned" in sentence for sentence in in_words(found))
    assert not any("Lesions since" in sentence for sentence in in_words(found))


def test_whatever_else_is_stated_gives_other_uids() -> None:
    """Two results that say something else of lesions or visits never share a UID."""
    visit = Visit(date(2023, 2, 1), 9.0, VolumeInterval(7.0, 14.0))
    stated = [
        EARLIER,
        replace(EARLIER, lesions=LESIONS),
        replace(EARLIER, lesions=replace(LESIONS, lesions=LESIONS.lesions[:1])),
        replace(EARLIER, lesions=LesionsNotCompared("images_gone")),
        replace(EARLIER, visits=(visit,)),
    ]
    assert len({against(12.0, 9.0, 15.0, comparison).identity for comparison in stated}) == len(stated)
    assert NoEarlierScan("no_date").identity != NoEarlierScan("none_known").identity


def test_no_earlier_scan_is_said_with_why() -> None:
    """Without an earlier scan the result says so and why."""
    assert in_words(NoEarlierScan("no_date")) == ("No earlier scan known: the images give no date of acquisition.",)
    assert all(NoEarlierScan(code).reason.isascii() for code in ("no_patient_identifier", "no_date", "none_known"))


def test_a_later_scan_is_no_earlier_one() -> None:
    """Neither the same day nor a later one."""
    for day in (date(2025, 3, 1), date(2025, 3, 2)):
        with pytest.raises(ValueError, match="expected an earlier day"):
            replace(EARLIER, acquired_on=day)


def test_measurements_hold_the_change(tmp_path: Path) -> None:
    """The object follow_up of measurements.json; absent without an earlier result, or without comparison."""
    series = series_of(CASES[0], tmp_path)
    segmentation = segmentation_of(series)
    arguments = (series, segmentation, MODEL, 0.0, 0.0)
    told = EARLIER.against(segmentation.measures)
    volume = segmentation.measures.wmh_volume_ml
    assert measurements_json(*arguments, comparison=told)["follow_up"] == {
        "earlier_study_instance_uid": "2.25.1",
        "earlier_report_sop_instance_uid": "2.25.3",
        "earlier_acquired_on": "2024-02-01",
        "days": 394,
        "earlier_volume_ml": 10.0,
        "earlier_volume_interval_ml": [7.0, 14.0],
        "change_ml": volume - 10.0,
        "change_percent": pytest.approx(10 * volume - 100),
        "beyond_intervals": told.is_beyond_intervals,
        "agreement_limit_ml": told.agreement_limit_ml,
        "beyond_agreement": told.is_beyond_agreement,
        "yearly_change_ml": pytest.approx((volume - 10.0) * 365.25 / 394),
        "visits": [
            {"acquired_on": "2024-02-01", "volume_ml": 10.0, "volume_interval_ml": [7.0, 14.0]},
            {
                "acquired_on": "2025-03-01",
                "volume_ml": volume,
                "volume_interval_ml": [*segmentation.measures.volume_interval_ml],
            },
        ],
        "warnings": ["Another scanner: A now, B then."],
    }
    assert "follow_up" not in measurements_json(*arguments)
    assert "no_follow_up" not in measurements_json(*arguments)
    for other, code in ((OTHER_PERSON, "other_date_of_birth"), (NoEarlierScan("no_date"), "no_date")):
        without = measurements_json(*arguments, comparison=other)
        assert "follow_up" not in without
        assert without["no_follow_up"] == {"code": code, "reason": other.reason}


def test_the_report_has_a_group_of_the_change(tmp_path: Path) -> None:
    """TID 1501 with concepts of its own, the earlier report as COMPOSITE and as pertinent other evidence only."""
    series = series_of(CASES[0], tmp_path)
    segmentation = segmentation_of(series)
    result = result_set_of(series, segmentation, follow_up=EARLIER)
    report = pydicom.dcmread(BytesIO(part10_bytes(result.sr)))
    (group,) = highdicom.sr.Comprehensive3DSR.from_dataset(report).content.get_image_measurement_groups()
    change = segmentation.measures.wmh_volume_ml - 10.0
    assert group.tracking_identifier == "WMH change"
    assert {
        measurement.name.value: (measurement.value, measurement.unit.value) for measurement in group.get_measurements()
    } == {
        "WMH-EARLIER": (10.0, "mL"),
        "WMH-CHANGE": (pytest.approx(change, abs=0.0051), "mL"),
        "WMH-CHANGE-PCT": (pytest.approx(10 * change, abs=0.001), "%"),
    }
    (beyond,) = [
        evaluation for evaluation in group.get_qualitative_evaluations() if evaluation.name.value == "WMH-BEYOND"
    ]
    assert beyond.value == (codes.YES if EARLIER.against(segmentation.measures).is_beyond_intervals else codes.NO)
    assert evidence(report, "PertinentOtherEvidenceSequence") == {"2.25.3"}
    assert "2.25.3" not in evidence(report, "CurrentRequestedProcedureEvidenceSequence")
    assert set(in_words(EARLIER.against(segmentation.measures))) <= set(said(report))


def test_each_form_names_the_earlier_report_of_its_form(tmp_path: Path) -> None:
    """A destination is sent one form of every report, so that the earlier one there has that form too."""
    series = series_of(CASES[0], tmp_path)
    all_options = [DeliveryOptions(PROFILES["slicer"])]
    result = result_set_of(series, segmentation_of(series), follow_up=EARLIER, all_options=all_options)
    named = {
        obj.form: evidence(obj.dataset, "PertinentOtherEvidenceSequence") for obj in result.objects if obj.kind == "sr"
    }
    other = SegForm(empty_frames=False)
    assert named == {SegForm(): {"2.25.3"}, other: {in_form("2.25.3", other)}}


OCCUPANCY = SegForm("occupancy")


@pytest.mark.parametrize(
    ("names", "odd_now", "earlier_size", "expected"),
    [
        (["ohif"], False, (47, 41), {SegForm(): OCCUPANCY}),
        (["ohif"], True, (48, 40), {SegForm(): SegForm(), OCCUPANCY: SegForm()}),
        (["ohif"], True, (47, 41), {SegForm(): SegForm(), OCCUPANCY: OCCUPANCY}),
        (["ohif"], False, None, {SegForm(): SegForm()}),
        (["ohif", "generic"], False, (47, 41), {SegForm(): SegForm()}),
        (["generic"], False, (47, 41), {SegForm(): SegForm()}),
    ],
)
def test_the_earlier_report_is_named_in_the_form_that_was_sent(
    tmp_path: Path, names: list[str], odd_now: bool, earlier_size: tuple[int, int] | None, expected: dict
) -> None:
    """By the size of the earlier frames, since that decided; where one report goes to two that were sent different
    forms, the one of its own form."""
    series = series_of(CASES[2] if odd_now else CASES[0], tmp_path)
    follow_up = replace(EARLIER, size=earlier_size)
    all_options = [DeliveryOptions(PROFILES[name]) for name in names]
    result = result_set_of(series, segmentation_of(series), follow_up=follow_up, all_options=all_options)
    reports = {obj.form: obj.dataset for obj in result.objects if obj.kind == "sr"}
    named = {form: evidence(report, "PertinentOtherEvidenceSequence") for form, report in reports.items()}
    assert named == {form: {in_form("2.25.3", earlier)} for form, earlier in expected.items()}
    assert {form: composites(report) for form, report in reports.items()} == named
    check_result_set(result.objects, series.headers)


def test_reports_that_name_different_forms_never_share_a_uid(tmp_path: Path) -> None:
    """The form that is named enters the UIDs where it is not the report's own; otherwise these stay as they were."""
    series = series_of(CASES[0], tmp_path)
    segmentation, follow_up = segmentation_of(series), replace(EARLIER, size=(47, 41))
    found = {
        name: result_set_of(
            series, segmentation, follow_up=follow_up, all_options=[DeliveryOptions(PROFILES[name])]
        ).sr.SOPInstanceUID
        for name in ("generic", "ohif")
    }
    assert found["generic"] == result_set_of(series, segmentation, follow_up=EARLIER).sr.SOPInstanceUID
    assert found["ohif"] != found["generic"]


def test_two_that_may_be_two_people_are_not_compared(tmp_path: Path) -> None:
    """The report states the reason, gives no number of the other result, and refers to it nowhere."""
    series = series_of(CASES[0], tmp_path)
    report = result_set_of(series, segmentation_of(series), follow_up=OTHER_PERSON).sr
    assert OTHER_PERSON.reason in said(report)
    assert "PertinentOtherEvidenceSequence" not in report
    assert "WMH-EARLIER" not in str(report)


def test_what_is_compared_with_enters_the_uids(tmp_path: Path) -> None:
    """Different bytes never share a UID; without an earlier result they are those of before."""
    series = series_of(CASES[0], tmp_path)
    segmentation = segmentation_of(series)
    other = replace(EARLIER, report=replace(REPORT, sop_instance_uid="2.25.4"))
    found = [result_set_of(series, segmentation, follow_up=result) for result in (None, EARLIER, other, OTHER_PERSON)]
    assert len({result.sr.SOPInstanceUID for result in found}) == 4
    again = result_set_of(series, segmentation, follow_up=EARLIER)
    assert part10_bytes(again.sr) == part10_bytes(found[1].sr)


@pytest.mark.peer("dciodvfy")
@pytest.mark.peer("dsrdump")
def test_validators_take_the_report(tmp_path: Path) -> None:
    """The checks find nothing, dciodvfy no error and no warning but the expected ones, dsrdump shows the change."""
    series = series_of(CASES[0], tmp_path / "source")
    result = result_set_of(series, segmentation_of(series), follow_up=EARLIER)
    check_result_set(result.objects, series.headers)
    file = tmp_path / "sr.dcm"
    file.write_bytes(part10_bytes(result.sr))
    done = subprocess.run([peer("dciodvfy"), "-new", str(file)], capture_output=True, text=True, check=False)
    complaints = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(("Error", "Warning"))]
    assert [
        complaint for complaint in complaints if "99WMHNODE" not in complaint and "DeviceUID" not in complaint
    ] == []
    shown = subprocess.run([peer("dsrdump"), str(file)], capture_output=True, text=True, check=True).stdout
    assert "Change of WMH volume since the earlier scan" in shown
    assert "Prior report for current patient" in shown


def evidence(report: Dataset, keyword: str) -> set[str]:
    """SOPInstanceUIDs in one of the two evidence sequences."""
    return {
        str(instance.ReferencedSOPInstanceUID)
        for study in report.get(keyword, [])
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    }


def composites(report: Dataset) -> set[str]:
    """SOPInstanceUIDs of the report's COMPOSITE items."""
    found, items = set(), [*report.ContentSequence]
    while items:
        item = items.pop()
        items.extend(item.get("ContentSequence", []))
        if item.ValueType == "COMPOSITE":
            found.add(str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID))
    return found


def said(report: Dataset) -> list[str]:
    """Every text of the report."""
    return [item.value for item in report.iterall() if item.keyword == "TextValue"]
