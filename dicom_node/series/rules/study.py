"""What the other series of a study show of one: slices at the same places, and more of them or other echoes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydicom.dataset import Dataset

from dicom_node.node.errors import UnreadableObject
from dicom_node.series.dicom.announced import are_slices_missing
from dicom_node.series.dicom.frames import frames_of
from dicom_node.series.geometry.planning import Planning, has_echoes_beside, planning_of
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


def are_images_beside(headers: Sequence[Dataset], own: Planning, others: Iterable[Planning]) -> bool:
    """Whether what the scanner announced and the series lacks are echoes in other series, and nothing else.

    Args:
        headers: of the series, or of the slices that are analysed.
        own, others: where its slices lie, and those of the study's other series.
    """
    return has_echoes_beside(own, others) and not are_slices_missing(frames_of(headers), own.slices)
