"""Finding series in what a user points at."""

from __future__ import annotations

from pathlib import Path

from support.dicom_series import small_scan, write_scan

from dicom_node.series.dicom.digest import instances_digest
from dicom_node.series.dicom.folder import find_series
from dicom_node.series.dicom.parsing import file_sha256


def test_series_are_distinguished_in_a_folder(tmp_path: Path) -> None:
    """Files of two series in nested folders come back as two series, whatever their names."""
    one = write_scan(small_scan(5), tmp_path / "a")
    two = write_scan(small_scan(6), tmp_path / "b" / "deep", enhanced=True)
    found = find_series([tmp_path])
    assert {frozenset(series.paths) for series in found.series} == {frozenset(one), frozenset(two)}
    assert all(len(series.headers) == len(series.paths) for series in found.series)
    assert found.unreadable == ()


def test_what_is_no_dicom_is_listed_with_a_reason(tmp_path: Path) -> None:
    """Other files, and paths that are not there, are listed and do not stop the rest."""
    (tmp_path / "notes.txt").write_text("nothing")
    files = write_scan(small_scan(5), tmp_path)
    found = find_series([tmp_path, tmp_path / "missing.dcm"])
    assert len(found.series) == 1
    assert len(found.series[0].paths) == len(files)
    assert [path.name for path, _ in found.unreadable] == ["notes.txt", "missing.dcm"]
    assert all(reason for _, reason in found.unreadable)


def test_the_digest_names_the_set_of_instances(tmp_path: Path) -> None:
    """Order and repetition do not change the digest; another instance, or other bytes, do."""
    files = write_scan(small_scan(5), tmp_path)
    pairs = [(path.name, file_sha256(path)) for path in files]
    assert instances_digest(pairs) == instances_digest([*pairs[::-1], pairs[2]])
    assert instances_digest(pairs) != instances_digest(pairs[1:])
    assert instances_digest(pairs) != instances_digest([*pairs[1:], (pairs[0][0], "0" * 64)])
