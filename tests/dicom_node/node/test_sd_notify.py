"""Reports to systemd, received by a real socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicom_node.node.sd_notify import ALIVE, READY, STOPPING, notify, watchdog_seconds


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A socket that listens as systemd does, and its address."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.settimeout(5)
        listening.bind(address)
        yield listening, address


def test_each_report_is_one_datagram(manager: tuple[socket.socket, str]) -> None:
    """Ready, alive and stopping arrive as sd_notify(3) writes them."""
    listening, address = manager
    for message in (READY, ALIVE, STOPPING):
        assert notify(message, {"NOTIFY_SOCKET": address})
        assert listening.recv(100) == message.encode()


def test_an_abstract_address_is_understood() -> None:
    """A socket in the abstract name space, written with @, is reached."""
    name = f"wmh-node-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.settimeout(5)
        listening.bind(f"\0{name}")
        assert notify(READY, {"NOTIFY_SOCKET": f"@{name}"})
        assert listening.recv(100) == b"READY=1"


def test_without_a_service_manager_nothing_happens(tmp_path: Path) -> None:
    """No socket, a strange address or a socket that is gone: a role runs on."""
    for address in ({}, {"NOTIFY_SOCKET": "vsock:2:1"}, {"NOTIFY_SOCKET": str(tmp_path / "gone")}):
        assert not notify(READY, address)


def test_the_watchdog_is_for_this_process_only() -> None:
    """A role's limit is read in seconds; one that is another process's, or no number, counts as none."""
    own = str(os.getpid())
    assert watchdog_seconds({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": own}) == 60
    assert watchdog_seconds({"WATCHDOG_USEC": "1500000"}) == 1.5
    assert watchdog_seconds({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}) is None
    assert watchdog_seconds({"WATCHDOG_USEC": "soon"}) is None
    assert watchdog_seconds({}) is None
