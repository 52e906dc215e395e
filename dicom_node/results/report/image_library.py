"""The image library of a measurement report (TID 1600): which images were looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from highdicom import sr
from highdicom.sr import CodedConcept

from dicom_node.results.common import codes
from dicom_node.results.common.grid import grid_of
from dicom_node.series.read.series import FlairSeries

_HAS_ACQ_CONTEXT: Final = sr.RelationshipTypeValues.HAS_ACQ_CONTEXT


def image_library(series: FlairSeries) -> sr.ContainerContentItem:
    """One group with the source's images, in slice order; of an Enhanced instance, the frames that were used."""
    frames: dict[tuple[str, str], list[int]] = {}
    for frame in series.frames:
        used = frames.setdefault((frame.sop_class_uid, frame.sop_instance_uid), [])
        if frame.frame_number is not None:
            used.append(frame.frame_number)
    return library_of(frames, series.frame_of_reference_uid, codes.BRAIN, _grid(series))


def library_of(
    images: Mapping[tuple[str, str], Sequence[int]],
    frame_of_reference_uid: str | None,
    region: CodedConcept | None = None,
    grid: Sequence[sr.NumContentItem] = (),
) -> sr.ContainerContentItem:
    """One group with these images.

    highdicom's own needs attributes that Enhanced and dirty instances do not have at the top level.

    Args:
        images: (SOP class, SOP instance) UID to frame numbers, empty for the whole instance.
        frame_of_reference_uid: theirs; left out when None.
        region: what the images show; left out when None.
        grid: descriptors of the grid that they share; a value that is missing is left out.
    """
    group = sr.ContainerContentItem(codes.IMAGE_LIBRARY_GROUP, relationship_type=sr.RelationshipTypeValues.CONTAINS)
    # What all images share stands once in the group, in the order of TID 1602 (then TID 1604), and not with each image.
    group.ContentSequence = sr.ContentSequence(
        [
            sr.CodeContentItem(codes.MODALITY, codes.MAGNETIC_RESONANCE, relationship_type=_HAS_ACQ_CONTEXT),
            *([] if region is None else [_target_region(region)]),
            *([] if frame_of_reference_uid is None else [_frame_of_reference(frame_of_reference_uid)]),
            *grid,
            *(_image(*instance, numbers) for instance, numbers in images.items()),
        ]
    )
    library = sr.ContainerContentItem(codes.IMAGE_LIBRARY, relationship_type=sr.RelationshipTypeValues.CONTAINS)
    library.ContentSequence = sr.ContentSequence([group])
    return library


def _target_region(region: CodedConcept) -> sr.CodeContentItem:
    return sr.CodeContentItem(codes.TARGET_REGION, region, relationship_type=_HAS_ACQ_CONTEXT)


def _frame_of_reference(uid: str) -> sr.UIDRefContentItem:
    return sr.UIDRefContentItem(codes.FRAME_OF_REFERENCE, uid, relationship_type=_HAS_ACQ_CONTEXT)


def _grid(series: FlairSeries) -> list[sr.NumContentItem]:
    """Size and distances of voxels, as the segmentations state them."""
    grid = grid_of(series)
    rows, columns = series.shape[1:]
    down, along = grid.pixel_spacing_mm
    numbers = (
        (codes.PIXEL_DATA_ROWS, rows, codes.PIXELS),
        (codes.PIXEL_DATA_COLUMNS, columns, codes.PIXELS),
        (codes.HORIZONTAL_PIXEL_SPACING, along, codes.MILLIMETRE),
        (codes.VERTICAL_PIXEL_SPACING, down, codes.MILLIMETRE),
        (codes.SPACING_BETWEEN_SLICES, grid.slice_spacing_mm, codes.MILLIMETRE),
        (codes.SLICE_THICKNESS, grid.slice_thickness_mm, codes.MILLIMETRE),
    )
    return [_number(*entry) for entry in numbers]


def _number(name: CodedConcept, value: float, unit: CodedConcept) -> sr.NumContentItem:
    """highdicom writes the count 512 as "512.0"."""
    item = sr.NumContentItem(name, value, unit, relationship_type=_HAS_ACQ_CONTEXT)
    if isinstance(value, int):
        item.MeasuredValueSequence[0].NumericValue = str(value)
    return item


def _image(sop_class_uid: str, sop_instance_uid: str, frame_numbers: Sequence[int]) -> sr.ImageContentItem:
    return sr.ImageContentItem(
        name=codes.SOURCE,
        referenced_sop_class_uid=sop_class_uid,
        referenced_sop_instance_uid=sop_instance_uid,
        referenced_frame_numbers=sorted(frame_numbers) or None,
        relationship_type=sr.RelationshipTypeValues.CONTAINS,
    )
