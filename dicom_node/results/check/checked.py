"""What the rules look at: the objects of a result set and the headers of the series that they were made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from pydicom.dataset import Dataset

from dicom_node.series.dicom import values
from dicom_node.series.dicom.frames import Frame, frames_of

SOURCE_UIDS = (
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SOPClassUID",
    "SOPInstanceUID",
    "FrameOfReferenceUID",
)


class NamedObject(Protocol):
    """An object of a result set, such as `dicom_node.results.result_set.ResultObject`."""

    @property
    def kind(self) -> str:
        """A value of `dicom_node.node.profiles.ObjectKind`."""

    @property
    def name(self) -> str:
        """Its file name."""

    @property
    def dataset(self) -> Dataset:
        """The finished object with its file meta information."""


class NamedMessage(Protocol):
    """A report to a system without DICOM, such as `dicom_node.results.report.message.ResultMessage`."""

    @property
    def kind(self) -> str:
        """A value of `dicom_node.node.profiles.MessageKind`."""

    @property
    def name(self) -> str:
        """Its file name."""

    @property
    def content(self) -> bytes:
        """As it is sent."""


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with one object.

    Attributes:
        name: of the object.
        sentence: what is wrong, without patient data.
        rule: the rule's name.
        source: where it is demanded.
    """

    name: str
    sentence: str
    rule: str
    source: str

    def __str__(self) -> str:
        return f"{self.name}: {self.sentence} ({self.source})"


FrameKey = tuple[str, int | None]
"""SOPInstanceUID and 1-based frame number of a source frame; None for a classic instance."""


@dataclass(frozen=True)
class Checked:
    """A result set and its source.

    Args:
        objects: of the result set, in any order.
        source: headers of the source series' instances, at least one.
        messages: the reports that say the same to systems without DICOM.
    """

    objects: Sequence[NamedObject]
    source: Sequence[Dataset]
    messages: Sequence[NamedMessage] = ()

    @cached_property
    def source_frames(self) -> Mapping[FrameKey, Frame]:
        """The source's frames, where each lies."""
        return {(str(frame.header.SOPInstanceUID), frame.number): frame for frame in frames_of(list(self.source))}

    @cached_property
    def source_uids(self) -> frozenset[str]:
        """Every UID that the source brought: results repeat them as they are, even where they are malformed."""
        return frozenset(text for header in self.source for key in SOURCE_UIDS if (text := values.text(header, key)))

    @cached_property
    def instances(self) -> Mapping[str, str]:
        """SOPInstanceUID -> SOPClassUID of everything that may be referred to: source and set."""
        everything = [*self.source, *(obj.dataset for obj in self.objects)]
        return {values.text(dataset, "SOPInstanceUID"): values.text(dataset, "SOPClassUID") for dataset in everything}

    @cached_property
    def by_uid(self) -> Mapping[str, NamedObject]:
        """SOPInstanceUID -> object of the set."""
        return {values.text(obj.dataset, "SOPInstanceUID"): obj for obj in self.objects}

    @cached_property
    def segmentations(self) -> tuple[NamedObject, ...]:
        """The objects with segments."""
        return tuple(obj for obj in self.objects if "SegmentSequence" in obj.dataset)

    @cached_property
    def reports(self) -> tuple[NamedObject, ...]:
        """The objects with a content tree at their root."""
        return tuple(obj for obj in self.objects if "ValueType" in obj.dataset)


def items_with(dataset: Dataset, keyword: str, where: str = "") -> Iterator[tuple[str, Dataset]]:
    """Every data set at any depth that has this element, with the path of sequences to it (""at the root)."""
    if keyword in dataset:
        yield where, dataset
    for element in dataset:
        if element.VR == "SQ":
            for index, item in enumerate(element.value or ()):
                inner = f"{where}.{element.keyword}[{index + 1}]" if where else f"{element.keyword}[{index + 1}]"
                yield from items_with(item, keyword, inner)
