"""What stands before the data set in a file (PS3.10 7.1)."""

from __future__ import annotations

import struct

from dicom_node.node.dicom_uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME


def file_header(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Preamble, prefix and file meta information.

    Only what follows from the object: no date, no AE title, no software version. So the same object gives the same file
    from every sender, and a resend is recognised by its sha256. Who sent it is in the association's row.
    """
    elements = [
        struct.pack("<HH2sxxL", 2, 0x0001, b"OB", 2) + b"\x00\x01",  # FileMetaInformationVersion
        _text(0x0002, b"UI", sop_class_uid),
        _text(0x0003, b"UI", sop_instance_uid),
        _text(0x0010, b"UI", transfer_syntax_uid),
        _text(0x0012, b"UI", IMPLEMENTATION_CLASS_UID),
        _text(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME),
    ]
    body = b"".join(elements)
    group_length = struct.pack("<HH2sHL", 2, 0x0000, b"UL", 4, len(body))
    return b"\0" * 128 + b"DICM" + group_length + body


def _text(element: int, vr: bytes, value: str) -> bytes:
    raw = value.encode("ascii")
    if len(raw) % 2:
        raw += b"\0" if vr == b"UI" else b" "
    return struct.pack("<HH2sH", 2, element, vr, len(raw)) + raw
