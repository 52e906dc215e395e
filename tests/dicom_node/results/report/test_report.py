"""The measurement report, read back by highdicom and pydicom."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import highdicom
import pydicom
import pytest
from pydicom.dataset import Dataset
from support.result_cases import CASES, MODEL, Case, result_set_of, segmentation_of, series_of

from dicom_node.node.profiles import ObjectKind
from dicom_node.results.common import codes
from dicom_node.results.common.grid import grid_of
from dicom_node.results.common.predecessor import ReportReference
from dicom_node.results.result_set import ResultSet, part10_bytes
from segmentation.interval import PredictiveInterval, VolumeInterval
from segmentation.plausibility import Plausibility, Reason
from segmentation.regions import RegionRule

pytestmark = pytest.mark.slow

AXIAL = CASES[0]


def report_of(case: Case, folder: Path, flags: tuple[str, ...] = ()) -> tuple[ResultSet, Dataset]:
    """The result set of a case, and its report read back from bytes."""
    series = series_of(case, folder)
    result = result_set_of(series, segmentation_of(series, empty=case.empty, flags=flags))
    return result, pydicom.dcmread(BytesIO(part10_bytes(result.sr)))


def groups_of(report: Dataset) -> list[highdicom.sr.VolumetricROIMeasurementsAndQualitativeEvaluations]:
    """The TID 1411 groups, as highdicom reads them."""
    read = highdicom.sr.Comprehensive3DSR.from_dataset(report)
    return list(read.content.get_volumetric_roi_measurement_groups())


def group_of(report: Dataset) -> highdicom.sr.VolumetricROIMeasurementsAndQualitativeEvaluations:
    """The group of the whole WMH, which comes first."""
    return groups_of(report)[0]


def texts(report: Dataset) -> list[str]:
    """Every comment of the measurement group."""
    group = report.ContentSequence[-1].ContentSequence[0]
    return [
        item.TextValue
        for item in group.ContentSequence
        if item.ValueType == "TEXT" and item.ConceptNameCodeSequence[0].CodeValue == "121106"
    ]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_group_belongs_to_the_segment(case: Case, tmp_path: Path) -> None:
    """The group refers to the SEG's segment and source series, and shares its Tracking UID; evidence: these and the
    pages."""
    result, report = report_of(case, tmp_path)
    group = group_of(report)
    segment = group.referenced_segment
    assert segment.referenced_sop_instance_uid == result.seg.SOPInstanceUID
    assert list(segment.referenced_segment_numbers if hasattr(segment, "referenced_segment_numbers") else [1]) == [1]
    assert group.tracking_uid == result.seg.SegmentSequence[0].TrackingUID
    evidence = {
        i.ReferencedSOPInstanceUID
        for study in report.CurrentRequestedProcedureEvidenceSequence
        for item in study.ReferencedSeriesSequence
        for i in item.ReferencedSOPSequence
    }
    sources = {i.ReferencedSOPInstanceUID for i in result.seg.SourceImageSequence}
    assert evidence == sources | {result.seg.SOPInstanceUID, *(page.SOPInstanceUID for page in result.summary)}


def test_the_measurements_are_those_of_the_segmentation(tmp_path: Path) -> None:
    """Volume in mL, lesion count and uncertainty index have the codes, units and values that were measured."""
    series = series_of(AXIAL, tmp_path)
    segmentation = segmentation_of(series)
    measures = segmentation.measures
    report = pydicom.dcmread(BytesIO(part10_bytes(result_set_of(series, segmentation).sr)))
    found = {
        (m.name.value, m.name.scheme_designator): (m.value, m.unit.value) for m in group_of(report).get_measurements()
    }
    assert measures.uncertainty_index is not None
    assert found == {
        ("118565006", "SCT"): (round(measures.wmh_volume_ml, 2), "mL"),
        ("246206008", "SCT"): (measures.lesion_count, "{lesions}"),
        ("WMH-UI", "99WMHNODE"): (round(measures.uncertainty_index, 3), "1"),
    }
    (review,) = group_of(report).get_qualitative_evaluations()[-1:]
    assert review.name.value == "WMH-REVIEW"
    assert review.value.value == ("373066001" if measures.review_recommended else "373067005")


def test_a_doubtful_result_says_so_before_anything_else(tmp_path: Path) -> None:
    """The first comments are the verdict and its reasons; a number that must not be used is qualified as
    indeterminate, a review is recommended, and nothing of it stands in a plausible report."""
    series = series_of(AXIAL, tmp_path)
    plain = segmentation_of(series)
    plain = replace(plain, measures=replace(plain.measures, review_recommended=False))
    doubt = Plausibility((Reason("implausible_volume", "not_reliable", "implausible volume", "Far too much."),))
    qualified = []
    for segmentation in (plain, replace(plain, plausibility=doubt)):
        report = pydicom.dcmread(BytesIO(part10_bytes(result_set_of(series, segmentation).sr)))
        group = group_of(report)
        volume = group.get_measurements()[0]
        qualified.append(None if volume.qualifier is None else volume.qualifier.value)
        doubted = segmentation is not plain
        assert (texts(report)[:2] == ["Not reliable: do not use the volume.", "Far too much."]) is doubted
        (review,) = group.get_qualitative_evaluations()[-1:]
        assert review.value.value == ("373066001" if doubted else "373067005")
    assert qualified == [None, "114011"]


def test_no_wmh_is_volume_zero_and_an_undefined_index(tmp_path: Path) -> None:
    """Without WMH the report says 0 mL and 0 lesions, leaves the index and the recommendation out, and says so."""
    _, report = report_of(Case("empty", empty=True), tmp_path)
    group = group_of(report)
    assert {m.name.value: m.value for m in group.get_measurements()} == {"118565006": 0.0, "246206008": 0.0}
    assert not [e for e in group.get_qualitative_evaluations() if e.name.value == "WMH-REVIEW"]
    assert any("undefined" in text for text in texts(report))


def test_the_report_is_an_unverified_opinion_of_a_device(tmp_path: Path) -> None:
    """Observer is the device, verification is UNVERIFIED, and the words "research use only" are in the content."""
    _, report = report_of(AXIAL, tmp_path)
    assert report.VerificationFlag == "UNVERIFIED"
    assert report.PreliminaryFlag == "PRELIMINARY"
    observer = {i.ConceptNameCodeSequence[0].CodeMeaning: i for i in report.ContentSequence}
    assert observer["Observer Type"].ConceptCodeSequence[0].CodeValue == "121007"
    assert report.ContributingEquipmentSequence[0].DeviceUID == observer["Device Observer UID"].UID
    assert any("Research use only" in text for text in texts(report))
    assert "RESEARCH USE ONLY" in report.SeriesDescription


def test_the_algorithm_is_named_with_its_parameters(tmp_path: Path) -> None:
    """TID 4019 names model, version, runtime, precision, threshold and the model's digest."""
    _, report = report_of(AXIAL, tmp_path)
    group = report.ContentSequence[-1].ContentSequence[0]
    said = [
        (i.ConceptNameCodeSequence[0].CodeValue, i.TextValue) for i in group.ContentSequence if i.ValueType == "TEXT"
    ]
    assert ("111001", MODEL.name) in said
    assert ("111003", MODEL.version) in said
    parameters = {text for value, text in said if value == "111002"}
    assert parameters == {"runtime=openvino", "precision=bf16", "threshold=0.5", f"model_digest={MODEL.digest}"}


