"""The plane of one frame in the patient (PS3.3 C.7.6.2.1.1), checked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dicom_node.series.dicom import values
from dicom_node.series.dicom.frames import Frame

Vector = NDArray[np.float64]

# Two directions of one series may differ by rounding only: 0.6 degrees.
SAME_DIRECTION = 0.99995
# Two positions on the normal are one when nearer than this; real slices are at least 0.5 mm apart.
SAME_POSITION_MM = 0.05
_UNIT_TOLERANCE = 0.02
_SPACING_LIMITS_MM = (0.05, 20.0)


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class Plane:
    """Where a frame lies.

    Attributes:
        frame: the frame.
        rows, columns: size of its matrix.
        position: centre of the first voxel in mm, LPS.
        along_row, along_column: unit vectors in which the column index, and the row index, grow.
        pixel_spacing_mm: (row, column) distances of voxel centres.
    """

    frame: Frame
    rows: int
    columns: int
    position: Vector
    along_row: Vector
    along_column: Vector
    pixel_spacing_mm: tuple[float, float]

    @property
    def normal(self) -> Vector:
        """Unit normal; points to the head for standard axial slices."""
        return np.asarray(np.cross(self.along_row, self.along_column))

    def parallel_to(self, other: Plane) -> bool:
        """Same matrix, pixels and directions, so that both can be slices of one volume."""
        return (
            (self.rows, self.columns) == (other.rows, other.columns)
            and bool(np.allclose(self.pixel_spacing_mm, other.pixel_spacing_mm, rtol=1e-3))
            and float(self.along_row @ other.along_row) > SAME_DIRECTION
            and float(self.along_column @ other.along_column) > SAME_DIRECTION
        )


def plane_of(frame: Frame) -> Plane | None:
    """The plane of a frame, or None where position, orientation, pixel spacing or matrix are missing or impossible."""
    position = frame.numbers_of("ImagePositionPatient", 3)
    cosines = frame.numbers_of("ImageOrientationPatient", 6)
    spacing = frame.numbers_of("PixelSpacing", 2)
    rows, columns = values.whole(frame.header, "Rows"), values.whole(frame.header, "Columns")
    if position is None or cosines is None or spacing is None or not rows or not columns or min(rows, columns) < 1:
        return None
    low, high = _SPACING_LIMITS_MM
    if not all(low <= mm <= high for mm in spacing) or max(map(abs, position)) > 1e5:
        return None
    along_row, along_column = np.array(cosines[:3]), np.array(cosines[3:])
    lengths = np.linalg.norm(along_row), np.linalg.norm(along_column)
    if (
        any(abs(length - 1.0) > _UNIT_TOLERANCE for length in lengths)
        or abs(along_row @ along_column) > _UNIT_TOLERANCE
    ):
        return None
    along_row = along_row / lengths[0]
    # Rounded cosines are a little off 90 degrees; the second one gives way.
    along_column = along_column - (along_column @ along_row) * along_row
    return Plane(
        frame=frame,
        rows=rows,
        columns=columns,
        position=np.array(position),
        along_row=along_row,
        along_column=along_column / np.linalg.norm(along_column),
        pixel_spacing_mm=(spacing[0], spacing[1]),
    )
