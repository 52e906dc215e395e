"""Sharing with machines that only analyse, on the machine that receives: images go out, result sets come back."""

from __future__ import annotations

import os
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
from db.models import ModelTable
from db.records import Job, JobState
from dicom_node.node.errors import ConfigurationError, StorageTrouble
from dicom_node.node.liveness import Liveness
from dicom_node.node.logger import get_logger
from dicom_node.node.objects.door import DamagedObject, ObjectStoreTrouble
from dicom_node.node.objects.opening import shared_storage_of
from dicom_node.node.objects.shared import SharedStorage
from dicom_node.node.outbox import Outbox
from dicom_node.node.patient_key_file import open_key
from dicom_node.node.settings import Settings
from dicom_node.node.storage import StorageProbe
from dicom_node.serve.loop import run_until_stopped
from dicom_node.serve.only_node import claim_receiving

log = get_logger()

_IDLE_SECONDS: Final = 0.5
_AWAY_SECONDS: Final = 5.0
_STEP_SECONDS: Final = 1800.0
_BATCH: Final = 10
_LATER_SECONDS: Final = 120.0  # as long as one call with its repetitions may take
_MOST_SERIES: Final = 16  # of a study; as `analyse.source` reads
_RESULTS_EVERY_SECONDS: Final = 5.0
_LOOKED_AT = 1000  # newest jobs; one of low priority may end days after newer ones
# Of a machine that only analyses: all of it is elsewhere too.
_COPIES_SECONDS: Final = 86_400.0
_SWEEP_SECONDS: Final = 600.0


def run_sharing(settings: Settings, database: Database, stop: threading.Event, liveness: Liveness) -> None:
    """Share until `stop` is set; without an object store there is nothing to do."""
    shared = None if settings.holds_copies else shared_storage_of(settings)
    if shared is None:
        return
    # Here alone: it brings the models' libraries, which the roles that only receive and deliver do without.
    from dicom_node.serve.shared_models import live_bundle

    storage = settings.storage.absolute()
    models = ModelTable(database)
    sharing = Sharing(
        Inbox(database),
        JobTable(database),
        Outbox(storage / "outbox"),
        shared,
        live_bundle=lambda: live_bundle(settings, models),
    )
    clear_left(storage / "fetched", time.time() - _COPIES_SECONDS)
    log.info("sharing by the object store", store=settings.object_store)
    run_until_stopped(_after_key(sharing.step, storage, shared), stop, liveness.loop("sharing", _STEP_SECONDS))


def _after_key(step: Callable[[], float], storage: Path, shared: SharedStorage) -> Callable[[], float]:
    """The other machines wait for the key of patients' hashes, also where none is needed here (WORK=complete)."""
    is_shared = False

    def careful() -> float:
        nonlocal is_shared
        if not is_shared:
            try:
                claim_receiving(storage, shared)  # the role ends where another machine is the one that receives
            except StorageTrouble:
                return step()  # says what is away
            try:
                open_key(storage, shared)
            except StorageTrouble:
                return step()  # says what is away
            except ConfigurationError as error:
                log.error("scans of before are not compared on other machines", trouble=str(error))  # noqa: TRY400
            is_shared = True
        return step()

    return careful