def test_a_report_names_its_predecessor(tmp_path: Path) -> None:
    """After a late slice the new report refers to the earlier one and says so; so do both objects' names."""
    series = series_of(AXIAL, tmp_path)
    earlier, _ = report_of(AXIAL, tmp_path)
    result = result_set_of(series, segmentation_of(series), predecessor=ReportReference.to(earlier.sr))
    report = pydicom.dcmread(BytesIO(part10_bytes(result.sr)))
    (study,) = report.PredecessorDocumentsSequence
    (of_study,) = study.ReferencedSeriesSequence
    (named,) = of_study.ReferencedSOPSequence
    assert study.StudyInstanceUID == earlier.sr.StudyInstanceUID
    assert of_study.SeriesInstanceUID == earlier.sr.SeriesInstanceUID
    assert named.ReferencedSOPClassUID == earlier.sr.SOPClassUID
    assert named.ReferencedSOPInstanceUID == earlier.sr.SOPInstanceUID
    assert any("replaces an earlier one" in text for text in texts(report))
    for dataset in (report, result.seg):
        assert "replace" in dataset.SeriesDescription
        assert "RESEARCH USE ONLY" in dataset.SeriesDescription
        assert len(dataset.SeriesDescription) <= 64
    assert report.SOPInstanceUID != earlier.sr.SOPInstanceUID
    assert "PredecessorDocumentsSequence" not in earlier.sr


