"""What sending has to know about a file, from its head alone."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydicom.errors import InvalidDicomError
from pydicom.filereader import _read_file_meta_info, dcmread, read_preamble

from dicom_node.node.errors import DeliveryError

_HEAD_BYTES: Final = 4096  # file meta information and the SOP Common elements; what needs more is read by pydicom
_META_AT: Final = 132  # PS3.10 7.1: preamble, then "DICM"
_IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
# Not Explicit VR Little Endian behind the file meta information; so may be syntaxes that we do not know.
_NOT_EXPLICIT_LITTLE: Final = {"1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"}
_SHORT_VRS: Final = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_LONG_VRS: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_UNDEFINED: Final = 0xFFFFFFFF
_GROUP_2: Final = 0x0002
_MEDIA_CLASS, _MEDIA_INSTANCE, _SYNTAX = 0x00020002, 0x00020003, 0x00020010
_CLASS, _INSTANCE = 0x00080016, 0x00080018


@dataclass(frozen=True)
class ObjectFile:
    """A Part 10 file (PS3.10 7.1) and what its presentation context and its C-STORE request need.

    Attributes:
        sop_class_uid, sop_instance_uid: the data set's own, where the file meta information names others, as some
            anonymisers leave it: an SCP compares the data set with the command.
        offset: where the data set begins, in bytes.
    """

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    offset: int


def read_object_file(path: Path) -> ObjectFile:
    """Read file meta information and UIDs of `path`.

    Raises:
        DeliveryError: the file cannot be read, or is no Part 10 file with the elements that sending needs.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            head = os.pread(descriptor, _HEAD_BYTES, 0)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise DeliveryError(f"cannot be read: {error.strerror}") from error
    return _quickly(path, head) or _thoroughly(path)


class _Unclear(Exception):
    """The head is not of the plain kind: pydicom reads it."""


def _quickly(path: Path, head: bytes) -> ObjectFile | None:
    """From the first bytes of a plain file; None for any other, which need not be wrong.

    pydicom takes a millisecond an object for this, as long as sending takes; it is the oracle of the tests.
    """
    if head[128:_META_AT] != b"DICM":
        return None
    try:
        meta, offset = _elements(head, _META_AT, True, lambda tag: tag >> 16 != _GROUP_2)
        syntax = _uid(meta.get(_SYNTAX))
        if not syntax.startswith("1.2.840.10008.1.2") or syntax in _NOT_EXPLICIT_LITTLE:
            return None
        explicit = syntax != _IMPLICIT_VR_LITTLE_ENDIAN
        found, _end = _elements(head, offset, explicit, lambda tag: tag > _INSTANCE)
        return ObjectFile(path, _uid(found.get(_CLASS)), _uid(found.get(_INSTANCE)), syntax, offset)
    except (_Unclear, struct.error):
        return None


def _elements(head: bytes, position: int, explicit: bool, ends: Callable[[int], bool]) -> tuple[dict[int, bytes], int]:
    """Elements from `position` up to the first whose tag `ends` them, and where that one begins."""
    found: dict[int, bytes] = {}
    before = 0
    while True:
        group, element = struct.unpack_from("<HH", head, position)
        tag = group << 16 | element
        if ends(tag):
            return found, position
        start, length = _extent(head, position, explicit)
        if length == _UNDEFINED or start + length > len(head) or tag <= before:
            raise _Unclear
        found[tag] = head[start : start + length]
        before, position = tag, start + length


def _extent(head: bytes, position: int, explicit: bool) -> tuple[int, int]:
    """Where the value of the element at `position` begins, and its length (PS3.5 7.1)."""
    if not explicit:
        return position + 8, struct.unpack_from("<L", head, position + 4)[0]
    vr = head[position + 4 : position + 6]
    if vr in _SHORT_VRS:
        return position + 8, struct.unpack_from("<H", head, position + 6)[0]
    if vr in _LONG_VRS:
        return position + 12, struct.unpack_from("<L", head, position + 8)[0]
    raise _Unclear


def _uid(value: bytes | None) -> str:
    text = (value or b"").rstrip(b"\0 ").decode("ascii", "replace")
    if not text or len(text) > 64 or not text.replace(".", "").isdigit():
        raise _Unclear
    return text


def _thoroughly(path: Path) -> ObjectFile:
    # What pydicom raises on hostile files, besides InvalidDicomError.
    damaged = (InvalidDicomError, AttributeError, ValueError, KeyError, NotImplementedError, EOFError, RecursionError)
    try:
        with path.open("rb") as file:
            read_preamble(file, force=False)
            _read_file_meta_info(file)
            offset = file.tell()
        head = dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID", "SOPInstanceUID"])
        meta = head.file_meta
        syntax = str(meta.TransferSyntaxUID)
        in_meta = str(meta.MediaStorageSOPClassUID), str(meta.MediaStorageSOPInstanceUID)
        in_data = str(head.get("SOPClassUID", in_meta[0])), str(head.get("SOPInstanceUID", in_meta[1]))
    except OSError as error:
        raise DeliveryError(f"cannot be read: {error.strerror}") from error
    except damaged as error:
        raise DeliveryError("not a DICOM file with file meta information (PS3.10)") from error
    if not (all(in_meta) and all(in_data) and syntax):
        raise DeliveryError("SOP class, SOP instance or transfer syntax is missing")
    return ObjectFile(path, *in_data, syntax, offset)
