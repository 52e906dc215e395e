"""The segmentation object (SEG) of one series: the whole WMH as one segment."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom_node.node.profiles import FIRST_FORM, ObjectKind, SegForm
from dicom_node.results.common import codes
from dicom_node.results.common.colours import WMH_RGB
from dicom_node.results.common.facts import AnalysisFacts
from dicom_node.results.seg.seg_object import SegContent, Segment, build_masks
from dicom_node.series.read.series import FlairSeries

SEGMENT_NUMBER: Final = 1
SEGMENT_LABEL: Final = "WMH"
TRACKING_ID: Final = "WMH"
CONTENT_DESCRIPTION: Final = "White matter hyperintensities on FLAIR - RESEARCH USE ONLY"
# The overlay's outline has the same colour.
DISPLAY_RGB: Final = WMH_RGB


def build_seg(
    series: FlairSeries, mask: NDArray[np.bool_], facts: AnalysisFacts, form: SegForm = FIRST_FORM
) -> Dataset:
    """The SEG of a mask.

    Its first form is BINARY, because Orthanc and many PACS refuse LABELMAP, and every slice of the FLAIR has its
    frame, empty or not: the grid is then complete for every reader, an empty mask is no special case, and a bit for
    each voxel costs little.

    Args:
        series: the source.
        mask: bool (slice, row, column) on the grid of `series`.
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
