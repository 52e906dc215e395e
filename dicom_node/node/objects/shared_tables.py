"""Inbox and outbox on a machine that shares through an object store: what is asked for is fetched first."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from db.engine import Database
from db.inbox import Inbox
from db.records import StoredInstance
from dicom_node.node.objects.door import ObjectStoreTrouble
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

    def publish(self, job_id: int, workplace: Path, names: Collection[str]) -> Path:
        """As `Outbox.publish`; the set is in the object store when this returns.

        Raises:
            ResultError: see there.
            ObjectStoreTrouble: it could not be put there; nothing was published.
        """
        target = super().publish(job_id, workplace, names)
        try:
            while not self._shared.share_set(job_id, target):  # another machine was quicker
                target = self.move_on(target)
        except ObjectStoreTrouble:
            super().withdraw(target)
            raise
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

    def numbers_before(self, job_id: int) -> int:
        """As `Outbox.numbers_before`, of all machines."""
        return max(super().numbers_before(job_id), self._shared.newest_set(job_id))
