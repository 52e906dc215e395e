"""What sending has to know about a file, from its head alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydicom.errors import InvalidDicomError
from pydicom.filereader import dcmread

from dicom_node.node.errors import DeliveryError

# What pydicom raises on hostile files, besides InvalidDicomError.
_DAMAGED = (InvalidDicomError, AttributeError, ValueError, KeyError, NotImplementedError, EOFError, RecursionError)


@dataclass(frozen=True)
class ObjectFile:
    """A Part 10 file (PS3.10 7.1) and what its presentation context needs.

    `meta_agrees` is False where the file meta information names another instance or class than the data set, as some
    anonymisers leave it. The data set is right: an SCP compares it with the command.
    """

    path: Path
    sop_class_uid: str
    transfer_syntax_uid: str
    meta_agrees: bool


def read_object_file(path: Path) -> ObjectFile:
    """Read file meta information and UIDs of `path`.

    Raises:
        DeliveryError: the file cannot be read, or is no Part 10 file with the elements that sending needs.
    """
    try:
        head = dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID", "SOPInstanceUID"])
        meta = head.file_meta
        syntax = str(meta.TransferSyntaxUID)
        in_meta = str(meta.MediaStorageSOPClassUID), str(meta.MediaStorageSOPInstanceUID)
        in_data = str(head.get("SOPClassUID", in_meta[0])), str(head.get("SOPInstanceUID", in_meta[1]))
    except OSError as error:
        raise DeliveryError(f"cannot be read: {error.strerror}") from error
    except _DAMAGED as error:
        raise DeliveryError("not a DICOM file with file meta information (PS3.10)") from error
    if not (all(in_meta) and all(in_data) and syntax):
        raise DeliveryError("SOP class, SOP instance or transfer syntax is missing")
    return ObjectFile(path, in_data[0], syntax, in_meta == in_data)
