"""A disk that is full is reported before the work, or after it with the file's name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.small_disk import files_that_stay_small

from training.errors import NotSaved
from training.report_files import ROOM_BYTES, prepare_folder, write_report_file


def test_room_is_asked_for_and_given_back(tmp_path: Path) -> None:
    """A folder is made, and left empty; without room it is named, and what to do."""
    folder = tmp_path / "new" / "out"
    prepare_folder(folder)
    assert list(folder.iterdir()) == []
    with (
        files_that_stay_small(os.getpid(), ROOM_BYTES - 1),
        pytest.raises(NotSaved, match=r"new/out: .*32 MB.*too large.*another --out. Nothing was scored"),
    ):
        prepare_folder(folder)
    assert list(folder.iterdir()) == []


def test_a_report_that_finds_no_room_leaves_the_one_before(tmp_path: Path) -> None:
    """The error names the file; the old one stays whole."""
    path = tmp_path / "report.html"
    write_report_file(path, "old")
    with files_that_stay_small(os.getpid(), 1000), pytest.raises(NotSaved, match=r"report\.html could not be written"):
        write_report_file(path, "new" * 1000)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
