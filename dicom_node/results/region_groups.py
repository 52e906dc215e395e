"""The report's groups for periventricular WMH, deep WMH and the ventricles.

TID 1501 and not TID 1411: that wants a segment of its own for each, and the SEG has one, the whole WMH.
"""

from __future__ import annotations

from highdicom import sr
from highdicom.sr import CodedConcept

from dicom_node.results import codes
from dicom_node.results.facts import AnalysisFacts
from dicom_node.results.report_items import algorithm_of, comment, volume_measurement
from dicom_node.results.words import rule_in_words
from segmentation.regions import RegionVolumes


def region_groups(regions: RegionVolumes, facts: AnalysisFacts) -> list[sr.MeasurementsAndQualitativeEvaluations]:
    """The three groups, in this order: periventricular WMH, deep WMH, ventricles."""
    uids = facts.uids
    parts = [
        (
            "WMH periventricular",
            uids.periventricular_tracking,
            codes.PERIVENTRICULAR,
            regions.periventricular_volume_ml,
            regions.periventricular_interval_ml,
        ),
        ("WMH deep", uids.deep_tracking, codes.DEEP, regions.deep_volume_ml, regions.deep_interval_ml),
    ]
    return [
        *(
            _group(
                regions,
                facts,
                tracking=sr.TrackingIdentifier(uid=uid, identifier=name),
                category=codes.MORPHOLOGICALLY_ABNORMAL,
                finding=codes.WHITE_MATTER_HYPERINTENSITY,
                site=sr.FindingSite(codes.CEREBRAL_WHITE_MATTER, topographical_modifier=where.concept),
                volume=volume_measurement(volume_ml, interval),
            )
            for name, uid, where, volume_ml, interval in parts
        ),
        _group(
            regions,
            facts,
            tracking=sr.TrackingIdentifier(uid=uids.ventricles_tracking, identifier="Ventricles"),
            category=codes.ANATOMICAL_STRUCTURE,
            finding=codes.BRAIN_VENTRICLE,
            site=None,
            volume=volume_measurement(regions.ventricle_volume_ml),
        ),
    ]


def rule_as_text(regions: RegionVolumes) -> str:
    """The rule in a form that never changes, for derived UIDs."""
    return f"{regions.distance_rule} {float(regions.distance_mm)!r} mm"


def _group(
    regions: RegionVolumes,
    facts: AnalysisFacts,
    tracking: sr.TrackingIdentifier,
    category: CodedConcept,
    finding: CodedConcept,
    site: sr.FindingSite | None,
    volume: sr.Measurement,
) -> sr.MeasurementsAndQualitativeEvaluations:
    rule = {
        "periventricular_mm": f"{regions.distance_mm:g}",
        "periventricular_distance": regions.distance_rule,
    }
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking,
        finding_category=category,
        finding_type=finding,
        finding_sites=None if site is None else [site],
        algorithm_id=algorithm_of(facts, None if site is None else rule),
        measurements=[volume],
    )
    if site is not None:
        group[0].ContentSequence.append(comment(rule_in_words(regions)))
    return group
