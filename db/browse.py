"""What the page lists: jobs by filter, a page at a time, and what happened in a stretch of time.

Pages go by the job's number (keyset): the millionth page costs as much as the first, and no row is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, func, literal_column, or_, select

from db.audit import OF_THE_NODE
from db.claimable import is_in
from db.cohorts import cohort_changes
from db.engine.database import Database
from db.measured import usable_part, usable_volume_ml
from db.records import AuditEntry, DeliveryState, JobState, ReviewState
from db.schema import associations, audit, deliveries, job_events, jobs, scans, series, series_associations
from db.supersede import PATIENT_CORRECTED

_LARGEST_ID: Final = 2**31 - 1
# As in `db.scans`: neither withdrawn, nor of another patient than was believed.
_IS_STILL_TRUE: Final = and_(
    jobs.c.withdrawn_at.is_(None), or_(jobs.c.code.is_(None), jobs.c.code != PATIENT_CORRECTED)
)


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs to list; None: any.

    Attributes:
        code: reason code, such as "not_axial".
        scanner: calling AE title of an association that brought instances of the series.
        since, until: when the job was made, from and before.
        uid: of the series or the study, whole.
    """

    state: JobState | None = None
    code: str | None = None
    scanner: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    uid: str | None = None


@dataclass(frozen=True, slots=True)
class JobLine:
    """One line of a list of jobs.

    Attributes:
        scanner: AE title that sent the series; None when it is unknown.
        measurements: of measurements.json, as far as there is a result.
        review: as of `Job`.
    """

    id: int
    state: JobState
    code: str | None
    reason: str | None
    series_instance_uid: str
    instance_count: int
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    scanner: str | None
    measurements: dict[str, Any] | None
    review: ReviewState | None = None


@dataclass(frozen=True, slots=True)
class JobPage:
    """Some jobs, newest first.

    Attributes:
        newer, older: pass as `after` or `before` for the page on that side; None when there is none.
    """

    lines: tuple[JobLine, ...]
    newer: int | None
    older: int | None


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """What became of one job, for figures.

    Attributes:
        seconds: from the last image of its series to its end; None while it is not done.
    """

    state: JobState
    code: str | None
    scanner: str | None
    created_at: datetime
    seconds: float | None


SCANNER: Final = (
    select(associations.c.calling_ae_title)
    .join(series_associations, series_associations.c.association_id == associations.c.id)
    .where(series_associations.c.series_instance_uid == jobs.c.series_instance_uid)
    .order_by(associations.c.id)
    .limit(1)
    .correlate(jobs)
    .scalar_subquery()
    .label("scanner")
)
LINE_COLUMNS: Final = (
    jobs.c.id,
    jobs.c.state,
    jobs.c.code,
    jobs.c.reason,
    jobs.c.series_instance_uid,
    jobs.c.instance_count,
    jobs.c.created_at,
    jobs.c.updated_at,
    jobs.c.ended_at,
    SCANNER,
    jobs.c.measurements,
    jobs.c.review,
)


def list_jobs(
    database: Database, wanted: JobFilter, limit: int, *, before: int | None = None, after: int | None = None
) -> JobPage:
    """A page of jobs.

    Args:
        limit: lines at most.
        before: only jobs with smaller numbers.
        after: only jobs with larger numbers, those nearest to it; wins over `before`.
    """
    query = page_query(wanted, limit + 1, before, after)
    with database.read() as connection:
        rows = connection.execute(query).all()
    more, rows = len(rows) > limit, rows[:limit]
    if after is not None:
        rows = rows[::-1]
    lines = tuple(line_of(row) for row in rows)
    has_newer = more if after is not None else before is not None
    has_older = more if after is None else True
    return JobPage(
        lines,
        newer=lines[0].id if lines and has_newer else None,
        older=lines[-1].id if lines and has_older else None,
    )


