"""measurements.json."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from support.data import REPOSITORY
from support.result_cases import CASES, MODEL, segmentation_of, series_of

from dicom_node.results.common.comparison import EarlierResult
from dicom_node.results.common.predecessor import ReportReference
from dicom_node.results.measurements import measurements_json
from segmentation.bright_region import BrightRegion
from segmentation.interval import PredictiveInterval, VolumeInterval
from segmentation.lesions import Extent, Lesion
from segmentation.plausibility import Plausibility, Reason
from segmentation.regions import RegionRule
from segmentation.segment import Segmentation


def _with_brain(segmentation: Segmentation) -> Segmentation:
    lesions = (Lesion(1.5, "left", "deep"), Lesion(0.5, None, None))
    return replace(
        segmentation,
        brain_volume_ml=1300.0,
        outside_brain_ml=0.5,
        lesions=lesions,
        extent=Extent(7.5, 9.0),
        bright_region=BrightRegion(12.0, 3.0, 13),
    )


def test_fields_are_those_of_the_design(tmp_path: Path) -> None:
    """The names are the face that others rely on; what this build cannot fill is absent."""
    series = series_of(CASES[0], tmp_path)
    found = measurements_json(series, _with_brain(segmentation_of(series, flags=("blank_slices",))), MODEL, 1.5, 0.25)
    assert list(found) == [
        "series_instance_uid",
        "wmh_volume_ml",
        "volume_interval_ml",
        "lesion_count",
        "uncertainty_index",
        "review_recommended",
        "reliability",
        "reasons",
        "brain_volume_ml",
        "wmh_share_of_brain",
        "outside_brain_ml",
        "bright_region",
        "lesions",
        "extent_mm",
        "fazekas",
        "model",
        "seconds",
        "flags",
    ]
    assert found["model"] == {"name": MODEL.name, "version": MODEL.version, "digest": MODEL.digest}
    assert found["seconds"] == {"read": 1.5, "preprocess": 0.1, "infer": 0.2, "measure": 0.3, "write": 0.25}
    assert found["flags"] == sorted({*series.flags, "blank_slices"})
    assert found["lesions"] == [{"volume_ml": 1.5, "side": "left", "place": "deep"}, {"volume_ml": 0.5}]
    assert found["bright_region"] == {"volume_ml": 12.0, "counted_as_wmh_ml": 3.0, "left_out_ml": 9.0, "slice": 14}
    assert found["extent_mm"] == {"periventricular": 7.5, "deep": 9.0}
    assert found["fazekas"] == {"periventricular": 2, "deep": 1}


def test_a_measured_interval_is_there_with_its_promise(tmp_path: Path) -> None:
    """Where the model knows how far readers' volumes lie: both ends, and for which part of patients."""
    series = series_of(CASES[0], tmp_path)
    segmentation = segmentation_of(series)
    known = PredictiveInterval(VolumeInterval(1.0, 4.0), 0.8)
    segmentation = replace(segmentation, measures=replace(segmentation.measures, predictive=known))
    found = measurements_json(series, segmentation, MODEL, 0.0, 0.0)
    assert (found["predictive_interval_ml"], found["predictive_nominal"]) == ([1.0, 4.0], 0.8)


def test_regions_are_there_when_they_were_measured(tmp_path: Path) -> None:
    """Periventricular, deep and ventricle volumes, with the rule they follow; parts add up to the whole."""
    series = series_of(CASES[0], tmp_path)
    segmentation = segmentation_of(series, divided=RegionRule(7.5, "3d"))
    found = measurements_json(series, segmentation, MODEL, 0.0, 0.0)
    assert list(found)[9:15] == [
        "periventricular_volume_ml",
        "deep_volume_ml",
        "ventricle_volume_ml",
        "periventricular_interval_ml",
        "deep_interval_ml",
        "periventricular_rule",
    ]
    parts = found["periventricular_volume_ml"] + found["deep_volume_ml"]
    assert parts == pytest.approx(found["wmh_volume_ml"])
    intervals = zip(found["periventricular_interval_ml"], found["deep_interval_ml"], strict=True)
    assert [inner + outer for inner, outer in intervals] == pytest.approx(found["volume_interval_ml"])
    assert segmentation.ventricles is not None
    voxels = int(segmentation.ventricles.sum())
    assert found["ventricle_volume_ml"] == pytest.approx(voxels * series.volume().voxel_volume_ml)
    assert found["periventricular_rule"] == {"distance_mm": 7.5, "distance": "3d"}


