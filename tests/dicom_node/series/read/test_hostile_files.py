"""Broken and hostile files are refused with a typed reason; nothing else ever comes out of the reader."""

from __future__ import annotations

import logging
import random
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless
from support.dicom_series import small_scan, write_scan

from dicom_node.node.errors import NotAnalysable, UnreadableObject
from dicom_node.series.dicom import parsing
from dicom_node.series.dicom.folder import find_series
from dicom_node.series.dicom.parsing import read_header
from dicom_node.series.read.series import read_series
from dicom_node.series.rules.completeness import slice_completeness
from dicom_node.series.rules.flair import classify_series


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """pydicom warns about every second broken value."""
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.getLogger("pydicom").setLevel(logging.WARNING)


def _damaged(content: bytes, generator: random.Random) -> bytes:
    """Cut off, flip, insert or drop bytes; half of the time near the beginning, where the header is."""
    data = bytearray(content)
    limit = generator.choice([len(data), min(len(data), 3000)])
    at = generator.randrange(limit)
    match generator.randrange(4):
        case 0:
            del data[at:]
        case 1:
            for _ in range(generator.randrange(1, 8)):
                data[generator.randrange(limit)] = generator.randrange(256)
        case 2:
            data[at:at] = generator.randbytes(generator.randrange(1, 9))
        case _:
            del data[at : at + generator.randrange(1, 20)]
    return bytes(data)


@pytest.mark.parametrize("enhanced", [False, True])
@pytest.mark.parametrize(
    "syntax",
    [None, DeflatedExplicitVRLittleEndian, RLELossless, JPEG2000Lossless, JPEGLSLossless],
    ids=lambda uid: uid.keyword if uid else "uncompressed",
)
@pytest.mark.slow
def test_damaged_files_never_surprise(syntax: UID | None, enhanced: bool, tmp_path: Path) -> None:
    """Whatever bytes are damaged, reader and rules give a volume, a verdict or a typed refusal."""
    files = write_scan(small_scan(5, 40, 36), tmp_path, enhanced=enhanced)
    if syntax is not None:
        for path in files:
            instance = pydicom.dcmread(path)
            if syntax != DeflatedExplicitVRLittleEndian:
                instance.compress(syntax, generate_instance_uid=False)
            instance.file_meta.TransferSyntaxUID = syntax
            instance.save_as(path, enforce_file_format=True)
    generator = random.Random(f"{syntax} {enhanced}")
    victim = files[len(files) // 2]
    content = victim.read_bytes()
    for _ in range(60):
        victim.write_bytes(_damaged(content, generator))
        for series in find_series(files).series:
            classify_series(series.headers)
            slice_completeness(series.headers)
        try:
            read_series(files)
        except NotAnalysable as refusal:
            assert refusal.code
            assert refusal.reason


@pytest.mark.parametrize("content", [b"", b"DICM", bytes(200), b"\0" * 128 + b"DICM", b"%PDF-1.7 ..."])
def test_files_that_are_no_dicom(content: bytes, tmp_path: Path) -> None:
    """Empty files and files of other kinds are refused."""
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(NotAnalysable):
        read_series([path])


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A path without a file is refused, and its name is not shown."""
    with pytest.raises(UnreadableObject) as caught:
        read_header(tmp_path / "DOE^JANE.dcm")
    assert "DOE" not in str(caught.value)


def test_a_deflate_bomb_is_refused_before_it_unfolds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few KB that inflate beyond the limit are refused, and at most the limit is inflated."""
    monkeypatch.setattr(parsing, "MAX_INFLATED_BYTES", 4 * 1024**2)
    (path,) = write_scan(small_scan(5), tmp_path, enhanced=True)
    instance = pydicom.dcmread(path)
    instance.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    instance.ImageComments = "x"
    instance.save_as(path, enforce_file_format=True)
    content = path.read_bytes()
    (length,) = struct.unpack("<L", content[140:144])
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = deflater.compress(bytes(64 * 1024**2)) + deflater.flush()
    path.write_bytes(content[: 144 + length] + bomb)
    assert path.stat().st_size < 200_000
    with pytest.raises(UnreadableObject) as caught:
        read_header(path)
    assert caught.value.code == "deflated_too_large"


def test_deeply_nested_sequences(tmp_path: Path) -> None:
    """Sequences nested thousands of levels deep end in a refusal, not in the interpreter's limit."""
    (path, *_) = write_scan(small_scan(5), tmp_path)
    item = bytes.fromhex("feff00e0ffffffff")
    sequence = bytes.fromhex("08001511") + b"SQ\0\0" + bytes.fromhex("ffffffff")
    path.write_bytes(path.read_bytes()[:340] + (sequence + item) * 5000)
    with pytest.raises(NotAnalysable):
        read_series([path])


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"Rows": 60000, "Columns": 60000}, "matrix_too_large"),
        ({"Rows": 4000}, "pixels_undecodable"),
        ({"BitsStored": 17}, "bits_contradictory"),
        ({"BitsAllocated": 12}, "bits_contradictory"),
        ({"SamplesPerPixel": 3}, "colour"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "colour"),
        ({"RescaleSlope": "0"}, "rescale_slope_zero"),
        ({"RescaleSlope": "1e38"}, "intensity_out_of_range"),
        ({"NumberOfFrames": 4000000000}, "frames_in_single_frame"),
        ({"ImagePositionPatient": ["0", "0"]}, "no_geometry"),
        ({"ImageOrientationPatient": ["0", "0", "0", "0", "0", "0"]}, "no_geometry"),
        ({"PixelSpacing": ["0", "0"]}, "no_geometry"),
        ({"PixelSpacing": ["1e9", "1e9"]}, "no_geometry"),
        ({"StudyInstanceUID": ""}, "no_uid"),
        ({"SOPInstanceUID": "../../etc/passwd"}, "no_uid"),
    ],
    ids=str,
)
def test_impossible_headers(changes: dict[str, object], code: str, tmp_path: Path) -> None:
    """Each impossible value is refused by name, before memory is spent."""
    files = write_scan(small_scan(5), tmp_path, extra=changes)
    with pytest.raises(NotAnalysable) as caught:
        read_series(files)
    assert caught.value.code == code


