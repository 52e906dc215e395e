"""What of STORAGE may be removed, and the record of what was: files go, rows stay.

The unit is a series: its files in the inbox, and the result sets of all its jobs in the outbox. A removal is decided in
one transaction, which marks the rows (`purged_at`) and adds a row to `purges`; then the files go; then the row is
finished. After a kill at any instruction either nothing was decided, or the next run finishes what was.

Never chosen: a series that is still received or waits for its verdict; one with a job that has not ended, in its study
too; one with a delivery that waits; one of a study that is held; one that an accepted correction was drawn on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, insert, literal_column, or_, select, update

from db.audit import BACKUP, record_action
from db.clock import clamp_resting
from db.engine.database import Database
from db.engine.upsert import upsert
from db.engine.values import storable
from db.errors import UnknownRow
from db.job_events import note
from db.proven import is_proven, is_waited_for
from db.records import FeedbackState, JobState
from db.schema import feedback, holds, instances, jobs, purges, series
from db.seen_time import SeenTime
from db.series import lock_series


class Subject(StrEnum):
    """What a retention rule is about: a series, by the state of its newest job."""

    RETURNED = "returned"  # no job: the node's own results that a PACS sent back
    REJECTED = "rejected"
    DONE = "done"  # and every destination has what it was promised
    CANCELLED = "cancelled"
    FAILED = "failed"  # and a person acknowledged it
    FEEDBACK = "feedback"  # segmentations that people sent


class Kept(StrEnum):
    """Why a series whose job has ended stays, whatever its age."""

    NOT_PROVEN = "not proven"
    NOT_ACKNOWLEDGED = "not acknowledged"
    HELD = "held"
    CORRECTED = "corrected"


@dataclass(frozen=True, slots=True)
class RemovableSeries:
    """A series whose files may go.

    Attributes:
        subject: the kind of rule that it falls under.
        job_id: of its newest job; None when it has none.
        since: when its job ended or its last image was received, whichever was later.
        inbox_bytes: of its files in the inbox.
    """

    series_instance_uid: str
    subject: Subject
    job_id: int | None
    since: datetime
    inbox_bytes: int


@dataclass(frozen=True, slots=True)
class Decided:
    """A removal that was decided: the files that go.

    Attributes:
        id: of its row in `purges`.
        inbox: paths relative to STORAGE, POSIX form.
        job_ids: whose result sets go from the outbox.
        inbox_bytes: of the files in the inbox.
    """

    id: int
    series_instance_uid: str
    rule: str
    inbox: tuple[str, ...]
    job_ids: tuple[int, ...]
    inbox_bytes: int


@dataclass(frozen=True, slots=True)
class KeptCount:
    """How many series stay for one reason, and their files in the inbox in bytes."""

    why: Kept
    series: int
    inbox_bytes: int


@dataclass(frozen=True, slots=True)
class Hold:
    """A study of which nothing is removed."""

    study_instance_uid: str
    at: datetime
    who: str
    reason: str


class RetentionTable:
    """Removals and holds. Safe to use from several processes; each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def now(self) -> datetime:
        """The time of the database's rows."""
        return self._database.clock()

    def before(self, kept: timedelta) -> datetime:
        """What has rested since before this has rested for `kept`: see `SeenTime`."""
        return SeenTime(self._database).before(kept)

    def bring_back_times(self) -> None:
        """Rows that were written while the clock was ahead rest from now on: see `clamp_resting`."""
        clamp_resting(self._database)

    # Choosing

    def candidates(self, subject: Subject, before: datetime, limit: int | None = None) -> list[RemovableSeries]:
        """Series of one subject that have rested since before that time, the longest first."""
        with self._database.read() as connection:
            rows = connection.execute(_CANDIDATES[subject].limit(limit), {"before": before}).all()
        return [_candidate(row, subject) for row in rows]

    def kept(self, before: datetime) -> list[KeptCount]:
        """Series that have rested since before that time and stay, by reason."""
        found = []
        with self._database.read() as connection:
            for why, condition in _KEPT.items():
                count, size = connection.execute(_kept(condition), {"before": before}).one()
                if count:
                    found.append(KeptCount(why, count, int(size or 0)))
        return found

    def job_ids(self, candidate: RemovableSeries) -> list[int]:
        """Jobs of the series of which there may be a result set."""
        query = select(jobs.c.id).where(
            jobs.c.series_instance_uid == candidate.series_instance_uid, jobs.c.purged_at.is_(None)
        )
        with self._database.read() as connection:
            return list(connection.execute(query.order_by(jobs.c.id)).scalars())

    # Removing

    def decide(self, candidate: RemovableSeries, before: datetime) -> Decided | None:
        """Decide to remove the files of a candidate, if it still is one; None when it is not.

        The caller keeps the receiver from storing anything of the series until the files are gone.
        """
        now = self._database.clock()
        uid = candidate.series_instance_uid
        with self._database.write() as connection:
            lock_series(connection, uid)
            still = _CANDIDATES[candidate.subject].where(series.c.series_instance_uid == uid)
            if connection.execute(still, {"before": before}).first() is None:
                return None
            row = connection.execute(
                insert(purges)
                .values(series_instance_uid=uid, rule=candidate.subject.value, decided_at=now)
                .returning(purges)
            ).one()
            connection.execute(update(series).where(series.c.series_instance_uid == uid).values(purged_at=now))
            connection.execute(
                update(instances)
                .where(instances.c.series_instance_uid == uid, instances.c.purged_at.is_(None))
                .values(purged_at=now)
            )
            of_series = (jobs.c.series_instance_uid == uid) & jobs.c.purged_at.is_(None)
            for job_id in connection.execute(select(jobs.c.id).where(of_series)).scalars().all():
                note(connection, job_id, now, "files removed", f"by the retention rule {candidate.subject.value!r}")
            connection.execute(update(jobs).where(of_series).values(purged_at=now))
            return _decided(connection, row)

    def unfinished(self) -> list[Decided]:
        """Removals that were decided and not finished, as by a process that was killed; without those set aside."""
        query = select(purges).where(purges.c.finished_at.is_(None), purges.c.trouble.is_(None)).order_by(purges.c.id)
        return self._read_decided(query)

    def set_aside(self) -> list[Decided]:
        """Removals of which a file could not be deleted."""
        query = select(purges).where(purges.c.finished_at.is_(None), purges.c.trouble.is_not(None))
        return self._read_decided(query.order_by(purges.c.id))

    def still_decided(self, decided: Decided) -> Decided:
        """The files of a removal that go as of now: what was received again since it was decided stays."""
        with self._database.read() as connection:
            return _decided(connection, connection.execute(select(purges).where(purges.c.id == decided.id)).one())

    def finish(self, decided: Decided, freed_bytes: int) -> None:
        """Its files are gone."""
        self._change(decided, finished_at=self._database.clock(), freed_bytes=freed_bytes, trouble=None)

    def put_aside(self, decided: Decided, trouble: str) -> None:
        """A file could not be deleted: it is not tried again until a person asks."""
        self._change(decided, trouble=storable(trouble))

    def count_set_aside(self) -> int:
        """How many removals are set aside."""
        query = select(func.count()).where(purges.c.finished_at.is_(None), purges.c.trouble.is_not(None))
        with self._database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def _change(self, decided: Decided, **values: Any) -> None:
        with self._database.write() as connection:
            connection.execute(update(purges).where(purges.c.id == decided.id).values(values))

    def _read_decided(self, query: Any) -> list[Decided]:
        with self._database.read() as connection:
            return [_decided(connection, row) for row in connection.execute(query).all()]

    # Keeping

    def kept_paths(self) -> list[str]:
        """Files of the inbox that are there, relative to STORAGE."""
        with self._database.read() as connection:
            return list(connection.execute(select(instances.c.path).where(instances.c.purged_at.is_(None))).scalars())

    def note_gone(self, paths: Sequence[str]) -> None:
        """Files of the inbox that a restored node lacks: they count as removed, and it does not answer for them."""
        now = self._database.clock()
        with self._database.write() as connection:
            for path in paths:
                gone = (instances.c.path == path) & instances.c.purged_at.is_(None)
                connection.execute(update(instances).where(gone).values(purged_at=now))

    def kept_jobs(self) -> list[int]:
        """Jobs of which there may be a result set."""
        with self._database.read() as connection:
            return list(connection.execute(select(jobs.c.id).where(jobs.c.purged_at.is_(None))).scalars())

    def note_backup(self, who: str, detail: str) -> None:
        """Write down that a backup is finished."""
        now = self._database.clock()
        with self._database.write() as connection:
            record_action(connection, now, who, BACKUP, None, detail)

    # Holding

    def hold(self, study_instance_uid: str, who: str, reason: str) -> Hold:
        """Keep every file of a study; a study that is held already keeps its first reason.

        Raises:
            UnknownRow: nothing of the study was received.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            known = select(series.c.series_instance_uid).where(series.c.study_instance_uid == study_instance_uid)
            if connection.execute(known.limit(1)).first() is None:
                raise UnknownRow(f"nothing of study {study_instance_uid} was received: expected a StudyInstanceUID")
            values = {"study_instance_uid": study_instance_uid, "at": now, "who": who, "reason": storable(reason)}
            connection.execute(upsert(connection.dialect.name)(holds).values(values).on_conflict_do_nothing())
            record_action(connection, now, who, "hold", None, f"study {study_instance_uid}: {reason}")
            of_study = select(holds).where(holds.c.study_instance_uid == study_instance_uid)
            return Hold(**connection.execute(of_study).one()._mapping)

    def release(self, study_instance_uid: str, who: str) -> None:
        """The rules apply to the study again.

        Raises:
            UnknownRow: it is not held.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            removed = connection.execute(holds.delete().where(holds.c.study_instance_uid == study_instance_uid))
            if not removed.rowcount:
                raise UnknownRow(f"study {study_instance_uid} is not held; `wmh-node hold` lists what is")
            record_action(connection, now, who, "release", None, f"study {study_instance_uid}")

    def holds(self) -> list[Hold]:
        """What is held, oldest first."""
        with self._database.read() as connection:
            return [Hold(**row._mapping) for row in connection.execute(select(holds).order_by(holds.c.at)).all()]


