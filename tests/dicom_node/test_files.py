"""Files and folders that are on disk when we say so."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.flushes import Flushes

from db.migrate import upgrade
from dicom_node.files import make_folder


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
