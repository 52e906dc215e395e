"""Reports to systemd: ready, alive, stopping. Does nothing where no service manager listens.

Source: sd_notify(3), sd_watchdog_enabled(3): datagrams of `NAME=value` lines to the socket that NOTIFY_SOCKET names.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

from dicom_node.node.logger import get_logger

log = get_logger()

READY = "READY=1"
ALIVE = "WATCHDOG=1"
STOPPING = "STOPPING=1"


def notify(message: str, environment: Mapping[str, str] | None = None) -> bool:
    """Send one message; False when no service manager listens, or it does not take the message.

    Args:
        message: `READY`, `ALIVE` or `STOPPING`.
        environment: where NOTIFY_SOCKET is looked up; this process's own when None.
    """
    address = (os.environ if environment is None else environment).get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):  # in the abstract name space
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.settimeout(1)
            sender.connect(address)
            sender.sendall(message.encode("ascii"))
    except OSError as error:
        log.warning("the service manager does not accept our report", report=message, detail=error.strerror)
        return False
    return True


def watchdog_seconds(environment: Mapping[str, str] | None = None) -> float | None:
    """How long this process may stay silent before the service manager ends it; None: as long as it likes."""
    found = os.environ if environment is None else environment
    if found.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        seconds = int(found.get("WATCHDOG_USEC", "0")) / 1e6
    except ValueError:
        return None
    return seconds if seconds > 0 else None
