"""Inbox and outbox on a machine that shares through an object store: what is asked for is fetched first."""

from __future__ import annotations

from pathlib import Path

from db.engine import Database
from db.inbox import Inbox
from db.records import StoredInstance
from dicom_node.node.objects.shared import SharedStorage
from dicom_node.node.outbox import Outbox


class SharedInbox(Inbox):
    """An inbox whose instances are in STORAGE when their rows are given."""

    def __init__(self, database: Database, shared: SharedStorage) -> None:
        super().__init__(database)
        self._shared = shared

    def instances_of(self, series_instance_uid: str) -> list[StoredInstance]:
        """As `Inbox.instances_of`.

        Raises:
            ObjectStoreTrouble: files are not in STORAGE, and the object store does not answer.
        """
        found = super().instances_of(series_instance_uid)
        self._shared.fetch_instances(found)
        return found


class SharedOutbox(Outbox):
    """An outbox whose result sets are in the object store before their rows are committed."""

    def __init__(self, folder: Path, shared: SharedStorage, host: str | None = None) -> None:
        super().__init__(folder, host)
        self._shared = shared

    def of_job(self, job_id: int) -> Path | None:
        """As `Outbox.of_job`, of all machines.

        Raises:
            ObjectStoreTrouble: the object store does not answer.
        """
        newest = self._shared.newest_set(job_id)
        if newest > self.highest_number(job_id):
            self._shared.fetch_set(job_id, newest)
        return super().of_job(job_id)

    def _numbered(self, job_id: int, workplace: Path) -> Path:
        """As `Outbox._numbered`, of all machines; the set is in the object store when this returns.

        It is put there first: a folder here always is what the store has under its number, whenever this is killed.

        Raises:
            ObjectStoreTrouble: it could not be put there; nothing was published.
        """
        number, here = self._shared.newest_set(job_id) + 1, self.highest_number(job_id)
        while True:
            target = self.folder / str(job_id) / str(number)
            if target.is_dir():  # from before there was an object store: its number is taken there too, without a gap
                self._shared.share_set(job_id, number, target)
            elif self._shared.share_set(job_id, number, workplace) and number > here:
                break
            number += 1  # another machine was quicker, or there was a gap before a number that is here
        workplace.rename(target)
        return target

    def withdraw(self, published: Path) -> None:
        """As `Outbox.withdraw`, of all machines; the numbers that are left follow each other."""
        super().withdraw(published)
        job_id, number = int(published.parent.name), int(published.name)
        if self._shared.newest_set(job_id) == number:
            self._shared.forget_set(job_id, number)

    def away(self) -> str | None:
        """Why no result set can be shared; None when it can."""
        return self._shared.away()
