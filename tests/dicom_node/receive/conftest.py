"""A receiver for tests that do not change it, and objects to send."""

from __future__ import annotations

import pytest
from support.mr import mr_series
from support.receiver import ReceiverProcess


@pytest.fixture(scope="module")
def receiver(tmp_path_factory):
    """One receiver process per test module, with short timeouts."""
    folder = tmp_path_factory.mktemp("receiver")
    with ReceiverProcess(
        folder, handshake_seconds=2.0, message_seconds=3.0, idle_seconds=4.0, max_pdu_bytes=64 * 1024
    ) as process:
        yield process
        assert "Traceback" not in process.log_text(), process.log_text()
        assert process.leftovers() == []


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """Twelve small MR objects of one series."""
    return mr_series(tmp_path_factory.mktemp("series"), 12)
