"""The walk over a data set: real objects pass, damaged ones are refused, nothing crashes it."""

from __future__ import annotations

import contextlib
import io
import zlib
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from support.data import shared_data
from support.mr import encoded, mr_object

from dicom_node.node.dicom_uids import TRANSFER_SYNTAXES, TransferSyntax
from dicom_node.receive.elements import MAX_DEPTH, MAX_HEADERS, inflate, summarize
from dicom_node.receive.statuses import Refusal, Status

EXPLICIT = TRANSFER_SYNTAXES["1.2.840.10008.1.2.1"]
IMPLICIT = TRANSFER_SYNTAXES["1.2.840.10008.1.2"]
BIG = TRANSFER_SYNTAXES["1.2.840.10008.1.2.2"]
JPEG_LS = TRANSFER_SYNTAXES["1.2.840.10008.1.2.4.80"]
DEFLATED = TRANSFER_SYNTAXES["1.2.840.10008.1.2.1.99"]
PLAIN = [EXPLICIT, IMPLICIT, BIG]


def walk(raw: bytes, syntax: TransferSyntax):
    return summarize(lambda size, offset: raw[offset : offset + size], len(raw), syntax)


def named(syntax: TransferSyntax) -> str:
    return syntax.name


@pytest.mark.parametrize("syntax", [*PLAIN, JPEG_LS], ids=named)
def test_the_summary_is_what_pydicom_reads(syntax):
    """UIDs and the length of the pixel data come out of every encoding."""
    dataset = mr_object()
    found = walk(encoded(dataset, syntax.uid), syntax)
    assert found.sop_class_uid == dataset.SOPClassUID
    assert found.sop_instance_uid == dataset.SOPInstanceUID
    assert found.study_instance_uid == dataset.StudyInstanceUID
    assert found.series_instance_uid == dataset.SeriesInstanceUID
    assert found.has_pixel_data
    assert found.pixel_bytes == (None if syntax.encapsulated else 32 * 32 * 2)
    assert found.expected_pixel_bytes == 32 * 32 * 2


@pytest.mark.parametrize("syntax", [*PLAIN, JPEG_LS], ids=named)
def test_a_data_set_cut_off_anywhere_is_refused_or_lacks_its_end(syntax):
    """Cut at any byte: refused with 0xC000, or, cut between two elements, without pixel data."""
    raw = encoded(mr_object(matrix=4), syntax.uid)
    for end in range(1, len(raw)):
        try:
            found = walk(raw[:end], syntax)
        except Refusal as refusal:
            assert refusal.status is Status.CANNOT_UNDERSTAND
        else:
            assert not found.has_pixel_data


def nested(depth: int) -> bytes:
    """Sequences of undefined length in each other, explicit VR little endian."""
    opened = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    closed = b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    return opened * depth + closed * depth


