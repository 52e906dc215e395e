"""Files and folders that are either whole or not there, and made by one process at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write UTF-8 beside the target, sync, rename, sync the folder: after a crash the old or the new file is there.

    Line ends stay as they are in `text`. The folder is there already.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)


def ask_for_room(folder: Path, size_bytes: int) -> None:
    """Reserve so much of the disk and give it back: a full one is better known before the work than after it.

    Raises:
        OSError: there is not so much, or the folder cannot be written.
    """
    ballast = folder / f".room.{os.getpid()}"
    try:
        with ballast.open("wb") as out:
            os.posix_fallocate(out.fileno(), 0, size_bytes)
    finally:
        ballast.unlink(missing_ok=True)


@contextmanager
def alone_with(lock: Path) -> Iterator[None]:
    """One process at a time; the next one waits. The lock goes with the process, however it ends."""
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A folder to fill, which then takes the place of `folder`: after a crash or an error one of both is there, whole.

    One process at a time. What a kill left behind is put right, or away, by the next one.
    """
    partial, before = folder.with_name(f".{folder.name}-partial"), folder.with_name(f".{folder.name}-before")
    _restore(folder, before)
    _clear(partial, before)
    try:
        yield partial
        sync_tree(partial)
        if folder.exists():
            folder.replace(before)
        partial.replace(folder)
        sync(folder.parent)
        _clear(before)
    finally:
        _restore(folder, before)
        _clear(partial)


def _restore(folder: Path, before: Path) -> None:
    """A kill, or an error, came between the two renames."""
    if before.exists() and not folder.exists():
        before.replace(folder)


def _clear(*folders: Path) -> None:
    for folder in folders:
        if folder.exists():
            shutil.rmtree(folder)


def sync_tree(folder: Path) -> None:
    """Push a folder and all in it to the disk: a rename of it must not outlive its files in a power cut."""
    for root, _, names in os.walk(folder, topdown=False):
        for name in names:
            sync(Path(root, name))
        sync(Path(root))


def sync(path: Path) -> None:
    """Push a file's bytes, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
