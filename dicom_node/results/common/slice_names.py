"""What a slice is called on a picture: as the PACS calls the source's image, so that it can be found there."""

from __future__ import annotations

from dicom_node.series.dicom import values
from dicom_node.series.read.series import FlairSeries


def slice_names(series: FlairSeries) -> tuple[str, ...]:
    """Per slice "image 12": InstanceNumber of a classic instance, frame number of an Enhanced one.

    Slices are counted from the feet where those are missing, or the same for two slices.
    """
    stated = {str(header.SOPInstanceUID): values.whole(header, "InstanceNumber") for header in series.headers}
    numbers = [
        stated[frame.sop_instance_uid] if frame.frame_number is None else frame.frame_number for frame in series.frames
    ]
    if None in numbers or len(set(numbers)) < len(numbers):
        return counted_names(len(numbers))
    return tuple(f"image {number}" for number in numbers)


def counted_names(count: int) -> tuple[str, ...]:
    """Per slice "12 of 24"."""
    return tuple(f"{index + 1} of {count}" for index in range(count))
