"""The report's groups for periventricular WMH, deep WMH and the ventricles: TID 1411, each with its segment."""

from __future__ import annotations

from highdicom import sr
from pydicom.dataset import Dataset

from dicom_node.node.profiles import FIRST_FORM, SegForm
from dicom_node.results.common import codes
from dicom_node.results.common.facts import AnalysisFacts
from dicom_node.results.common.words import rule_in_words, shared_voxels_in_words
from dicom_node.results.report.report_items import algorithm_of, comment, referenced_segment, volume_measurement
from dicom_node.results.seg.regions_seg import DEEP, PERIVENTRICULAR, VENTRICLES, Region, region_masks
from dicom_node.series.read.series import FlairSeries
from segmentation.regions import RegionVolumes
from segmentation.segment import Segmentation


def region_groups(
    series: FlairSeries,
    segmentation: Segmentation,
    regions: RegionVolumes,
    seg: Dataset,
    facts: AnalysisFacts,
    form: SegForm = FIRST_FORM,
) -> list[sr.VolumetricROIMeasurementsAndQualitativeEvaluations]:
    """The three groups, in the order of their segments: periventricular WMH, deep WMH, ventricles.

    Args:
        series: the source.
        segmentation: what was found.
        regions: its volumes.
        seg: the finished SEG of the regions.
        facts: who measured it, when.
        form: of the SEG.
    """
    hidden = _hidden_voxels(segmentation) if form.encoding == "labelmap" else 0
    inside_ml = regions.ventricle_volume_ml - hidden * series.volume().voxel_volume_ml
    shown = [shared_voxels_in_words(hidden)] if hidden else []
    rule = [rule_in_words(regions)]
    doubt = None if segmentation.is_reliable else codes.VALUE_INDETERMINATE
    near = volume_measurement(regions.periventricular_volume_ml, regions.periventricular_interval_ml, qualifier=doubt)
    far = volume_measurement(regions.deep_volume_ml, regions.deep_interval_ml, qualifier=doubt)
    inside = volume_measurement(inside_ml)
    groups = ((PERIVENTRICULAR, near, rule), (DEEP, far, rule), (VENTRICLES, inside, shown))
    return [_group(series, regions, region, volume, words, seg, facts) for region, volume, words in groups]


def rule_as_text(regions: RegionVolumes) -> str:
    """The rule in a form that never changes, for derived UIDs."""
    return f"{regions.distance_rule} {float(regions.distance_mm)!r} mm"


def _group(
    series: FlairSeries,
    regions: RegionVolumes,
    region: Region,
    volume: sr.Measurement,
    words: list[str],
    seg: Dataset,
    facts: AnalysisFacts,
) -> sr.VolumetricROIMeasurementsAndQualitativeEvaluations:
    rule = {
        "periventricular_mm": f"{regions.distance_mm:g}",
        "periventricular_distance": regions.distance_rule,
    }
    parameters = {**region.parameters(facts), **({} if region.site is None else rule)}
    group = sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=facts.uids.of(region.kind), identifier=region.name),
        referenced_segment=referenced_segment(series, seg, region.number),
        finding_category=region.category,
        finding_type=region.finding,
        finding_sites=_sites(region),
        algorithm_id=algorithm_of(facts, parameters),
        measurements=[volume],
    )
    group[0].ContentSequence.extend(comment(text) for text in words)
    return group


def _hidden_voxels(segmentation: Segmentation) -> int:
    """LABELMAP has one number for each voxel, so that the ventricles' segment lacks what is WMH too."""
    masks = region_masks(segmentation)
    return 0 if masks is None else masks.shared_voxels


def _sites(region: Region) -> list[sr.FindingSite] | None:
    if region.site is None:
        return None
    modifier = None if region.modifier is None else region.modifier.concept
    return [sr.FindingSite(region.site, topographical_modifier=modifier)]
