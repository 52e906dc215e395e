"""What the file meta information says about an object, without reading the object."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info

from dicom_node.errors import DeliveryError


@dataclass(frozen=True)
class ObjectFile:
    """A Part 10 file (PS3.10 7.1) and what its presentation context needs."""

    path: Path
    sop_class_uid: str
    transfer_syntax_uid: str


def read_object_file(path: Path) -> ObjectFile:
    """Read the file meta information of `path`.

    Raises:
        DeliveryError: the file cannot be read, or is no Part 10 file with the elements that sending needs.
    """
    try:
        meta = read_file_meta_info(path)
        sop_class, syntax = str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)
        instance = str(meta.MediaStorageSOPInstanceUID)
    except OSError as error:
        raise DeliveryError(f"cannot be read: {error.strerror}") from error
    except (InvalidDicomError, AttributeError, ValueError, KeyError, NotImplementedError, EOFError) as error:
        raise DeliveryError("not a DICOM file with file meta information (PS3.10)") from error
    if not (sop_class and syntax and instance):
        raise DeliveryError("the file meta information lacks SOP class, SOP instance or transfer syntax")
    return ObjectFile(path, sop_class, syntax)
