"""An open port means that objects can be kept."""

from __future__ import annotations

import resource
import threading

import pytest
from support.databases import sqlite_url, with_schema
from support.processes import free_port

from db.errors import DatabaseError
from dicom_node.receive import run
from dicom_node.receive.receiver_settings import ReceiverSettings


@pytest.fixture
def opened(monkeypatch):
    """Ports that were opened; none really is."""
    ports = []

    def note(_bind, port, *_):
        ports.append(port)
        raise InterruptedError

    monkeypatch.setattr(run, "open_listener", note)
    return ports


def settings(storage, url):
    return ReceiverSettings("WMHNODE", storage, url, port=11112)


def test_the_port_stays_closed_while_the_database_is_away(tmp_path, opened):
    """A server that does not answer, and a file without our tables."""
    for url in (f"postgresql://nobody@127.0.0.1:{free_port()}/none", f"sqlite:///{tmp_path / 'empty.sqlite'}"):
        with pytest.raises(DatabaseError):
            run.receive(settings(tmp_path / "storage", url), threading.Event())
    assert opened == []


def test_the_port_stays_closed_while_the_storage_is_away(tmp_path, opened):
    """A file lies where the folder should be."""
    url = sqlite_url(tmp_path)
    with_schema(url)
    (tmp_path / "storage").write_text("")
    with pytest.raises(OSError, match="storage"):
        run.receive(settings(tmp_path / "storage", url), threading.Event())
    assert opened == []


def test_the_port_stays_closed_while_the_storage_takes_nothing(tmp_path, opened):
    """Its folders are there, and no byte can be written, as on a disk that is full or read-only."""
    url = sqlite_url(tmp_path)
    with_schema(url)
    (tmp_path / "storage" / "inbox" / "tmp").mkdir(parents=True)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))  # Python ignores the signal that comes with it
    try:
        with pytest.raises(OSError, match="too large"):
            run.receive(settings(tmp_path / "storage", url), threading.Event())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert opened == []
    assert list((tmp_path / "storage" / "inbox" / "tmp").iterdir()) == []


def test_the_port_opens_once_both_answer(tmp_path, opened):
    """That is all it waits for."""
    url = sqlite_url(tmp_path)
    with_schema(url)
    with pytest.raises(InterruptedError):
        run.receive(settings(tmp_path / "storage", url), threading.Event())
    assert opened == [11112]
