"""Which image a viewer opens on: the slice with most WMH."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from dicom_node.series.dicom.parsing import read_object


def fullest_image(seg_file: Path) -> str | None:
    """SOPInstanceUID of the source image whose frame in a SEG holds most; None without one, or in an empty SEG.

    Args:
        seg_file: a SEG of one segment with derivation images (PS3.3 C.7.6.16.2.6), as the node writes it.
    """
    seg = read_object(seg_file)
    frames = np.atleast_3d(seg.pixel_array) if seg.get("NumberOfFrames", 1) > 1 else seg.pixel_array[np.newaxis]
    amounts = frames.reshape(len(frames), -1).sum(axis=1, dtype=np.int64)
    fullest = int(amounts.argmax())
    return _source(seg.PerFrameFunctionalGroupsSequence[fullest]) if amounts[fullest] else None


def _source(groups: Dataset) -> str | None:
    for derivation in groups.get("DerivationImageSequence", ()):
        for image in derivation.get("SourceImageSequence", ()):
            return str(image.ReferencedSOPInstanceUID)
    return None