def _candidate(row: Any, subject: Subject) -> RemovableSeries:
    since = max(row.last_received_at, row.ended_at or row.last_received_at)
    return RemovableSeries(row.series_instance_uid, subject, row.id, since, int(row.size or 0))


def _decided(connection: Connection, row: Any) -> Decided:
    """The files of a removal that go: those that it marked and that were not received again since."""
    uid = row.series_instance_uid
    marked = instances.c.purged_at == row.decided_at
    query = select(instances.c.path, instances.c.size_bytes).where(instances.c.series_instance_uid == uid, marked)
    files = connection.execute(query.order_by(instances.c.ordinal)).all()
    of_series = select(jobs.c.id).where(jobs.c.series_instance_uid == uid, jobs.c.purged_at == row.decided_at)
    job_ids = connection.execute(of_series.order_by(jobs.c.id)).scalars().all()
    size = sum(file.size_bytes for file in files)
    return Decided(row.id, uid, row.rule, tuple(file.path for file in files), tuple(job_ids), size)


# The conditions

_NEWEST: Final = jobs.alias("newest")
_BEFORE: Final = bindparam("before", type_=series.c.last_received_at.type)
_IS_ENDED: Final = [state.value for state in JobState if state.has_ended]


def _newest_job() -> ColumnElement[bool]:
    later = jobs.alias("later")
    same = later.c.series_instance_uid == series.c.series_instance_uid
    is_last = ~select(later.c.id).where(same, later.c.id > _NEWEST.c.id).exists()
    return and_(_NEWEST.c.series_instance_uid == series.c.series_instance_uid, is_last)


