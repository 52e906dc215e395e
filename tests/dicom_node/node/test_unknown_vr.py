"""The length of an element whose VR no edition of DICOM has."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom_node.node.unknown_vr import length_of_unknown

NEXT = struct.pack("<HH2sH", 0x0010, 0x0010, b"PN", 2) + b"A "
VRS = [b"RE", b"\0\0", b"  ", b"??", b"--", b"ox"]


def length_in(raw: bytes, position: int = 0) -> tuple[int, int] | None:
    return length_of_unknown(lambda at, count: raw[at : at + count], position, len(raw), big_endian=False)


def short(vr: bytes, value: bytes, element: int = 0x1010) -> bytes:
    return struct.pack("<HH2sH", 0x0009, element, vr, len(value)) + value


def long(vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sHL", 0x0009, 0x1010, vr, 0, len(value)) + value


def implicit(value: bytes) -> bytes:
    return struct.pack("<HHL", 0x0009, 0x1010, len(value)) + value


@pytest.mark.parametrize("vr", VRS)
@pytest.mark.parametrize("behind", [NEXT, b""], ids=["an element", "the end"])
def test_each_form_of_length_is_found_by_what_follows(vr, behind):
    """Two bytes, four bytes, or four in place of VR and length: the form after which the data set goes on."""
    assert length_in(short(vr, b"ABCDEFGH") + behind) == (8, 8)
    assert length_in(long(vr, b"ABCDEFGH") + behind) == (12, 8)
    assert length_in(implicit(b"ABCDEFGH") + behind) == (8, 8)


def test_several_unknown_elements_in_a_row_are_stepped_over():
    """A vendor's whole block without VRs is no obstacle."""
    raw = b"".join(short(b"\0\0", b"ABCD", 0x1010 + number) for number in range(12)) + NEXT
    position = 0
    for _ in range(12):
        start, length = length_in(raw, position)
        position = start + length
    assert raw[position:] == NEXT


def test_an_element_behind_which_nothing_makes_sense_has_no_length():
    """Bytes that fit no form are left alone: a wrong guess would take pixels for elements."""
    assert length_in(short(b"??", b"ABCDEFGH") + b"\x01\x02\x03\x04\x05\x06\x07\x08\x09") is None


@given(st.binary(max_size=80), st.booleans())
@settings(max_examples=200, deadline=None)
def test_random_bytes_give_a_length_inside_the_data_set_or_none(raw, big_endian):
    """Whatever comes, a value never reaches beyond the data set."""
    found = length_of_unknown(lambda at, count: raw[at : at + count], 0, len(raw), big_endian)
    assert found is None or 0 < sum(found) <= len(raw)
