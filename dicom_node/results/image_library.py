"""The image library of a measurement report (TID 1600): which images were looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from highdicom import sr

from dicom_node.reading.series import FlairSeries
from dicom_node.results import codes


def image_library(series: FlairSeries) -> sr.ContainerContentItem:
    """One group with the source's images, in slice order; of an Enhanced instance, the frames that were used."""
    frames: dict[tuple[str, str], list[int]] = {}
    for frame in series.frames:
        used = frames.setdefault((frame.sop_class_uid, frame.sop_instance_uid), [])
        if frame.frame_number is not None:
            used.append(frame.frame_number)
    return library_of(frames, series.frame_of_reference_uid)


def library_of(
    images: Mapping[tuple[str, str], Sequence[int]], frame_of_reference_uid: str | None
) -> sr.ContainerContentItem:
    """One group with these images.

    highdicom's own needs attributes that Enhanced and dirty instances do not have at the top level.

    Args:
        images: (SOP class, SOP instance) UID to frame numbers, empty for the whole instance.
        frame_of_reference_uid: theirs; not told when None.
    """
    group = sr.ContainerContentItem(codes.IMAGE_LIBRARY_GROUP, relationship_type=sr.RelationshipTypeValues.CONTAINS)
    group.ContentSequence = sr.ContentSequence(
        [
            sr.CodeContentItem(
                codes.MODALITY, codes.MAGNETIC_RESONANCE, relationship_type=sr.RelationshipTypeValues.HAS_ACQ_CONTEXT
            ),
            *([] if frame_of_reference_uid is None else [_frame_of_reference(frame_of_reference_uid)]),
            *(_image(*instance, numbers) for instance, numbers in images.items()),
        ]
    )
    library = sr.ContainerContentItem(codes.IMAGE_LIBRARY, relationship_type=sr.RelationshipTypeValues.CONTAINS)
    library.ContentSequence = sr.ContentSequence([group])
    return library


def _frame_of_reference(uid: str) -> sr.UIDRefContentItem:
    return sr.UIDRefContentItem(
        codes.FRAME_OF_REFERENCE, uid, relationship_type=sr.RelationshipTypeValues.HAS_ACQ_CONTEXT
    )


def _image(sop_class_uid: str, sop_instance_uid: str, frame_numbers: Sequence[int]) -> sr.ImageContentItem:
    return sr.ImageContentItem(
        name=codes.SOURCE,
        referenced_sop_class_uid=sop_class_uid,
        referenced_sop_instance_uid=sop_instance_uid,
        referenced_frame_numbers=sorted(frame_numbers) or None,
        relationship_type=sr.RelationshipTypeValues.CONTAINS,
    )