def test_nesting_is_followed_and_limited():
    """Sequences in sequences are followed without recursion; absurd depth is refused."""
    walk(nested(MAX_DEPTH // 2), EXPLICIT)
    with pytest.raises(Refusal, match="nested deeper"):
        walk(nested(100_000), EXPLICIT)


@pytest.mark.parametrize("syntax", PLAIN, ids=named)
@pytest.mark.parametrize("undefined", [True, False])
def test_sequences_of_both_kinds_are_passed(syntax, undefined):
    """Items and sequences of defined and undefined length; UIDs inside of them are not taken for the object's own."""
    inner = Dataset()
    inner.SOPInstanceUID = "1.2.3"
    inner.SeriesInstanceUID = "1.2.3"
    outer = Dataset()
    outer.ReferencedInstanceSequence = DicomSequence([inner, inner])
    dataset = mr_object()
    dataset.ReferencedStudySequence = DicomSequence([outer, Dataset()])
    dataset["ReferencedStudySequence"].is_undefined_length = undefined
    outer["ReferencedInstanceSequence"].is_undefined_length = undefined
    outer.is_undefined_length_sequence_item = undefined
    inner.is_undefined_length_sequence_item = undefined
    found = walk(encoded(dataset, syntax.uid), syntax)
    assert found.sop_instance_uid == dataset.SOPInstanceUID
    assert found.series_instance_uid == dataset.SeriesInstanceUID


def test_unknown_vr_of_undefined_length_is_a_sequence_in_implicit_vr():
    """UN of undefined length holds Implicit VR Little Endian (PS3.5 6.2.2)."""
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + b"\x09\x00\x01\x10\x02\0\0\0ab" + b"\xfe\xff\x0d\xe0\0\0\0\0"
    raw = b"\x09\x00\x10\x10UN\0\0\xff\xff\xff\xff" + item + b"\xfe\xff\xdd\xe0\0\0\0\0"
    assert walk(raw + encoded(mr_object()), EXPLICIT).has_pixel_data


@pytest.mark.parametrize("vr", [b"LO", b"IS"])
@pytest.mark.parametrize("size", [2, 300])
def test_a_sequence_that_lost_its_vr_may_hold_explicit_vr(vr, size):
    """Archives write UN over a sequence and leave its content as it was: it is taken, as readers do."""
    element = b"\x09\x00\x01\x10" + vr + size.to_bytes(2, "little") + b"1" * size
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + element + b"\xfe\xff\x0d\xe0\0\0\0\0"
    raw = b"\x09\x00\x10\x10UN\0\0\xff\xff\xff\xff" + item * 2 + b"\xfe\xff\xdd\xe0\0\0\0\0"
    dataset = mr_object()
    found = walk(raw + encoded(dataset), EXPLICIT)
    assert (found.sop_instance_uid, found.has_pixel_data) == (dataset.SOPInstanceUID, True)


@pytest.mark.parametrize("vr", [b"??", b"\0\0", b"ZZ"])
def test_a_public_element_with_an_unknown_vr_is_stepped_over_too(vr):
    """The reader takes it, so that it is no reason to lose a slice."""
    dataset = mr_object()
    found = walk(b"\x08\x00\x03\x00" + vr + b"\x04\0abcd" + encoded(dataset), EXPLICIT)
    assert (found.sop_instance_uid, found.has_pixel_data) == (dataset.SOPInstanceUID, True)


@pytest.mark.parametrize("syntax", [*PLAIN, JPEG_LS], ids=named)
@pytest.mark.parametrize(
    "behind", [b"\0" * 64, b"\0", b"\xff" * 33, b"\x08\x00\x18\x00UI\x04\x001.2\0"], ids=["NULs", "one", "ones", "UID"]
)
def test_bytes_behind_whole_pixel_data_are_padding(syntax, behind):
    """What a copy in blocks leaves behind the pixels costs no slice, and is not taken for the object's own."""
    dataset = mr_object()
    found = walk(encoded(dataset, syntax.uid) + behind, syntax)
    assert found.sop_instance_uid == dataset.SOPInstanceUID
    assert found.has_pixel_data


@pytest.mark.parametrize("syntax", PLAIN, ids=named)
@pytest.mark.parametrize("kind", [0xE000, 0xE00D, 0xE0DD], ids=["item", "end of item", "end of sequence"])
@pytest.mark.parametrize("content", [0, 8])
@pytest.mark.parametrize("before", ["Rows", "PixelData"])
def test_an_item_outside_all_sequences_is_what_it_is_to_the_reader(syntax, kind, content, before):
    """Stepped over where the reader reads on behind it; refused where the reader loses what follows."""
    dataset, order = mr_object(), "big" if syntax is BIG else "little"
    raw, tag = encoded(dataset, syntax.uid), pydicom.tag.Tag(before)
    at = raw.index(tag.group.to_bytes(2, order) + tag.elem.to_bytes(2, order))
    stray = (0xFFFE).to_bytes(2, order) + kind.to_bytes(2, order) + content.to_bytes(4, order) + b"\1" * content
    spoilt = raw[:at] + stray + raw[at:]
    stream = pydicom.filebase.DicomBytesIO(spoilt)
    read = pydicom.filereader.read_dataset(stream, not syntax.explicit_vr, order == "little")
    if "PixelData" not in read:
        with pytest.raises(Refusal, match=f"delimiter FFFE{kind:04X} at offset {at} outside a sequence"):
            walk(spoilt, syntax)
        return
    assert walk(spoilt, syntax) == walk(raw, syntax)


def test_bytes_behind_pixel_data_that_is_cut_off_are_no_padding():
    """Half an image is refused, whatever stands behind it; the series is remembered by its UID."""
    dataset = mr_object()
    dataset.PixelData = dataset.PixelData[:1000]
    with pytest.raises(Refusal, match="at offset") as caught:
        walk(encoded(dataset) + b"\0" * 3, EXPLICIT)
    assert caught.value.series_instance_uid == dataset.SeriesInstanceUID


@pytest.mark.parametrize("vr", [b"RE", b"\0\0", b"  ", b"??", b"--"])
@pytest.mark.parametrize("group", [0x0009, 0x2005])
@pytest.mark.parametrize("undefined", [None, True])
def test_a_private_element_with_an_unknown_vr_is_stepped_over(vr, group, undefined):
    """A VR that no edition has costs no slice, before the UIDs, behind them, and inside a sequence."""
    dataset, odd = mr_object(), b""
    holder = dataset
    if undefined:
        holder = Dataset()
        dataset.ReferencedStudySequence = DicomSequence([holder])
        dataset["ReferencedStudySequence"].is_undefined_length = holder.is_undefined_length_sequence_item = True
    holder.private_block(group, "ODD", create=True).add_new(0x10, "LO", "ABCDEFGH")
    raw = encoded(dataset)
    odd = group.to_bytes(2, "little") + b"\x10\x10"
    at = raw.index(odd + b"LO") + 4
    found = walk(raw[:at] + vr + raw[at + 2 :], EXPLICIT)
    assert found.series_instance_uid == dataset.SeriesInstanceUID
    assert found.pixel_bytes == 32 * 32 * 2


def test_an_unknown_vr_that_cannot_be_stepped_over_is_named():
    """The reason names element, offset and what stands there."""
    with pytest.raises(Refusal, match=r"\(0009,1010\) at offset 0 has the value representation 3f3f"):
        walk(b"\x09\x00\x10\x10??\x04\0ab" + encoded(mr_object()), EXPLICIT)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"\x08\x00\x16\x00\x01\x02\x09\x00ab", "value representation"),
        (b"\xfe\xff\x0d\xe0\0\0\0\0", "outside a sequence"),
        (b"\xfe\xff\x00\xe0\xff\xff\xff\xff", "outside a sequence"),
        (b"\xfe\xff\xdd\xe0\x04\0\0\0ab", "outside a sequence"),
        (b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff", "not closed"),
        (b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\x08\x00\x16\x00\0\0\0\0", "expected an item"),
        (b"\x08\x00\x16\x00LT\xff\xff", "bytes, 0 are left"),
        (b"\x08\x00\x16\x00UT\0\0\xff\xff\xff\xff", "undefined length"),
        (b"\xe0\x7f\x10\x00OW\0\0\xff\xff\xff\xff", "undefined length"),
        (b"\x08\x00\x18\x00UI\x80\x00" + b"1" * 128, "at most 64"),
        (b"\0", "cut off"),
    ],
)
def test_a_broken_structure_is_refused_with_its_reason(raw, words):
    """Each fault of the structure has words of its own, and 0xC000."""
    with pytest.raises(Refusal, match=words) as caught:
        walk(raw, EXPLICIT)
    assert caught.value.status is Status.CANNOT_UNDERSTAND


@given(st.binary(max_size=300), st.sampled_from([*PLAIN, JPEG_LS]))
@settings(max_examples=500, deadline=None)
def test_random_bytes_end_in_a_summary_or_a_refusal(raw, syntax):
    """Random bytes never raise anything but a refusal."""
    with contextlib.suppress(Refusal):
        walk(raw, syntax)


_SAMPLES = {syntax: encoded(mr_object(matrix=4), syntax.uid) for syntax in [*PLAIN, JPEG_LS]}


@given(st.sampled_from(list(_SAMPLES)), st.data())
@settings(max_examples=500, deadline=None)
def test_damaged_objects_end_in_a_summary_or_a_refusal(syntax, data):
    """A few bytes of a good object changed: a summary or a refusal, nothing else, and no endless loop."""
    damaged = bytearray(_SAMPLES[syntax])
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Refusal):
        walk(bytes(damaged), syntax)


