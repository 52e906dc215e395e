"""Is the node well? One list of checks, for `wmh-node status`, for /readyz and for /health.

Each check says what was found and, where something is wrong, what to do. No check writes anything.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final

from db.audit_exports import AuditExportTable
from db.engine import Database, open_database
from db.engine.schema_version import check as check_schema
from db.errors import DatabaseError
from db.jobs import JobTable
from db.models import ModelTable
from db.notifications import NotificationTable
from db.overview import overview
from db.records import DeliveryState, JobState, Notification, NotificationState, Overview, Promotion, RunningRole
from db.retention import RetentionTable
from db.reviews import ReviewTable
from db.roles import RoleTable
from db.shares import counts_by_sender
from dicom_node.node.disk import DiskUse
from dicom_node.node.errors import ConfigurationError
from dicom_node.node.held_deliveries import deliveries_are_held
from dicom_node.node.mail_settings import WorkingWeek
from dicom_node.node.settings import Settings
from dicom_node.node.tls import inspect
from dicom_node.serve.unusual import BEFORE, RECENT, unusual_senders
from dicom_node.upkeep.audit.export import Repository

# A role gives a heartbeat every ten seconds; six that fail are no accident.
ALIVE_SECONDS: Final = 60.0
NEEDED_ROLES: Final = ("receive", "work", "deliver")
_RECENT: Final = timedelta(days=1)
_OLD_QUEUE: Final = timedelta(minutes=30)
_OLD_WAITING: Final = timedelta(hours=1)
_OLD_DELIVERY: Final = timedelta(hours=1)
# A worker takes another model between two jobs.
_MODEL_CHANGE: Final = timedelta(minutes=30)
_OLD_MESSAGE: Final = timedelta(minutes=30)
_MOST_UNSENT: Final = 200
_MOST_COUNTED: Final = 1000
_MOST_UNSHARED: Final = 50
_OLD_SHARING: Final = timedelta(minutes=10)
_LOW_BYTES: Final = 5 * 1024**3
_RENEW_DAYS: Final = 30


class Level(IntEnum):
    """How well; the highest of all checks is the exit code of `wmh-node status`."""

    OK = 0
    WARNING = 1
    CRITICAL = 2

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Check:
    """What one check found; `words` holds no identifier of a patient."""

    name: str
    level: Level
    words: str


@dataclass(frozen=True)
class NodeState:
    """What all checks found.

    Attributes:
        overview: None when the database could not be asked.
        roles: those that gave a heartbeat of late.
    """

    checks: tuple[Check, ...]
    roles: tuple[RunningRole, ...]
    overview: Overview | None

    @property
    def level(self) -> Level:
        """The worst of the checks."""
        return max((check.level for check in self.checks), default=Level.OK)


def look_at_node(settings: Settings, open_: Callable[[str], Database] = open_database) -> NodeState:
    """Run every check."""
    fixed = (_storage(settings), *_certificate(settings))
    try:
        status = check_schema(settings.database_url)
        if not status.is_current:
            words = f"its schema is not what this version needs ({status}): {status.remedy}"
            return NodeState((Check("database", Level.CRITICAL, words), *fixed), (), None)
        with closing(open_(settings.database_url)) as database:
            roles = tuple(RoleTable(database).list(ALIVE_SECONDS))
            found = overview(database, database.clock() - _RECENT)
            set_aside = RetentionTable(database).count_set_aside()
            live = ModelTable(database).live() if settings.model is None else None
            counts = counts_by_sender(database, found.at - BEFORE, found.at - RECENT)
            audit_trouble = AuditExportTable(database).state(_repository(settings))
            reviews = ReviewTable(database)
            unread = (reviews.count_open(_MOST_COUNTED), reviews.oldest_open()) if settings.review_hours else (0, None)
            unshared = _oldest_unshared(JobTable(database)) if settings.object_store is not None else None
            unsent = NotificationTable(database).list(_MOST_UNSENT, [NotificationState.PENDING])
    except DatabaseError as error:
        return NodeState((Check("database", Level.CRITICAL, str(error)), *fixed), (), None)
    checks = (
        Check("database", Level.OK, str(status)),
        *(_role(name, roles) for name in NEEDED_ROLES),
        *_model(roles, live, found.at),
        *fixed,
        _queue(found),
        _waiting(found),
        _failures(found),
        *_set_aside(set_aside),
        *_held(settings),
        *(Check(f"sender {sender}", Level.WARNING, words) for sender, words in unusual_senders(counts)),
        *_deliveries(found, settings),
        Check("last result", Level.OK, _ago(found.last_result_at, found.at, "none yet")),
        _last_image(found, settings),
        *_reviews(*unread, settings, found.at),
        *_sharing(unshared, settings, found.at),
        *_backup(found, settings),
        *_messages(unsent, found.at),
        *_audit_export(audit_trouble, settings, found.at),
    )
    return NodeState(checks, roles, found)


def _role(name: str, roles: Sequence[RunningRole]) -> Check:
    running = [role for role in roles if role.role == name]
    if not running:
        words = f"not running: start `wmh-node serve`, or `systemctl start wmh-node-{name}`"
        return Check(name, Level.CRITICAL, words)
    stuck = [f"{role.host}: {role.trouble}" for role in running if role.trouble]
    if stuck:
        return Check(name, Level.WARNING, "; ".join(stuck) + ". Look at its log, and start it again")
    return Check(name, Level.OK, "runs on " + ", ".join(f"{role.host} (process {role.process_id})" for role in running))


def _model(roles: Sequence[RunningRole], live: Promotion | None, now: datetime) -> Iterator[Check]:
    workers = [role for role in roles if role.role == "work"]
    if not workers:
        return
    digests = sorted({role.model_digest[:12] for role in workers if role.model_digest})
    if not digests:
        words = "no worker has loaded one yet; if it lasts, look at the worker's log and run `wmh-node config check`"
        yield Check("model", Level.WARNING, words)
    elif live is not None and now - live.at > _MODEL_CHANGE and live.digest[:12] not in digests:
        words = f"{live.digest[:12]} is live, but workers serve {', '.join(digests)}: look at their log"
        yield Check("model", Level.WARNING, words)
    elif len(digests) > 1:
        words = f"workers serve different ones: {', '.join(digests)}; compare with `wmh-node models list`"
        yield Check("model", Level.WARNING, words)
    else:
        yield Check("model", Level.OK, digests[0])


_CLEAN: Final = "`wmh-node purge --dry-run` shows what may go and what must stay"


def _storage(settings: Settings) -> Check:
    storage = settings.storage
    try:
        found = os.statvfs(storage)
    except OSError as error:
        words = f"{storage}: {error.strerror}: mount it, or correct WMH_NODE_STORAGE"
        return Check("storage", Level.CRITICAL, words)
    if found.f_flag & os.ST_RDONLY:
        return Check("storage", Level.CRITICAL, f"{storage} is mounted read-only: check the disk, then mount it again")
    free = found.f_bavail * found.f_frsize
    words = f"{free / 1e9:.1f} GB free in {storage}"
    use = DiskUse.of(storage)
    if use.bytes_until(settings.disk_full, settings.reserve_bytes) <= 0:
        return Check("storage", Level.CRITICAL, f"{words}: the node refuses images; free disk space")
    if free < max(_LOW_BYTES, 2 * settings.reserve_bytes) or use.percent > settings.disk_high:
        return Check("storage", Level.WARNING, f"{words}, {use.percent:.0f} % used: free disk space; {_CLEAN}")
    return Check("storage", Level.OK, words)


def _certificate(settings: Settings) -> Iterator[Check]:
    files = settings.tls_files if settings.dicom_tls_port else None
    if files is None:
        return
    try:
        days = inspect(files, as_server=True).days_left()
    except ConfigurationError as error:
        yield Check("certificate", Level.CRITICAL, str(error))
        return
    if days < 0:
        words = f"{files.certificate} has expired: renew it; the receiver takes it with the next connection"
        yield Check("certificate", Level.CRITICAL, words)
    elif days < _RENEW_DAYS:
        yield Check("certificate", Level.WARNING, f"{files.certificate} expires in {days} days: renew it")
    else:
        yield Check("certificate", Level.OK, f"{files.certificate} is valid for {days} days")


def _queue(found: Overview) -> Check:
    counts = {job.state: job for job in found.jobs}
    words = ", ".join(f"{counts[state].count} {state}" for state in _UNDER_WAY if state in counts) or "no job"
    queued = counts.get(JobState.QUEUED)
    if queued is not None and found.at - queued.oldest_at > _OLD_QUEUE:
        waits = _duration(found.at - queued.oldest_at)
        return Check("jobs", Level.WARNING, f"{words}; the oldest has waited for {waits}: is the worker running?")
    return Check("jobs", Level.OK, words)


_UNDER_WAY: Final = (JobState.QUEUED, JobState.RUNNING, JobState.DELIVERING)


def _waiting(found: Overview) -> Check:
    if found.oldest_waiting_at is None:
        return Check("waiting series", Level.OK, "none")
    waits = found.at - found.oldest_waiting_at
    words = f"{found.waiting_series} wait for more slices or for a look; the oldest for {_duration(waits)}"
    if waits > _OLD_WAITING:
        return Check("waiting series", Level.WARNING, f"{words}: is the sender still sending?")
    return Check("waiting series", Level.OK, words)


def _failures(found: Overview) -> Check:
    if not found.failed_since:
        return Check("failures", Level.OK, "none in a day")
    words = (
        f"{found.failed_since} jobs failed in a day: `wmh-node jobs list --state failed`, then `jobs explain`, and "
        "`jobs retry` or `jobs acknowledge`"
    )
    return Check("failures", Level.WARNING, words)


def _last_image(found: Overview, settings: Settings) -> Check:
    words = _ago(found.last_received_at, found.at, "none yet")
    if settings.silence_hours is None or found.last_received_at is None:
        return Check("last image", Level.OK, words)
    silent = WorkingWeek.of(settings.working_hours).hours_between(found.last_received_at, found.at)
    if silent < settings.silence_hours:
        return Check("last image", Level.OK, words)
    advice = "do the scanners, or the PACS, still send to this node?"
    return Check("last image", Level.WARNING, f"{words}, {silent:.0f} working hours: {advice}")


def _reviews(count: int, oldest: datetime | None, settings: Settings, now: datetime) -> Iterator[Check]:
    if settings.review_hours is None:
        return
    if oldest is None:
        yield Check("reviews", Level.OK, "no result waits for a review")
        return
    words = f"{_at_most(count)} for a reader's review, the oldest for {_duration(now - oldest)}"
    if now - oldest > timedelta(hours=settings.review_hours):
        yield Check("reviews", Level.WARNING, f"{words}: open Review on the page, or ask who reads them")
    else:
        yield Check("reviews", Level.OK, words)


def _oldest_unshared(jobs: JobTable) -> datetime | None:
    waiting = [job.created_at for job in jobs.to_share(_MOST_UNSHARED) if job.state is JobState.QUEUED]
    return min(waiting, default=None)


def _sharing(oldest: datetime | None, settings: Settings, now: datetime) -> Iterator[Check]:
    if settings.object_store is None:
        return
    if oldest is None or now - oldest < _OLD_SHARING:
        yield Check("object store", Level.OK, "what queued jobs need is there")
        return
    words = f"what a queued job needs has waited for {_duration(now - oldest)} to be put there; nothing is lost"
    yield Check("object store", Level.WARNING, f"{words}: `wmh-node config check`, and the log of `deliver`, say why")


def _at_most(count: int) -> str:
    if count >= _MOST_COUNTED:
        return f"{_MOST_COUNTED} results or more wait"
    return "1 result waits" if count == 1 else f"{count} results wait"


def _backup(found: Overview, settings: Settings) -> Iterator[Check]:
    if settings.backup_days is None:
        return
    words = _ago(found.last_backup_at, found.at, "none yet")
    if found.last_backup_at is None or found.at - found.last_backup_at > timedelta(days=settings.backup_days):
        yield Check("last backup", Level.WARNING, f"{words}: run `wmh-node backup create`, or check its timer")
    else:
        yield Check("last backup", Level.OK, words)


def _messages(unsent: Sequence[Notification], now: datetime) -> Iterator[Check]:
    for channel in sorted({message.channel for message in unsent}):
        oldest = min((message for message in unsent if message.channel == channel), key=lambda message: message.id)
        if now - oldest.created_at > _OLD_MESSAGE:
            words = (
                f"messages wait for {_duration(now - oldest.created_at)}: {oldest.reason or 'is `deliver` running?'}"
            )
            yield Check(f"notifications by {channel}", Level.WARNING, words)


def _repository(settings: Settings) -> str:
    return "" if settings.audit_repository is None else Repository.of(settings).name


def _audit_export(trouble: tuple[datetime | None, str | None], settings: Settings, now: datetime) -> Iterator[Check]:
    since, words = trouble
    if settings.audit_repository is not None and since is not None and now - since > _OLD_MESSAGE:
        waits = f"the repository has taken nothing for {_duration(now - since)}; nothing is lost: {words}"
        yield Check("audit export", Level.WARNING, waits)


def _held(settings: Settings) -> Iterator[Check]:
    if deliveries_are_held(settings.storage):
        words = "restored from a backup, nothing is sent: look at `wmh-node jobs list`, then `wmh-node backup release`"
        yield Check("restored", Level.WARNING, words)


def _set_aside(count: int) -> Iterator[Check]:
    if count:
        words = f"files of {count} series cannot be deleted: the log names them; then `wmh-node purge --now`"
        yield Check("disk", Level.WARNING, words)


def _deliveries(found: Overview, settings: Settings) -> Iterator[Check]:
    if not settings.destinations:
        yield Check("destinations", Level.OK, "none: results stay in STORAGE; set WMH_NODE_DESTINATIONS to send them")
    if found.not_delivered_since:
        words = f"{found.not_delivered_since} given up in a day: `wmh-node jobs list --state failed`"
        yield Check("deliveries", Level.WARNING, words)
    for delivery in found.deliveries:
        if delivery.state is DeliveryState.PENDING and found.at - delivery.oldest_at > _OLD_DELIVERY:
            waits = _duration(found.at - delivery.oldest_at)
            words = f"{delivery.count} wait, the oldest for {waits}; nothing is lost: is the destination running?"
            yield Check(f"destination {delivery.destination}", Level.WARNING, words)


def _ago(at: datetime | None, now: datetime, never: str) -> str:
    return never if at is None else f"{_duration(now - at)} ago"


def _duration(time: timedelta) -> str:
    seconds = max(0, int(time.total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
