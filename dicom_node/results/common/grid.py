"""The FLAIR's own grid, as the source's frames state it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from highdicom import PixelMeasuresSequence, PlaneOrientationSequence, PlanePositionSequence
from highdicom.enum import CoordinateSystemNames
from pydicom.valuerep import format_number_as_ds

from dicom_node.node.errors import ResultError
from dicom_node.series.dicom.frames import Frame, frames_of
from dicom_node.series.read.series import FlairSeries

Numbers = tuple[float, ...]

# A position that the source writes with few digits may lie this far from the fitted line of slices.
_SAME_PLACE_MM = 1.0
_SAME_DIRECTION = 1e-3


@dataclass(frozen=True)
class SourceGrid:
    """Where the slices of a series lie: the numbers of its headers where they fit the volume, else the volume's own.

    Viewers match segmentation frames and images by comparing these numbers, some of them exactly.

    Attributes:
        positions: per slice, ImagePositionPatient in mm, LPS.
        orientation: ImageOrientationPatient, six cosines.
        pixel_spacing_mm: (row, column) distances of voxel centres.
        slice_thickness_mm: of the source where given, else the distance of slices.
        slice_spacing_mm: distance of slice centres along the normal.
    """

    positions: tuple[Numbers, ...]
    orientation: Numbers
    pixel_spacing_mm: tuple[float, float]
    slice_thickness_mm: float
    slice_spacing_mm: float

    def plane_positions(self) -> list[PlanePositionSequence]:
        """Per slice, for highdicom."""
        return [PlanePositionSequence(CoordinateSystemNames.PATIENT, _ds(position)) for position in self.positions]

    def plane_orientation(self) -> PlaneOrientationSequence:
        """Shared by all slices, for highdicom."""
        return PlaneOrientationSequence(CoordinateSystemNames.PATIENT, _ds(self.orientation))

    def pixel_measures(self) -> PixelMeasuresSequence:
        """Shared by all slices, for highdicom."""
        return PixelMeasuresSequence(
            pixel_spacing=_ds(self.pixel_spacing_mm),
            slice_thickness=_ds((self.slice_thickness_mm,))[0],
            spacing_between_slices=_ds((self.slice_spacing_mm,))[0],
        )


def grid_of(series: FlairSeries) -> SourceGrid:
    """The grid of a series.

    Raises:
        ResultError: a frame of the series has no header.
    """
    frames = source_frames(series)
    depth, row_mm, column_mm = series.spacing_mm
    along_row, along_column = series.affine[:3, 0] / column_mm, series.affine[:3, 1] / row_mm
    orientation = tuple(float(v) for v in (*along_row, *along_column))
    thickness = frames[0].number_of("SliceThickness")
    return SourceGrid(
        positions=tuple(
            _stated_or(frame, "ImagePositionPatient", _slice_position(series, index), _SAME_PLACE_MM)
            for index, frame in enumerate(frames)
        ),
        orientation=_stated_or(frames[0], "ImageOrientationPatient", orientation, _SAME_DIRECTION),
        pixel_spacing_mm=_pair(_stated_or(frames[0], "PixelSpacing", (row_mm, column_mm), _SAME_DIRECTION)),
        slice_thickness_mm=thickness if thickness is not None and thickness > 0 else depth,
        slice_spacing_mm=depth,
    )


def source_frames(series: FlairSeries) -> list[Frame]:
    """Per slice, the frame of the source that it came from.

    Raises:
        ResultError: a frame of the series has no header.
    """
    headers = {str(header.SOPInstanceUID): header for header in series.headers}
    known = {(str(f.header.SOPInstanceUID), f.number): f for f in frames_of(list(headers.values()))}
    try:
        return [known[frame.sop_instance_uid, frame.frame_number] for frame in series.frames]
    except KeyError as error:
        raise ResultError(f"expected a header for every frame of the series, got none for {error}") from error


def _slice_position(series: FlairSeries, index: int) -> Numbers:
    position = series.affine[:3, 3] + index * series.affine[:3, 2]
    return tuple(float(v) for v in position)


def _stated_or(frame: Frame, keyword: str, own: Numbers, tolerance: float) -> Numbers:
    """The header's numbers where they are near the volume's."""
    stated = frame.numbers_of(keyword, len(own))
    return stated if stated is not None and np.allclose(stated, own, rtol=0, atol=tolerance) else own


def _pair(numbers: Numbers) -> tuple[float, float]:
    first, second = numbers
    return first, second


def _ds(numbers: Numbers) -> list[float]:
    """Numbers that DS can hold in its 16 characters (PS3.5 6.2)."""
    return [float(format_number_as_ds(float(number))) for number in numbers]
