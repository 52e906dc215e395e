"""The image library of a measurement report (TID 1600): which images were looked at."""

from __future__ import annotations

from highdicom import sr

from dicom_node.reading.series import FlairSeries
from dicom_node.results import codes


def image_library(series: FlairSeries) -> sr.ContainerContentItem:
    """One group with the source's images, in slice order; of an Enhanced instance, the frames that were used.

    highdicom's own needs attributes that Enhanced and dirty instances do not have at the top level.
    """
    frames: dict[tuple[str, str], list[int]] = {}
    for frame in series.frames:
        used = frames.setdefault((frame.sop_class_uid, frame.sop_instance_uid), [])
        if frame.frame_number is not None:
            used.append(frame.frame_number)
    group = sr.ContainerContentItem(codes.IMAGE_LIBRARY_GROUP, relationship_type=sr.RelationshipTypeValues.CONTAINS)
    group.ContentSequence = sr.ContentSequence(
        [
            sr.CodeContentItem(
                codes.MODALITY, codes.MAGNETIC_RESONANCE, relationship_type=sr.RelationshipTypeValues.HAS_ACQ_CONTEXT
            ),
            sr.UIDRefContentItem(
                codes.FRAME_OF_REFERENCE,
                series.frame_of_reference_uid,
                relationship_type=sr.RelationshipTypeValues.HAS_ACQ_CONTEXT,
            ),
            *(_image(*instance, numbers) for instance, numbers in frames.items()),
        ]
    )
    library = sr.ContainerContentItem(codes.IMAGE_LIBRARY, relationship_type=sr.RelationshipTypeValues.CONTAINS)
    library.ContentSequence = sr.ContentSequence([group])
    return library


def _image(sop_class_uid: str, sop_instance_uid: str, frame_numbers: list[int]) -> sr.ImageContentItem:
    return sr.ImageContentItem(
        name=codes.SOURCE,
        referenced_sop_class_uid=sop_class_uid,
        referenced_sop_instance_uid=sop_instance_uid,
        referenced_frame_numbers=sorted(frame_numbers) or None,
        relationship_type=sr.RelationshipTypeValues.CONTAINS,
    )
