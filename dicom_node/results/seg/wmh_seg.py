"""The whole WMH as one segment: the mask (SEG), and in a separate series the ensemble's probability (FRACTIONAL SEG).

There is no second segment for the uncertainty: that is a function of this probability (`segmentation.uncertainty`), and
SegmentationFractionalType (PS3.3 C.8.20.2.3) has no value for it.
"""

from __future__ import annotations

from typing import Final

from pydicom.dataset import Dataset

from dicom_node.node.profiles import FIRST_FORM, ObjectKind, SegForm
from dicom_node.results.common import codes
from dicom_node.results.common.colours import WMH_RGB
from dicom_node.results.common.facts import AnalysisFacts
from dicom_node.results.seg.seg_object import SegContent, Segment, build_fractional, build_masks
from dicom_node.series.read.series import FlairSeries
from segmentation.boxed import BoxedMask
from segmentation.segment import Segmentation

SEGMENT_NUMBER: Final = 1
SEGMENT_LABEL: Final = "WMH"
TRACKING_ID: Final = "WMH"
CONTENT_DESCRIPTION: Final = "White matter hyperintensities on FLAIR - RESEARCH USE ONLY"
PROBABILITY_DESCRIPTION: Final = "Probability of WMH, mean of the ensemble - RESEARCH USE ONLY"
# The overlay's outline has the same colour.
DISPLAY_RGB: Final = WMH_RGB


def build_seg(series: FlairSeries, mask: BoxedMask, facts: AnalysisFacts, form: SegForm = FIRST_FORM) -> Dataset:
    """The SEG of a mask.

    Its first form is BINARY, because Orthanc and many PACS refuse LABELMAP, and every slice of the FLAIR has its
    frame, empty or not: the grid is then complete for every reader, an empty mask is no special case, and a bit for
    each voxel costs little.

    Args:
        series: the source.
        mask: on the grid of `series`.
        facts: who found it, when.
        form: how it is written.
    """
    content = SegContent(ObjectKind.SEG, "WMH", CONTENT_DESCRIPTION, (wmh_segment(facts),))
    return build_masks(series, content, [mask], facts, form)


def wmh_segment(facts: AnalysisFacts, label: str = SEGMENT_LABEL) -> Segment:
    """The whole WMH."""
    return Segment(
        label=label,
        tracking_id=TRACKING_ID,
        tracking_uid=facts.uids.wmh_tracking,
        category=codes.MORPHOLOGICALLY_ABNORMAL,
        property_type=codes.WHITE_MATTER_HYPERINTENSITY,
        colour=WMH_RGB,
        parameters=facts.parameters,
        region=codes.CEREBRAL_WHITE_MATTER,
    )


def build_probability_map(series: FlairSeries, segmentation: Segmentation, facts: AnalysisFacts) -> Dataset:
    """The ensemble's mean probability, rounded to 255ths; every slice has its frame.

    Args:
        series: the source.
        segmentation: its probability is on the grid of `series`.
        facts: who found it, when.
    """
    segment = wmh_segment(facts, label="WMH probability")
    content = SegContent(ObjectKind.PROBABILITY, "WMH_PROBABILITY", PROBABILITY_DESCRIPTION, (segment,))
    return build_fractional(series, content, segmentation.probability_map, facts)
