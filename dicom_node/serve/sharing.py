"""Sharing with machines that only analyse, on the machine that receives: images go out, result sets come back."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from db.engine import Database
from db.errors import UnknownRow
from db.inbox import Inbox
from db.jobs import JobTable
from db.records import Job, JobState
from dicom_node.node.errors import StorageTrouble
from dicom_node.node.liveness import Liveness
from dicom_node.node.logger import get_logger
from dicom_node.node.objects.opening import shared_storage_of
from dicom_node.node.objects.shared import SharedStorage
from dicom_node.node.outbox import Outbox
from dicom_node.node.settings import Settings
from dicom_node.serve.loop import run_until_stopped

log = get_logger()

_IDLE_SECONDS: Final = 0.5
_AWAY_SECONDS: Final = 5.0
_STEP_SECONDS: Final = 1800.0
_BATCH: Final = 10
_MOST_SERIES: Final = 16  # of a study; as `analyse.source` reads
_RESULTS_EVERY_SECONDS: Final = 5.0
_FIRST, _LATER = 1000, 50  # jobs that are looked at for results: after a start, and then
# Of a machine that only analyses: all of it is elsewhere too.
_COPIES_SECONDS: Final = 86_400.0
_SWEEP_SECONDS: Final = 600.0


def run_sharing(settings: Settings, database: Database, stop: threading.Event, liveness: Liveness) -> None:
    """Share until `stop` is set; without an object store there is nothing to do."""
    shared = None if settings.holds_copies else shared_storage_of(settings)
    if shared is None:
        return
    storage = settings.storage.absolute()
    sharing = Sharing(Inbox(database), JobTable(database), Outbox(storage / "outbox"), shared)
    log.info("sharing by the object store", store=settings.object_store)
    run_until_stopped(sharing.step, stop, liveness.loop("sharing", _STEP_SECONDS))


class Sharing:
    """What a job needs goes to the object store, and its result set comes from there.

    Args:
        still: seconds of a clock that no step moves.
    """

    def __init__(
        self,
        inbox: Inbox,
        jobs: JobTable,
        outbox: Outbox,
        shared: SharedStorage,
        still: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inbox, self._jobs, self._outbox, self._shared, self._still = inbox, jobs, outbox, shared, still
        self._results_due, self._looked_at = still(), _FIRST
        self._is_away = False
        self._known: dict[int, datetime] = {}  # when a job was last changed whose result set was looked for

    def step(self) -> float:
        """One turn; returns the seconds until the next."""
        try:
            shared = self._share()
            if self._still() >= self._results_due:
                self._fetch_results()
                self._results_due, self._looked_at = self._still() + _RESULTS_EVERY_SECONDS, _LATER
        except StorageTrouble as error:
            if not self._is_away:
                log.warning("nothing is shared until the object store is back", trouble=str(error))
            self._is_away = True
            return _AWAY_SECONDS
        if self._is_away:
            log.info("the object store is back")
            self._is_away = False
        return 0.0 if shared else _IDLE_SECONDS

    def _share(self) -> int:
        waiting = self._jobs.to_share(_BATCH)
        for job in waiting:
            self._shared.share_instances(self._inbox.instances_of_job(job))
            if not job.state.has_ended:
                for instances in self._inbox.instances_beside(job, _MOST_SERIES):
                    self._shared.share_instances(instances)
            self._share_results(job)
            self._jobs.note_shared(job.id)
        return len(waiting)

    def _share_results(self, job: Job) -> None:
        """A result from before there was an object store: later scans are compared with it on any machine."""
        folder = self._outbox.of_job(job.id)
        if folder is not None and int(folder.name) == self._shared.newest_set(job.id) + 1:
            self._shared.share_set(job.id, folder)

    def _fetch_results(self) -> None:
        """So that the page and the corrections have them; a delivery fetches what it needs itself."""
        known = {}
        for job in self._jobs.list([JobState.DELIVERING, JobState.DONE, JobState.REJECTED], self._looked_at):
            if job.purged_at is None and self._known.get(job.id) != job.updated_at:
                newest = self._shared.newest_set(job.id)
                if newest > self._outbox.highest_number(job.id):
                    self._shared.fetch_set(job.id, newest)
            known[job.id] = job.updated_at
        self._known = known


def run_sweeping(settings: Settings, jobs: JobTable, stop: threading.Event, liveness: Liveness) -> None:
    """On a machine that only analyses: copies go from its disk after a day, until `stop` is set."""
    storage = settings.storage.absolute()

    def step() -> float:
        sweep(storage, jobs, time.time() - _COPIES_SECONDS)
        return _SWEEP_SECONDS

    run_until_stopped(step, stop, liveness.loop("sweeping", _STEP_SECONDS))


def sweep(storage: Path, jobs: JobTable, before: float) -> int:
    """Remove copies that are older; returns how many files and result sets went.

    Args:
        before: seconds of the machine's clock.
    """
    count = 0
    for file in [*(storage / "inbox").rglob("*.dcm"), *(storage / "fetched").glob("*")]:
        if file.is_file() and file.stat().st_mtime < before:
            file.unlink(missing_ok=True)
            count += 1
    for folder in (storage / "outbox").glob("*"):
        if folder.name.isdecimal() and folder.stat().st_mtime < before and not _is_under_way(jobs, int(folder.name)):
            shutil.rmtree(folder, ignore_errors=True)
            count += 1
    return count


def _is_under_way(jobs: JobTable, job_id: int) -> bool:
    """Its result set may lie here and not in the object store yet."""
    try:
        return not jobs.get(job_id).state.has_ended
    except UnknownRow:
        return False
