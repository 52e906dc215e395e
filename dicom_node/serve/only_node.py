"""One node on a storage folder: two would take each other's unfinished files for their own leftovers."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dicom_node.node.errors import ConfigurationError

_FILE: Final = "serve.lock"


@contextlib.contextmanager
def only_node(storage: Path) -> Iterator[None]:
    """Hold the storage for this node while the block lasts. The kernel lets go when the process ends, however it does.

    Raises:
        ConfigurationError: another node serves this storage; says which.
    """
    path = storage / _FILE
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    with os.fdopen(descriptor, "r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = lock.read().strip() or "another process"
            raise ConfigurationError(
                f"another node serves STORAGE {storage} ({holder}): stop it, or give this one its own folder"
            ) from error
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        lock.flush()
        yield
