"""Files in old or odd forms are read as the older tools read them, or refused with what to do."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from support.mr import encoded, mr_object, write_object

from dicom_node.node.errors import UnreadableObject
from dicom_node.series.dicom.parsing import data_set_sha256, file_sha256, read_header, read_object

SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]


def parts(path: Path) -> tuple[bytes, bytes]:
    """The elements of the file meta group behind its length, and the data set."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[140:144], "little")
    return raw[144 : 144 + length], raw[144 + length :]


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: uid.name)
@pytest.mark.parametrize("form", ["no preamble", "no meta", "no syntax", "no meta behind the prefix"])
def test_files_without_what_stands_before_the_data_set_are_read(tmp_path, syntax, form):
    """Without preamble, file meta information or transfer syntax: the first element shows the encoding."""
    dataset = mr_object()
    path = write_object(dataset, tmp_path / "im", syntax)
    meta, content = parts(path)
    if form == "no syntax" or form == "no preamble":
        if form == "no syntax":
            at = meta.index(b"\x02\x00\x10\x00UI")
            meta = meta[:at] + meta[at + 8 + int.from_bytes(meta[at + 6 : at + 8], "little") :]
        content = struct.pack("<HH2sHL", 2, 0, b"UL", 4, len(meta)) + meta + content
    before = b"\0" * 128 + b"DICM" if form in ("no syntax", "no meta behind the prefix") else b""
    path.write_bytes(before + content)
    found = read_object(path)
    assert found.SeriesInstanceUID == dataset.SeriesInstanceUID
    assert found.file_meta.TransferSyntaxUID == syntax
    assert found.PixelData == dataset.PixelData


@pytest.mark.parametrize("content", [b"", b"hello " * 100, b"\x89PNG\r\n\x1a\n" + b"\0" * 300, b"\0" * 200])
def test_what_is_no_dicom_is_refused_with_what_to_do(tmp_path, content):
    """The reason says what the file lacks, and by which tool an old form is converted."""
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(UnreadableObject, match=r"no DICM prefix at byte 128.*dcmconv"):
        read_header(path)


@pytest.mark.parametrize("vr", [b"RE", b"\0\0", b"  ", b"??"])
def test_a_private_element_with_an_unknown_vr_is_left_out(tmp_path, vr):
    """The rest of the object is read as if the element were not there."""
    dataset = mr_object()
    dataset.private_block(0x0009, "ODD", create=True).add_new(0x10, "LO", "ABCDEFGH")
    path = write_object(dataset, tmp_path / "im")
    raw = path.read_bytes()
    at = raw.index(b"\x09\x00\x10\x10LO") + 4
    path.write_bytes(raw[:at] + vr + raw[at + 2 :])
    found = read_object(path)
    assert (0x0009, 0x1010) not in found
    assert found.PixelData == dataset.PixelData


@pytest.mark.parametrize("behind", [b"\0" * 64, b"\xff" * 7, b"\x08\x00\x18\x00??"])
def test_bytes_behind_the_pixel_data_are_left_out(tmp_path, behind):
    """Padding of a copy in blocks is no part of the object."""
    dataset = mr_object()
    path = write_object(dataset, tmp_path / "im")
    path.write_bytes(path.read_bytes() + behind)
    found = read_object(path)
    assert list(found)[-1].keyword == "PixelData"
    assert found.SOPInstanceUID == dataset.SOPInstanceUID


def test_the_digest_of_a_data_set_ignores_who_stored_it(tmp_path):
    """Another file meta information is the same object; another pixel is another."""
    dataset = mr_object()
    one = write_object(dataset, tmp_path / "one")
    other = tmp_path / "other"
    meta, content = parts(one)
    meta += struct.pack("<HH2sH", 2, 0x0016, b"AE", 6) + b"STORE1"
    other.write_bytes(b"\0" * 128 + b"DICM" + struct.pack("<HH2sHL", 2, 0, b"UL", 4, len(meta)) + meta + content)
    bare = tmp_path / "bare"
    bare.write_bytes(encoded(dataset))
    assert data_set_sha256(one) == data_set_sha256(other) == data_set_sha256(bare)
    assert file_sha256(one) != file_sha256(other)
    other.write_bytes(other.read_bytes()[:-1] + b"\x77")
    assert data_set_sha256(one) != data_set_sha256(other)
