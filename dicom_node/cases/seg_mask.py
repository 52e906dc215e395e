"""A segmentation object of any tool as a mask on the grid of a FLAIR series.

BINARY and LABELMAP (PS3.3 C.8.20.2). A FRACTIONAL value is no outline, unless every voxel is none or all: dcmjs writes
outlines so to compress them (PS3.5 8.2.2: no RLE of single bits). Frames may come in any order, be turned or
mirrored in their plane, cover a part of the slice, or be left out where they are empty; each voxel of a frame must lie
on a voxel of the FLAIR.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom_node.node.dicom_uids import SEGMENTATION_CLASSES
from dicom_node.node.errors import UnreadableObject, UnsupportedGeometry
from dicom_node.series.dicom import values
from dicom_node.series.dicom.parsing import guarded, read_object
from dicom_node.series.dicom.pixels import MAX_VOXELS
from dicom_node.series.read.series import FlairSeries

# How far a voxel of the segmentation may lie from the centre of the FLAIR's, in voxels.
_OFF_GRID: Final = 0.1
# How far apart its slices may say to be, in the FLAIR's: some tools write the thickness where there is a gap.
_COARSER: Final = 1.5
_LABELMAP: Final = "LABELMAP"
_FRACTIONAL: Final = "FRACTIONAL"
_OUTLINES: Final = ("BINARY", _LABELMAP)


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

    def fits(self, segment: Segment) -> bool:
        """By code, or by a word."""
        return segment.type_code in self.codes or any(word in segment.words for word in self.words)


# DCM 110702 White Matter T2 Hyperintensity; SCT 35764002 Brain ventricle, 66720007 Lateral ventricle.
WMH: Final = SegmentWords("WMH", frozenset({"110702"}), ("wmh", "white matter", "hyperintens", "lesion"))
VENTRICLES: Final = SegmentWords("ventricles", frozenset({"35764002", "66720007"}), ("ventric",))
BRAIN: Final = SegmentWords("brain", frozenset({"12738006"}), ("brain",))


@dataclass(frozen=True)
class Segment:
    """One item of the SegmentSequence (PS3.3 C.8.20.4).

    Attributes:
        number: SegmentNumber.
        type_code: code value of its property type; "" when not given.
        words: its label and the type's meaning, lower case; free text, so never for an error or a log.
        algorithm_type: AUTOMATIC, SEMIAUTOMATIC or MANUAL.
    """

    number: int
    type_code: str
    words: str
    algorithm_type: str


@dataclass(frozen=True, eq=False)
class SegmentationObject:
    """A segmentation whose frames were decoded.

    Attributes:
        header: everything of it.
        name: of its file, for errors.
        segments: in the order in which it lists them, without a label map's background.
        frames: unsigned (frame, row, column): 0 and 1, or segment numbers in a label map.
        groups: the functional groups of each frame.
    """

    header: Dataset
    name: str
    segments: tuple[Segment, ...]
    frames: NDArray[np.unsignedinteger]
    groups: tuple[Dataset, ...]

    def mask(self, numbers: Collection[int], series: FlairSeries) -> NDArray[np.bool_]:
        """The voxels of any of these segments, bool (slice, row, column) on the grid of `series`.

        Raises:
            UnsupportedGeometry: another frame of reference, or voxels off the FLAIR's grid.
        """
        if values.text(self.header, "FrameOfReferenceUID") != series.frame_of_reference_uid:
            raise UnsupportedGeometry(
                "other_frame_of_reference",
                f"{self.name} and the FLAIR have different frames of reference; expected a segmentation of this FLAIR.",
            )
        mask = np.zeros(series.shape, bool)
        for group, frame in zip(self.groups, self.frames, strict=True):
            chosen = self._chosen(group, frame, numbers)
            if chosen.any():
                _place(mask, chosen, group, self.header, series, self.name)
        return mask

    def _chosen(
        self, group: Dataset, frame: NDArray[np.unsignedinteger], numbers: Collection[int]
    ) -> NDArray[np.bool_]:
        if values.text(self.header, "SegmentationType") == _LABELMAP:
            return np.isin(frame, sorted(numbers))
        if _frame_segment(group, self.header) in numbers:
            return np.asarray(frame > 0)
        return np.zeros(frame.shape, bool)


def read_segmentation(path: Path) -> SegmentationObject:
    """Read and decode a segmentation.

    Raises:
        UnreadableObject: no readable segmentation of outlines.
    """
    seg = read_object(path)
    if values.text(seg, "SOPClassUID") not in SEGMENTATION_CLASSES:
        raise UnreadableObject("not_seg", f"Expected a DICOM segmentation; {path.name} is another kind of object.")
    kind = values.text(seg, "SegmentationType")
    if kind not in (*_OUTLINES, _FRACTIONAL):
        raise _no_outline("another")
    frames = guarded(lambda: _pixels(seg), "seg_pixels", f"The pixels of {path.name} cannot be decoded.")
    if kind == _FRACTIONAL and not _is_none_or_all(frames, values.whole(seg, "MaximumFractionalValue")):
        raise _no_outline(_FRACTIONAL)
    groups = values.items(seg, "PerFrameFunctionalGroupsSequence")
    if len(groups) != len(frames):
        raise UnreadableObject(
            "frame_count_mismatch", f"{path.name} holds {len(frames)} frames and describes {len(groups)}."
        )
    listed = map(_segment, values.items(seg, "SegmentSequence"))
    # A label map lists its background as segment 0 (PS3.3 C.8.20.2).
    segments = tuple(segment for segment in listed if segment.number != 0)
    return SegmentationObject(seg, path.name, segments, frames, groups)


def _no_outline(came: str) -> UnreadableObject:
    return UnreadableObject(
        "seg_not_binary",
        f"Expected SegmentationType BINARY, got {came}; export the outline as a binary segmentation.",
    )


def _is_none_or_all(frames: NDArray[np.unsignedinteger], maximum: int | None) -> bool:
    """All is the maximum, or 1, which dcmjs 0.51 writes beside a maximum of 255."""
    return maximum is not None and any(bool(((frames == 0) | (frames == all_)).all()) for all_ in (1, maximum))


def read_seg_mask(path: Path, series: FlairSeries, wanted: SegmentWords) -> NDArray[np.bool_]:
    """The mask of one segment, bool (slice, row, column) on the grid of `series`.

    An object with a single segment is taken as that one, whatever its label.

    Raises:
        UnreadableObject: no readable BINARY or LABELMAP segmentation, or no such segment.
        UnsupportedGeometry: another frame of reference, or voxels off the FLAIR's grid.
    """
    seg = read_segmentation(path)
    return seg.mask([_the_one(seg, wanted).number], series)


def _the_one(seg: SegmentationObject, wanted: SegmentWords) -> Segment:
    matching = seg.segments if len(seg.segments) == 1 else [segment for segment in seg.segments if wanted.fits(segment)]
    if len(matching) != 1:
        raise UnreadableObject(
            "no_such_segment",
            f"Expected one segment of {wanted.what} (by its type code or label) among {len(seg.segments)}, found "
            f"{len(matching)}; export it alone.",
        )
    return matching[0]


def _segment(item: Dataset) -> Segment:
    kind = values.first_item(item, "SegmentedPropertyTypeCodeSequence")
    meaning = "" if kind is None else values.text(kind, "CodeMeaning")
    number = values.whole(item, "SegmentNumber")
    return Segment(
        number=1 if number is None else number,
        type_code="" if kind is None else values.text(kind, "CodeValue"),
        words=f"{values.text(item, 'SegmentLabel')} {meaning}".lower().strip(),
        algorithm_type=values.text(item, "SegmentAlgorithmType"),
    )


def _pixels(seg: Dataset) -> NDArray[np.unsignedinteger]:
    rows, columns = values.whole(seg, "Rows") or 0, values.whole(seg, "Columns") or 0
    count = values.whole(seg, "NumberOfFrames") or 0
    if min(rows, columns, count) < 1 or rows * columns * count > MAX_VOXELS:
        raise UnreadableObject("matrix_too_large", f"Expected at most {MAX_VOXELS} voxels in a segmentation.")
    frames = np.asarray(seg.pixel_array).reshape(count, rows, columns)
    if frames.dtype.kind not in "ub":
        raise UnreadableObject("seg_pixels", "Expected unsigned pixels in a segmentation.")
    return frames


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
    along_row, along_column = cosines[:3] * column_mm, cosines[3:] * row_mm
    places = position + np.outer(columns, along_row) + np.outer(rows, along_column)
    inverse = np.linalg.inv(series.affine)
    indices = places @ inverse[:3, :3].T + inverse[:3, 3]
    nearest = np.rint(indices).astype(int)
    column, row, slice_ = nearest.T
    if (
        # Coarser voxels may lie on the FLAIR's and leave holes between them.
        not all(_is_one_voxel(inverse[:3, :3] @ step) for step in (along_row, along_column))
        or np.abs(inverse[:3, :3] @ _to_the_next_slice(group, seg, cosines)).max() > _COARSER
        or np.abs(indices - nearest).max() > _OFF_GRID
        or not _inside(nearest, mask.shape)
    ):
        raise UnsupportedGeometry(
            "seg_on_other_grid",
            f"The voxels of {name} are not on the FLAIR's grid; expected a segmentation on the FLAIR's own grid: "
            "resample it to the FLAIR.",
        )
    mask[slice_, row, column] = True


def _to_the_next_slice(group: Dataset, seg: Dataset, cosines: NDArray[np.float64]) -> NDArray[np.float64]:
    """From SpacingBetweenSlices (PS3.3 C.7.6.16.2.1), mm; nothing where it is absent."""
    for holder in (group, *values.items(seg, "SharedFunctionalGroupsSequence")):
        item = values.first_item(holder, "PixelMeasuresSequence")
        if item is not None:
            return np.cross(cosines[:3], cosines[3:]) * (values.number(item, "SpacingBetweenSlices") or 0.0)
    return np.zeros(3)


def _is_one_voxel(step: NDArray[np.float64]) -> bool:
    """A step of (column, row, slice) indices leads to a neighbour along one axis."""
    return bool(np.abs(np.sort(np.abs(step)) - (0.0, 0.0, 1.0)).max() <= _OFF_GRID)


def _inside(indices: NDArray[np.int_], shape: Sequence[int]) -> bool:
    limits = np.asarray(shape)[::-1]
    return bool(((indices >= 0) & (indices < limits)).all())
