"""Whether a series is complete, by its headers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset

from dicom_node.node.errors import UnreadableObject
from dicom_node.series.dicom import values
from dicom_node.series.dicom.announced import images_in_acquisition, slices_announced
from dicom_node.series.dicom.frames import Frame, frames_of, missing_parts
from dicom_node.series.geometry.stacking import MIN_SLICES, Regularity, has_missing_numbers, regularity
from dicom_node.series.geometry.volumes import MAX_FRAMES, part_into_volumes


@dataclass(frozen=True)
class Completeness:
    """Evidence on completeness, for the choice of the quiet time.

    Attributes:
        has_gap: a slice is missing in the largest volume of the series: positions are not regular, or InstanceNumbers
            have a hole.
        has_duplicate: two frames of that volume lie at one position.
        expected: number of frames that a header announces (ImagesInAcquisition, NumberOfFrames), or None.
        found: number of frames that are there.
        is_counted: the announced number is one of a whole series. An acquisition of one image, as where each slice has
            an AcquisitionNumber of its own, counts itself and not the series.
        is_short: a vendor's count of slices is larger than that of the largest volume, and nothing explains it.
    """

    has_gap: bool
    has_duplicate: bool
    expected: int | None
    found: int
    is_short: bool = False
    is_counted: bool = False

    @property
    def looks_complete(self) -> bool:
        """No gap, no duplicate, and no fewer frames or slices than announced."""
        is_whole = not (self.has_gap or self.has_duplicate or self.is_short)
        return is_whole and (self.expected is None or self.found >= self.expected)


def slice_completeness(headers: Sequence[Dataset]) -> Completeness:
    """Look at slice positions and announced counts; never raises on missing or hostile values."""
    try:
        frames = frames_of(headers)
    except UnreadableObject:
        return Completeness(has_gap=True, has_duplicate=False, expected=None, found=len(headers))
    volumes = part_into_volumes(frames) if len(frames) <= MAX_FRAMES else ()
    announced = _announced(frames)
    expected = None if announced is None else announced.images
    if not volumes:
        return Completeness(has_gap=False, has_duplicate=False, expected=expected, found=len(frames))
    kind, _ = regularity(volumes[0])
    return Completeness(
        has_gap=kind is not Regularity.REGULAR or has_missing_numbers(volumes[0]),
        has_duplicate=volumes[0].has_duplicates,
        expected=expected,
        found=len(frames),
        is_counted=announced is not None and announced.is_of_series,
        is_short=slices_announced(frames, volumes[0].slice_count) > 0,
    )


def is_too_short(headers: Sequence[Dataset]) -> bool:
    """The largest volume has fewer slices than a brain needs: more may come."""
    try:
        frames = frames_of(headers)
    except UnreadableObject:
        return False
    volumes = part_into_volumes(frames) if len(frames) <= MAX_FRAMES else ()
    return bool(volumes) and volumes[0].slice_count < MIN_SLICES


@dataclass(frozen=True)
class _Announced:
    images: int
    is_of_series: bool


def _announced(frames: Sequence[Frame]) -> _Announced | None:
    """ImagesInAcquisition, summed over acquisitions; of Enhanced ones, the parts of concatenations."""
    per_acquisition: dict[str, int] = {}
    for frame in frames:
        if (announced := images_in_acquisition(frame)) is not None:
            acquisition = values.text(frame.header, "AcquisitionNumber")
            per_acquisition[acquisition] = max(announced, per_acquisition.get(acquisition, 0))
    if lost := missing_parts(frames):
        return _Announced(len(frames) + lost, is_of_series=True)
    if not per_acquisition:
        return None
    return _Announced(sum(per_acquisition.values()), min(per_acquisition.values()) > 1)