def _jobs_where(*conditions: Any) -> ColumnElement[bool]:
    return select(jobs.c.id).where(*conditions).correlate(series).exists()


_OF_SERIES: Final = jobs.c.series_instance_uid == series.c.series_instance_uid
_OF_STUDY: Final = jobs.c.study_instance_uid == series.c.study_instance_uid
_IS_OPEN: Final = and_(jobs.c.state != literal_column("'done'"), jobs.c.state.not_in(_IS_ENDED))

_RESTS: Final = and_(
    series.c.purged_at.is_(None),
    series.c.last_received_at < _BEFORE,
    series.c.instance_count <= series.c.judged_count,
    or_(_NEWEST.c.id.is_(None), _NEWEST.c.ended_at < _BEFORE),
    ~_jobs_where(_OF_SERIES, _IS_OPEN),
    ~_jobs_where(_OF_STUDY, _IS_OPEN),
    ~_jobs_where(_OF_SERIES, is_waited_for(jobs.c.id)),
)
# Results that are nowhere else, and failures that no person has seen, of any job of the series.
_IS_NEEDED: Final = _jobs_where(
    _OF_SERIES,
    or_(
        and_(jobs.c.state == literal_column("'done'"), ~is_proven(jobs.c.id)),
        and_(jobs.c.state == literal_column("'failed'"), jobs.c.acknowledged_at.is_(None)),
    ),
)
_HELD: Final = select(holds.c.at).where(holds.c.study_instance_uid == series.c.study_instance_uid).exists()

