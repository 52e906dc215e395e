"""C-ECHO and C-STORE by DCMTK: what arrives is what was sent, once."""

from __future__ import annotations

import hashlib
import subprocess

import pydicom
import pytest
from pydicom.uid import SecondaryCaptureImageStorage, VLWholeSlideMicroscopyImageStorage, generate_uid
from support.data import shared_data
from support.mr import data_set_bytes, mr_object, mr_series, write_object
from support.receiver import answers, dcmtk, storescu
from support.whole_study import other_objects

from dicom_node.deliver.send import send_files
from dicom_node.node.dicom_uids import (
    ENHANCED_MR_IMAGE_STORAGE,
    LABEL_MAP_SEGMENTATION_STORAGE,
    MR_IMAGE_STORAGE,
    TRANSFER_SYNTAXES,
)
from dicom_node.node.storage_classes import STORAGE_CLASSES

pytestmark = pytest.mark.peer("storescu")

# storescu proposes one compressed or one native transfer syntax besides the default ones
_PROPOSE = {
    "1.2.840.10008.1.2": "-xi",
    "1.2.840.10008.1.2.1": "-xe",
    "1.2.840.10008.1.2.2": "-xb",
    "1.2.840.10008.1.2.1.99": "-xd",
    "1.2.840.10008.1.2.5": "-xr",
    "1.2.840.10008.1.2.4.70": "-xs",
    "1.2.840.10008.1.2.4.80": "-xt",
    "1.2.840.10008.1.2.4.81": "-xu",
    "1.2.840.10008.1.2.4.90": "-xv",
    "1.2.840.10008.1.2.4.91": "-xw",
}


def stored_file(receiver, series_uid, instance_uid):
    """The file and row of one instance."""
    row = next(row for row in receiver.rows(series_uid) if row.sop_instance_uid == instance_uid)
    return receiver.settings.storage / row.path, row


