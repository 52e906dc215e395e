"""The same objects are the same series, whichever program stored them."""

from __future__ import annotations

from support.phantom_series import phantom_series, save_series

from dicom_node.receive.part10 import file_header
from dicom_node.series.read.series import read_series


def test_a_folder_and_our_storage_hold_the_same_instances(tmp_path):
    """The digest that result UIDs are made from ignores file meta information; that of the files does not."""
    series = phantom_series()
    files = save_series(series, tmp_path / "folder")
    (tmp_path / "storage").mkdir()
    stored = []
    for dataset, file in zip(series, files, strict=True):
        raw = file.read_bytes()
        data_set = raw[144 + int.from_bytes(raw[140:144], "little") :]
        stored.append(tmp_path / "storage" / file.name)
        stored[-1].write_bytes(
            file_header(dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.file_meta.TransferSyntaxUID) + data_set
        )
    offline, served, both = read_series(files), read_series(stored), read_series([*files, *stored])
    assert offline.instances_digest == served.instances_digest == both.instances_digest
    assert offline.files_digest != served.files_digest
    assert "duplicate_slices_dropped" in both.flags
