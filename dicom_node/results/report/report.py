"""The measurement report (SR) of one series: Comprehensive 3D SR with TID 1500."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from dicom_node.node.profiles import FIRST_FORM, ObjectKind, SegForm
from dicom_node.node.version import MANUFACTURER, SOFTWARE_NAME
from dicom_node.results.common import codes
from dicom_node.results.common.comparison import FollowUpComparison
from dicom_node.results.common.equipment import RESEARCH_USE
from dicom_node.results.common.facts import AnalysisFacts
from dicom_node.results.common.headers import finish_header
from dicom_node.results.common.predecessor import REPLACES
from dicom_node.results.common.series_names import series_description, series_number
from dicom_node.results.common.uids import device_uid
from dicom_node.results.common.words import (
    bright_region_in_words,
    count_in_words,
    extent_in_words,
    flags_in_words,
    interval_in_words,
    is_partial,
    predictive_in_words,
    reliability_in_words,
    review_in_words,
    summary_in_words,
)
from dicom_node.results.report.comparison_group import comparison_evidence, comparison_items
from dicom_node.results.report.image_library import image_library
from dicom_node.results.report.region_groups import region_groups
from dicom_node.results.report.report_items import (
    DECIMALS,
    algorithm_of,
    comment,
    referenced_segment,
    volume_measurement,
)
from dicom_node.results.seg.wmh_seg import SEGMENT_NUMBER, TRACKING_ID
from dicom_node.series.read.series import FlairSeries
from segmentation.segment import Segmentation

_PARTIAL_DESCRIPTION: Final = "The series may not hold the whole brain"


@dataclass(frozen=True)
class ReportedSegs:
    """The finished segmentation objects that a report is about, in one form.

    Attributes:
        wmh: the whole WMH.
        regions: periventricular and deep WMH and the ventricles; None where there are none.
        form: how both are written.
    """

    wmh: Dataset
    regions: Dataset | None = None
    form: SegForm = FIRST_FORM


def build_report(
    series: FlairSeries,
    segmentation: Segmentation,
    flags: Sequence[str],
    segs: ReportedSegs,
    facts: AnalysisFacts,
    pages: Sequence[Dataset] = (),
) -> Dataset:
    """The measurement report that belongs to segmentation objects.

    Args:
        series: the source.
        segmentation: its measures and, where it has them, its regions are reported.
        flags: of reading and segmentation.
        segs: what was measured.
        facts: who measured it, when.
        pages: the pictures for a person that whoever gets this report gets too.
    """
    form = segs.form
    groups = [_wmh_group(series, segmentation, flags, segs.wmh, facts)]
    if segmentation.regions is not None and segs.regions is not None:
        groups.extend(region_groups(series, segmentation, segmentation.regions, segs.regions, facts, form))
    groups.extend(comparison_items(facts, form))
    content = sr.MeasurementReport(
        observation_context=observation_context(facts),
        procedure_reported=codes.MR_BRAIN,
        imaging_measurements=groups,
    )
    # TID 1500 wants the image library before the measurements, which highdicom has put last.
    content[0].ContentSequence.insert(-1, image_library(series))
    # The template is extensible: a reader of the report as text meets the finding before the list of images.
    content[0].ContentSequence.insert(-2, _summary(segmentation))
    for page in pages:
        content[0].ContentSequence.insert(-2, _illustration(page))
    referred_to = (*series.headers, segs.wmh, segs.regions, *pages, *comparison_evidence(facts, form))
    evidence = [bare_reference(dataset) for dataset in referred_to if dataset is not None]
    report = sr.Comprehensive3DSR(
        evidence=evidence,
        content=content[0],
        series_instance_uid=facts.uids.series_of(ObjectKind.SR, form),
        series_number=series_number(ObjectKind.SR, series.headers[0], form),
        sop_instance_uid=facts.uids.instance_of(ObjectKind.SR, form),
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=not is_partial(flags),
        is_final=False,
        is_verified=False,
        series_description=series_description(ObjectKind.SR, facts),
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    result = Dataset()
    result.update(report)
    if is_partial(flags):
        result.CompletionFlagDescription = _PARTIAL_DESCRIPTION
    if facts.predecessor is not None:
        result.PredecessorDocumentsSequence = [facts.predecessor.in_form(form).predecessor_item()]
    finish_header(result, series.headers[0], facts.model, facts.stamp)
    result.CodingSchemeIdentificationSequence = [codes.private_coding_scheme()]
    return result


def _summary(segmentation: Segmentation) -> sr.TextContentItem:
    text = summary_in_words(segmentation.measures, segmentation.plausibility)
    return sr.TextContentItem(codes.SUMMARY, text, relationship_type=sr.RelationshipTypeValues.CONTAINS)


def _illustration(page: Dataset) -> sr.ImageContentItem:
    """The report leads to the pages, beside the finding in words, so that the set is one (as in TID 2000)."""
    return sr.ImageContentItem(
        codes.BEST_ILLUSTRATION,
        str(page.SOPClassUID),
        str(page.SOPInstanceUID),
        relationship_type=sr.RelationshipTypeValues.CONTAINS,
    )


def observation_context(facts: AnalysisFacts) -> sr.ObservationContext:
    """The observer is the device (TID 1002, TID 1004): no person has seen the result."""
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=device_uid(facts.model.digest),
        name=f"{facts.model.name} {facts.model.version}",
        manufacturer_name=MANUFACTURER,
        model_name=SOFTWARE_NAME,
        serial_number=facts.model.digest,
    )
    return sr.ObservationContext(observer_device_context=sr.ObserverContext(codes.DEVICE_OBSERVER, device))


def _wmh_group(
    series: FlairSeries, segmentation: Segmentation, flags: Sequence[str], seg: Dataset, facts: AnalysisFacts
) -> sr.VolumetricROIMeasurementsAndQualitativeEvaluations:
    """TID 1411: the whole of the segment."""
    group = sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=facts.uids.wmh_tracking, identifier=TRACKING_ID),
        referenced_segment=referenced_segment(series, seg, SEGMENT_NUMBER),
        finding_category=codes.MORPHOLOGICALLY_ABNORMAL,
        finding_type=codes.WHITE_MATTER_HYPERINTENSITY,
        finding_sites=[sr.FindingSite(codes.CEREBRAL_WHITE_MATTER)],
        algorithm_id=algorithm_of(facts),
        measurements=_measurements(segmentation),
        qualitative_evaluations=_evaluations(segmentation),
    )
    # TID 1411 is extensible: what cannot be coded follows as text.
    group[0].ContentSequence.extend(comment(text) for text in comments_of(segmentation, flags, facts))
    return group


def _measurements(segmentation: Segmentation) -> list[sr.Measurement]:
    """TID 300; an undefined uncertainty index is left out, never zero. A volume that is not reliable is qualified."""
    measures = segmentation.measures
    qualifier = None if segmentation.is_reliable else codes.VALUE_INDETERMINATE
    found = [
        volume_measurement(measures.wmh_volume_ml, measures.volume_interval_ml, qualifier=qualifier),
        _count(measures.lesion_count),
    ]
    if measures.uncertainty_index is not None:
        name = codes.UNCERTAINTY_INDEX.concept
        found.append(sr.Measurement(name, round(measures.uncertainty_index, DECIMALS), codes.NO_UNITS))
    return found


def _count(lesions: int) -> sr.Measurement:
    """highdicom writes the count 23 as "23.0"."""
    measurement = sr.Measurement(codes.NUMBER_OF_LESIONS, lesions, codes.LESIONS)
    measurement[0].MeasuredValueSequence[0].NumericValue = str(lesions)
    return measurement


def _evaluations(segmentation: Segmentation) -> list[sr.QualitativeEvaluation]:
    """The recommendation; left out where no rule gives one and the index is undefined."""
    if segmentation.measures.uncertainty_index is None and not segmentation.review_recommended:
        return []
    answer = codes.YES if segmentation.review_recommended else codes.NO
    return [sr.QualitativeEvaluation(codes.REVIEW_RECOMMENDED.concept, answer)]


def comments_of(
    segmentation: Segmentation, flags: Sequence[str], facts: AnalysisFacts, *, measured: bool = True
) -> list[str]:
    """What cannot be coded, doubts first: sentences that the messages to other systems repeat.

    Args:
        segmentation: what was found.
        flags: of the series and of the segmentation.
        facts: who, how, when.
        measured: whether the sentences that hold measurements are among them.
    """
    replaces = [] if facts.predecessor is None else [REPLACES]
    found = facts.comparison
    not_compared = None if found is None or isinstance(found, FollowUpComparison) else found.reason
    return [
        *reliability_in_words(segmentation.plausibility),
        *(bright_region_in_words(segmentation.bright_region, len(segmentation.kept_mask)) if measured else []),
        RESEARCH_USE,
        *replaces,
        *(_measured_in_words(segmentation) if measured else []),
        *([not_compared] if not_compared else []),
        *flags_in_words(flags),
    ]


def _measured_in_words(segmentation: Segmentation) -> list[str]:
    measures = segmentation.measures
    return [
        interval_in_words(measures),
        *predictive_in_words(measures),
        *_extent(segmentation),
        count_in_words(),
        review_in_words(measures, segmentation.plausibility),
    ]


def _extent(segmentation: Segmentation) -> list[str]:
    return extent_in_words(segmentation.extent) if segmentation.is_reliable else []


def bare_reference(instance: Dataset) -> Dataset:
    """What highdicom needs of an instance to refer to it; patient and study are set when the report is finished."""
    bare = Dataset()
    for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        setattr(bare, keyword, str(instance[keyword].value))
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"):
        setattr(bare, keyword, "")
    bare.StudyDate = bare.StudyTime = None
    return bare
