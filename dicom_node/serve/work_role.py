"""The role `work`: decides which series are complete, analyses them, and attends to corrections that come back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from db.clock import clamp_feedback, clamp_jobs
from db.engine import Database, open_database
from db.engine.bell import Wake
from db.feedback import FeedbackTable
from db.inbox import Inbox
from db.jobs import JobTable
from db.models import ModelTable
from db.scans import ScanTable
from dicom_node.node.clock import clock_watch
from dicom_node.node.errors import StorageTrouble
from dicom_node.node.free_memory import give_back_free_memory
from dicom_node.node.liveness import Liveness
from dicom_node.node.logger import get_logger
from dicom_node.node.objects.opening import shared_storage_of
from dicom_node.node.objects.shared import SharedStorage
from dicom_node.node.objects.shared_tables import SharedInbox, SharedOutbox
from dicom_node.node.outbox import Outbox
from dicom_node.node.settings import Settings
from dicom_node.series.complete.completer import Completer
from dicom_node.series.complete.evidence import Patience
from dicom_node.series.complete.examiner import Examiner
from dicom_node.serve.loop import run_until_stopped, waiting_for_room
from dicom_node.serve.role import lease_owner
from dicom_node.serve.schema import require_current
from dicom_node.serve.sharing import run_sweeping
from dicom_node.serve.threads import run_threads
from dicom_node.serve.time_keeper import TimeKeeper
from dicom_node.serve.wake_ups import WakeUps

if TYPE_CHECKING:
    from dicom_node.analyse.follow_up.patient_key import PatientHasher

log = get_logger()
Work = Callable[[], None]

# The longest turns: every open series is looked at, and one may take minutes in the child that reads it; a correction
# is read and compared; a job has its own limit, after which it ends the process by itself.
_COMPLETION_SECONDS = 1800.0
_FEEDBACK_SECONDS = 1800.0
_BESIDE_A_JOB_SECONDS = 600.0
_STORE_SECONDS = 5.0
_PARTS: Final = {
    "all": ("completion", "feedback", "analysis"),
    "analyse": ("analysis",),
    "complete": ("completion", "feedback"),
}


def run_work(settings: Settings, stop: threading.Event, liveness: Liveness) -> None:
    """Complete, analyse and attend to feedback until `stop` is set; what was begun is finished first.

    Completion runs beside analysis in one process, since a node that only receives has nothing to decide, and a node
    that works must find work. It begins before the model is loaded. Feedback needs no model either.
    """
    require_current(settings.database_url)
    database = open_database(settings.database_url)
    jobs = JobTable(database, max_attempts=settings.max_attempts, only_shared=settings.holds_copies)
    shared = shared_storage_of(settings)
    inbox = Inbox(database) if shared is None else SharedInbox(database, shared)
    liveness.report_ready()
    wake_ups = WakeUps(database, stop)
    ended, queued = wake_ups.event(Wake.SERIES), wake_ups.event(Wake.JOBS)
    received = Inbox(database)  # on the machine that receives, where its files are
    beside: dict[str, Work] = {
        "completion": lambda: _complete(settings, database, received, jobs, stop, liveness, ended),
        "feedback": lambda: _attend(settings, database, received, jobs, stop, liveness),
        "analysis": lambda: _analyse(settings, database, inbox, jobs, shared, stop, liveness, queued),
        "sweeping": lambda: run_sweeping(settings, jobs, stop, liveness),
    }
    threads = [beside[name] for name in _PARTS[settings.work]]
    if settings.holds_copies:
        threads.append(beside["sweeping"])
    run_threads([wake_ups.run, *(waiting_for_room(thread, stop) for thread in threads)], stop)
    database.close()


def _complete(
    settings: Settings,
    database: Database,
    inbox: Inbox,
    jobs: JobTable,
    stop: threading.Event,
    liveness: Liveness,
    woken: threading.Event,
) -> None:
    storage, patience = settings.storage.absolute(), Patience.of(settings)
    examiner = Examiner(log_level=settings.log_level, log_format=settings.log_format)
    try:
        completer = Completer(inbox, jobs, FeedbackTable(database), storage, patience, examine=examiner.examine)
        run_until_stopped(completer.look, stop, liveness.loop("completion", _COMPLETION_SECONDS), woken)
    finally:
        examiner.close()


def _attend(
    settings: Settings, database: Database, inbox: Inbox, jobs: JobTable, stop: threading.Event, liveness: Liveness
) -> None:
    # As in `_analyse`: completion need not wait for it.
    from dicom_node.feedback.match import FeedbackMatcher, longest_wait
    from dicom_node.feedback.read import FeedbackReader

    storage = settings.storage.absolute()
    reader = FeedbackReader(log_level=settings.log_level, log_format=settings.log_format)
    matcher = FeedbackMatcher(FeedbackTable(database), inbox, jobs, storage, Outbox(storage / "outbox"), reader)
    keeper = TimeKeeper(lambda: clamp_feedback(database, longest_wait))
    try:
        moved = liveness.loop("feedback", _FEEDBACK_SECONDS)
        run_until_stopped(keeper.before(matcher.step), stop, moved)
    finally:
        matcher.close()


def _analyse(
    settings: Settings,
    database: Database,
    inbox: Inbox,
    jobs: JobTable,
    shared: SharedStorage | None,
    stop: threading.Event,
    liveness: Liveness,
    woken: threading.Event,
) -> None:
    # Imported here: completion need not wait for highdicom, SciPy and the runtime.
    from dicom_node.analyse.analysis import region_rule_of
    from dicom_node.analyse.follow_up.finder import FollowUps
    from dicom_node.analyse.follow_up.lesion_comparer import LIMITS, LesionComparer
    from dicom_node.analyse.rules import WorkRules
    from dicom_node.analyse.worker import Worker
    from dicom_node.models.choice import pinned_choice, registry_choice
    from dicom_node.models.served import ServedModel
    from dicom_node.series.read.received_series import ReceivedSeriesReader
    from dicom_node.serve.shared_models import open_choice
    from segmentation.ensemble import Ensemble

    owner, models = lease_owner("work"), ModelTable(database)
    served = ServedModel(
        choose=lambda: pinned_choice(settings) or registry_choice(settings, models.live_digest()),
        open_choice=lambda choice: open_choice(choice, settings, shared),
        report=lambda choice, words: models.not_loaded(owner, choice.digest or "", words),
    )

    def current_model() -> Ensemble | None:
        ensemble = served.current()
        liveness.report_model(None if ensemble is None else ensemble.identity.digest)
        return ensemble

    storage = settings.storage.absolute()
    hasher = _hasher(settings, shared, stop) if settings.follow_up else None
    if stop.is_set():
        return
    outbox = Outbox(storage / "outbox") if shared is None else SharedOutbox(storage / "outbox", shared)
    outbox.clear_unfinished()
    rules = WorkRules(
        lease_seconds=settings.lease_seconds,
        retry_seconds=settings.job_retry_seconds,
        limit_seconds=settings.job_limit_seconds,
        destinations={destination.name: destination.options for destination in settings.destinations},
        region_rule=region_rule_of(settings),
    )
    beside = Examiner(log_level=settings.log_level, log_format=settings.log_format)
    reader = ReceivedSeriesReader(log_level=settings.log_level, log_format=settings.log_format)
    reader.start()
    # What waits has twice that time, and may be asked twice: the attempt must still write its result.
    limits = replace(LIMITS, seconds=min(LIMITS.seconds, settings.job_limit_seconds / 6))
    lesions = LesionComparer(inbox, jobs, outbox, reader, settings.log_level, settings.log_format, limits)
    worker = Worker(
        owner=owner,
        inbox=inbox,
        jobs=jobs,
        current_model=current_model,
        outbox=outbox,
        rules=rules,
        reader=reader,
        follow_ups=None if hasher is None else FollowUps(ScanTable(database), hasher, lesions),
        has_settled=clock_watch().has_settled,
        examine=beside.examine,
    )
    keeper = TimeKeeper(lambda: clamp_jobs(database, rules.wait_after, rules.lease_seconds))

    def step() -> float:
        pause = worker.step()
        if pause:
            served.warm_up()
        else:  # a job has ended; here nothing of it is held any more
            give_back_free_memory()
        return pause

    try:
        moved = liveness.loop("analysis", settings.job_limit_seconds + _BESIDE_A_JOB_SECONDS)
        run_until_stopped(keeper.before(step), stop, moved, woken)
    finally:
        worker.close()
        beside.close()
        lesions.close()


def _hasher(settings: Settings, shared: SharedStorage | None, stop: threading.Event) -> PatientHasher | None:
    """Waits for the object store, where the key of the other machines is; None when it is stopped before."""
    from dicom_node.analyse.follow_up.patient_key import open_hasher

    while not stop.is_set():
        try:
            return open_hasher(settings.storage.absolute(), shared, makes=not settings.holds_copies)
        except StorageTrouble as error:
            log.warning("waiting for the key of patients' hashes", seconds=_STORE_SECONDS, detail=str(error))
            stop.wait(_STORE_SECONDS)
    return None
