"""measurements.json: what was measured, for programs. The names of its fields are a face that others rely on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from dicom_node.results.common.comparison import FollowUpComparison, FollowUpFinding
from dicom_node.series.read.series import FlairSeries
from segmentation.bundle import ModelIdentity
from segmentation.segment import Segmentation


def measurements_json(
    series: FlairSeries | None,
    segmentation: Segmentation,
    model: ModelIdentity,
    seconds_read: float,
    seconds_write: float,
    comparison: FollowUpFinding | None = None,
    flags: Sequence[str] = (),
    input_name: str | None = None,
) -> dict[str, Any]:
    """The content of measurements.json, ready for `json.dumps`.

    A field that this build cannot fill is absent, never invented: series_instance_uid without a DICOM series,
    fazekas and extent_mm without ventricles; these and lesions of a result that is not reliable; brain_volume_ml,
    wmh_share_of_brain and outside_brain_ml where no brain was found; bright_region where there is none;
    periventricular_volume_ml, deep_volume_ml (and their intervals), ventricle_volume_ml and periventricular_rule when
    the model has no ventricle network or found no ventricle; follow_up without an earlier result of the patient to
    compare with: no_follow_up then says why, where the node has looked for one. Everything but `seconds` is the same,
    bit for bit, whenever the same series is analysed by the same model on the same machine.

    Args:
        series: what was analysed; None for a NIfTI file.
        segmentation: what was found.
        model: what found it.
        seconds_read, seconds_write: wall time of the stages around `segment_volume`, in seconds.
        comparison: with an earlier result of the patient.
        flags: of reading, where there is no series that has them.
        input_name: of the file, where there is no series that has an UID.
    """
    measures = segmentation.measures
    seconds = segmentation.seconds
    fields: dict[str, Any] = {}
    if series is not None:
        fields["series_instance_uid"] = series.series_instance_uid
    if input_name is not None:
        fields["input_name"] = input_name
    fields["wmh_volume_ml"] = float(measures.wmh_volume_ml)
    fields["volume_interval_ml"] = [*measures.volume_interval_ml]
    if measures.predictive is not None:
        fields["predictive_interval_ml"] = [*measures.predictive.interval]
        fields["predictive_nominal"] = float(measures.predictive.nominal)
    fields["lesion_count"] = int(measures.lesion_count)
    fields["uncertainty_index"] = None if measures.uncertainty_index is None else float(measures.uncertainty_index)
    fields["review_recommended"] = segmentation.review_recommended
    fields["reliability"] = segmentation.plausibility.reliability
    fields["reasons"] = [
        {"code": reason.code, "reliability": reason.reliability, "sentence": reason.sentence}
        for reason in segmentation.plausibility.reasons
    ]
    if segmentation.brain_volume_ml is not None:
        fields["brain_volume_ml"] = float(segmentation.brain_volume_ml)
        fields["wmh_share_of_brain"] = segmentation.wmh_share_of_brain
        fields["outside_brain_ml"] = float(segmentation.outside_brain_ml)
    if (region := segmentation.bright_region) is not None:
        fields["bright_region"] = {
            "volume_ml": float(region.volume_ml),
            "counted_as_wmh_ml": float(region.counted_ml),
            "left_out_ml": float(region.left_out_ml),
            "slice": region.slice_index + 1,
        }
    if segmentation.is_reliable:
        fields["lesions"] = [_known(asdict(lesion)) for lesion in segmentation.lesions]
        if segmentation.extent is not None:
            fields["extent_mm"] = asdict(segmentation.extent)
            fields["fazekas"] = asdict(segmentation.extent.fazekas)
    if (regions := segmentation.regions) is not None:
        fields["periventricular_volume_ml"] = float(regions.periventricular_volume_ml)
        fields["deep_volume_ml"] = float(regions.deep_volume_ml)
        fields["ventricle_volume_ml"] = float(regions.ventricle_volume_ml)
        if regions.periventricular_interval_ml is not None and regions.deep_interval_ml is not None:
            fields["periventricular_interval_ml"] = [*regions.periventricular_interval_ml]
            fields["deep_interval_ml"] = [*regions.deep_interval_ml]
        fields["periventricular_rule"] = {
            "distance_mm": float(regions.distance_mm),
            "distance": regions.distance_rule,
        }
    if isinstance(comparison, FollowUpComparison):
        fields["follow_up"] = comparison.as_json
    elif comparison is not None:
        fields["no_follow_up"] = {"code": comparison.code, "reason": comparison.reason}
    fields["model"] = {"name": model.name, "version": model.version, "digest": model.digest}
    fields["seconds"] = {
        "read": float(seconds_read),
        "preprocess": float(seconds.preprocess),
        "infer": float(seconds.infer),
        "measure": float(seconds.measure),
        "write": float(seconds_write),
    }
    fields["flags"] = sorted({*(series.flags if series is not None else flags), *segmentation.flags})
    return fields


def _known(lesion: dict[str, Any]) -> dict[str, Any]:
    """What is known of a lesion."""
    return {name: value for name, value in lesion.items() if value is not None}