def test_echo_is_answered(receiver):
    """DCMTK's echoscu gets 0x0000."""
    done = subprocess.run(
        [dcmtk("echoscu"), "-v", "-aec", "WMHNODE", "127.0.0.1", str(receiver.port)],
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("syntax", TRANSFER_SYNTAXES.values(), ids=lambda syntax: syntax.name)
def test_each_transfer_syntax_is_stored_as_received(receiver, tmp_path, syntax):
    """The data set on disk is byte for byte the one that was sent, in its transfer syntax, with the right sha256."""
    dataset = mr_object()
    path = write_object(dataset, tmp_path / "object.dcm", syntax.uid)
    if syntax.uid in _PROPOSE:
        done = storescu(receiver, [path], _PROPOSE[syntax.uid])
        assert answers(done) == ["Success"], done.stdout
    else:
        assert send_files([path], receiver.address)[0].ok
    stored, row = stored_file(receiver, dataset.SeriesInstanceUID, dataset.SOPInstanceUID)
    meta = pydicom.filereader.read_file_meta_info(stored)
    assert meta.TransferSyntaxUID == row.transfer_syntax_uid == syntax.uid
    assert meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    assert row.sha256 == hashlib.sha256(stored.read_bytes()).hexdigest()
    assert row.size_bytes == stored.stat().st_size
    assert pydicom.dcmread(stored) == pydicom.dcmread(path)
    if not syntax.deflated and not syntax.encapsulated:  # storescu writes other lengths of sequences for these
        again = send_files([path], receiver.address)
        assert again[0].ok
    else:
        assert data_set_bytes(stored)[:64] == data_set_bytes(path)[:64]


def test_our_own_sender_leaves_no_byte_different(receiver, tmp_path):
    """Sent without decoding, stored without decoding: the same data set."""
    dataset = mr_object()
    path = write_object(dataset, tmp_path / "object.dcm")
    assert send_files([path], receiver.address)[0].ok
    stored, _ = stored_file(receiver, dataset.SeriesInstanceUID, dataset.SOPInstanceUID)
    assert data_set_bytes(stored) == data_set_bytes(path)


@pytest.mark.parametrize("sop_class", sorted(STORAGE_CLASSES))
def test_each_storage_class_is_taken(receiver, tmp_path, sop_class):
    """All of the table; DCMTK's storescu knows neither Label Map Segmentation nor the vendors' own classes."""
    path = write_object(mr_object(sop_class=sop_class, frames=3), tmp_path / "object.dcm")
    assert send_files([path], receiver.address)[0].ok
    if sop_class != LABEL_MAP_SEGMENTATION_STORAGE and sop_class.startswith("1.2.840.10008."):
        assert answers(storescu(receiver, [path], "-R")) == ["Success"]


def test_a_whole_study_is_taken_by_a_sender_that_halts(receiver, tmp_path):
    """storescu ends at the first object that is not taken: reports and screen shots before the MR do not end it, and
    what they hold is on disk as it was sent."""
    mr = mr_series(tmp_path / "mr", 2)
    others = other_objects(mr, tmp_path / "others")
    done = storescu(receiver, [*others, *mr], "-R")
    assert answers(done) == ["Success"] * (len(others) + len(mr)), done.stdout
    for path in others:
        sent = pydicom.dcmread(path)
        stored, row = stored_file(receiver, sent.SeriesInstanceUID, sent.SOPInstanceUID)
        assert pydicom.dcmread(stored) == sent
        assert row.sop_class_uid == sent.SOPClassUID


def test_what_is_only_held_needs_no_whole_pixels(receiver, tmp_path):
    """A screen shot whose pixels are cut off ends no transfer, since they are not read; an MR image like that does."""
    for sop_class, status in ((SecondaryCaptureImageStorage, 0x0000), (MR_IMAGE_STORAGE, 0xC000)):
        dataset = mr_object(sop_class=sop_class)
        dataset.PixelData = dataset.PixelData[:100]
        assert send_files([write_object(dataset, tmp_path / "cut.dcm")], receiver.address)[0].status == status


def test_a_refused_image_is_remembered_until_it_arrives_whole(receiver, tmp_path):
    """A series lacks the image that was cut off: completion can ask for it."""
    whole, dataset = mr_object(), mr_object()
    dataset.SOPInstanceUID, dataset.SeriesInstanceUID = whole.SOPInstanceUID, whole.SeriesInstanceUID
    dataset.PixelData = dataset.PixelData[:100]
    send_files([write_object(dataset, tmp_path / "cut.dcm")], receiver.address)
    assert receiver.count_refused(whole.SeriesInstanceUID) == 1
    send_files([write_object(whole, tmp_path / "whole.dcm")], receiver.address)
    assert receiver.count_refused(whole.SeriesInstanceUID) == 0


def test_classes_that_are_not_taken_are_rejected_and_the_rest_is_taken(receiver, tmp_path):
    """A slide among MR: its context is rejected as abstract syntax not supported, the MR is stored."""
    series = generate_uid()
    mr = write_object(mr_object(series=series), tmp_path / "mr.dcm")
    slide = write_object(mr_object(sop_class=VLWholeSlideMicroscopyImageStorage), tmp_path / "slide.dcm")
    done = storescu(receiver, [slide, mr], "--no-halt")
    assert answers(done) == ["Success"], done.stdout
    assert len(receiver.rows(series)) == 1
    outcomes = send_files([slide, mr], receiver.address)
    assert [outcome.status for outcome in outcomes] == [0x0122, 0x0000]


def test_the_same_object_twice_is_one_instance(receiver, tmp_path):
    """Sent again with the same bytes: success, one row, one file."""
    dataset = mr_object()
    path = write_object(dataset, tmp_path / "object.dcm")
    for _ in range(3):
        assert answers(storescu(receiver, [path])) == ["Success"]
    stored, _ = stored_file(receiver, dataset.SeriesInstanceUID, dataset.SOPInstanceUID)
    assert len(receiver.rows(dataset.SeriesInstanceUID)) == 1
    assert len(list(stored.parent.iterdir())) == 1


def test_other_bytes_under_the_same_uid_are_kept_beside_and_flagged(receiver, tmp_path):
    """Same SOP Instance UID, other pixels: success, both files, the second one flagged and logged once."""
    dataset = mr_object()
    first = write_object(dataset, tmp_path / "first.dcm")
    dataset.PixelData = bytes(len(dataset.PixelData))
    second = write_object(dataset, tmp_path / "second.dcm")
    assert answers(storescu(receiver, [first, second])) == ["Success", "Success"]
    rows = receiver.rows(dataset.SeriesInstanceUID)
    assert [row.is_conflict for row in rows] == [False, True]
    assert len({row.path for row in rows}) == 2
    assert all((receiver.settings.storage / row.path).is_file() for row in rows)
    assert any(dataset.SOPInstanceUID in line for line in receiver.lines("same instance with different bytes"))


def test_the_association_has_its_row(receiver, tmp_path):
    """After the release nothing is open and the series says how its association ended."""
    dataset = mr_object()
    storescu(receiver, [write_object(dataset, tmp_path / "object.dcm")])
    activity = next(found for found in receiver.series() if found.series_instance_uid == dataset.SeriesInstanceUID)
    assert (activity.instance_count, activity.open_associations, str(activity.last_end)) == (1, 0, "released")


def test_no_patient_data_in_log_or_file_names(receiver, tmp_path):
    """Names and IDs of patients reach neither the log nor a path."""
    dataset = mr_object(PatientName="Secret^Person", PatientID="SECRET-4711")
    storescu(receiver, [write_object(dataset, tmp_path / "object.dcm")])
    stored, row = stored_file(receiver, dataset.SeriesInstanceUID, dataset.SOPInstanceUID)
    assert b"Secret^Person" in stored.read_bytes()
    assert "ecret" not in receiver.log_text().lower().replace("secrets", "")
    assert "ecret" not in row.path.lower()


def test_an_object_of_many_pdus_arrives_whole(receiver, tmp_path):
    """Larger than any PDU and any buffer: 8 MB Enhanced MR."""
    dataset = mr_object(sop_class=ENHANCED_MR_IMAGE_STORAGE, frames=64, matrix=256)
    path = write_object(dataset, tmp_path / "object.dcm")
    assert answers(storescu(receiver, [path])) == ["Success"]
    stored, _ = stored_file(receiver, dataset.SeriesInstanceUID, dataset.SOPInstanceUID)
    assert pydicom.dcmread(stored).PixelData == dataset.PixelData


def test_tiny_pdus_make_the_same_object(receiver, tmp_path):
    """A sender with the smallest PDUs that DCMTK knows."""
    files = mr_series(tmp_path / "tiny", 2, matrix=64)
    assert answers(storescu(receiver, files, "--max-send-pdu", "4096")) == ["Success", "Success"]


@pytest.mark.shared_data
def test_real_objects_of_many_vendors_are_stored_or_refused_with_a_status(receiver):
    """Every real object gets an answer, those of our classes are stored, and no association is lost."""
    files = [path for path in sorted(shared_data("dicom").rglob("*")) if path.is_file()]
    outcomes = send_files(files, receiver.address)
    sent = {outcome.path: outcome for outcome in outcomes if outcome.status is not None}
    assert len([outcome for outcome in sent.values() if outcome.ok]) > 50
    for outcome in sent.values():
        assert outcome.ok or outcome.status == 0x0122, outcome
