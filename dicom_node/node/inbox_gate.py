"""Storing and removing take turns: a file that is being acknowledged is never removed.

The receiver holds a gate shared while it gives a file its name and commits its row; who removes the files of a series
holds it alone. There are 256 gates, by the first part of a file's path in the inbox, so that a receiver which is never
idle keeps no removal waiting. The kernel lets go of a gate when its process ends, however it does (flock(2)).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from dicom_node.node.files import make_folder

_FOLDER = "gates"


@contextlib.contextmanager
def storing(storage: str, path: str) -> Iterator[None]:
    """While the block lasts, no file of this part of the inbox is removed.

    Args:
        storage: the folder STORAGE.
        path: of the file, relative to STORAGE, POSIX form (`inbox/ab/...`).
    """
    with _held(storage, path, fcntl.LOCK_SH):
        yield


@contextlib.contextmanager
def removing(storage: str, path: str) -> Iterator[None]:
    """While the block lasts, nothing is stored in this part of the inbox; arguments as of `storing`."""
    with _held(storage, path, fcntl.LOCK_EX):
        yield


@contextlib.contextmanager
def _held(storage: str, path: str, how: int) -> Iterator[None]:
    descriptor = _open(f"{storage}/{_FOLDER}", path.split("/")[1])
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def _open(folder: str, name: str) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    try:
        return os.open(f"{folder}/{name}", flags, 0o640)
    except FileNotFoundError:
        make_folder(Path(folder))
        return os.open(f"{folder}/{name}", flags, 0o640)