class Sharing:
    """What a job needs goes to the object store, and its result set comes from there.

    Args:
        still: seconds of a clock that no step moves.
        live_bundle: digest and folder of the live model, where it is here.
    """

    def __init__(
        self,
        inbox: Inbox,
        jobs: JobTable,
        outbox: Outbox,
        shared: SharedStorage,
        still: Callable[[], float] = time.monotonic,
        live_bundle: Callable[[], tuple[str, Path] | None] = lambda: None,
    ) -> None:
        self._inbox, self._jobs, self._outbox, self._shared, self._still = inbox, jobs, outbox, shared, still
        self._probe = StorageProbe(outbox.folder.parent)
        self._results_due = still()
        self._is_away = False
        self._live_bundle, self._shared_model = live_bundle, ""
        self._later: dict[int, float] = {}  # jobs that are left alone until then: an object of theirs did not go
        self._known: dict[int, datetime] = {}  # when a job was last changed whose result set was looked for

    def step(self) -> float:
        """One turn; returns the seconds until the next."""
        try:
            shared = self._share()
            if self._still() >= self._results_due:
                self._share_model()
                self._fetch_results()
                self._results_due = self._still() + _RESULTS_EVERY_SECONDS
        except (StorageTrouble, OSError) as error:  # a full disk must not end the role, which delivers too
            if not self._is_away:
                trouble = os.strerror(error.errno or 0) if isinstance(error, OSError) else str(error)
                log.warning("nothing is shared until STORAGE and the object store can be used", trouble=trouble)
            self._is_away = True
            return _AWAY_SECONDS
        if self._is_away:
            log.info("sharing goes on")
            self._is_away = False
        return 0.0 if shared else _IDLE_SECONDS

    def _share(self) -> int:
        self._later = {job: until for job, until in self._later.items() if until > self._still()}
        count = 0
        for job in self._jobs.to_share(_BATCH, self._later):
            try:
                self._share_job(job)
            except ObjectStoreTrouble as error:
                if self._shared.away() is not None:  # of every job alike
                    raise
                # One object that does not go, as a large one over a slow line, keeps no other job from being shared.
                self._later[job.id] = self._still() + _LATER_SECONDS
                log.warning("a job is not shared yet: the others go first", job=job.id, trouble=str(error))
            else:
                count += 1
        return count

    def _share_job(self, job: Job) -> None:
        self._shared.share_instances(self._inbox.instances_of_job(job))
        if not job.state.has_ended:
            for instances in self._inbox.instances_beside(job, _MOST_SERIES):
                self._shared.share_instances(instances)
        self._share_results(job)
        self._probe.require_there()  # where STORAGE was away, no file was there to be put
        self._jobs.note_shared(job.id)

    def _share_model(self) -> None:
        """The other machines have the live model from here."""
        live = self._live_bundle()
        if live is not None and live[0] != self._shared_model:
            if self._shared.share_model(*live):
                log.info("the live model is in the object store", digest=live[0][:12])
            self._shared_model = live[0]

    def _share_results(self, job: Job) -> None:
        """A result from before there was an object store: later scans are compared with it on any machine."""
        folder = self._outbox.of_job(job.id)
        if folder is not None and int(folder.name) == self._shared.newest_set(job.id) + 1:
            self._shared.share_set(job.id, int(folder.name), folder)

    def _fetch_results(self) -> None:
        """So that the page and the corrections have them; a delivery fetches what it needs itself."""
        known = {}
        for job in self._jobs.list([JobState.DELIVERING, JobState.DONE, JobState.REJECTED], _LOOKED_AT):
            if job.purged_at is None and self._known.get(job.id) != job.updated_at and not self._fetch_newest(job):
                continue
            known[job.id] = job.updated_at
        self._known = known

    def _fetch_newest(self, job: Job) -> bool:
        """False where it did not come this time, while the store answers: it is tried again."""
        try:
            newest = self._shared.newest_set(job.id)
            if newest > self._outbox.highest_number(job.id):
                self._fetch_set(job.id, newest)
        except ObjectStoreTrouble as error:
            if self._shared.away() is not None:
                raise
            log.warning("a result set does not come from the object store yet", job=job.id, trouble=str(error))
            return False
        return True

    def _fetch_set(self, job_id: int, number: int) -> None:
        try:
            self._shared.fetch_set(job_id, number)
        except DamagedObject as error:  # those of other jobs come; this one is tried again when its job changes
            log.error("a result set is damaged in the object store", job=job_id, trouble=str(error))  # noqa: TRY400


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
    for file in (storage / "inbox").rglob("*.dcm"):
        if _is_older(file, before):
            file.unlink(missing_ok=True)
            count += 1
    count += clear_left(storage / "fetched", before)
    for folder in (storage / "outbox").glob("*"):
        if folder.name.isdecimal() and _is_older(folder, before) and not _is_under_way(jobs, int(folder.name)):
            shutil.rmtree(folder, ignore_errors=True)
            count += 1
    return count


def clear_left(folder: Path, before: float) -> int:
    """Remove what was being fetched when a process was killed; returns how many files and result sets."""
    left = [entry for entry in folder.glob("*") if _is_older(entry, before)]
    for entry in left:
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
    return len(left)


def _is_older(path: Path, before: float) -> bool:
    try:
        return path.stat().st_mtime < before
    except FileNotFoundError:  # another process was quicker
        return False


def _is_under_way(jobs: JobTable, job_id: int) -> bool:
    """Its result set may lie here and not in the object store yet."""
    try:
        return not jobs.get(job_id).state.has_ended
    except UnknownRow:
        return False