def test_flags_are_reported_in_words_and_cut_series_are_partial(tmp_path: Path) -> None:
    """Each flag of reading and segmentation is a sentence; a series without the whole brain gives a PARTIAL report."""
    _, report = report_of(Case("gap", gap=True), tmp_path, flags=("no_histogram_peak",))
    said = texts(report)
    assert any("gaps between the slices" in text for text in said)
    assert any("white matter peak" in text for text in said)
    assert report.CompletionFlag == "PARTIAL"  # the small series is 48 mm tall
    assert report.CompletionFlagDescription


def test_private_codes_name_their_scheme(tmp_path: Path) -> None:
    """The header says who answers for the private codes."""
    _, report = report_of(AXIAL, tmp_path)
    (scheme,) = report.CodingSchemeIdentificationSequence
    assert scheme.CodingSchemeDesignator == "99WMHNODE"


@pytest.mark.parametrize("rule", [RegionRule(), RegionRule(7.5, "3d")], ids=str)
def test_regions_have_groups_of_their_own(rule: RegionRule, tmp_path: Path) -> None:
    """Periventricular, deep and ventricles: one group each with its volume and its segment, under one Tracking UID; the
    rule is coded and stated as text."""
    series = series_of(AXIAL, tmp_path)
    segmentation = segmentation_of(series, divided=rule)
    regions = segmentation.regions
    assert regions is not None and min(regions.periventricular_volume_ml, regions.deep_volume_ml) > 0
    result = result_set_of(series, segmentation)
    report = pydicom.dcmread(BytesIO(part10_bytes(result.sr)))
    (seg,) = (obj.dataset for obj in result.objects if obj.kind is ObjectKind.REGIONS)
    found = {}
    for number, group in enumerate(groups_of(report)[1:], start=1):
        segment = seg.SegmentSequence[number - 1]
        assert (segment.SegmentNumber, segment.TrackingUID) == (number, group.tracking_uid)
        assert segment.TrackingID == segment.SegmentLabel == group.tracking_identifier
        reference = group.referenced_segment
        assert (reference.referenced_sop_instance_uid, reference.referenced_segment_numbers) == (
            seg.SOPInstanceUID,
            [number],
        )
        (volume,) = group.get_measurements()
        site = group.finding_sites[0].topographical_modifier.value if group.finding_sites else None
        assert volume.name.value == "118565006" and volume.unit.value == "mL"
        found[group.tracking_identifier, group.finding_type.value, site] = volume.value
    assert found == {
        ("WMH periventricular", "110702", "WMH-PV"): round(regions.periventricular_volume_ml, 2),
        ("WMH deep", "110702", "WMH-DEEP"): round(regions.deep_volume_ml, 2),
        ("Ventricles", "35764002", None): round(regions.ventricle_volume_ml, 2),
    }
    said = [item.value for item in report.iterall() if item.keyword == "TextValue"]
    assert said.count(f"periventricular_mm={rule.distance_mm:g}") == 2
    assert said.count(f"periventricular_distance={rule.distance_rule}") == 2
    assert said.count("threshold=0.5") == 3  # that of the ventricles is another network's
    assert any("in the plane of each slice" in text for text in said) == (rule.distance_rule == "2d")
    assert group_of(report).tracking_uid == result.seg.SegmentSequence[0].TrackingUID
    assert len(result.seg.SegmentSequence) == 1


def test_another_rule_gives_other_uids(tmp_path: Path) -> None:
    """Reports that say different things never share a UID; without regions the UIDs are those of before."""
    series = series_of(AXIAL, tmp_path)
    rules = [None, RegionRule(), RegionRule(7.5), RegionRule(10.0, "3d")]
    uids = {result_set_of(series, segmentation_of(series, divided=rule)).sr.SOPInstanceUID for rule in rules}
    assert len(uids) == len(rules)
    plain = result_set_of(series, segmentation_of(series))
    assert len(groups_of(pydicom.dcmread(BytesIO(part10_bytes(plain.sr))))) == 1
    assert not [obj for obj in plain.objects if obj.kind is ObjectKind.REGIONS]


