"""Files are whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.files import write_whole


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    """Text that has no UTF-8 form fails half-way; line ends are kept as given."""
    path = tmp_path / "cases.csv"
    write_whole(path, "a\r\nb\n")
    assert path.read_bytes() == b"a\r\nb\n"
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "x" * 100_000 + "\ud800")
    assert path.read_bytes() == b"a\r\nb\n"
    assert list(tmp_path.iterdir()) == [path]
