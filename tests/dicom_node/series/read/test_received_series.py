"""Received files are read in a confined child: the same volume, the same refusals, and nothing that grows."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, MRImageStorage, RawDataStorage, generate_uid
from support.dicom_series import small_scan, write_scan

from db.records import StoredInstance
from dicom_node.node.confined.limits import Limits
from dicom_node.node.errors import NoRefusalReport, NotFlair, UnreadableObject, WmhNodeError
from dicom_node.receive.part10 import file_header
from dicom_node.series.dicom.parsing import file_sha256
from dicom_node.series.read.instances import digest_of
from dicom_node.series.read.received_series import LIMITS, ReceivedSeriesReader, first_header
from dicom_node.series.read.series import read_series

_MEBIBYTE = 1024**2


def rows(files: Sequence[Path]) -> list[StoredInstance]:
    """The rows that the receiver would have made."""
    return [
        StoredInstance(
            sop_instance_uid=str(pydicom.filereader.read_file_meta_info(file).MediaStorageSOPInstanceUID),
            sop_class_uid=MRImageStorage,
            series_instance_uid="1.2.5",
            study_instance_uid="1.2.4",
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            path=file.name,
            sha256=file_sha256(file),
            size_bytes=file.stat().st_size,
            association_id=1,
            ordinal=ordinal,
            is_conflict=False,
            known_elsewhere=False,
            received_at=datetime(2026, 11, 24, tzinfo=UTC),
        )
        for ordinal, file in enumerate(files, 1)
    ]


@pytest.fixture(scope="module")
def reader() -> Iterator[ReceivedSeriesReader]:
    """One with the limits of the product."""
    one = ReceivedSeriesReader()
    yield one
    one.close()


@pytest.mark.parametrize("enhanced", [False, True])
def test_what_the_child_reads_is_what_this_process_reads(
    reader: ReceivedSeriesReader, tmp_path: Path, enhanced: bool
) -> None:
    """Voxels, geometry, flags, and every element of the headers; and the voxels can be written to."""
    files = write_scan(small_scan(), tmp_path, enhanced=enhanced)
    here = read_series(files)
    instances = rows(files)
    there = reader.read(instances, tmp_path, digest_of(instances))
    np.testing.assert_array_equal(there.voxels, here.voxels)
    np.testing.assert_array_equal(there.affine, here.affine)
    assert [header.to_json() for header in there.headers] == [header.to_json() for header in here.headers]
    names = ("spacing_mm", "frames", "series_instance_uid", "frame_of_reference_uid", "instances_digest", "flags")
    assert [getattr(there, name) for name in names] == [getattr(here, name) for name in names]
    assert there.voxels.flags.writeable


def test_refusals_come_through(reader: ReceivedSeriesReader, tmp_path: Path) -> None:
    """With their kind, code and reason; and files that are not the job's are an error that names both digests."""
    files = write_scan(small_scan(), tmp_path, description="t1_mprage", protocol="t1_mprage")
    instances = rows(files)
    with pytest.raises(NotFlair) as caught:
        reader.read(instances, tmp_path, digest_of(instances))
    with pytest.raises(NotFlair) as here:
        read_series(files)
    assert (caught.value.code, caught.value.reason) == (here.value.code, here.value.reason)
    with pytest.raises(WmhNodeError, match=r"in the table.*expected digest 0000"):
        reader.read(instances, tmp_path, "0" * 64)


def test_a_job_named_by_what_came_first_is_read(reader: ReceivedSeriesReader, tmp_path: Path) -> None:
    """Completion that lost its reader names the job by the first files; of a slice sent twice the sound one is read."""
    files = write_scan(small_scan(), tmp_path)
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(files[3].read_bytes()[:-500])
    first = rows([*files[:3], cut, *files[4:]])
    instances = [*first, replace(rows([files[3]])[0], is_conflict=True, ordinal=len(first) + 1)]
    found = reader.read(instances, tmp_path, digest_of(first))
    assert found.files_digest == digest_of(rows(files))
    np.testing.assert_array_equal(found.voxels, read_series(files).voxels)


def test_the_refusal_report_is_filed_under_an_images_patient(tmp_path: Path) -> None:
    """Raw objects without a patient, however many and how early they came, change nothing about whose the series is. A
    copy of one slice under another patient does: no report is sent, since the patient is unknown until all came."""
    files = write_scan(small_scan(), tmp_path, patient_id="P-1")
    raw = [_changed(files[0], f"raw{index}", SOPClassUID=RawDataStorage, PatientID="") for index in range(9)]
    corrected = _changed(files[2], "corrected", PatientID="P-2")
    uid = pydicom.dcmread(files[0]).SeriesInstanceUID
    instances = [*(replace(row, sop_class_uid=RawDataStorage) for row in rows(raw)), *rows(files)]
    instances = [replace(instance, series_instance_uid=uid) for instance in instances]
    header = first_header(instances, tmp_path)
    assert (header.PatientID, header.SOPClassUID) == ("P-1", MRImageStorage)
    copy = replace(rows([corrected])[0], sop_instance_uid=rows(files)[2].sop_instance_uid, is_conflict=True)
    with pytest.raises(NoRefusalReport, match="several patients"):
        first_header([*instances, replace(copy, series_instance_uid=uid)], tmp_path)


def _changed(path: Path, name: str, **elements: str) -> Path:
    """A copy under its own UID, without pixels where it is no image."""
    instance = pydicom.dcmread(path)
    instance.SOPInstanceUID = instance.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[name])
    for keyword, value in elements.items():
        setattr(instance, keyword, value)
    if instance.SOPClassUID == RawDataStorage:
        instance.file_meta.MediaStorageSOPClassUID = RawDataStorage
        for keyword in ("Rows", "Columns", "PixelData"):
            delattr(instance, keyword)
    instance.save_as(made := path.with_name(f"{name}.dcm"), enforce_file_format=True)
    return made


def _bomb(folder: Path) -> Path:
    """An MR image of some kilobytes whose private sequence takes a gigabyte in a parser."""
    items = struct.pack("<HHL", 0xFFFE, 0xE000, 0) * 900_000
    sequence = struct.pack("<HH2sxxL", 9, 0x1140, b"SQ", 0xFFFFFFFF) + items + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    path = folder / "bomb.dcm"
    header = file_header(MRImageStorage, "1.2.3", DeflatedExplicitVRLittleEndian)
    path.write_bytes(header + deflater.compress(sequence) + deflater.flush())
    return path


@pytest.mark.slow
def test_a_series_that_grows_without_bounds_is_refused(tmp_path: Path) -> None:
    """Within the limit of memory, and this process stays as it is; the product's own limit is finite."""
    instances = rows([_bomb(tmp_path)])
    reader = ReceivedSeriesReader(Limits(256 * _MEBIBYTE, seconds=600, answer_bytes=_MEBIBYTE))
    with pytest.raises(UnreadableObject) as caught:
        reader.read(instances, tmp_path, digest_of(instances))
    assert caught.value.code == "header_too_complex"
    assert LIMITS.memory_bytes < 5 * 1024**3
    reader.close()
