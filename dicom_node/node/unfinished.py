"""Folders that are being written, apart from those that are whole.

A folder is written here and then moved whole, by one rename, to where it counts. Several machines may share the place,
and process ids mean nothing between them. A writer therefore holds a lock on a file beside its folder, and
leftovers are cleared only where the lock is free and the name shows that they were made on this host. Leftovers of a
host that never returns are removed after a week.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dicom_node.node.files import make_folder

_LOCK = ".lock"
_ABANDONED_SECONDS = 7 * 86_400.0


class Unfinished:
    """The place of unfinished folders.

    Args:
        folder: made when missing; on the file system of the place that finished folders are moved to.
        host: name of this machine in the names of unfinished folders.
    """

    def __init__(self, folder: Path, host: str | None = None) -> None:
        self._folder = folder
        self._host = (host or socket.gethostname()).replace("/", "_")
        make_folder(folder)

    @contextmanager
    def workplace(self, label: str) -> Iterator[Path]:
        """A fresh folder to write in; gone afterwards, whatever happens, unless it was moved away.

        Args:
            label: part of its name, without a dot.
        """
        folder = self._folder / f"{self._host}.{label}.{secrets.token_hex(8)}"
        with _locked(folder.with_name(f"{folder.name}{_LOCK}")) as lock:
            folder.mkdir()
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
                lock.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove what processes left behind when they died."""
        for lock in self._folder.glob(f"*{_LOCK}"):
            name = lock.name.removesuffix(_LOCK)
            if name.rsplit(".", 2)[0] == self._host or _is_abandoned(lock):
                _clear(lock, self._folder / name)


def _clear(lock: Path, folder: Path) -> None:
    with suppress(OSError), lock.open("r+") as held:  # OSError: held by a living process, or gone already
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
        lock.unlink(missing_ok=True)


@contextmanager
def _locked(lock: Path) -> Iterator[Path]:
    """Make a file and hold it locked; again when a process that clears took it in between."""
    while True:
        with lock.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            if lock.exists() and os.path.samestat(os.fstat(held.fileno()), lock.stat()):
                yield lock
                return


def _is_abandoned(lock: Path) -> bool:
    with suppress(FileNotFoundError):
        return time.time() - lock.stat().st_mtime > _ABANDONED_SECONDS
    return False