# Segmentations that people sent, whether they were usable or not; the node's own results that came back are none.
_BY_PEOPLE: Final = feedback.c.state != FeedbackState.OWN.value
_IS_FEEDBACK: Final = (
    select(feedback.c.id).where(feedback.c.series_instance_uid == series.c.series_instance_uid, _BY_PEOPLE).exists()
)


def _is_corrected() -> ColumnElement[bool]:
    """Whether a correction that is still there was drawn on the series: both are exported together."""
    of_feedback = series.alias("of_feedback")
    query = (
        select(feedback.c.id)
        .join(of_feedback, of_feedback.c.series_instance_uid == feedback.c.series_instance_uid)
        .where(
            feedback.c.source_series_uid == series.c.series_instance_uid,
            feedback.c.state.in_([FeedbackState.WAITING.value, FeedbackState.ACCEPTED.value]),
            of_feedback.c.purged_at.is_(None),
        )
    )
    return query.correlate(series).exists()


_CORRECTED: Final = _is_corrected()


def _in(*states: JobState) -> ColumnElement[bool]:
    return _NEWEST.c.state.in_([state.value for state in states])


_CONDITIONS: Final[dict[Subject, ColumnElement[bool]]] = {
    Subject.RETURNED: and_(_NEWEST.c.id.is_(None), ~_IS_FEEDBACK),
    Subject.REJECTED: and_(_in(JobState.REJECTED), ~_IS_FEEDBACK, ~_IS_NEEDED),
    Subject.DONE: and_(_in(JobState.DONE), is_proven(_NEWEST.c.id)),
    Subject.CANCELLED: and_(_in(JobState.CANCELLED), ~_IS_NEEDED),
    Subject.FAILED: and_(_in(JobState.FAILED), _NEWEST.c.acknowledged_at.is_not(None)),
    Subject.FEEDBACK: and_(
        or_(_NEWEST.c.id.is_(None), _in(JobState.REJECTED)),
        _IS_FEEDBACK,
        ~select(feedback.c.id)
        .where(
            feedback.c.series_instance_uid == series.c.series_instance_uid,
            feedback.c.state == FeedbackState.WAITING.value,
        )
        .exists(),
    ),
}
_KEPT: Final[dict[Kept, ColumnElement[bool]]] = {
    Kept.HELD: _HELD,
    Kept.CORRECTED: and_(~_HELD, _CORRECTED),
    Kept.NOT_PROVEN: and_(~_HELD, ~_CORRECTED, _in(JobState.DONE), ~is_proven(_NEWEST.c.id)),
    Kept.NOT_ACKNOWLEDGED: and_(~_HELD, ~_CORRECTED, _in(JobState.FAILED), _NEWEST.c.acknowledged_at.is_(None)),
}

_SIZE: Final = (
    select(func.sum(instances.c.size_bytes))
    .where(instances.c.series_instance_uid == series.c.series_instance_uid, instances.c.purged_at.is_(None))
    .correlate(series)
    .scalar_subquery()
)


def _candidates(subject: Subject) -> Any:
    ended = func.coalesce(_NEWEST.c.ended_at, series.c.last_received_at)
    return (
        select(
            series.c.series_instance_uid,
            series.c.last_received_at,
            _NEWEST.c.id,
            _NEWEST.c.ended_at,
            _SIZE.label("size"),
        )
        .select_from(series.outerjoin(_NEWEST, _newest_job()))
        .where(_RESTS, ~_HELD, ~_CORRECTED, _CONDITIONS[subject])
        .order_by(ended, series.c.series_instance_uid)
    )


def _kept(condition: ColumnElement[bool]) -> Any:
    resting = (
        select(_SIZE.label("size")).select_from(series.outerjoin(_NEWEST, _newest_job())).where(_RESTS, condition)
    ).subquery()
    return select(func.count(), func.sum(resting.c.size))


_CANDIDATES: Final = {subject: _candidates(subject) for subject in Subject}
