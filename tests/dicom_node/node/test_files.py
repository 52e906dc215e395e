"""Files and folders that are on disk when we say so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.flushes import Flushes

from db.engine.migrate import upgrade
from dicom_node.node.files import keep_from_others, make_folder, write_whole


def test_every_folder_that_is_made_is_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three folders at once, the middle one being there: each new one's entry is on disk."""
    (tmp_path / "a").mkdir()
    flushes = Flushes(monkeypatch)
    make_folder(tmp_path / "a" / "b" / "c")
    make_folder(tmp_path / "a" / "b" / "c")
    assert [path for what, path in flushes.events if what == "made"] == [
        str(tmp_path.resolve() / "a" / "b"),
        str(tmp_path.resolve() / "a" / "b" / "c"),
    ]
    assert flushes.made_and_not_flushed() == []


def test_the_folder_of_an_sqlite_database_is_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database in a new folder does not vanish with its folder in a power cut."""
    flushes = Flushes(monkeypatch)
    upgrade(f"sqlite:///{tmp_path / 'x' / 'y' / 'node.sqlite'}")
    assert str(tmp_path.resolve() / "x" / "y") in [path for what, path in flushes.events if what == "made"]
    assert flushes.made_and_not_flushed() == []


@pytest.mark.parametrize(
    ("shell", "folder", "file"), [(0o022, 0o750, 0o640), (0o002, 0o750, 0o640), (0o077, 0o700, 0o600)]
)
def test_what_is_made_is_kept_from_others(shell: int, folder: int, file: int, tmp_path: Path) -> None:
    """Whatever the shell allows, other users get nothing; a stricter shell is not loosened."""
    before = os.umask(shell)
    try:
        keep_from_others()
        make_folder(tmp_path / "a")
        write_whole(tmp_path / "a" / "b", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == folder
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == file