def test_every_field_is_documented(tmp_path: Path) -> None:
    """docs/researcher/measurements.md names each field, those of follow_up too, and no others."""
    series = series_of(CASES[0], tmp_path)
    segmentation = _with_brain(segmentation_of(series, divided=RegionRule()))
    known = replace(segmentation.measures, predictive=PredictiveInterval(VolumeInterval(1.0, 4.0), 0.8))
    segmentation = replace(segmentation, measures=known)
    report = ReportReference("1.1", "1.2", "1.3", "1.4")
    earlier = EarlierResult(report, date(2024, 1, 1), date(2025, 1, 1), 1.0, VolumeInterval(0.5, 2.0))
    found = measurements_json(series, segmentation, MODEL, 0.0, 0.0, earlier.against(segmentation.measures))
    page = (REPOSITORY / "docs" / "researcher" / "measurements.md").read_text()
    rows = re.findall(r"^\| (`.+?`) \|", page, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    # `segment` adds the name of a NIfTI file; two fields stand in place of others.
    assert named - {"input_name", "no_follow_up", "lesions_not_compared"} == {*found, *found["follow_up"]}


def test_a_doubtful_result_says_why(tmp_path: Path) -> None:
    """Verdict and reasons have stable codes; any doubt recommends a review, whatever the uncertainty index says."""
    series = series_of(CASES[0], tmp_path)
    doubt = Plausibility((Reason("bright_mass", "review", "possible mass", "A mass."),))
    segmentation = segmentation_of(series)
    calm = replace(segmentation.measures, review_recommended=False)
    found = measurements_json(series, replace(segmentation, measures=calm, plausibility=doubt), MODEL, 0.0, 0.0)
    assert found["reliability"] == "review"
    assert found["reasons"] == [{"code": "bright_mass", "reliability": "review", "sentence": "A mass."}]
    assert found["review_recommended"] is True
    assert "brain_volume_ml" not in found


def test_a_result_that_is_not_reliable_lists_no_lesions(tmp_path: Path) -> None:
    """Grades and lesions of a number that must not be used are not given."""
    series = series_of(CASES[0], tmp_path)
    doubt = Plausibility((Reason("implausible_volume", "not_reliable", "implausible volume", "Too much."),))
    found = measurements_json(
        series, replace(_with_brain(segmentation_of(series)), plausibility=doubt), MODEL, 0.0, 0.0
    )
    assert not {"lesions", "extent_mm", "fazekas"} & found.keys()


def test_values_survive_json_bit_for_bit(tmp_path: Path) -> None:
    """What is read back from JSON is exactly what was measured."""
    series = series_of(CASES[0], tmp_path)
    segmentation = segmentation_of(series)
    read = json.loads(json.dumps(measurements_json(series, segmentation, MODEL, 0.0, 0.0), allow_nan=False))
    assert read["wmh_volume_ml"] == segmentation.measures.wmh_volume_ml
    assert read["uncertainty_index"] == segmentation.measures.uncertainty_index
    assert read["volume_interval_ml"] == [*segmentation.measures.volume_interval_ml]
    assert read["lesion_count"] == segmentation.measures.lesion_count


def test_an_undefined_index_is_null(tmp_path: Path) -> None:
    """Without WMH the index is null and a review is not recommended on its account."""
    series = series_of(CASES[0], tmp_path)
    found = measurements_json(series, segmentation_of(series, empty=True), MODEL, 0.0, 0.0)
    assert found["uncertainty_index"] is None
    assert found["review_recommended"] is False
    assert found["wmh_volume_ml"] == 0.0


def test_a_nifti_file_has_no_series(tmp_path: Path) -> None:
    """Without a DICOM series there is no UID, rather than an empty one."""
    series = series_of(CASES[0], tmp_path)
    found = measurements_json(None, replace(segmentation_of(series), flags=("b", "a")), MODEL, 0.0, 0.0)
    assert "series_instance_uid" not in found
    assert found["flags"] == ["a", "b"]
