"""Do other series of the study show that slices are missing at an end?

A scanner copies the planning of one sequence to the next: T2, diffusion and FLAIR of an examination lie on the same
slices. Where another series of the same frame of reference has slices at the very places of this one and goes on beyond
its end by a slice or a few, these may have been lost on the way; nothing in the series itself shows it.

The other way round, echoes of one acquisition that a scanner puts in series of their own explain each other's
ImagesInAcquisition, which counts them all (PS3.3 C.7.6.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom_node.series.dicom import values
from dicom_node.series.dicom.announced import are_slices_missing, images_in_acquisition
from dicom_node.series.dicom.frames import Frame, frames_of
from dicom_node.series.geometry.stacking import Regularity, regularity
from dicom_node.series.geometry.volumes import CandidateVolume, upward_normal

# Copied directions are equal to the digits that a scanner writes.
_SAME_DIRECTION: Final = float(np.cos(np.deg2rad(0.5)))
_SAME_STEP: Final = 0.01  # of the step
_SAME_PLACE: Final = 0.1  # of the step
# More than that is another coverage, and planned so.
_MOST_LOST: Final = 0.125


@dataclass(frozen=True)
class Planning:
    """Where the slices of one series lie.

    Attributes:
        frame_of_reference: FrameOfReferenceUID, not empty.
        normal: unit vector towards the head, LPS.
        first_mm, last_mm: positions of the first and last slice along it.
        slices: how many; at least two, at equal distances.
        acquisition: which one, as the headers name it: echoes of one share AcquisitionNumber and RepetitionTime.
        announced: its images, by ImagesInAcquisition; 0 where that says nothing.
        echo_time: EchoTime, ms; 0 where it is not known.
    """

    frame_of_reference: str
    normal: tuple[float, float, float]
    first_mm: float
    last_mm: float
    slices: int
    acquisition: str = ""
    announced: int = 0
    echo_time: float = 0.0

    @property
    def step_mm(self) -> float:
        """Between two slices."""
        return (self.last_mm - self.first_mm) / (self.slices - 1)


def planning_of(volume: CandidateVolume) -> Planning | None:
    """Of one volume; None where its slices are not regular, or its frame of reference is not named."""
    reference = values.text(volume.planes[0].frame.header, "FrameOfReferenceUID")
    if not reference or volume.slice_count < 2 or regularity(volume)[0] is not Regularity.REGULAR:
        return None
    x, y, z = (float(part) for part in upward_normal(volume.planes[0]))
    offsets = volume.offsets_mm
    found = Planning(reference, (x, y, z), offsets[0], offsets[-1], volume.slice_count)
    return _with_acquisition(found, volume.planes[0].frame)


def planning_of_stack(
    affine: NDArray[np.float64], slices: int, frame_of_reference: str, first: Dataset | None = None
) -> Planning:
    """The same of a series that was read.

    Args:
        affine: (column, row, slice, 1) to mm, LPS; slices run towards the head.
        slices: how many.
        frame_of_reference: FrameOfReferenceUID.
        first: header of its first slice; None: nothing is known of the acquisition.
    """
    normal = np.cross(affine[:3, 0], affine[:3, 1])
    normal /= np.linalg.norm(normal)
    if normal @ affine[:3, 2] < 0:
        normal = -normal
    first_mm = float(normal @ affine[:3, 3])
    last_mm = first_mm + float(normal @ affine[:3, 2]) * (slices - 1)
    x, y, z = (float(part) for part in normal)
    found = Planning(frame_of_reference, (x, y, z), first_mm, last_mm, slices)
    return found if first is None else _with_acquisition(found, frames_of([first])[0])


def _with_acquisition(planning: Planning, frame: Frame) -> Planning:
    announced = images_in_acquisition(frame)
    if announced is None:
        return planning
    named = values.text(frame.header, "AcquisitionNumber"), frame.number_of("RepetitionTime")
    return replace(planning, acquisition=str(named), announced=announced, echo_time=frame.number_of("EchoTime") or 0.0)


def missing_at_ends(own: Planning, others: Iterable[Planning]) -> int:
    """How many slices another series of the same planning has beyond the ends of this one; 0 where none does."""
    return max((_beyond(own, other) for other in others), default=0)


def are_images_beside(headers: Sequence[Dataset], own: Planning, others: Iterable[Planning]) -> bool:
    """Whether what the scanner announced and the series lacks are echoes in other series, and nothing else.

    Args:
        headers: of the series, or of the slices that are analysed.
        own, others: where its slices lie, and those of the study's other series.
    """
    return has_echoes_beside(own, others) and not are_slices_missing(frames_of(headers), own.slices)


def has_echoes_beside(own: Planning, others: Iterable[Planning]) -> bool:
    """Whether the images that ImagesInAcquisition counts beyond this series' are other echoes in other series.

    They state the same acquisition and the same number, lie on the same slices, and have echo times of their own: a
    copy of the series, which lacks what it lacks, explains nothing.
    """
    echoes = {other.echo_time for other in others if _is_echo(own, other)} - {own.echo_time}
    return own.announced > 0 and own.slices * (1 + len(echoes)) >= own.announced


def _is_echo(own: Planning, other: Planning) -> bool:
    is_same = own.frame_of_reference == other.frame_of_reference and own.acquisition == other.acquisition
    is_parallel = float(np.dot(own.normal, other.normal)) >= _SAME_DIRECTION
    if not is_same or not is_parallel or (own.announced, own.slices) != (other.announced, other.slices):
        return False
    most = _SAME_PLACE * own.step_mm
    return abs(own.first_mm - other.first_mm) <= most and abs(own.last_mm - other.last_mm) <= most


def _beyond(own: Planning, other: Planning) -> int:
    step = own.step_mm
    is_parallel = float(np.dot(own.normal, other.normal)) >= _SAME_DIRECTION
    if own.frame_of_reference != other.frame_of_reference or not is_parallel:
        return 0
    below, above = (own.first_mm - other.first_mm) / step, (other.last_mm - own.last_mm) / step
    is_same_grid = abs(other.step_mm - step) <= _SAME_STEP * step and abs(below - round(below)) <= _SAME_PLACE
    if not is_same_grid or min(round(below), round(above)) < 0:
        return 0
    lost = round(below) + round(above)
    return lost if lost <= max(1, int(_MOST_LOST * own.slices)) else 0
