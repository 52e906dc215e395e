"""Where the slices of a series lie, whether it is a FLAIR or not: what other series of its study are compared with."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.dataset import Dataset

from dicom_node.node.errors import UnreadableObject
from dicom_node.series.dicom.frames import frames_of
from dicom_node.series.geometry.planning import Planning, planning_of
from dicom_node.series.geometry.volumes import MAX_FRAMES, part_into_volumes
from dicom_node.series.rules.flair import choose_volume


def planning_of_headers(headers: Sequence[Dataset]) -> Planning | None:
    """Where the slices of a series lie: of the FLAIR volume in it, else of its largest; never raises on bad values."""
    volume = choose_volume(headers).volume
    if volume is not None:
        return planning_of(volume)
    try:
        frames = frames_of(headers)
    except UnreadableObject:
        return None
    volumes = part_into_volumes(frames) if len(frames) <= MAX_FRAMES else ()
    return planning_of(volumes[0]) if volumes else None