def test_frames_that_do_not_match_their_groups(tmp_path: Path) -> None:
    """An Enhanced instance that announces more frames than it describes is refused."""
    files = write_scan(small_scan(6), tmp_path, enhanced=True, extra={"NumberOfFrames": 7})
    with pytest.raises(UnreadableObject) as caught:
        read_series(files)
    assert caught.value.code == "frame_count_mismatch"


def test_headers_are_safe_to_copy_from(tmp_path: Path) -> None:
    """Values that cannot be converted are dropped, and ill-formed dates emptied, so that results can be written."""
    files = write_scan(small_scan(5), tmp_path)
    for path in files:
        content = path.read_bytes()
        assert b"\x18\x00\x91\x00IS\x02\x0016" in content
        # EchoTrainLength as a US of 3 bytes; StudyDate in the form of ACR-NEMA 2.
        content = content.replace(b"\x18\x00\x91\x00IS\x02\x0016", b"\x18\x00\x91\x00US\x03\x00161")
        path.write_bytes(content.replace(b"DA\x08\x0020240101", b"DA\x0a\x002024.01.01"))
    series = read_series(files)
    for header in series.headers:
        assert "EchoTrainLength" not in header
        assert not header.StudyDate
        assert header.PatientID == "TEST-1"


def test_odd_values_are_not_quoted_in_warnings(tmp_path: Path) -> None:
    """pydicom would warn about an ill-formed birth date with its text; nothing of it may reach a log."""
    (path, *_) = files = write_scan(small_scan(5), tmp_path)
    content = path.read_bytes()
    assert b"\x10\x00\x30\x00DA\x00\x00" in content
    path.write_bytes(content.replace(b"\x10\x00\x30\x00DA\x00\x00", b"\x10\x00\x30\x00DA\x08\x0001.05.50"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        series = read_series(files)
    assert all(not header.PatientBirthDate for header in series.headers)


def test_refusals_hold_no_patient_data(tmp_path: Path) -> None:
    """Reasons quote no free text: it may hold a name."""
    files = write_scan(small_scan(5), tmp_path, description="T1 DOE JANE 1950", protocol="DOE", inversion_ms=None)
    with pytest.raises(NotAnalysable) as caught:
        read_series(files)
    assert "DOE" not in str(caught.value)
