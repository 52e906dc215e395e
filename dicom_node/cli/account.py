"""Who runs a command, for the audit."""

from __future__ import annotations

import getpass
import socket
from typing import Annotated

import typer

ByOption = Annotated[
    str | None, typer.Option("--by", help="Who does this, for the audit; default: your account.", show_default=False)
]


def account() -> str:
    """`user@host` of this process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
