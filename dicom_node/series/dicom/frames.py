"""Frames of classic and of Enhanced MR instances seen alike, from headers alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage, MRImageStorage

from dicom_node.node.errors import UnreadableObject
from dicom_node.series.dicom import values

SINGLE_FRAME = frozenset({str(MRImageStorage)})
MULTI_FRAME = frozenset({str(EnhancedMRImageStorage), str(LegacyConvertedEnhancedMRImageStorage)})
IMAGE_CLASSES = SINGLE_FRAME | MULTI_FRAME

MAX_DESCRIBED_FRAMES = 20_000

# Where an attribute of one frame lives in an Enhanced MR instance: keyword -> (functional group macro, attribute).
# PS3.3 C.7.6.16.2 (common macros) and C.8.13.5 (MR macros). A classic instance has all of them at its top level.
_MACROS: dict[str, tuple[str, str]] = {
    "ImagePositionPatient": ("PlanePositionSequence", "ImagePositionPatient"),  # C.7.6.16.2.3
    "ImageOrientationPatient": ("PlaneOrientationSequence", "ImageOrientationPatient"),  # C.7.6.16.2.4
    "PixelSpacing": ("PixelMeasuresSequence", "PixelSpacing"),  # C.7.6.16.2.1
    "SliceThickness": ("PixelMeasuresSequence", "SliceThickness"),
    "SpacingBetweenSlices": ("PixelMeasuresSequence", "SpacingBetweenSlices"),
    "RescaleSlope": ("PixelValueTransformationSequence", "RescaleSlope"),  # C.7.6.16.2.9
    "RescaleIntercept": ("PixelValueTransformationSequence", "RescaleIntercept"),
    "EchoTime": ("MREchoSequence", "EffectiveEchoTime"),  # C.8.13.5.4
    "InversionTime": ("MRModifierSequence", "InversionTimes"),  # C.8.13.5.5
    "RepetitionTime": ("MRTimingAndRelatedParametersSequence", "RepetitionTime"),  # C.8.13.5.2
    "ImageType": ("MRImageFrameTypeSequence", "FrameType"),  # C.8.13.5.1
    "AcquisitionContrast": ("MRImageFrameTypeSequence", "AcquisitionContrast"),
    "ComplexImageComponent": ("MRImageFrameTypeSequence", "ComplexImageComponent"),
    "DiffusionBValue": ("MRDiffusionSequence", "DiffusionBValue"),  # C.8.13.5.9
    "TemporalPositionIdentifier": ("FrameContentSequence", "TemporalPositionIndex"),  # C.7.6.16.2.2
    "AcquisitionNumber": ("FrameContentSequence", "FrameAcquisitionNumber"),
    "StackID": ("FrameContentSequence", "StackID"),
    "InStackPositionNumber": ("FrameContentSequence", "InStackPositionNumber"),
    "BodyPartExamined": ("FrameAnatomySequence", "BodyPartExamined"),
}
# A conversion from classic instances keeps attributes without a macro here (PS3.3 C.7.6.16.2.25 and .26).
_UNASSIGNED = ("UnassignedPerFrameConvertedAttributesSequence", "UnassignedSharedConvertedAttributesSequence")


@dataclass(frozen=True)
class Frame:
    """One frame and where its attributes are looked up.

    Attributes:
        header: the instance.
        source: index of the instance in the list that `frames_of` was given.
        number: 1-based frame number of a multi-frame instance, None for a classic one.
        groups: functional groups to look in, the frame's own first; empty for a classic instance.
    """

    header: Dataset
    source: int
    number: int | None
    groups: tuple[Dataset, ...]

    def holders(self, keyword: str) -> Iterator[tuple[Dataset, str]]:
        """Data sets that may hold an attribute, best first, with its keyword there."""
        if keyword in _MACROS:
            macro, attribute = _MACROS[keyword]
            for group in self.groups:
                item = values.first_item(group, macro)
                if item is not None:
                    yield item, attribute
        for group in self.groups:
            for macro in _UNASSIGNED:
                item = values.first_item(group, macro)
                if item is not None:
                    yield item, keyword
        yield self.header, keyword

    def number_of(self, keyword: str) -> float | None:
        """A numeric attribute of this frame, or None."""
        return next((v for at, k in self.holders(keyword) if (v := values.number(at, k)) is not None), None)

    def numbers_of(self, keyword: str, count: int) -> tuple[float, ...] | None:
        """A numeric attribute with `count` values, or None."""
        return next((v for at, k in self.holders(keyword) if (v := values.numbers(at, k, count)) is not None), None)

    def texts_of(self, keyword: str) -> tuple[str, ...]:
        """A text attribute of this frame; empty when absent."""
        return next((v for at, k in self.holders(keyword) if (v := values.texts(at, k))), ())

    def text_of(self, keyword: str) -> str:
        """A text attribute of this frame, values joined with a backslash; "" when absent."""
        return "\\".join(self.texts_of(keyword))


def frames_of(headers: Sequence[Dataset]) -> tuple[Frame, ...]:
    """The frames of all image instances in the list; instances that are no MR images give none.

    Raises:
        UnreadableObject: a multi-frame instance whose functional groups do not match its number of frames.
    """
    return tuple(frame for source, header in enumerate(headers) for frame in _frames_of_one(header, source))


def missing_parts(frames: Sequence[Frame]) -> int:
    """How many instances of concatenations (one multi-frame image in several instances) are not there.

    By ConcatenationUID and InConcatenationTotalNumber (PS3.3 C.7.6.16.2.2.4); the total may be absent.
    """
    totals: dict[str, int] = {}
    numbers: dict[str, set[int]] = {}
    for header in {frame.source: frame.header for frame in frames}.values():
        uid, number = values.text(header, "ConcatenationUID"), values.whole(header, "InConcatenationNumber")
        if uid and number is not None and 0 < number <= MAX_DESCRIBED_FRAMES:
            numbers.setdefault(uid, set()).add(number)
            announced = values.whole(header, "InConcatenationTotalNumber") or 0
            totals[uid] = min(max(totals.get(uid, 0), announced, number), MAX_DESCRIBED_FRAMES)
    return sum(totals[uid] - len(found) for uid, found in numbers.items())


def _frames_of_one(header: Dataset, source: int) -> Iterator[Frame]:
    sop_class = values.text(header, "SOPClassUID")
    if sop_class in SINGLE_FRAME:
        announced = values.whole(header, "NumberOfFrames")
        if announced not in (None, 1):
            raise UnreadableObject(
                "frames_in_single_frame",
                f"NumberOfFrames of an MR Image instance is {announced}; expected 1 (PS3.3 A.4).",
            )
        yield Frame(header=header, source=source, number=None, groups=())
    elif sop_class in MULTI_FRAME:
        shared = values.items(header, "SharedFunctionalGroupsSequence")[:1]
        own = values.items(header, "PerFrameFunctionalGroupsSequence")
        announced = values.whole(header, "NumberOfFrames")
        if announced is None or announced != len(own) or announced > MAX_DESCRIBED_FRAMES:
            raise UnreadableObject(
                "frame_count_mismatch",
                f"NumberOfFrames is {announced}, and PerFrameFunctionalGroupsSequence describes {len(own)} frames; "
                f"expected the same number, at most {MAX_DESCRIBED_FRAMES}.",
            )
        for index, group in enumerate(own):
            yield Frame(header=header, source=source, number=index + 1, groups=(group, *shared))