def page_query(wanted: JobFilter, limit: int, before: int | None, after: int | None) -> Any:
    """See `list_jobs`; newest first, or with `after` the other way round."""
    query = select(*LINE_COLUMNS).where(*_conditions(wanted)).limit(limit)
    if after is not None:
        return query.where(jobs.c.id > min(after, _LARGEST_ID)).order_by(jobs.c.id)
    if before is not None:
        query = query.where(jobs.c.id < min(before, _LARGEST_ID))
    return query.order_by(jobs.c.id.desc())


def _conditions(wanted: JobFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.state is not None:
        found.append(is_in(wanted.state))
        if wanted.state is not JobState.DONE:  # as the partial index names it
            found.append(jobs.c.state != literal_column("'done'"))
    if wanted.code is not None:
        found += [jobs.c.code == wanted.code, jobs.c.code.is_not(None)]
    if wanted.scanner is not None:
        found.append(
            select(series_associations.c.association_id)
            .join(associations, associations.c.id == series_associations.c.association_id)
            .where(
                series_associations.c.series_instance_uid == jobs.c.series_instance_uid,
                associations.c.calling_ae_title == wanted.scanner,
            )
            .exists()
        )
    if wanted.since is not None:
        found.append(jobs.c.created_at >= wanted.since)
    if wanted.until is not None:
        found.append(jobs.c.created_at < wanted.until)
    if wanted.uid is not None:
        found.append(or_(jobs.c.series_instance_uid == wanted.uid, jobs.c.study_instance_uid == wanted.uid))
    return found


def outcomes(database: Database, since: datetime, limit: int) -> list[JobOutcome]:
    """What became of the jobs that were made since, newest first, at most `limit` of them."""
    query = (
        select(jobs.c.state, jobs.c.code, SCANNER, jobs.c.created_at, jobs.c.ended_at, series.c.last_received_at)
        .outerjoin(series, series.c.series_instance_uid == jobs.c.series_instance_uid)
        .where(jobs.c.created_at >= since)
        .order_by(jobs.c.created_at.desc())
        .limit(limit)
    )
    with database.read() as connection:
        return [_outcome_of(row) for row in connection.execute(query)]


def _outcome_of(row: Any) -> JobOutcome:
    state = JobState(row.state)
    seconds = None
    if state is JobState.DONE and row.ended_at is not None and row.last_received_at is not None:
        seconds = max(0.0, (row.ended_at - row.last_received_at).total_seconds())
    return JobOutcome(state, row.code, row.scanner, row.created_at, seconds)


def scanners_seen(database: Database, limit: int = 50) -> list[str]:
    """Calling AE titles of the newest associations, each once, in order."""
    newest = select(associations.c.calling_ae_title).order_by(associations.c.id.desc()).limit(1000).subquery()
    query = select(newest.c.calling_ae_title).distinct().order_by(newest.c.calling_ae_title).limit(limit)
    with database.read() as connection:
        return [str(name) for name in connection.execute(query).scalars()]


def scanner_of(database: Database, series_instance_uid: str) -> str | None:
    """AE title that sent the series first; None when it is unknown."""
    query = (
        select(associations.c.calling_ae_title)
        .join(series_associations, series_associations.c.association_id == associations.c.id)
        .where(series_associations.c.series_instance_uid == series_instance_uid)
        .order_by(associations.c.id)
        .limit(1)
    )
    with database.read() as connection:
        return connection.execute(query).scalar_one_or_none()


@dataclass(frozen=True, slots=True)
class ScanPoint:
    """One scan of a patient: the day, the volume in mL with its range, and the job; no volume if not reliable."""

    job_id: int
    acquired_on: datetime
    volume_ml: float | None
    interval_ml: tuple[float, float] | None


def course_of(database: Database, job_id: int) -> list[ScanPoint]:
    """The scans with results of the patient of a job, by day; one a study, the newest job of it."""
    key = select(scans.c.patient_key).where(scans.c.job_id == job_id).scalar_subquery()
    query = (
        select(scans.c.job_id, scans.c.study_instance_uid, scans.c.acquired_on, jobs.c.measurements)
        .join(jobs, jobs.c.id == scans.c.job_id)
        .where(
            scans.c.patient_key == key,
            jobs.c.measurements.is_not(None),
            or_(jobs.c.id == job_id, _IS_STILL_TRUE),
        )
        .order_by(scans.c.acquired_on, scans.c.job_id)
        .limit(200)
    )
    with database.read() as connection:
        rows = connection.execute(query).all()
    of_study = {row.study_instance_uid: row for row in rows}
    return [_point_of(row) for row in of_study.values()]


def _point_of(row: Any) -> ScanPoint:
    interval = usable_part(row.measurements).get("volume_interval_ml")
    low_high = (float(interval[0]), float(interval[1])) if isinstance(interval, list) and len(interval) == 2 else None
    return ScanPoint(row.job_id, row.acquired_on, usable_volume_ml(row.measurements), low_high)


@dataclass(frozen=True, slots=True)
class DestinationFigures:
    """The deliveries of one destination.

    Attributes:
        waiting: not sent yet; counted up to a limit.
        oldest_waiting_at: since when the oldest of them waits.
        last_sent_at: the newest one that arrived.
        last_words: what the peer answered, or why it was not reached, at the newest one that waits or failed.
    """

    waiting: int
    oldest_waiting_at: datetime | None
    last_sent_at: datetime | None
    last_words: str | None


def destination_figures(database: Database, name: str) -> DestinationFigures:
    """How the deliveries to a destination stand."""
    pending = (deliveries.c.state == literal_column("'pending'"), deliveries.c.destination == name)
    newest = select(deliveries.c.id, deliveries.c.state, deliveries.c.settled_at, deliveries.c.reason).where(
        deliveries.c.destination == name
    )
    with database.read() as connection:
        waiting, oldest = connection.execute(
            select(func.count(), func.min(deliveries.c.created_at)).where(*pending)
        ).one()
        recent = connection.execute(newest.order_by(deliveries.c.id.desc()).limit(500)).all()
    sent = [row.settled_at for row in recent if row.state not in _NOT_ARRIVED and row.settled_at is not None]
    words = next((row.reason for row in recent if row.reason), None)
    return DestinationFigures(waiting, oldest, max(sent, default=None), words)


_NOT_ARRIVED: Final = frozenset(
    {DeliveryState.PENDING.value, DeliveryState.GIVEN_UP.value, DeliveryState.CANCELLED.value}
)


def audit_page(database: Database, limit: int, before: int | None = None) -> list[tuple[int, AuditEntry]]:
    """What people did, with the numbers of the entries, newest first."""
    query = select(audit.c.id, audit.c.at, audit.c.who, audit.c.action, audit.c.job_id, audit.c.detail)
    query = query.where(audit.c.action.not_in(OF_THE_NODE))
    if before is not None:
        query = query.where(audit.c.id < min(before, _LARGEST_ID))
    with database.read() as connection:
        rows = connection.execute(query.order_by(audit.c.id.desc()).limit(limit)).all()
    return [(row.id, AuditEntry(row.at, row.who, row.action, row.job_id, row.detail)) for row in rows]


def newest_marks(database: Database) -> tuple[int, int, int]:
    """Numbers that grow with every line of a timeline, every association and every change of a cohort: something has
    happened.
    """
    with database.read() as connection:
        return _largest(connection, job_events), _largest(connection, associations), cohort_changes(connection)


def _largest(connection: Connection, table: Any) -> int:
    return int(connection.execute(select(func.coalesce(func.max(table.c.id), 0))).scalar_one())


def line_of(row: Row[Any]) -> JobLine:
    """A row of LINE_COLUMNS."""
    values = dict(row._mapping)
    review = None if values["review"] is None else ReviewState(values["review"])
    return JobLine(**{**values, "state": JobState(values["state"]), "review": review})
