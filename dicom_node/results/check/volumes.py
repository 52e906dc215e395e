"""The report's volumes: each is that of the segment's voxels, so that picture and number say the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID

from dicom_node.results.check.checked import Checked
from dicom_node.results.check.content_tree import Code, children, code_of
from dicom_node.results.check.report import measured_segments
from dicom_node.results.check.seg_frames import SegFrame, frames_of_segmentation
from dicom_node.series.dicom import values

VOLUME: Final[Code] = ("118565006", "SCT")
MILLILITRE: Final[Code] = ("mL", "UCUM")
# The volume is of the fitted grid, the SEG's spacing is what the headers state (dicom_node.results.common.grid).
_RELATIVE: Final = 5e-3
_ROUNDING_ML: Final = 5.01e-3  # volumes are reported in hundredths of a millilitre


def check_volumes(checked: Checked) -> Iterator[tuple[str, str]]:
    """(object, sentence) for volumes that the segment does not have."""
    for report in checked.reports:
        for measured in measured_segments(report.dataset, checked):
            found = volume_ml(measured.segmentation.dataset, values.whole(measured.segment, "SegmentNumber") or 0)
            if found is None:
                continue
            for stated in _volumes(measured.group):
                if abs(stated - found) > _RELATIVE * found + _ROUNDING_ML:
                    label = values.text(measured.segment, "SegmentLabel")
                    yield (
                        report.name,
                        f"says {stated:g} mL of segment {label}, whose voxels in {measured.segmentation.name} "
                        f"have {found:g} mL",
                    )


def _volumes(group: Dataset) -> Iterator[float]:
    """The group's own volumes in mL; what is derived from others (an interval's ends) hangs below them."""
    for item in children(group, VOLUME):
        for measured in values.items(item, "MeasuredValueSequence"):
            number = values.number(measured, "NumericValue")
            if number is not None and code_of(measured, "MeasurementUnitsCodeSequence") == MILLILITRE:
                yield number


def volume_ml(dataset: Dataset, segment_number: int) -> float | None:
    """A segment's volume from the SEG alone; None where it is unknown (compressed, probabilities, broken)."""
    frames = frames_of_segmentation(dataset)
    pixels = _pixels(dataset, len(frames))
    voxel = _voxel_ml(frames)
    if pixels is None or voxel is None:
        return None
    kind = values.text(dataset, "SegmentationType")
    if kind == "LABELMAP":
        return sum(int(np.count_nonzero(pixels(index) == segment_number)) for index in range(len(frames))) * voxel
    mine = [index for index, frame in enumerate(frames) if frame.segment_number == segment_number]
    full = (values.whole(dataset, "MaximumFractionalValue") or 1) if kind == "FRACTIONAL" else 1
    return sum(int(pixels(index).sum(dtype=np.int64)) for index in mine) / full * voxel


def _pixels(dataset: Dataset, count: int) -> Callable[[int], NDArray[np.uint8]] | None:
    """What gives the voxels of a frame, of a segmentation whose voxels are a part of space: BINARY, LABELMAP,
    occupancy."""
    kind = values.text(dataset, "SegmentationType")
    size = (values.whole(dataset, "Rows") or 0) * (values.whole(dataset, "Columns") or 0)
    encapsulated = UID(values.text(dataset.file_meta, "TransferSyntaxUID")).is_encapsulated
    occupied = kind in ("BINARY", "LABELMAP") or values.text(dataset, "SegmentationFractionalType") == "OCCUPANCY"
    if not occupied or encapsulated or values.whole(dataset, "BitsAllocated") not in (1, 8):
        return None
    stored = np.frombuffer(dataset.PixelData, np.uint8)
    held = 8 * len(stored) if kind == "BINARY" else len(stored)
    if not count * size or held < count * size:
        return None

    def frame(index: int) -> NDArray[np.uint8]:
        start, end = index * size, (index + 1) * size
        if kind != "BINARY":
            return stored[start:end]
        first = start // 8
        return np.unpackbits(stored[first : -(-end // 8)], bitorder="little")[start - 8 * first :][:size]

    return frame


def _voxel_ml(frames: list[SegFrame]) -> float | None:
    if not frames:
        return None
    spacing = frames[0].numbers("PixelMeasuresSequence", "PixelSpacing", 2)
    distance = frames[0].slice_distance_mm
    return None if spacing is None or distance is None else float(spacing.prod()) * distance / 1000.0
