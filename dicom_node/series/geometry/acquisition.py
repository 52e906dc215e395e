"""Whether an acquisition lacks images, by the number that its images state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dicom_node.series.dicom import values
from dicom_node.series.dicom.announced import images_in_acquisition
from dicom_node.series.dicom.frames import Frame
from dicom_node.series.geometry.volumes import CandidateVolume, part_into_volumes

# One of several images of a slice (PS3.3 C.8.3.1, C.7.6.2): these count from 1, or give the number of them.
_OF_SEVERAL: Final = ("EchoNumbers", "TemporalPositionIdentifier", "NumberOfTemporalPositions")


def lacks_images(frames: Sequence[Frame], volume: CandidateVolume) -> bool:
    """Whether ImagesInAcquisition shows that slices of the volume are missing, as far as one may say so to a reader.

    It counts every image of the acquisition (PS3.3 C.7.6.1): all echoes and time points of the series, and those that
    lie in other series. So where the images say that they are one of several, a multiple of the slices is no loss.

    Args:
        frames: all of the series.
        volume: the one that is analysed.
    """
    first = volume.planes[0].frame
    announced = images_in_acquisition(first)
    if announced is None or announced <= max(volume.slice_count, _images_of(_acquisition(first), frames)):
        return False
    return announced % volume.slice_count != 0 or not any(_is_one_of_several(plane.frame) for plane in volume.planes)


def _images_of(acquisition: str, frames: Sequence[Frame]) -> int:
    """Images of one acquisition; a copy of an image is none."""
    own = [frame for frame in frames if frame.number is None and _acquisition(frame) == acquisition]
    return sum(volume.slice_count for volume in part_into_volumes(own))


def _acquisition(frame: Frame) -> str:
    return values.text(frame.header, "AcquisitionNumber")


def _is_one_of_several(frame: Frame) -> bool:
    return any((frame.number_of(keyword) or 0) > 1 for keyword in _OF_SEVERAL)
