"""A FLAIR series that was read: voxels, geometry, and which source frame each slice came from."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from segmentation.volume import FlairVolume, Stored, as_float, require_stored

UNREADABLE_FILES: Final = "unreadable_files_beside"
"""Flag: files beside the series may be slices of it, and cannot be read."""
OBJECTS_REFUSED: Final = "objects_refused"
"""Flag: the receiver refused objects of the series, and they were not sent again since."""
LONGER_IN_STUDY: Final = "longer_series_in_study"
"""Flag: another series of the study has slices at the same places, and goes on beyond an end of this one."""

FEWER_ANNOUNCED: Final = "fewer_images_than_announced"
"""Flag: fewer images than the scanner announced."""

_ACROSS: Final = 0.75  # cosine from which columns run across the head, not along it


@dataclass(frozen=True)
class SourceFrame:
    """Where one slice came from.

    Attributes:
        sop_instance_uid: SOPInstanceUID of the source instance.
        sop_class_uid: SOPClassUID of the source instance.
        frame_number: 1-based frame of a multi-frame instance; None for a classic single-frame one (PS3.3 C.7.6.6).
    """

    sop_instance_uid: str
    sop_class_uid: str
    frame_number: int | None


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class FlairSeries:
    """One regular axial FLAIR volume with its origin.

    Attributes:
        stored: intensities (slice, row, column), after rescale slope and intercept; slices ordered from feet to head.
        affine: float64 (4, 4), maps (column index, row index, slice index, 1) to mm in the patient's LPS frame.
        spacing_mm: (slice, row, column); the slice spacing is the distance of slice centres projected on the normal.
        frames: one per slice, in voxel order.
        headers: the source instances without PixelData, one per instance that gives a slice, in voxel order.
        series_instance_uid, study_instance_uid, frame_of_reference_uid: as in the source.
        instances_digest: see `dicom_node.series.dicom.digest`, over the data set of every file that was handed in: the
            same in a folder as in our storage, where the file meta information is ours.
        files_digest: the same over the files' bytes, which is how jobs are named.
        flags: what a reader of the result should know, e.g. "oblique", "slice_gap", "duplicate_slices_dropped".

    Raises:
        ValueError: the parts do not fit together.
    """

    stored: Stored
    affine: NDArray[np.float64]
    spacing_mm: tuple[float, float, float]
    frames: tuple[SourceFrame, ...]
    headers: tuple[Dataset, ...]
    series_instance_uid: str
    study_instance_uid: str
    frame_of_reference_uid: str
    instances_digest: str
    files_digest: str
    flags: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check once, so that nothing after has to."""
        require_stored(self.stored)
        if len(self.frames) != len(self.stored):
            raise ValueError(f"expected one source frame per slice, got {len(self.frames)} for {len(self.stored)}")
        if self.affine.shape != (4, 4):
            raise ValueError(f"expected a 4 x 4 affine, got {self.affine.shape}")

    def with_flags(self, flags: Iterable[str]) -> FlairSeries:
        """The same series with more to know about it."""
        return replace(self, flags=tuple(dict.fromkeys((*self.flags, *flags))))

    def without_flags(self, flags: Collection[str]) -> FlairSeries:
        """The same series, where something beside its files explains what was found."""
        return replace(self, flags=tuple(flag for flag in self.flags if flag not in flags))

    def volume(self) -> FlairVolume:
        """The same voxels as the segmentation room sees them."""
        across = self.affine[:3, 0] / np.linalg.norm(self.affine[:3, 0])  # of the columns, in LPS: +x is the left
        is_known = abs(across[0]) >= _ACROSS
        return FlairVolume(self.stored, self.spacing_mm, bool(across[0] > 0) if is_known else None)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(slice, row, column)."""
        slices, rows, columns = self.stored.shape
        return slices, rows, columns

    @property
    def voxels(self) -> NDArray[np.float32]:
        """All intensities as float32: a copy, twice as large, where they are kept as whole numbers."""
        return as_float(self.stored)
