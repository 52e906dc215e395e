"""Patient, study and series: what a PACS files an object by (PS3.3 C.7.1, C.7.2, C.7.3; PS3.4 B)."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from dicom_node.results.check.checked import Checked, NamedObject
from dicom_node.results.common.identity import AS_IT_IS, OPTIONAL, REQUIRED, identity_of
from dicom_node.series.dicom import values

_OF_A_SERIES = ("Modality", "SeriesNumber", "SeriesDescription", "SeriesDate", "SeriesTime", "FrameOfReferenceUID")

_REPEATED_IN_META = (
    ("MediaStorageSOPClassUID", "SOPClassUID"),
    ("MediaStorageSOPInstanceUID", "SOPInstanceUID"),
)


def check_study(checked: Checked) -> Iterator[tuple[str, str]]:
    """Patient and study are the source's own, word for word; empty only where the source's value is illegal."""
    expected = identity_of(checked.source[0])
    study = values.text(checked.source[0], "StudyInstanceUID")
    for obj in checked.objects:
        if values.text(obj.dataset, "StudyInstanceUID") != study:
            yield obj.name, "StudyInstanceUID is not that of the source"
        for keyword in (*REQUIRED, *OPTIONAL, "SpecificCharacterSet"):
            if not _same(obj.dataset, expected, keyword):
                yield obj.name, f"{keyword} is not that of the source"  # never its value


def is_as_in_source(where: str, element: DataElement, checked: Checked) -> bool:
    """Whether an element at the root identifies patient or study, and holds what the source holds, legal or not.

    Args:
        where: the path to it; its keyword at the root.
        element: of a result.
        checked: the set with its source.
    """
    return where in AS_IT_IS and values.raw(checked.source[0], where) == element.value


def _same(found: Dataset, expected: Dataset, keyword: str) -> bool:
    ours, theirs = found.get(keyword), expected.get(keyword)
    if not ours and not theirs:
        return True
    return bool(ours == theirs or str(ours) == str(theirs))


def check_series(checked: Checked) -> Iterator[tuple[str, str]]:
    """A series is of one kind and alike in all objects of it, and never the source's own."""
    source = {values.text(header, "SeriesInstanceUID") for header in checked.source}
    first: dict[str, NamedObject] = {}
    for obj in checked.objects:
        uid = values.text(obj.dataset, "SeriesInstanceUID")
        if uid in source:
            yield obj.name, "is in the source's own series"
        other = first.setdefault(uid, obj)
        if other.kind != obj.kind:
            yield obj.name, f"is in the series of {other.name}, which is of another kind"
            continue
        for keyword in _OF_A_SERIES:
            if values.text(other.dataset, keyword) != values.text(obj.dataset, keyword):
                yield obj.name, f"{keyword} differs from {other.name}, which is in the same series"


def check_unique(checked: Checked) -> Iterator[tuple[str, str]]:
    """No two objects share a SOP Instance UID, with each other or with the source."""
    taken = {values.text(header, "SOPInstanceUID"): "an instance of the source" for header in checked.source}
    for obj in checked.objects:
        uid = values.text(obj.dataset, "SOPInstanceUID")
        if uid in taken:
            yield obj.name, f"has the SOP Instance UID of {taken[uid]}"
        taken.setdefault(uid, obj.name)


def check_file_meta(checked: Checked) -> Iterator[tuple[str, str]]:
    """The file meta information names the object that follows it."""
    for obj in checked.objects:
        meta = getattr(obj.dataset, "file_meta", None) or Dataset()
        for theirs, ours in _REPEATED_IN_META:
            if values.text(meta, theirs) != values.text(obj.dataset, ours):
                yield obj.name, f"{theirs} in the file meta information is not {ours}"
        if not values.text(meta, "TransferSyntaxUID"):
            yield obj.name, "TransferSyntaxUID is missing in the file meta information"


def check_frame_of_reference(checked: Checked) -> Iterator[tuple[str, str]]:
    """What lies in space lies in the source's own."""
    expected = values.text(checked.source[0], "FrameOfReferenceUID")
    for obj in checked.objects:
        found = values.text(obj.dataset, "FrameOfReferenceUID")
        if found != expected and (found or obj in checked.segmentations):
            yield obj.name, "FrameOfReferenceUID is not that of the source"
