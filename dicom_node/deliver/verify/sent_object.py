"""The UIDs by which a sent object is looked up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from dicom_node.node.errors import DeliveryError


@dataclass(frozen=True)
class SentObject:
    """An object of the outbox and the UIDs of the levels above it."""

    path: Path
    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str


def read_sent_object(path: Path) -> SentObject:
    """Read the UIDs of a Part 10 file.

    Raises:
        DeliveryError: the file cannot be read, or lacks one of them.
    """
    names = ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID")
    try:
        head = dcmread(path, stop_before_pixels=True, specific_tags=list(names))
        return SentObject(path, *(str(head[name].value) for name in names))
    except OSError as error:
        raise DeliveryError(f"{path.name} cannot be read: {error.strerror}") from error
    except (InvalidDicomError, KeyError, AttributeError, ValueError, NotImplementedError) as error:
        raise DeliveryError(f"{path.name} is not an object with all its UIDs") from error
