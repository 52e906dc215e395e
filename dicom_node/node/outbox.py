"""The outbox: STORAGE/outbox/<job id>/<number>/ holds what a job gave, until and after it is delivered.

A result set is written in a separate folder (outbox/unfinished, see `node.unfinished`) and then moved whole, by
one rename, to a number that no attempt of the job had before: nothing is ever replaced, so that a worker that was
paused and lost its lease cannot touch what is being delivered. What makes a result set count is the row that
`JobTable.deliver` commits afterwards.

STORAGE/outbox/held/<job id>/ keeps a result set that failed validation, for inspection; nothing is sent from there.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from db.errors import LeaseLost
from db.records import NewDelivery
from dicom_node.node.errors import ResultError, ResultNotValid
from dicom_node.node.files import make_folder, sync_file, sync_folder
from dicom_node.node.storage import UNFINISHED
from dicom_node.node.unfinished import Unfinished

QUARANTINE = "held"
NOT_VALID_NAME = "not-valid"
"""Folder inside a workplace for a set that failed validation."""

_TAKEN = (errno.ENOTEMPTY, errno.EEXIST)


class Outbox:
    """The folder of result sets.

    Args:
        folder: STORAGE/outbox; made when missing.
        host: name of this machine in the names of unfinished folders.
    """

    def __init__(self, folder: Path, host: str | None = None) -> None:
        self.folder = folder
        self._unfinished = Unfinished(folder / UNFINISHED, host)

    def of_job(self, job_id: int) -> Path | None:
        """Where the job's latest result set lies; None when it has none."""
        taken = _numbers(self.folder / str(job_id))
        return self.folder / str(job_id) / str(max(taken)) if taken else None

    @contextmanager
    def workplace(self, job_id: int) -> Iterator[Path]:
        """A fresh folder to write a result set in; gone afterwards, whatever happens.

        Of a set that failed validation, what was kept in `NOT_VALID_NAME` is quarantined.
        """
        with self._unfinished.workplace(str(job_id)) as folder:
            try:
                yield folder
            except ResultNotValid:
                if (folder / NOT_VALID_NAME).is_dir():
                    self.quarantine(job_id, folder / NOT_VALID_NAME)
                raise

    def publish(self, job_id: int, workplace: Path, names: Collection[str]) -> Path:
        """Move a finished workplace to where it is delivered from, synced; returns the folder.

        What was held of the job goes.

        Args:
            names: the files that make the result set.

        Raises:
            ResultError: the workplace does not hold exactly these files; nothing was published.
        """
        found = {file.name for file in workplace.iterdir()} if workplace.is_dir() else set()
        if found != set(names):
            raise ResultError(
                f"the result set of job {job_id} is incomplete: expected {', '.join(sorted(names))}; found "
                f"{', '.join(sorted(found)) or 'nothing'}. Another program has changed {workplace.parent}"
            )
        for name in sorted(names):
            sync_file(workplace / name)
        sync_folder(workplace)
        of_job = self.folder / str(job_id)
        of_job.mkdir(exist_ok=True)
        target = self._numbered(job_id, workplace)
        sync_folder(of_job)
        sync_folder(self.folder)
        self.release(job_id)
        return target

    def _numbered(self, job_id: int, workplace: Path) -> Path:
        """Move a workplace, that is synced, to a number that the job never had; returns the folder."""
        return _move_to_free_number(workplace, self.folder / str(job_id), self.highest_number(job_id))

    def highest_number(self, job_id: int) -> int:
        """Of the job's result sets here; 0 without one."""
        return max(_numbers(self.folder / str(job_id)), default=0)

    def away(self) -> str | None:
        """Why no result set can be published, beside what is wrong with STORAGE; None when it can."""
        return None

    def quarantine(self, job_id: int, workplace: Path) -> Path:
        """Keep a set that failed validation, synced, in place of an earlier attempt's; returns the folder."""
        target = self.folder / QUARANTINE / str(job_id)
        make_folder(target.parent)
        for file in workplace.iterdir():
            sync_file(file)
        sync_folder(workplace)
        self.release(job_id)
        workplace.rename(target)
        sync_folder(target.parent)
        return target

    def release(self, job_id: int) -> None:
        """Remove what is held of a job, whose result is right by now."""
        shutil.rmtree(self.folder / QUARANTINE / str(job_id), ignore_errors=True)

    def withdraw(self, published: Path) -> None:
        """Remove an unused result set: another worker has the job."""
        shutil.rmtree(published, ignore_errors=True)
        with suppress(OSError):
            published.parent.rmdir()  # only when empty

    @contextmanager
    def withdrawn_if_lost(self, published: Path | None) -> Iterator[None]:
        """Withdraw a result set when the lease turns out to be lost before its rows are committed."""
        try:
            yield
        except LeaseLost:
            if published is not None:
                self.withdraw(published)
            raise

    def deliveries(self, published: Path | None, names: Mapping[str, Sequence[str]]) -> list[NewDelivery]:
        """Rows for what each destination is sent, paths as in STORAGE.

        Args:
            published: the folder of the result set; None when nothing is sent.
            names: of its files, by destination, in sending order.
        """
        if published is None:
            return []
        inside = published.relative_to(self.folder.parent)
        return [NewDelivery(name, [str(inside / file) for file in files]) for name, files in names.items()]

    def clear_unfinished(self) -> None:
        """Remove what workers left behind when they died."""
        self._unfinished.clear()


def _move_to_free_number(workplace: Path, of_job: Path, after: int) -> Path:
    """A rename onto a folder that holds files fails, so that two who choose the same number cannot collide."""
    number = after + 1
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
