"""The WMH mask out of a SEG of ours, back on the grid of its series."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_node.node.errors import ResultError
from dicom_node.series.dicom import values
from dicom_node.series.dicom.parsing import guarded
from dicom_node.series.read.flair_series import FlairSeries


def read_own_mask(path: Path, series: FlairSeries) -> NDArray[np.bool_]:
    """The WMH, bool (slice, row, column), from `seg.dcm` of a result set.

    Args:
        path: a SEG of one segment in the first form (BINARY).
        series: what it was made of.

    Raises:
        OSError: there is no such file.
        UnreadableObject: it is damaged.
        ResultError: it belongs to another series.
    """
    path.stat()
    return guarded(lambda: _mask(dcmread(path), series), "unreadable", "The earlier segmentation cannot be read.")


def _mask(seg: Dataset, series: FlairSeries) -> NDArray[np.bool_]:
    pixels = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns)
    slices = {(frame.sop_instance_uid, frame.frame_number): index for index, frame in enumerate(series.frames)}
    mask = np.zeros(series.shape, bool)
    for shown, groups in zip(pixels, values.items(seg, "PerFrameFunctionalGroupsSequence"), strict=True):
        derivation = values.first_item(groups, "DerivationImageSequence")
        source = values.first_item(derivation, "SourceImageSequence") or Dataset()
        key = values.text(source, "ReferencedSOPInstanceUID"), values.whole(source, "ReferencedFrameNumber")
        if (index := slices.get(key)) is None or shown.shape != mask.shape[1:]:
            raise ResultError("expected a segmentation of this series, got one of other images")
        mask[index] = shown > 0
    return mask
