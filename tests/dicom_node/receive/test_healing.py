"""A file that rotted in the inbox is repaired when the instance is sent again."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from support.mr import mr_object, write_object
from support.receiver import answers, storescu

pytestmark = pytest.mark.peer("storescu")


@pytest.mark.parametrize("gone", [False, True])
def test_a_resend_heals_a_damaged_file(receiver: Any, tmp_path: Path, gone: bool) -> None:
    """The same instance again is a duplicate to the table, and its bytes replace what the disk has made of them."""
    dataset = mr_object()
    path = write_object(dataset, tmp_path / "object.dcm", "1.2.840.10008.1.2.1")
    assert answers(storescu(receiver, [path])) == ["Success"]
    (row,) = receiver.rows(dataset.SeriesInstanceUID)
    stored = receiver.settings.storage / row.path
    stored.write_bytes(bytes(1000))
    if gone:
        stored.unlink()
    assert answers(storescu(receiver, [path])) == ["Success"]
    assert receiver.rows(dataset.SeriesInstanceUID) == [row]
    assert hashlib.sha256(stored.read_bytes()).hexdigest() == row.sha256
