"""The outbox: STORAGE/outbox/<job id>/<number>/ holds what a job gave, until and after it is delivered.

A result set is written in a folder of its own (outbox/unfinished) and then moved whole, by one rename, to a number that
no attempt of the job had before: nothing is ever replaced, so that a worker that was paused and lost its lease cannot
touch what is being delivered. What makes a result set count is the row that `JobTable.deliver` commits afterwards.

Several machines may share the outbox, and process ids mean nothing between them. Whoever writes therefore holds a lock
on a file beside its folder, and leftovers are cleared only where the lock is free and the name says that they were made
on this host. What a host that is gone for good has left goes after a week.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import socket
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dicom_node.errors import ResultError
from dicom_node.files import make_folder, sync_file, sync_folder
from dicom_node.storage import UNFINISHED

_LOCK = ".lock"
_ABANDONED_SECONDS = 7 * 86_400.0
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST)


class Outbox:
    """The folder of result sets.

    Args:
        folder: STORAGE/outbox; made when missing.
        host: name of this machine in the names of unfinished folders.
    """

    def __init__(self, folder: Path, host: str | None = None) -> None:
        self.folder = folder
        self._host = (host or socket.gethostname()).replace("/", "_")
        self._unfinished = folder / UNFINISHED
        make_folder(self._unfinished)

    def of_job(self, job_id: int) -> Path | None:
        """Where the job's latest result set lies; None when it has none."""
        taken = _numbers(self.folder / str(job_id))
        return self.folder / str(job_id) / str(max(taken)) if taken else None

    @contextmanager
    def workplace(self, job_id: int) -> Iterator[Path]:
        """A fresh folder to write a result set in; gone afterwards, whatever happens."""
        folder = self._unfinished / f"{self._host}.{job_id}.{secrets.token_hex(8)}"
        with _locked(_lock_of(folder)) as lock:
            folder.mkdir()
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
                lock.unlink(missing_ok=True)

    def publish(self, job_id: int, workplace: Path, names: Collection[str]) -> Path:
        """Move a finished workplace to where it is delivered from, synced; returns the folder.

        Args:
            names: the files that make the result set.

        Raises:
            ResultError: the workplace does not hold exactly these files; nothing was published.
        """
        found = {file.name for file in workplace.iterdir()} if workplace.is_dir() else set()
        if found != set(names):
            raise ResultError(
                f"the result set of job {job_id} is not whole: expected {', '.join(sorted(names))}; found "
                f"{', '.join(sorted(found)) or 'nothing'}. Something else has touched {self._unfinished}"
            )
        for name in sorted(names):
            sync_file(workplace / name)
        sync_folder(workplace)
        of_job = self.folder / str(job_id)
        of_job.mkdir(exist_ok=True)
        target = _move_to_free_number(workplace, of_job)
        sync_folder(of_job)
        sync_folder(self.folder)
        return target

    def withdraw(self, published: Path) -> None:
        """Remove a result set that came to nothing, its job being another's by now."""
        shutil.rmtree(published, ignore_errors=True)
        with suppress(OSError):
            published.parent.rmdir()  # only when empty

    def clear_unfinished(self) -> None:
        """Remove what workers left behind when they died."""
        for lock in self._unfinished.glob(f"*{_LOCK}"):
            name = lock.name.removesuffix(_LOCK)
            if name.rsplit(".", 2)[0] == self._host or _is_abandoned(lock):
                self._clear(lock, self._unfinished / name)

    def _clear(self, lock: Path, folder: Path) -> None:
        with suppress(OSError), lock.open("r+") as held:  # OSError: held by a living worker, or gone already
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
            lock.unlink(missing_ok=True)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}{_LOCK}")


@contextmanager
def _locked(lock: Path) -> Iterator[Path]:
    """Make a file and hold it locked; again when a worker that clears took it in between."""
    while True:
        with lock.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            if lock.exists() and os.path.samestat(os.fstat(held.fileno()), lock.stat()):
                yield lock
                return


def _move_to_free_number(workplace: Path, of_job: Path) -> Path:
    """A rename onto a folder that holds files fails, so that two who choose the same number cannot collide."""
    number = max(_numbers(of_job), default=0) + 1
    while True:
        target = of_job / str(number)
        try:
            workplace.rename(target)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
            number += 1
        else:
            return target


def _numbers(of_job: Path) -> list[int]:
    if not of_job.is_dir():
        return []
    return [int(entry.name) for entry in of_job.iterdir() if entry.name.isdigit()]


def _is_abandoned(lock: Path) -> bool:
    with suppress(FileNotFoundError):
        return time.time() - lock.stat().st_mtime > _ABANDONED_SECONDS
    return False
