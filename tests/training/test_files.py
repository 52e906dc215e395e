"""Files are whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.files import replacing, write_whole


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    """Text that has no UTF-8 form fails half-way; line ends are kept as given."""
    path = tmp_path / "cases.csv"
    write_whole(path, "a\r\nb\n")
    assert path.read_bytes() == b"a\r\nb\n"
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "x" * 100_000 + "\ud800")
    assert path.read_bytes() == b"a\r\nb\n"
    assert list(tmp_path.iterdir()) == [path]


def _fill(folder: Path, text: str) -> None:
    with replacing(folder) as partial:
        partial.mkdir()
        (partial / "weights").write_text(text)


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    """An error while it is written leaves the old one; so does a kill between the renames, for the next to find."""
    folder = tmp_path / "bundle"
    _fill(folder, "old")
    with pytest.raises(OSError, match="full"), replacing(folder) as partial:
        partial.mkdir()
        raise OSError("full")
    assert ([path.name for path in tmp_path.iterdir()], (folder / "weights").read_text()) == (["bundle"], "old")
    folder.rename(tmp_path / ".bundle-before")
    (tmp_path / ".bundle-partial").mkdir()
    with pytest.raises(OSError, match="full"), replacing(folder):
        raise OSError("full")
    assert (folder / "weights").read_text() == "old"
    _fill(folder, "new")
    assert ([path.name for path in tmp_path.iterdir()], (folder / "weights").read_text()) == (["bundle"], "new")
