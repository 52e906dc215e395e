"""A segmentation object of any tool as a mask on the grid of a FLAIR series.

BINARY only (PS3.3 C.8.20.2): a FRACTIONAL value or a label map is no manual outline. Frames may come in any order, be
turned or mirrored in their plane, cover a part of the slice, or be left out where they are empty; each voxel of a frame
must lie on a voxel of the FLAIR.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import SegmentationStorage

from dicom_node.errors import UnreadableObject, UnsupportedGeometry
from dicom_node.reading import values
from dicom_node.reading.parsing import guarded, read_object
from dicom_node.reading.pixels import MAX_VOXELS
from dicom_node.reading.series import FlairSeries

# How far a voxel of the segmentation may lie from the centre of the FLAIR's, in voxels.
_OFF_GRID: Final = 0.1
_OTHER_TYPES: Final = ("FRACTIONAL", "LABELMAP")


@dataclass(frozen=True)
class SegmentWords:
    """How to know the segment that is meant among several.

    Attributes:
        what: for errors.
        codes: values of SegmentedPropertyTypeCodeSequence.
        words: any of these in the label or the type's meaning, lower case.
    """

    what: str
    codes: frozenset[str]
    words: tuple[str, ...]


# DCM 110702 White Matter T2 Hyperintensity; SCT 35764002 Brain ventricle, 66720007 Lateral ventricle.
WMH: Final = SegmentWords("WMH", frozenset({"110702"}), ("wmh", "white matter", "hyperintens", "lesion"))
VENTRICLES: Final = SegmentWords("ventricles", frozenset({"35764002", "66720007"}), ("ventric",))
BRAIN: Final = SegmentWords("brain", frozenset({"12738006"}), ("brain",))


def read_seg_mask(path: Path, series: FlairSeries, wanted: SegmentWords) -> NDArray[np.bool_]:
    """The mask of one segment, bool (slice, row, column) on the grid of `series`.

    An object with a single segment is taken as that one, whatever its label.

    Raises:
        UnreadableObject: no readable BINARY segmentation, or no such segment.
        UnsupportedGeometry: another frame of reference, or voxels off the FLAIR's grid.
    """
    seg = read_object(path)
    if values.text(seg, "SOPClassUID") != SegmentationStorage:
        raise UnreadableObject("not_seg", f"Expected a DICOM segmentation; {path.name} is another kind of object.")
    kind = values.text(seg, "SegmentationType")
    if kind != "BINARY":
        raise UnreadableObject(
            "seg_not_binary",
            f"Expected SegmentationType BINARY, got {kind if kind in _OTHER_TYPES else 'another'}; export the "
            "outline as a binary segmentation.",
        )
    if values.text(seg, "FrameOfReferenceUID") != series.frame_of_reference_uid:
        raise UnsupportedGeometry(
            "other_frame_of_reference",
            f"{path.name} and the FLAIR have different frames of reference; expected a segmentation of this FLAIR.",
        )
    number = _segment_number(seg, wanted)
    frames = guarded(lambda: _pixels(seg), "seg_pixels", f"The pixels of {path.name} cannot be decoded.")
    groups = values.items(seg, "PerFrameFunctionalGroupsSequence")
    if len(groups) != len(frames):
        raise UnreadableObject(
            "frame_count_mismatch", f"{path.name} holds {len(frames)} frames and describes {len(groups)}."
        )
    mask = np.zeros(series.voxels.shape, bool)
    for group, frame in zip(groups, frames, strict=True):
        if _frame_segment(group, seg) == number and frame.any():
            _place(mask, frame, group, seg, series, path.name)
    return mask


def _segment_number(seg: Dataset, wanted: SegmentWords) -> int:
    segments = values.items(seg, "SegmentSequence")
    if len(segments) == 1:
        return values.whole(segments[0], "SegmentNumber") or 1
    matching = [segment for segment in segments if _matches(segment, wanted)]
    if len(matching) != 1:
        raise UnreadableObject(
            "no_such_segment",
            f"Expected one segment of {wanted.what} (by its type code or label) among {len(segments)}, found "
            f"{len(matching)}; export it alone.",
        )
    return values.whole(matching[0], "SegmentNumber") or 1


def _matches(segment: Dataset, wanted: SegmentWords) -> bool:
    kind = values.first_item(segment, "SegmentedPropertyTypeCodeSequence")
    if kind is not None and values.text(kind, "CodeValue") in wanted.codes:
        return True
    texts = [values.text(segment, "SegmentLabel"), "" if kind is None else values.text(kind, "CodeMeaning")]
    return any(word in text.lower() for word in wanted.words for text in texts)


def _pixels(seg: Dataset) -> NDArray[np.bool_]:
    rows, columns = values.whole(seg, "Rows") or 0, values.whole(seg, "Columns") or 0
    count = values.whole(seg, "NumberOfFrames") or 0
    if min(rows, columns, count) < 1 or rows * columns * count > MAX_VOXELS:
        raise UnreadableObject("matrix_too_large", f"Expected at most {MAX_VOXELS} voxels in a segmentation.")
    return np.asarray(seg.pixel_array).reshape(count, rows, columns) > 0


def _frame_segment(group: Dataset, seg: Dataset) -> int | None:
    """Segment of a frame, from its own or the shared functional groups (highdicom writes one segment as shared)."""
    for holder in (group, *values.items(seg, "SharedFunctionalGroupsSequence")):
        item = values.first_item(holder, "SegmentIdentificationSequence")
        if item is not None:
            return values.whole(item, "ReferencedSegmentNumber")
    return None


def _numbers(group: Dataset, seg: Dataset, macro: str, keyword: str, count: int) -> NDArray[np.float64]:
    for holder in (group, *values.items(seg, "SharedFunctionalGroupsSequence")):
        item = values.first_item(holder, macro)
        found = None if item is None else values.numbers(item, keyword, count)
        if found is not None:
            return np.asarray(found, np.float64)
    raise UnsupportedGeometry("no_geometry", f"Expected {keyword} for every frame of the segmentation, found none.")


def _place(
    mask: NDArray[np.bool_], frame: NDArray[np.bool_], group: Dataset, seg: Dataset, series: FlairSeries, name: str
) -> None:
    """Set the voxels of one frame: its (column, row) indices to mm (PS3.3 C.7.6.2.1.1), then to the FLAIR's indices."""
    position = _numbers(group, seg, "PlanePositionSequence", "ImagePositionPatient", 3)
    cosines = _numbers(group, seg, "PlaneOrientationSequence", "ImageOrientationPatient", 6)
    row_mm, column_mm = _numbers(group, seg, "PixelMeasuresSequence", "PixelSpacing", 2)
    rows, columns = np.nonzero(frame)
    places = position + np.outer(columns * column_mm, cosines[:3]) + np.outer(rows * row_mm, cosines[3:])
    inverse = np.linalg.inv(series.affine)
    indices = places @ inverse[:3, :3].T + inverse[:3, 3]
    nearest = np.rint(indices).astype(int)
    column, row, slice_ = nearest.T
    if np.abs(indices - nearest).max() > _OFF_GRID or not _inside(nearest, mask.shape):
        raise UnsupportedGeometry(
            "seg_on_other_grid",
            f"Voxels of {name} do not lie on those of the FLAIR; expected a segmentation on the FLAIR's own grid: "
            "resample it to the FLAIR.",
        )
    mask[slice_, row, column] = True


def _inside(indices: NDArray[np.int_], shape: Sequence[int]) -> bool:
    limits = np.asarray(shape)[::-1]
    return bool(((indices >= 0) & (indices < limits)).all())
