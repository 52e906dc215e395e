"""Results in a compressed transfer syntax that the peer accepts, without loss: the outbox keeps them as they are.

Pixels, UIDs and all other elements stay the same (docs/adr/0025-compressed-on-the-way.md).
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from dicom_node.deliver.send.association import ObjectBytes
from dicom_node.deliver.send.object_file import ObjectFile
from dicom_node.node.destinations import Compression

_EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
_DEFLATED: Final = "1.2.840.10008.1.2.1.99"
_JPEG_LS_LOSSLESS: Final = "1.2.840.10008.1.2.4.80"
_RLE_LOSSLESS: Final = "1.2.840.10008.1.2.5"
_SMALL_BYTES: Final = 65_536  # below this there is nothing to gain
_CHUNK_BYTES: Final = 1024 * 1024

# By SOP class, the best first. No codec of images takes the single bits of a BINARY segmentation (PS3.5 8.2); deflate
# takes them, and the functional groups of each frame, but only for peers that are set up so: Orthanc accepts deflated
# objects and answers 500 when a viewer asks it for their frames. JPEG-LS makes pages a third to a sixth of their size,
# RLE a half.
SYNTAXES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "1.2.840.10008.5.1.4.1.1.66.4": (_DEFLATED,),  # Segmentation Storage
        "1.2.840.10008.5.1.4.1.1.66.7": (_DEFLATED,),  # Label Map Segmentation Storage
        "1.2.840.10008.5.1.4.1.1.7": (_JPEG_LS_LOSSLESS, _RLE_LOSSLESS),  # Secondary Capture Image Storage
    }
)


def compressed_syntaxes(file: ObjectFile, compress: Compression) -> tuple[str, ...]:
    """Transfer syntaxes that a file is worth being offered in beside its own."""
    if compress == "none" or file.transfer_syntax_uid != _EXPLICIT_VR_LITTLE_ENDIAN or _size(file) < _SMALL_BYTES:
        return ()
    return tuple(s for s in SYNTAXES.get(file.sop_class_uid, ()) if compress == "all" or s != _DEFLATED)


def compressed(
    file: ObjectFile, accepts: Callable[[str, str], bool], compress: Compression = "all"
) -> ObjectBytes | None:
    """A file in the first of its compressed syntaxes that the peer accepts; None where there is none.

    Args:
        file: an object of the outbox.
        accepts: whether the peer takes a SOP class in a transfer syntax.
        compress: which objects may be.

    Raises:
        OSError: the file cannot be read.
    """
    for syntax in compressed_syntaxes(file, compress):
        if accepts(file.sop_class_uid, syntax):
            encoded = _deflated(file) if syntax == _DEFLATED else _with_compressed_pixels(file, syntax)
            if encoded is not None:
                return ObjectBytes(file.sop_class_uid, file.sop_instance_uid, syntax, file.path, encoded=encoded)
    return None


def _size(file: ObjectFile) -> int:
    try:
        return file.path.stat().st_size
    except OSError:
        return 0  # who sends it says so


def _deflated(file: ObjectFile) -> bytes:
    """The data set deflated as a whole, of even length (PS3.5 A.5)."""
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    parts = []
    with file.path.open("rb") as stream:
        stream.seek(file.offset, os.SEEK_SET)
        while chunk := stream.read(_CHUNK_BYTES):
            parts.append(deflate.compress(chunk))
    encoded = b"".join([*parts, deflate.flush()])
    return encoded + b"\0" * (len(encoded) % 2)


def _with_compressed_pixels(file: ObjectFile, syntax: str) -> bytes | None:
    """The data set with encapsulated pixels (PS3.5 A.4); None where the codec does not take them."""
    from pydicom import dcmread
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset

    dataset = dcmread(file.path)
    try:
        dataset.compress(syntax, generate_instance_uid=False)
    except (RuntimeError, ValueError, AttributeError, KeyError, NotImplementedError):
        return None
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_dataset(buffer, dataset)
    return bytes(buffer.getvalue())
