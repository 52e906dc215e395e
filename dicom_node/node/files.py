"""Files that are either whole or not there, and that other users of the machine cannot read."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

_OF_OTHERS = 0o027  # their every right, and the group's right to write


def keep_from_others() -> None:
    """From here on, what this process and its children make is for its user, and for its group to read.

    Images and results are patient data. A stricter umask than ours stays as it is.
    """
    before = os.umask(_OF_OTHERS)
    os.umask(before | _OF_OTHERS)


def write_whole(path: Path, content: bytes) -> None:
    """Write beside the target, sync, rename, sync the folder: after a crash the old or the new file is there."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            sync_file(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def json_bytes(value: Any) -> bytes:
    """The form of every JSON file we write: sorted as given, two spaces, UTF-8, no NaN."""
    # Bytes of a file name that are no UTF-8 come as lone surrogates: they become the escapes that JSON has for them.
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return text.encode("utf-8", "backslashreplace")


def make_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing, each on disk when this returns."""
    missing = []
    at = folder.absolute()
    while not at.is_dir():
        missing.append(at)
        at = at.parent
    for parent in reversed(missing):
        parent.mkdir(exist_ok=True)
        sync_folder(parent.parent)


def make_once(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Make a file, whole or not there, unless it exists: all who make it at the same time find the same content.

    Args:
        path: in an existing folder.
        content: of this caller; another one's may win.
        mode: its rights, before the umask.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            sync_file(file.fileno())
        try:
            path.hardlink_to(temporary)
        except FileExistsError:  # another process was quicker
            return
        except OSError:  # a file system without links
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_file(path: Path | int) -> None:
    """Push a file's bytes to the disk.

    Args:
        path: or a descriptor of the open file.
    """
    if isinstance(path, int):
        os.fsync(path)
        return
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: str | Path) -> None:
    """Push a folder's entries to the disk, so that a rename in it survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
