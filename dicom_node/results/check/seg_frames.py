"""A segmentation's frames: each lies where the source frame lies that it names (PS3.3 A.51, C.7.6.16, C.8.20)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom_node.results.check.checked import Checked, FrameKey
from dicom_node.series.dicom import values
from dicom_node.series.dicom.frames import Frame

SAME_PLACE_MM: Final = 0.01
# Where a source states positions that stray from a regular stack, its frames lie on the line through them
# (dicom_node.results.common.grid): along the normal, that much of the distance of slices is allowed.
STRAYING: Final = 0.25
SAME_DIRECTION: Final = 2e-3  # cosines
SAME_SPACING_MM: Final = 2e-3
_LABELMAP: Final = "LABELMAP"
# Macro -> how the standard calls it; each is in the shared groups or in every frame's own (PS3.3 C.7.6.16.1).
_MACROS: Final = {
    "PixelMeasuresSequence": "Pixel Measures",
    "PlaneOrientationSequence": "Plane Orientation",
    "PlanePositionSequence": "Plane Position",
    "SegmentIdentificationSequence": "Segmentation",
    "DerivationImageSequence": "Derivation Image",
    "FrameContentSequence": "Frame Content",
}


@dataclass(frozen=True)
class SegFrame:
    """One frame of a segmentation and the functional groups that hold for it."""

    number: int
    own: Dataset
    shared: Dataset

    def macro(self, keyword: str) -> Dataset | None:
        """The item of a macro, its own or the shared one."""
        own = values.first_item(self.own, keyword)
        return own if own is not None else values.first_item(self.shared, keyword)

    @property
    def segment_number(self) -> int | None:
        """Referenced Segment Number; None in a LABELMAP, whose pixels hold it."""
        item = self.macro("SegmentIdentificationSequence")
        return None if item is None else values.whole(item, "ReferencedSegmentNumber")

    def numbers(self, macro: str, keyword: str, count: int) -> NDArray[np.float64] | None:
        """Numbers of a macro, or None."""
        item = self.macro(macro)
        found = None if item is None else values.numbers(item, keyword, count)
        return None if found is None else np.array(found)

    @property
    def slice_distance_mm(self) -> float | None:
        """SpacingBetweenSlices."""
        item = self.macro("PixelMeasuresSequence")
        return None if item is None else values.number(item, "SpacingBetweenSlices")

    def source_keys(self) -> tuple[FrameKey, ...]:
        """The source frames that it was made from."""
        derivation = self.macro("DerivationImageSequence")
        return tuple(
            (values.text(image, "ReferencedSOPInstanceUID"), values.whole(image, "ReferencedFrameNumber"))
            for image in values.items(derivation, "SourceImageSequence")
        )


def frames_of_segmentation(dataset: Dataset) -> list[SegFrame]:
    """The frames of a SEG, in order."""
    shared = values.first_item(dataset, "SharedFunctionalGroupsSequence") or Dataset()
    own = values.items(dataset, "PerFrameFunctionalGroupsSequence")
    return [SegFrame(index + 1, groups, shared) for index, groups in enumerate(own)]


def check_seg_frames(checked: Checked) -> Iterator[tuple[str, str]]:
    """(object, sentence) for each kind of fault; a fault that many frames share is reported for the first."""
    for segmentation in checked.segmentations:
        reported: set[str] = set()
        for kind, sentence in _faults(segmentation.dataset, checked):
            if kind not in reported:
                reported.add(kind)
                yield segmentation.name, sentence


def _faults(dataset: Dataset, checked: Checked) -> Iterator[tuple[str, str]]:
    """(kind, sentence)."""
    frames = frames_of_segmentation(dataset)
    if values.whole(dataset, "NumberOfFrames") != len(frames):
        yield "count", f"NumberOfFrames is {values.text(dataset, 'NumberOfFrames')}, but {len(frames)} are described"
    labelmap = values.text(dataset, "SegmentationType") == _LABELMAP
    segments = {values.whole(segment, "SegmentNumber") for segment in values.items(dataset, "SegmentSequence")}
    dimensions = len(values.items(dataset, "DimensionIndexSequence"))
    seen: dict[tuple[int | None, FrameKey], int] = {}
    for frame in frames:
        yield from _fault_of_groups(frame, labelmap)
        if not labelmap and frame.segment_number not in segments:
            yield "segment", f"frame {frame.number} is of segment {frame.segment_number}, which is not described"
        content = frame.macro("FrameContentSequence")
        if content is not None and len(_indices(content)) != dimensions:
            yield "dimensions", f"frame {frame.number} has {len(_indices(content))} indices for {dimensions} dimensions"
        keys = frame.source_keys()
        if len(keys) != 1:
            yield "origin", f"frame {frame.number} names {len(keys)} source frames, expected one"
            continue
        twin = seen.setdefault((frame.segment_number, keys[0]), frame.number)
        if twin != frame.number:
            yield "twin", f"frames {twin} and {frame.number} are of the same segment and the same source frame"
        if (origin := checked.source_frames.get(keys[0])) is None:
            yield "origin", f"frame {frame.number} names a source frame that the source does not have"
        else:
            yield from _fault_of_place(dataset, frame, origin)


def _indices(content: Dataset) -> tuple[str, ...]:
    return values.texts(content, "DimensionIndexValues")


def _fault_of_groups(frame: SegFrame, labelmap: bool) -> Iterator[tuple[str, str]]:
    for keyword, name in _MACROS.items():
        here, there = keyword in frame.own, keyword in frame.shared
        if here and there:
            yield f"both {keyword}", f"{name} is in the shared groups and in those of frame {frame.number}"
        if not here and not there and not (labelmap and keyword == "SegmentIdentificationSequence"):
            yield f"no {keyword}", f"frame {frame.number} has no {name}, neither shared nor its own"


def _fault_of_place(dataset: Dataset, frame: SegFrame, origin: Frame) -> Iterator[tuple[str, str]]:
    """Whether the frame covers the same pixels in space as the source frame that it names."""
    size = tuple(values.whole(dataset, keyword) for keyword in ("Rows", "Columns"))
    theirs = tuple(values.whole(origin.header, keyword) for keyword in ("Rows", "Columns"))
    if size != theirs:
        yield "size", f"has {size[0]} rows and {size[1]} columns, the source has {theirs[0]} and {theirs[1]}"
    measures = "PixelMeasuresSequence"
    spacing, stated = frame.numbers(measures, "PixelSpacing", 2), origin.numbers_of("PixelSpacing", 2)
    if spacing is None or (stated is not None and np.abs(spacing - stated).max() > SAME_SPACING_MM):
        yield "spacing", f"PixelSpacing of frame {frame.number} is not that of its source frame"
    direction = frame.numbers("PlaneOrientationSequence", "ImageOrientationPatient", 6)
    towards = origin.numbers_of("ImageOrientationPatient", 6)
    if direction is None or (towards is not None and not _same_direction(direction, np.array(towards))):
        yield "direction", f"ImageOrientationPatient of frame {frame.number} is not that of its source frame"
        return
    yield from _fault_of_position(frame, origin, direction)


def _fault_of_position(frame: SegFrame, origin: Frame, direction: NDArray[np.float64]) -> Iterator[tuple[str, str]]:
    position = frame.numbers("PlanePositionSequence", "ImagePositionPatient", 3)
    stated = origin.numbers_of("ImagePositionPatient", 3)
    if position is None:
        yield "position", f"frame {frame.number} has no ImagePositionPatient of three numbers"
    elif stated is not None:
        away = position - np.array(stated)
        along = abs(float(away @ np.cross(direction[:3], direction[3:])))
        aside = float(np.sqrt(max(0.0, away @ away - along**2)))
        allowed = max(SAME_PLACE_MM, STRAYING * (frame.slice_distance_mm or 0.0))
        if aside > SAME_PLACE_MM or along > allowed:
            yield (
                "position",
                f"frame {frame.number} lies {np.linalg.norm(away):.2f} mm from the source frame that it names",
            )


def _same_direction(ours: NDArray[np.float64], stated: NDArray[np.float64]) -> bool:
    """Headers may round cosines until they are neither of length 1 nor at right angles; results always are. What the
    stated ones lack of that is allowed on top."""
    row, column = stated[:3], stated[3:]
    lengths = [float(np.linalg.norm(direction)) for direction in (row, column)]
    lacking = max(*(abs(length - 1.0) for length in lengths), abs(float(row @ column)))
    return bool(np.abs(ours - stated).max() <= SAME_DIRECTION + lacking)
