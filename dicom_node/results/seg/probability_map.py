"""The probability map: the ensemble's probability for each voxel, as FRACTIONAL SEG in a separate series.

There is no second segment for the uncertainty: that is a function of this probability (`segmentation.uncertainty`), and
SegmentationFractionalType (PS3.3 C.8.20.2.3) has no value for it.
"""

from __future__ import annotations

from typing import Final

from pydicom.dataset import Dataset

from dicom_node.node.profiles import ObjectKind
from dicom_node.results.common.facts import AnalysisFacts
from dicom_node.results.seg.seg import wmh_segment
from dicom_node.results.seg.seg_object import SegContent, build_fractional
from dicom_node.series.read.series import FlairSeries
from segmentation.segment import Segmentation

CONTENT_DESCRIPTION: Final = "Probability of WMH, mean of the ensemble - RESEARCH USE ONLY"


def build_probability_map(series: FlairSeries, segmentation: Segmentation, facts: AnalysisFacts) -> Dataset:
    """The ensemble's mean probability, rounded to 255ths; every slice has its frame.

    Args:
        series: the source.
        segmentation: its probability is on the grid of `series`.
        facts: who found it, when.
    """
    segment = wmh_segment(facts, label="WMH probability")
    content = SegContent(ObjectKind.PROBABILITY, "WMH_PROBABILITY", CONTENT_DESCRIPTION, (segment,))
    return build_fractional(series, content, segmentation.probability, facts)
