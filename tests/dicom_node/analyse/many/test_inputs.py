"""What is found under the paths that a user gives."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage
from support.phantom_series import phantom_series, save_series

from dicom_node.analyse.many.inputs import find_inputs


def empty(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def write_dicomdir(path: Path, file_ids: list[list[str]]) -> None:
    """A DICOMDIR with one IMAGE record for each Referenced File ID (PS3.3 F.3)."""
    directory = Dataset()
    directory.file_meta = FileMetaDataset()
    directory.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    directory.file_meta.MediaStorageSOPInstanceUID = "2.25.1"
    directory.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    records = []
    for file_id in file_ids:
        record = Dataset()
        record.DirectoryRecordType, record.ReferencedFileID = "IMAGE", file_id
        records.append(record)
    directory.DirectoryRecordSequence = Sequence(records)
    directory.save_as(path, enforce_file_format=True)


def test_a_dicomdir_stands_for_its_files(tmp_path: Path) -> None:
    """Only the files that it names are read, also where the disc was copied in small letters; none outside it."""
    files = save_series(phantom_series(), tmp_path / "disc" / "a")
    outside = tmp_path / "outside.dcm"
    shutil.copy(files[0], outside)
    names = [["A", file.name.upper()] for file in files[:8]]
    write_dicomdir(tmp_path / "disc" / "DICOMDIR", [*names, ["..", "outside.dcm"], ["/etc", "passwd"]])
    found = find_inputs([tmp_path / "disc" / "DICOMDIR"])
    (series,) = found.series
    assert sorted(series.files) == files[:8]
    assert found.refused == []
    (tmp_path / "disc" / "DICOMDIR").write_bytes(b"no")
    (refused,) = find_inputs([tmp_path / "disc" / "DICOMDIR"]).refused
    assert refused.error.code == "bad_dicomdir"


def test_lists_and_folders_of_nifti(tmp_path: Path) -> None:
    """A list names files relative to itself; a folder gives files with FLAIR in their names, and no masks of them."""
    for name in ("a/flair.nii.gz", "a/wmh.nii.gz", "b/flair.nii.gz", "b/flair_mask.nii.gz", "c/other.nii"):
        empty(tmp_path / name)
    found = find_inputs([tmp_path])
    assert [series.name for series in found.series] == ["a_flair", "b_flair"]
    (tmp_path / "list.txt").write_text("c/other.nii\n\nb/flair.nii.gz\nnowhere.nii\nc/other.nii\n")
    found = find_inputs([tmp_path / "list.txt"])
    assert [series.name for series in found.series] == ["other", "flair"]
    assert [refused.error.code for refused in found.refused] == ["missing"]
    (refused,) = find_inputs([tmp_path / "a", tmp_path / "c"]).refused
    assert refused.source == tmp_path / "c"
    assert "give the files themselves" in refused.error.reason


@pytest.mark.parametrize("described", [True, False])
def test_bids_gives_its_flair_only(tmp_path: Path, described: bool) -> None:
    """FLAIR of every subject, session and run; nothing of derivatives and sourcedata."""
    names = (
        "sub-1/anat/sub-1_FLAIR.nii.gz",
        "sub-2/ses-x/anat/sub-2_ses-x_run-1_FLAIR.nii",
        "sub-2/ses-x/anat/sub-2_ses-x_T1w.nii",
        "derivatives/z/sub-1/anat/sub-1_space-T1w_FLAIR.nii.gz",
        "sourcedata/sub-1/flair.nii.gz",
    )
    for name in names:
        empty(tmp_path / name)
    if described:
        (tmp_path / "dataset_description.json").write_text("{}")
    assert [series.name for series in find_inputs([tmp_path]).series] == ["sub-1_FLAIR", "sub-2_ses-x_run-1_FLAIR"]


def test_no_two_series_share_a_folder(tmp_path: Path) -> None:
    """Names that become alike get numbers; a file that is given twice is one series."""
    names = ("a b_flair.nii", "a_b_flair.nii", "a b_flair-2.nii", "a_b_flair-2.nii", "results.csv.nii")
    files = [empty(tmp_path / name) for name in names]
    found = find_inputs([*files, tmp_path])
    assert len(found.series) == len(files)
    assert len({series.name.lower() for series in found.series} | {"results.csv"}) == len(files) + 1


def test_nothing_to_analyse_is_said(tmp_path: Path) -> None:
    """A BIDS tree without FLAIR, and an empty list, are refused and not passed over."""
    empty(tmp_path / "bids" / "sub-1" / "anat" / "sub-1_T1w.nii.gz")
    for given in (tmp_path / "bids", empty(tmp_path / "list.txt")):
        found = find_inputs([given])
        assert [refused.source for refused in found.refused] == [given]