def inflated(raw: bytes) -> bytes:
    target = io.BytesIO()
    length = inflate(lambda size, offset: raw[offset : offset + size], len(raw), target)
    assert length == len(target.getvalue())
    return target.getvalue()


def deflated(plain: bytes) -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflater.compress(plain) + deflater.flush()


def test_a_deflated_data_set_is_inflated_whole():
    """What zlib deflated comes back; the pad byte that makes the length even is no fault."""
    plain = encoded(mr_object(matrix=256))
    assert inflated(deflated(plain)) == plain
    assert inflated(deflated(plain) + b"\0") == plain


def test_a_damaged_or_cut_deflated_data_set_is_refused():
    """0xC000, not half an object."""
    raw = deflated(encoded(mr_object(matrix=64)))
    for bad in (raw[:-10], raw[: len(raw) // 2], b"\xff" + raw[1:], b""):
        with pytest.raises(Refusal) as caught:
            inflated(bad)
        assert caught.value.status is Status.CANNOT_UNDERSTAND


def test_a_data_set_that_grows_as_no_image_does_is_not_understood():
    """A few kB that inflate to far more: refused with 0xC000, so that the sender does not try for ever."""
    with pytest.raises(Refusal) as caught:
        inflated(deflated(bytes(64 << 20)))
    assert caught.value.status is Status.CANNOT_UNDERSTAND


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT], ids=named)
@pytest.mark.parametrize("what", ["items", "elements", "elements of items"])
@pytest.mark.slow
def test_absurdly_many_elements_or_items_are_refused(what, syntax):
    """Each costs its sender 8 bytes and its reader a kilobyte: no more than a million."""
    tag = (b"\x08\x00\x40\x11SQ\0\0" if syntax is EXPLICIT else b"\x08\x00\x40\x11") + b"\xff\xff\xff\xff"
    element = b"\x09\x00\x40\x11LO\0\0" if syntax is EXPLICIT else b"\x09\x00\x40\x11\0\0\0\0"
    item, item_end = b"\xfe\xff\x00\xe0\0\0\0\0", b"\xfe\xff\x0d\xe0\0\0\0\0"
    open_item, end = b"\xfe\xff\x00\xe0\xff\xff\xff\xff", b"\xfe\xff\xdd\xe0\0\0\0\0"

    def data_set(count):
        return {
            "items": tag + item * count + end,
            "elements": element * count,
            "elements of items": tag + (open_item + element * 8 + item_end) * (count // 10) + end,
        }[what]

    walk(data_set(MAX_HEADERS - 100), syntax)
    with pytest.raises(Refusal, match="no image has that many") as caught:
        walk(data_set(MAX_HEADERS + 20), syntax)
    assert caught.value.status is Status.CANNOT_UNDERSTAND


def real_files() -> list[Path]:
    return [path for path in sorted(shared_data("dicom").rglob("*")) if path.is_file()]


@pytest.mark.shared_data
def test_every_real_object_of_a_known_transfer_syntax_passes():
    """Objects of many vendors and transfer syntaxes, as they are: the walk agrees with pydicom about their UIDs."""
    seen = 0
    for path in real_files():
        raw = path.read_bytes()
        if raw[128:132] != b"DICM":
            continue
        meta = pydicom.filereader.read_file_meta_info(path)
        syntax = TRANSFER_SYNTAXES.get(meta.TransferSyntaxUID)
        if syntax is None:
            continue
        data = raw[144 + int.from_bytes(raw[140:144], "little") :]
        if syntax.deflated:
            data = inflated(data)
        expected = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SOPInstanceUID", "SeriesInstanceUID"])
        found = walk(data, syntax)
        assert found.sop_instance_uid == expected.SOPInstanceUID, path
        assert found.series_instance_uid == expected.SeriesInstanceUID, path
        seen += 1
    assert seen > 20
