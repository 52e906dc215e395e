"""Why there is no TCP connection, and what to look at."""

from __future__ import annotations

import errno
import socket


def no_connection(error: BaseException, host: str, port: int, program: str = "the PACS") -> str:
    """In words, without the number of the system's error; `program`: what should answer there."""
    where = f"{host}:{port}"
    if isinstance(error, ConnectionRefusedError):
        return f"connection refused by {where}: is {program} running, does the firewall allow it?"
    if isinstance(error, socket.gaierror):
        return f"the name {host} does not resolve here: correct the host in the settings, or write its IP address"
    if isinstance(error, TimeoutError):
        return f"no answer from {where}: is the machine running, does a firewall drop the packets?"
    if isinstance(error, OSError) and error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return f"{where} cannot be reached from here: is the address right, is there a route to that network?"
    return f"{where} cannot be called: check its host and port"
