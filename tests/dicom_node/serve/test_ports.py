"""Ports, on real sockets."""

from __future__ import annotations

import socket

import pytest

from dicom_node.node.errors import ConfigurationError
from dicom_node.serve.ports import free_port, require_free, wait_until_listening


def test_a_taken_port_is_said_before_anything_starts() -> None:
    """`serve` names the port that another program holds."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"cannot listen on 127.0.0.1:{port}"):
            require_free("127.0.0.1", port)


def test_a_free_port_stays_free() -> None:
    """Looking for a free port does not take it."""
    port = free_port()
    require_free("127.0.0.1", port)
    assert not wait_until_listening("127.0.0.1", port, 0.2)


def test_listening_is_seen() -> None:
    """Waiting ends as soon as something listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert wait_until_listening("0.0.0.0", server.getsockname()[1], 5)
