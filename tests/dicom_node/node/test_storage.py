"""STORAGE that has gone away is noticed before anything is written in its place."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from support.databases import sqlite_url
from support.node import clean_environment, run_cli
from support.received import instance, series_uid

from db.engine import open_database
from db.engine.migrate import upgrade
from db.inbox import Inbox
from dicom_node.node.errors import ConfigurationError
from dicom_node.node.storage import require_storage


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database that knows one file; it lies outside of the storage."""
    url = sqlite_url(tmp_path)
    upgrade(url)
    with closing(open_database(url)) as database:
        inbox = Inbox(database)
        association = inbox.open_association("SCANNER", "WMHNODE", "10.0.0.7", "receiver")
        inbox.record([instance(series_uid(), 1, association)])
    return url


def test_an_empty_mount_point_is_refused(url: str, tmp_path: Path) -> None:
    """By every role, with exit code 2 and what to do; nothing is made there."""
    mount_point = tmp_path / "mnt"
    mount_point.mkdir()
    settings = {"WMH_NODE_STORAGE": str(mount_point), "WMH_NODE_DATABASE_URL": url}
    done = run_cli("receive", environment={**clean_environment(), **settings}, code=2)
    assert "may not be mounted" in done.stderr
    assert "inbox/" in done.stderr
    assert list(mount_point.iterdir()) == []


def test_storage_in_use_is_taken(url: str, tmp_path: Path) -> None:
    """With the signs that a receiver has worked there, or with a known file, or as its administrator has confirmed."""
    with pytest.raises(ConfigurationError, match="files are lost"):
        require_storage(tmp_path / "mnt", url)
    (tmp_path / "mnt" / "inbox").mkdir(parents=True)
    require_storage(tmp_path / "mnt", url)


def test_a_first_start_is_taken(tmp_path: Path) -> None:
    """Without a database, and with one that knows nothing yet."""
    url = sqlite_url(tmp_path)
    require_storage(tmp_path / "new", url)
    upgrade(url)
    require_storage(tmp_path / "new", url)
    assert not (tmp_path / "new").exists()
