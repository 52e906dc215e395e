"""The report's group for the change since an earlier result of the patient (TID 1501).

A separate group with separate concepts: a program that looks for the volume must not take the earlier one for it.
The earlier report is named as COMPOSITE, so that it is found from here, and as Pertinent Other Evidence (PS3.3 C.17.2).
"""

from __future__ import annotations

from typing import Final

from highdicom import sr
from pydicom.dataset import Dataset

from dicom_node.node.profiles import SegForm
from dicom_node.results.common import codes
from dicom_node.results.common.comparison import FollowUpComparison, in_words
from dicom_node.results.common.facts import AnalysisFacts
from dicom_node.results.common.uids import in_form
from dicom_node.results.report.report_items import DECIMALS, VOLUME_DECIMALS, algorithm_of, comment, volume_measurement

_TRACKING_ID: Final = "WMH change"


def comparison_items(facts: AnalysisFacts, form: SegForm) -> list[sr.MeasurementsAndQualitativeEvaluations]:
    """The group, or none where there is nothing to compare with.

    Args:
        facts: with the comparison.
        form: of the report; the earlier one is named in the one that was sent then.
    """
    finding = facts.comparison
    if not isinstance(finding, FollowUpComparison):
        return []
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=in_form(facts.uids.of("wmh-change-tracking"), form), identifier=_TRACKING_ID
        ),
        finding_category=codes.MORPHOLOGICALLY_ABNORMAL,
        finding_type=codes.WHITE_MATTER_HYPERINTENSITY,
        finding_sites=[sr.FindingSite(codes.CEREBRAL_WHITE_MATTER)],
        algorithm_id=algorithm_of(facts),
        measurements=_measurements(finding),
        qualitative_evaluations=[
            sr.QualitativeEvaluation(
                codes.CHANGE_BEYOND_INTERVALS.concept, codes.YES if finding.is_beyond_intervals else codes.NO
            )
        ],
    )
    report = finding.report_for(form)
    group[0].ContentSequence.append(
        sr.CompositeContentItem(
            name=codes.PRIOR_REPORT,
            referenced_sop_class_uid=report.sop_class_uid,
            referenced_sop_instance_uid=report.sop_instance_uid,
            relationship_type=sr.RelationshipTypeValues.CONTAINS,
        )
    )
    group[0].ContentSequence.extend(comment(text) for text in in_words(finding))
    return [group]


def comparison_evidence(facts: AnalysisFacts, form: SegForm) -> list[Dataset]:
    """The earlier report, as evidence of the present one."""
    finding = facts.comparison
    if not isinstance(finding, FollowUpComparison):
        return []
    report = Dataset()
    for keyword, uid in finding.report_for(form).uids.items():
        setattr(report, keyword, uid)
    return [report]


def _measurements(finding: FollowUpComparison) -> list[sr.Measurement]:
    found = [
        volume_measurement(finding.earlier.volume_ml, finding.earlier.interval_ml, codes.EARLIER_VOLUME.concept),
        sr.Measurement(codes.VOLUME_CHANGE.concept, round(finding.change_ml, VOLUME_DECIMALS), codes.MILLILITRE),
    ]
    if finding.change_percent is not None:
        percent = round(finding.change_percent, DECIMALS)
        found.append(sr.Measurement(codes.VOLUME_CHANGE_PERCENT.concept, percent, codes.PERCENT))
    return found
