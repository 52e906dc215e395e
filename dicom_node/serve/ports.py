"""Is a TCP port free, is something listening, and which one may we take."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from dicom_node.node.errors import ConfigurationError


def require_free(host: str, port: int, remedy: str = "set WMH_NODE_BIND or WMH_NODE_DICOM_PORT") -> None:
    """Check before anything starts that we can listen there.

    Args:
        remedy: how a person chooses another port.

    Raises:
        ConfigurationError: the port is taken, is privileged, or the address is not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose last connections are still in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            raise ConfigurationError(
                f"cannot listen on {host}:{port}: {error.strerror}; {remedy}, or stop the program that uses it"
            ) from error


def free_port() -> int:
    """A port on the loopback address that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def wait_until_listening(
    host: str, port: int, timeout_seconds: float, give_up: Callable[[], bool] = lambda: False
) -> bool:
    """True when a connection is taken within that time; False when not, or when `give_up` says so."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline and not give_up():
        try:
            with socket.create_connection((reachable, port), timeout=1):
                return True
        except OSError:
            time.sleep(0.05)
    return False