@pytest.mark.parametrize("case", [AXIAL, CASES[3]], ids=str)
def test_the_image_library_lists_what_was_looked_at(case: Case, tmp_path: Path) -> None:
    """The image library has each source instance once; of an Enhanced one, the frames that were used."""
    series = series_of(case, tmp_path)
    report = pydicom.dcmread(BytesIO(part10_bytes(result_set_of(series, segmentation_of(series)).sr)))
    meanings = [item.ConceptNameCodeSequence[0].CodeMeaning for item in report.ContentSequence]
    assert meanings[-2:] == ["Image Library", "Imaging Measurements"]
    group = report.ContentSequence[-2].ContentSequence[0].ContentSequence
    grid = {
        i.ConceptNameCodeSequence[0].CodeMeaning: float(i.MeasuredValueSequence[0].NumericValue)
        for i in group
        if i.ValueType == "NUM"
    }
    rows, columns = series.voxels.shape[1:]
    between, down, along = series.spacing_mm
    assert grid == {
        "Pixel Data Rows": rows,
        "Pixel Data Columns": columns,
        "Horizontal Pixel Spacing": pytest.approx(along, abs=1e-6),
        "Vertical Pixel Spacing": pytest.approx(down, abs=1e-6),
        "Spacing between slices": pytest.approx(between, abs=1e-6),
        "Slice Thickness": pytest.approx(grid_of(series).slice_thickness_mm, abs=1e-6),
    }
    images = [i for i in report.ContentSequence[-2].ContentSequence[0].ContentSequence if i.ValueType == "IMAGE"]
    references = [image.ReferencedSOPSequence[0] for image in images]
    assert [r.ReferencedSOPInstanceUID for r in references] == [h.SOPInstanceUID for h in series.headers]
    numbers = [list(r.ReferencedFrameNumber) for r in references if "ReferencedFrameNumber" in r]
    assert numbers == ([list(range(1, len(series.frames) + 1))] if case.enhanced else [])


def test_volumes_have_their_interval(tmp_path: Path) -> None:
    """TID 310: what lies above and below each WMH volume, in mL; none for ventricles; a sentence gives both ends."""
    series = series_of(AXIAL, tmp_path)
    segmentation = segmentation_of(series, divided=RegionRule())
    report = pydicom.dcmread(BytesIO(part10_bytes(result_set_of(series, segmentation).sr)))
    found = []
    for item in report.iterall():
        concept = item.value[0].CodeValue if item.keyword == "ConceptNameCodeSequence" else None
        if concept in {"118565006", "371886008", "371885007"}:
            found.append(concept)
    ranges = ["371886008", "371885007"]
    assert found == ["118565006", *ranges] * 3 + ["118565006"]
    (volume,) = group_of(report).get_measurements(name=codes.VOLUME)
    above, below = (float(item.MeasuredValueSequence[0].NumericValue) for item in volume[0].ContentSequence)
    units = {
        item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue for item in volume[0].ContentSequence
    }
    lower, upper = segmentation.measures.volume_interval_ml
    assert units == {"mL"}
    assert volume.value + above == pytest.approx(upper, abs=0.011)
    assert volume.value - below == pytest.approx(lower, abs=0.011)
    said = [item.value for item in report.iterall() if item.keyword == "TextValue"]
    assert any(f"{lower:.1f} to {upper:.1f} mL" in text and "not a confidence interval" in text for text in said)


def test_a_reader_meets_the_number_before_the_images(tmp_path: Path) -> None:
    """The summary stands before the image library: volume and measured interval, or no number that may mislead."""
    series = series_of(AXIAL, tmp_path)
    segmentation = segmentation_of(series)
    known = PredictiveInterval(VolumeInterval(1.0, 4.0), 0.8)
    segmentation = replace(segmentation, measures=replace(segmentation.measures, predictive=known))
    root = result_set_of(series, segmentation).sr.ContentSequence
    names = [item.ConceptNameCodeSequence[0].CodeValue for item in root]
    assert names.index("121111") < names.index("111028") < names.index("126010")
    volume = f"{segmentation.measures.wmh_volume_ml:.1f} mL (80% interval 1.0 to 4.0 mL), "
    assert root[names.index("121111")].TextValue.startswith(f"WMH {volume}")
    reason = Reason("no_brain", "not_reliable", "no brain found", "No brain was found in the images.")
    refused = replace(segmentation, plausibility=Plausibility((reason,)))
    root = result_set_of(series, refused).sr.ContentSequence
    assert root[names.index("121111")].TextValue.startswith("WMH volume not reliable: no brain found.")
