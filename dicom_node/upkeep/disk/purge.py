"""Removes what the rules allow: decided in the database first, then the files, one series at a time.

| kill or power cut after      | what is left                      | the next run           |
|------------------------------|-----------------------------------|------------------------|
| nothing was decided          | everything                        | decides                |
| the decision                 | rows that are marked, all files   | removes the files      |
| some files                   | rows that are marked, the others  | removes the others     |
| all files                    | an open row in `purges`           | finishes the row       |

The gate of the inbox is held from the decision to the last file, so that nothing is stored in between: a resend comes
before it, and the series is no candidate any more, or after it, and its file stays.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from db.retention import Decided, RemovableSeries, RetentionTable
from dicom_node.node.disk import DiskUse
from dicom_node.node.errors import StorageTrouble
from dicom_node.node.files import sync_folder
from dicom_node.node.inbox_gate import removing
from dicom_node.node.logger import get_logger
from dicom_node.node.objects.opening import shared_storage_of
from dicom_node.node.outbox import QUARANTINE
from dicom_node.node.settings import Settings
from dicom_node.node.storage import StorageProbe, why_full
from dicom_node.upkeep.disk.rules import RetentionRule, rules_of

log = get_logger()

# What is needed for a correction or a question of the next day stays, however full the disk is.
EARLIEST: Final = timedelta(days=1)
BATCH: Final = 50  # series in one step
_FEW: Final = 5


@dataclass(frozen=True)
class Plan:
    """What one look would remove.

    Attributes:
        candidate: the series.
        rule: the rule that allows it.
        early: the disk is fuller than its low mark: before its time is over.
        outbox_bytes: of the result sets.
    """

    candidate: RemovableSeries
    rule: RetentionRule
    early: bool
    outbox_bytes: int

    @property
    def bytes(self) -> int:
        """All that would be free."""
        return self.candidate.inbox_bytes + self.outbox_bytes


class Purge:
    """Removes files by the rules. Several processes may do so at once.

    Args:
        table: decisions.
        storage: absolute.
        rules: in their order.
        low_percent: when more of the disk is used, files go early.
        disk: how full it is.
        forget: removes the same images, and the result sets of the same jobs, from the object store; None: there is
            none. Raises StorageTrouble when it does not answer.
    """

    def __init__(
        self,
        table: RetentionTable,
        storage: Path,
        rules: tuple[RetentionRule, ...],
        low_percent: float,
        disk: Callable[[], DiskUse] | None = None,
        forget: Callable[[Iterable[str], Iterable[int]], None] | None = None,
    ) -> None:
        self._table = table
        self._storage = storage
        self._rules = rules
        self._low_percent = low_percent
        self._probe = StorageProbe(storage)
        self._forget = forget
        self._disk = disk or (lambda: DiskUse.of(storage))

    def plans(self) -> Iterator[Plan]:
        """What would be removed now, in order; changes nothing."""
        freed, planned = 0, set()
        for rule in self._rules:
            for candidate in self._table.candidates(rule.subject, self._table.before(rule.kept)):
                plan = Plan(candidate, rule, early=False, outbox_bytes=self._result_bytes(candidate))
                freed += plan.bytes
                planned.add(candidate.series_instance_uid)
                yield plan
        for rule in filter(_goes_early, self._rules):
            for candidate in self._table.candidates(rule.subject, self._table.before(EARLIEST)):
                if candidate.series_instance_uid in planned:
                    continue
                if not self._too_full(freed):
                    return
                plan = Plan(candidate, rule, early=True, outbox_bytes=self._result_bytes(candidate))
                freed += plan.bytes
                yield plan

    def step(self, most: int = BATCH) -> int:
        """Finish what was decided, then remove at most so many series; returns how many.

        Raises:
            StorageTrouble: STORAGE is away or takes no change.
        """
        self._probe.require_there()
        for decided in self._table.unfinished():
            self._finish(decided)
        self._table.bring_back_times()
        done = 0
        for rule in self._rules:
            done += self._remove(rule, rule.kept, most - done)
        if done < most and self._too_full():
            done += self._remove_early(most - done)
        return done

    def _remove_early(self, most: int) -> int:
        """Few at a time, in the order of the rules: the mark is looked at again before the next."""
        done = 0
        for rule in filter(_goes_early, self._rules):
            while removed := self._remove(rule, EARLIEST, min(most - done, _FEW)):
                done += removed
                if not self._too_full():
                    return done
        return done

    def retry_set_aside(self) -> None:
        """Try once more to delete what could not be deleted."""
        self._probe.require_there()
        for decided in self._table.set_aside():
            self._finish(decided)

    def _remove(self, rule: RetentionRule, kept: timedelta, most: int) -> int:
        if most <= 0:
            return 0
        before, done = self._table.before(kept), 0
        for candidate in self._table.candidates(rule.subject, before, most):
            if self._remove_one(candidate, before):
                done += 1
        return done

    def _remove_one(self, candidate: RemovableSeries, before: datetime) -> bool:
        with removing(str(self._storage), _part_of_inbox(candidate.series_instance_uid)):
            decided = self._table.decide(candidate, before)
            if decided is None:
                return False
            self._delete(decided)
        return True

    def _finish(self, decided: Decided) -> None:
        with removing(str(self._storage), _part_of_inbox(decided.series_instance_uid)):
            self._delete(self._table.still_decided(decided))

    def _delete(self, decided: Decided) -> None:
        """Delete the files of a decision; what cannot be deleted sets it aside."""
        size = decided.inbox_bytes + sum(map(self._outbox_bytes, decided.job_ids))
        try:
            self._delete_inbox(decided.inbox)
            for job_id in decided.job_ids:
                for folder in self._outbox_folders(job_id):
                    shutil.rmtree(folder)
                    sync_folder(folder.parent)
            if self._forget is not None:  # last: what is shared meanwhile has gone from here (`share_instances`)
                self._forget(decided.inbox, decided.job_ids)
        except OSError as error:
            if (full := why_full(error)) is not None:  # says nothing about the file
                raise StorageTrouble(f"files cannot be removed from STORAGE: {full}") from error
            trouble = f"{error.filename or self._storage}: {os.strerror(error.errno or 0)}"
            self._table.put_aside(decided, trouble)
            facts = {"series": decided.series_instance_uid, "trouble": trouble}
            log.error("files that cannot be deleted are set aside", **facts)  # noqa: TRY400 - the trouble says it
            return
        self._table.finish(decided, size)
        log.info("files removed", series=decided.series_instance_uid, rule=decided.rule, bytes=size)

    def _delete_inbox(self, paths: tuple[str, ...]) -> None:
        folders = set()
        for path in paths:
            file = self._storage / path
            file.unlink(missing_ok=True)
            folders.add(file.parent)
        for folder in folders:
            if not folder.is_dir():
                continue
            sync_folder(folder)
            with contextlib.suppress(OSError):  # it holds files of conflicts, or of other programs
                folder.rmdir()

    def _outbox_folders(self, job_id: int) -> list[Path]:
        outbox = self._storage / "outbox"
        return [folder for folder in (outbox / str(job_id), outbox / QUARANTINE / str(job_id)) if folder.is_dir()]

    def _result_bytes(self, candidate: RemovableSeries) -> int:
        return sum(map(self._outbox_bytes, self._table.job_ids(candidate)))

    def _outbox_bytes(self, job_id: int) -> int:
        folders = self._outbox_folders(job_id)
        return sum(file.stat().st_size for folder in folders for file in folder.rglob("*") if file.is_file())

    def _too_full(self, freed: int = 0) -> bool:
        use = self._disk()
        return DiskUse(use.total_bytes, use.free_bytes + freed).percent > self._low_percent


def purge_of(settings: Settings, table: RetentionTable) -> Purge:
    """The removal that the settings say, from STORAGE and from the object store beside it."""
    shared = shared_storage_of(settings)
    forget = None if shared is None else shared.forget
    return Purge(table, settings.storage.absolute(), rules_of(settings), settings.disk_low, forget=forget)


def _part_of_inbox(series_instance_uid: str) -> str:
    """Where the receiver puts the series (`receive.store.instance_path`)."""
    return f"inbox/{hashlib.sha256(series_instance_uid.encode()).hexdigest()[:2]}/"


def _goes_early(rule: RetentionRule) -> bool:
    return rule.goes_early
