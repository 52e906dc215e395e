"""The one place where bytes become data sets, and where every parser error becomes UnreadableObject."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

from pydicom import config, dcmread
from pydicom.dataset import FileDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_partial
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dicom_node.node.errors import UnreadableObject
from dicom_node.series.dicom.part10 import layout_of, open_part10

# What pydicom and its decoders were seen to raise on broken or hostile files. Not Exception: only the edges of the SCP
# and of the worker may catch that. LookupError covers unknown character sets, RuntimeError covers RecursionError (deep
# nesting) and NotImplementedError (odd VRs), ArithmeticError covers OverflowError and decimal's InvalidOperation.
PARSER_ERRORS: tuple[type[Exception], ...] = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    BytesLengthException,
    EOFError,
    InvalidDicomError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)

# A 256 x 256 x 24 FLAIR has 3 MB; the largest Enhanced MR that is still a head has some hundred.
MAX_FILE_BYTES = 2 * 1024**3
MAX_INFLATED_BYTES = 256 * 1024**2
_CHUNK = 1024**2
_MANUFACTURER_MODEL_NAME = 0x00081090
_UNREADABLE = "A file of the series cannot be read from disk."

# pydicom's warnings quote the values that they complain about, which may be a name or a birth date: none of that may
# reach a log. What is read is checked by `values`, `planes` and `series`; writers check what they write.
config.settings.reading_validation_mode = config.IGNORE

T = TypeVar("T")


def read_header(path: Path) -> FileDataset:
    """Read everything of a DICOM file but its bulk pixel data.

    Raises:
        UnreadableObject: the file is no DICOM object, or is cut off or corrupt.
    """
    return _read(path, lambda stream: dcmread(stream, stop_before_pixels=True))


def read_beginning(path: Path) -> FileDataset:
    """Read a DICOM file up to ManufacturerModelName: class, modality and maker, however large the rest is.

    Raises:
        UnreadableObject: the file is no DICOM object, or its beginning is corrupt.
    """

    def parse(stream: BinaryIO) -> FileDataset:
        return read_partial(stream, stop_when=lambda tag, _vr, _length: tag > _MANUFACTURER_MODEL_NAME)

    return _read(path, parse)


def read_object(path: Path) -> FileDataset:
    """Read a DICOM file with its pixel data (still encoded).

    Raises:
        UnreadableObject: the file is no DICOM object, or is cut off or corrupt.
    """
    return _read(path, dcmread)


def file_sha256(path: Path) -> str:
    """Digest of a file's bytes as lower-case hex.

    Raises:
        UnreadableObject: the file cannot be read.
    """
    return guarded(lambda: _sha256(path, lambda _stream: 0), "file_unreadable", _UNREADABLE)


def data_set_sha256(path: Path) -> str:
    """Digest of the data set's bytes as lower-case hex: of what the object is, and not of how its file begins.

    Preamble and file meta information are written by the program that stores the object, and differ between a folder
    and our storage (PS3.10 7.1).

    Raises:
        UnreadableObject: the file cannot be read, or does not begin as a DICOM file does.
    """
    return guarded(lambda: _sha256(path, lambda stream: layout_of(stream).data_set_at), "file_unreadable", _UNREADABLE)


def _sha256(path: Path, begin: Callable[[BinaryIO], int]) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        stream.seek(begin(stream))
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def guarded(read: Callable[[], T], code: str, reason: str) -> T:
    """Run a parser or decoder; whatever it raises on bad input becomes one UnreadableObject.

    The cause is chained, and only the kind of error is reported: its text may quote the header.
    """
    try:
        return read()
    except UnreadableObject:
        raise
    except PARSER_ERRORS as error:
        raise UnreadableObject(code, f"{reason} ({type(error).__name__})") from error


def _read(path: Path, read: Callable[[BinaryIO], FileDataset]) -> FileDataset:
    def parse() -> FileDataset:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise UnreadableObject(
                "file_too_large",
                f"A file has {size} bytes; expected at most {MAX_FILE_BYTES}. No head scan is that large.",
            )
        with open_part10(path) as stream:
            _refuse_bomb(stream)
            stream.seek(0)
            return read(stream)

    return guarded(
        parse, "not_dicom", "A file is not a readable DICOM object: it is cut off, corrupt or of another kind."
    )


def _refuse_bomb(stream: BinaryIO) -> None:
    """Inflate a deflated data set piece by piece without keeping it: a few KB can hold many GB (PS3.5 A.5)."""
    layout = layout_of(stream)
    if layout.transfer_syntax_uid != DeflatedExplicitVRLittleEndian:
        return
    stream.seek(layout.data_set_at)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    total = 0
    while chunk := stream.read(_CHUNK):
        while chunk and not inflater.eof:
            total += len(inflater.decompress(chunk, _CHUNK))
            chunk = inflater.unconsumed_tail
            if total > MAX_INFLATED_BYTES:
                raise UnreadableObject(
                    "deflated_too_large",
                    f"A deflated file grows beyond {MAX_INFLATED_BYTES} bytes; no head scan is that large.",
                )
