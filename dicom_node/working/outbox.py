"""The outbox: STORAGE/outbox/<job id>/ holds what a job gave, until and after it is delivered.

A result set is written in a folder of its own beside it and moved in file by file, each move atomic. What makes it
count is the row that `JobTable.deliver` commits afterwards; a crash before that leaves files that the next attempt
replaces by the same bytes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dicom_node.working.files import sync_file, sync_folder

_UNFINISHED = "unfinished"


class Outbox:
    """The folder of result sets.

    Args:
        folder: STORAGE/outbox; made when missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._unfinished = folder / _UNFINISHED
        self._unfinished.mkdir(parents=True, exist_ok=True)

    def of_job(self, job_id: int) -> Path:
        """Where the job's result set lies."""
        return self.folder / str(job_id)

    @contextmanager
    def workplace(self, job_id: int) -> Iterator[Path]:
        """A fresh folder to write a result set in; gone afterwards, whatever happens."""
        folder = self._unfinished / f"{job_id}-{os.getpid()}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def publish(self, job_id: int, workplace: Path) -> Path:
        """Move every file of the workplace into the job's folder, synced; returns that folder."""
        target = self.of_job(job_id)
        target.mkdir(exist_ok=True)
        for file in sorted(workplace.iterdir()):
            sync_file(file)
            file.replace(target / file.name)
        sync_folder(target)
        sync_folder(self.folder)
        return target

    def clear_unfinished(self) -> None:
        """Remove what workers of this machine left behind when they died."""
        for folder in self._unfinished.iterdir():
            _, _, pid = folder.name.rpartition("-")
            if not (pid.isdigit() and Path("/proc", pid).exists()):
                shutil.rmtree(folder, ignore_errors=True)
