"""Content items that the report's groups share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from highdicom import sr
from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset

from dicom_node.node.version import MANUFACTURER
from dicom_node.results.common import codes
from dicom_node.results.common.facts import AnalysisFacts
from dicom_node.series.read.series import FlairSeries
from segmentation.interval import VolumeInterval

DECIMALS: Final = 3
# A hundredth of a millilitre is a voxel or two; more digits than that no method can resolve.
VOLUME_DECIMALS: Final = 2
_HAS_PROPERTIES: Final = sr.RelationshipTypeValues.HAS_PROPERTIES


def algorithm_of(facts: AnalysisFacts, parameters: Mapping[str, str] | None = None) -> sr.AlgorithmIdentification:
    """TID 4019: the model and the parameters that it ran with.

    Args:
        facts: who measured it.
        parameters: of this group; those of the WMH where it has none.
    """
    parameters = facts.parameters if parameters is None else parameters
    return sr.AlgorithmIdentification(
        name=facts.model.name,
        version=facts.model.version,
        parameters=[f"{name}={value}" for name, value in parameters.items()],
        family=codes.ARTIFICIAL_INTELLIGENCE,
        manufacturer=MANUFACTURER,
    )


def volume_measurement(
    volume_ml: float,
    interval: VolumeInterval | None = None,
    name: CodedConcept = codes.VOLUME,
    qualifier: CodedConcept | None = None,
) -> sr.Measurement:
    """A volume in mL (TID 300), with its interval as what lies above and below it (TID 310).

    highdicom's own `MeasurementProperties` gives these two the unit "no units", whatever is measured.
    """
    measurement = sr.Measurement(name, round(volume_ml, VOLUME_DECIMALS), codes.MILLILITRE, qualifier=qualifier)
    if interval is not None:
        ranges = (
            (codes.ABOVE_VALUE, interval.upper_ml - volume_ml),
            (codes.BELOW_VALUE, volume_ml - interval.lower_ml),
        )
        properties = [
            sr.NumContentItem(
                which, round(range_ml, VOLUME_DECIMALS), codes.MILLILITRE, relationship_type=_HAS_PROPERTIES
            )
            for which, range_ml in ranges
        ]
        measurement[0].ContentSequence = sr.ContentSequence([*measurement[0].get("ContentSequence", []), *properties])
    return measurement


def referenced_segment(series: FlairSeries, seg: Dataset, number: int) -> sr.ReferencedSegment:
    """What was measured (TID 1411, row 7): a segment of a SEG, and the series that it was made from.

    Built by hand: highdicom's `from_segmentation` fails where a segment's number stands in the shared groups (a SEG of
    one segment) or in no groups at all (LABELMAP).
    """
    return sr.ReferencedSegment(
        sop_class_uid=seg.SOPClassUID,
        sop_instance_uid=seg.SOPInstanceUID,
        segment_number=number,
        source_series=sr.SourceSeriesForSegmentation(series.series_instance_uid),
    )


def comment(text: str) -> sr.TextContentItem:
    """What cannot be coded, as text."""
    return sr.TextContentItem(name=codes.COMMENT, value=text, relationship_type=sr.RelationshipTypeValues.CONTAINS)
