"""A disk that is full: its own small file system, or, without any right, files that may not grow further."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.peers import missing


@contextmanager
def small_disk(folder: Path, kibibytes: int) -> Iterator[Path]:
    """A file system in memory of that size at `folder`; skips (fails under CI=true) where mounting is not allowed."""
    folder.mkdir(parents=True)
    owner = folder.stat()
    options = f"size={kibibytes}k,uid={owner.st_uid},gid={owner.st_gid},mode=755"
    if not _as_root("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)):
        missing("a small disk needs the right to mount: be root, or allow sudo without a password")
    try:
        yield folder
    finally:
        _as_root("umount", "-l", str(folder))


def grow_disk(folder: Path, kibibytes: int) -> None:
    """Give a small disk another size."""
    if not _as_root("mount", "-o", f"remount,size={kibibytes}k", str(folder)):
        pytest.fail(f"{folder} could not be made larger")


@contextmanager
def files_that_stay_small(process_id: int, limit_bytes: int) -> Iterator[None]:
    """No file that the process writes becomes larger (EFBIG, as with a quota): needs no right, so that it runs
    everywhere. The process' databases must be smaller."""
    before, hard = resource.prlimit(process_id, resource.RLIMIT_FSIZE)
    resource.prlimit(process_id, resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.prlimit(process_id, resource.RLIMIT_FSIZE, (before, hard))


def _as_root(*command: str) -> bool:
    for prefix in ([], ["sudo", "-n"]):
        try:
            if subprocess.run([*prefix, *command], capture_output=True, check=False).returncode == 0:
                return True
        except FileNotFoundError:  # no sudo here
            return False
    return False
