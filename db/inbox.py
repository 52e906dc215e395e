"""The inbox: what was received, by which association, into which series.

`record` is on the receiving hot path: its statements are built once, and an instance costs one of them. The row of the
series is written first, which on PostgreSQL makes a second receiver wait there: so ordinals have no gaps, and the same
instance from two receivers is one row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, exists, func, insert, select, true, union_all, update

from db.engine.bell import Wake
from db.engine.database import Database
from db.engine.upsert import upsert
from db.engine.values import storable
from db.job_events import note
from db.priorities import highest, highest_column
from db.received_audit import record_received
from db.records import (
    Arrival,
    AssociationEnd,
    Job,
    JobState,
    Priority,
    ReceivedInstance,
    RecordOutcome,
    SeriesActivity,
    StoredInstance,
)
from db.schema import associations, instances, refused_objects, returned_instances, series, series_associations
from db.series import (
    digest_of_first,
    jobs_of_series,
    lock_series,
    mark_closed,
    newer_verdict,
    priority_of,
    require_series,
    same_job,
)
from db.supersede import supersede
from db.transitions import JobAction, insert_job

# Pairs (series, association) known to have their row; beyond this many the memory is emptied and they are asked again.
_REMEMBERED_PAIRS: Final = 4096


@dataclass
class _Known:
    """What a series has while a batch is recorded: rows, how many of them are conflicts, and returns of this batch."""

    instances: int
    conflicts: int
    returns: int = 0


_RECENT_SERIES: Final = 20  # of all senders; a sender with none of them counts as new


class Inbox:
    """Rows of received instances. Safe to use from several threads and processes; each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statements = _Statements("sqlite" if database.is_sqlite else "postgresql")
        self._known_pairs: set[tuple[str, int]] = set()

    @property
    def database(self) -> Database:
        """Where its rows are."""
        return self._database

    # Associations

    def open_association(self, calling_ae_title: str, called_ae_title: str, address: str, receiver: str) -> int:
        """Record the start of an association; returns its id.

        Args:
            receiver: name of the receiver process, the same after its restart (`end_orphans`).
        """
        values = {
            "calling_ae_title": calling_ae_title,
            "called_ae_title": called_ae_title,
            "address": address,
            "receiver": receiver,
            "opened_at": self._database.clock(),
        }
        with self._database.write() as connection:
            return int(connection.execute(insert(associations).returning(associations.c.id), values).scalar_one())

    def end_association(self, association_id: int, end: AssociationEnd) -> None:
        """Record how an association ended; a second end of the same association changes nothing."""
        now = self._database.clock()
        with self._database.write(Wake.SERIES) as connection:
            ended = connection.execute(
                update(associations)
                .where(associations.c.id == association_id, associations.c.ended_at.is_(None))
                .values(ended_at=now, ended_how=end.value)
                .returning(associations)
            ).first()
            if ended is not None:
                record_received(connection, now, ended)

    def end_orphans(self, receiver: str, known: Mapping[int, AssociationEnd]) -> int:
        """At the receiver's start: end associations that its predecessor left open; returns how many.

        Args:
            receiver: its name.
            known: how some of them ended, by id; the others are LOST, also where an id is none of theirs.
        """
        now = self._database.clock()
        orphans = (
            update(associations)
            .where(associations.c.receiver == receiver, associations.c.ended_at.is_(None))
            .returning(associations)
        )
        with self._database.write() as connection:
            ended = [
                row
                for number, end in known.items()
                for row in connection.execute(
                    orphans.where(associations.c.id == number).values(ended_at=now, ended_how=end.value)
                )
            ]
            ended += connection.execute(orphans.values(ended_at=now, ended_how=AssociationEnd.LOST.value))
            for association in ended:
                record_received(connection, now, association)
            return len(ended)

    # Instances

    def record(self, batch: Sequence[ReceivedInstance]) -> list[RecordOutcome]:
        """Record instances in one transaction; when this returns, a power cut does not undo it.

        Returns:
            one outcome per instance, in the batch's order. On an error nothing of the batch is recorded.
        """
        if not batch:
            return []
        now = self._database.clock()
        with self._database.write() as connection:
            known = self._touch_series(connection, batch, now)
            outcomes = [
                self._insert(connection, instance, known[instance.series_instance_uid], now) for instance in batch
            ]
            self._count(connection, batch, outcomes, known)
            pairs = self._link(connection, batch, outcomes, now)
        self._remember(pairs)  # only now: the transaction has happened
        return outcomes

    def has_file(self, sop_instance_uid: str, sha256: str) -> bool:
        """Whether exactly this object was received, and its file is kept."""
        query = select(instances.c.ordinal).where(
            instances.c.sop_instance_uid == sop_instance_uid,
            instances.c.sha256 == sha256,
            instances.c.purged_at.is_(None),
        )
        with self._database.read() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def _touch_series(
        self, connection: Connection, batch: Sequence[ReceivedInstance], now: datetime
    ) -> dict[str, _Known]:
        """Make, or lock, the rows of the batch's series; returns what each has."""
        studies = {instance.series_instance_uid: instance.study_instance_uid for instance in batch}
        asked: dict[str, Priority] = {}
        for instance in batch:
            uid = instance.series_instance_uid
            asked[uid] = highest(instance.priority, asked.get(uid, Priority.LOW))
        return {
            uid: _Known(
                *connection.execute(
                    self._statements.touch_series,
                    {
                        "series_instance_uid": uid,
                        "study_instance_uid": studies[uid],
                        "priority": asked[uid].value,
                        "now": now,
                    },
                ).one()
            )
            for uid in sorted(studies)  # one order for all receivers: no deadlock
        }

    def _insert(
        self, connection: Connection, instance: ReceivedInstance, known: _Known, now: datetime
    ) -> RecordOutcome:
        is_conflict = connection.execute(
            self._statements.insert_instance,
            {
                "series_instance_uid": instance.series_instance_uid,
                "ordinal": known.instances + 1,
                "sop_instance_uid": instance.sop_instance_uid,
                "sha256": instance.sha256,
                "sop_class_uid": instance.sop_class_uid,
                "study_instance_uid": instance.study_instance_uid,
                "transfer_syntax_uid": instance.transfer_syntax_uid,
                "path": instance.path,
                "size_bytes": instance.size_bytes,
                "association_id": instance.association_id,
                "received_at": now,
                "known_uid": instance.sop_instance_uid,
                "known_series": instance.series_instance_uid,
            },
        ).scalar_one_or_none()
        if is_conflict is None:
            # Its file was written again, whether it had been removed or not.
            connection.execute(_UNPURGE, {"uid": instance.sop_instance_uid, "digest": instance.sha256})
            if known.conflicts:
                self._note_return(connection, instance, known, now)
            return RecordOutcome.DUPLICATE
        known.instances += 1
        known.conflicts += bool(is_conflict)
        return RecordOutcome.CONFLICT if is_conflict else RecordOutcome.NEW

    def _note_return(self, connection: Connection, instance: ReceivedInstance, known: _Known, now: datetime) -> None:
        """Where other bytes of this UID came since, its earlier bytes are the last again: a correction taken back."""
        where = {"series_instance_uid": instance.series_instance_uid, "sop_instance_uid": instance.sop_instance_uid}
        if connection.execute(_LAST_BYTES, where).scalar() in (
            None,
            instance.sha256,
        ):  # None: the row is another series'
            return
        known.instances += 1
        known.returns += 1
        connection.execute(
            insert(returned_instances),
            {
                **where,
                "ordinal": known.instances,
                "sha256": instance.sha256,
                "association_id": instance.association_id,
                "received_at": now,
            },
        )

    def _count(
        self,
        connection: Connection,
        batch: Sequence[ReceivedInstance],
        outcomes: Sequence[RecordOutcome],
        known: Mapping[str, _Known],
    ) -> None:
        by_series: dict[str, Counter[RecordOutcome]] = {}
        for instance, outcome in zip(batch, outcomes, strict=True):
            by_series.setdefault(instance.series_instance_uid, Counter())[outcome] += 1
        for uid, of_series in by_series.items():
            duplicates = of_series[RecordOutcome.DUPLICATE]
            values = {
                "uid": uid,
                "added": of_series.total() - duplicates + known[uid].returns,
                "added_conflicts": of_series[RecordOutcome.CONFLICT],
                "added_duplicates": duplicates,
            }
            connection.execute(self._statements.count, values)

    def _link(
        self,
        connection: Connection,
        batch: Sequence[ReceivedInstance],
        outcomes: Sequence[RecordOutcome],
        now: datetime,
    ) -> set[tuple[str, int]]:
        """Tie series to associations, once; count duplicates."""
        duplicates: dict[tuple[str, int], int] = {}
        for instance, outcome in zip(batch, outcomes, strict=True):
            pair = (instance.series_instance_uid, instance.association_id)
            duplicates[pair] = duplicates.get(pair, 0) + (outcome is RecordOutcome.DUPLICATE)
        for pair in sorted(duplicates):
            if duplicates[pair] or pair not in self._known_pairs:
                connection.execute(
                    self._statements.link,
                    {
                        "series_instance_uid": pair[0],
                        "association_id": pair[1],
                        "first_received_at": now,
                        "duplicate_count": duplicates[pair],
                    },
                )
        return set(duplicates)

    def _remember(self, pairs: set[tuple[str, int]]) -> None:
        if len(self._known_pairs) > _REMEMBERED_PAIRS:
            self._known_pairs = set()
        self._known_pairs |= pairs

    def note_refused(self, series_instance_uid: str, sop_instance_uid: str, reason: str, association_id: int) -> None:
        """Remember an object that was refused for what it is; the same one again changes nothing."""
        values = {
            "series_instance_uid": series_instance_uid,
            "sop_instance_uid": sop_instance_uid,
            "reason": storable(reason),
            "association_id": association_id,
            "refused_at": self._database.clock(),
        }
        with self._database.write() as connection:
            statement = upsert(connection.dialect.name)(refused_objects).values(values)
            connection.execute(statement.on_conflict_do_nothing())

    def count_refused(
        self, series_instance_uid: str, instance_count: int | None = None, until: datetime | None = None
    ) -> int:
        """How many objects of a series were refused and are not among its instances.

        Args:
            instance_count: among the first so many; None: among all.
            until: refused until then; None: whenever.
        """
        refused = refused_objects.c
        arrived = select(instances.c.ordinal).where(
            instances.c.series_instance_uid == refused.series_instance_uid,
            instances.c.sop_instance_uid == refused.sop_instance_uid,
        )
        if instance_count is not None:
            arrived = arrived.where(instances.c.ordinal <= instance_count)
        query = (
            select(func.count())
            .select_from(refused_objects)
            .where(refused.series_instance_uid == series_instance_uid, ~arrived.exists())
        )
        if until is not None:
            query = query.where(refused.refused_at <= until)
        with self._database.read() as connection:
            return int(connection.execute(query).scalar_one())

    # Series

    def open_series(self) -> list[SeriesActivity]:
        """Series with instances newer than their last verdict, the one that waits longest first."""
        with self._database.read() as connection:
            return [_activity_of(row) for row in connection.execute(OPEN_SERIES)]

    def look_into(self, series_instance_uid: str) -> tuple[SeriesActivity, list[StoredInstance]] | None:
        """What one open series looks like at one moment: its evidence, and just the instances that belong to it.

        Returns:
            None when the series is not open (any more).
        """
        one = OPEN_SERIES.where(series.c.series_instance_uid == series_instance_uid)
        with self._database.read() as connection:
            row = connection.execute(one).first()
            if row is None:
                return None
            # What became durable since the row was read has a higher ordinal.
            return _activity_of(row), _first_instances(connection, series_instance_uid, row.instance_count)

    def instances_of(self, series_instance_uid: str) -> list[StoredInstance]:
        """All instances of a series, conflicts included, in the order in which they became durable."""
        with self._database.read() as connection:
            return _first_instances(connection, series_instance_uid)

    def require_answer(self) -> None:
        """Ask the database for one row.

        Raises:
            DatabaseUnavailable, SchemaOutOfDate: see `db.engine.translation`.
        """
        with self._database.read() as connection:
            connection.execute(select(associations.c.id).limit(1)).first()

    def instances_of_job(self, job: Job) -> list[StoredInstance]:
        """Those that a job was made for, in the order in which they became durable.

        Instances that came later belong to a later job.
        """
        return self.instances_of(job.series_instance_uid)[: job.instance_count]

    def rows_of_job(self, job: Job) -> list[StoredInstance]:
        """As `instances_of_job`, whether their files can be had or not."""
        with self._database.read() as connection:
            return _first_instances(connection, job.series_instance_uid)[: job.instance_count]

    def instances_beside(self, job: Job, most_series: int) -> Iterator[list[StoredInstance]]:
        """Those of each other series of a job's study, as they were when the job was made: at most so many series."""
        first_at = func.min(instances.c.received_at)
        query = (
            select(series.c.series_instance_uid, func.count())
            .join(instances, instances.c.series_instance_uid == series.c.series_instance_uid)
            .where(
                series.c.study_instance_uid == job.study_instance_uid,
                series.c.series_instance_uid != job.series_instance_uid,
                series.c.purged_at.is_(None),
                instances.c.received_at <= job.created_at,
            )
            .group_by(series.c.series_instance_uid)
            .order_by(first_at, series.c.series_instance_uid)
            .limit(most_series)
        )
        with self._database.read() as connection:
            found = connection.execute(query).all()
        for uid, count in found:
            yield self.instances_of(uid)[:count]

    def arrivals(self, series_instance_uid: str) -> list[Arrival]:
        """What each association brought of a series that was new, in order; resends of the same bytes are none."""
        first_at = func.min(instances.c.received_at)
        query = (
            select(first_at, associations.c.ended_how)
            .join(associations, associations.c.id == instances.c.association_id)
            .where(instances.c.series_instance_uid == series_instance_uid, instances.c.is_conflict.is_(False))
            .group_by(associations.c.id, associations.c.ended_how)
            .order_by(first_at, associations.c.id)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [Arrival(at, None if how is None else AssociationEnd(how)) for at, how in rows]

    def arrivals_of_sender(self, series_instance_uid: str, count: int) -> list[list[Arrival]]:
        """How the last series of the same sender came, that is of the AE title which sent this one: of each as
        `arrivals`, the newest series first. Series of one instance say nothing and are left out.

        Args:
            series_instance_uid: a series; not among the answers.
            count: so many others at most.
        """
        sender = (
            select(associations.c.calling_ae_title)
            .join(instances, instances.c.association_id == associations.c.id)
            .where(instances.c.series_instance_uid == series_instance_uid)
            .order_by(associations.c.id.desc())
            .limit(1)
            .scalar_subquery()
        )
        recent = (
            select(series.c.series_instance_uid, series.c.last_received_at)
            .where(series.c.series_instance_uid != series_instance_uid, series.c.purged_at.is_(None))
            .where(series.c.instance_count > 1)
            .order_by(series.c.last_received_at.desc())
            .limit(_RECENT_SERIES)
            .subquery()
        )
        first_at = func.min(instances.c.received_at)
        query = (
            select(recent.c.series_instance_uid, first_at, associations.c.ended_how)
            .join(instances, instances.c.series_instance_uid == recent.c.series_instance_uid)
            .join(associations, associations.c.id == instances.c.association_id)
            .where(instances.c.is_conflict.is_(False), associations.c.calling_ae_title == sender)
            .group_by(
                recent.c.series_instance_uid, recent.c.last_received_at, associations.c.id, associations.c.ended_how
            )
            .order_by(recent.c.last_received_at.desc(), recent.c.series_instance_uid, first_at, associations.c.id)
        )
        found: dict[str, list[Arrival]] = {}
        with self._database.read() as connection:
            for uid, at, how in connection.execute(query):
                found.setdefault(uid, []).append(Arrival(at, None if how is None else AssociationEnd(how)))
        return list(found.values())[:count]

    def newest_paths(self, count: int) -> list[str]:
        """Paths, relative to STORAGE, of the instances that came last; empty when nothing was ever received."""
        query = select(instances.c.path).order_by(instances.c.received_at.desc()).limit(count)
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def close_series(self, series_instance_uid: str, instance_count: int) -> None:
        """The first `instance_count` instances of a series need nothing: no job, no rejection. More of them open it
        again.
        """
        with self._database.write() as connection:
            mark_closed(connection, series_instance_uid, instance_count)

    def reject_series(
        self,
        series_instance_uid: str,
        code: str,
        reason: str,
        instance_count: int | None = None,
        instances_digest: str | None = None,
    ) -> Job:
        """End a series as rejected; gives a job in state `rejected`, so that it is listed and explained.

        The same verdict about the same instances again gives the same job. An earlier job of the series that is still
        queued is superseded. When a verdict about more instances exists, its job is returned, and nothing changes.

        Args:
            code: short slug for scripts.
            reason: a sentence for a technologist.
            instance_count: how many instances the verdict is about (the first so many); what came after them opens the
                series again. None: all that are there now, also those that the caller has not seen.
            instances_digest: sha256 that names those that would have been analysed. None: all but the conflicts.

        Raises:
            UnknownRow: nothing of the series was received.
        """
        now = self._database.clock()
        reason = storable(reason)
        with self._database.write() as connection:
            row = require_series(lock_series(connection, series_instance_uid), series_instance_uid)
            count = row.instance_count if instance_count is None else instance_count
            earlier = jobs_of_series(connection, series_instance_uid)
            if (newer := newer_verdict(row, earlier, count)) is not None:
                return newer
            mark_closed(connection, series_instance_uid, count)
            digest = instances_digest or digest_of_first(connection, series_instance_uid, count)
            if (known := same_job(earlier, digest)) is not None:
                return known
            values = {
                "series_instance_uid": series_instance_uid,
                "study_instance_uid": row.study_instance_uid,
                "instances_digest": digest,
                "instance_count": count,
                "predecessor_id": earlier[-1].id if earlier else None,
                "max_attempts": 1,
                "priority": priority_of(row, earlier, None).value,
                "code": code,
                "reason": reason,
            }
            job = insert_job(connection, JobAction.TURN_AWAY, JobState.REJECTED, now, values)
            assert job is not None, "the lock on the series keeps others out"
            supersede(connection, earlier, job, now)
            note(connection, job.id, now, "rejected", f"{reason} [{code}]")
            return job


def _first_instances(
    connection: Connection, series_instance_uid: str, instance_count: int | None = None
) -> list[StoredInstance]:
    """The first so many instances of a series, or all, in the order in which they became durable."""
    arrived = select(*_STORED).where(instances.c.series_instance_uid == series_instance_uid)
    returned = _RETURNED.where(returned_instances.c.series_instance_uid == series_instance_uid)
    if instance_count is not None:
        arrived = arrived.where(instances.c.ordinal <= instance_count)
        returned = returned.where(returned_instances.c.ordinal <= instance_count)
    found = [StoredInstance(**row._mapping) for row in connection.execute(arrived.order_by(instances.c.ordinal))]
    if any(instance.is_conflict for instance in found):
        found += [StoredInstance(**row._mapping) for row in connection.execute(returned)]
    return sorted(found, key=lambda one: one.ordinal)


def _activity_of(row: Any) -> SeriesActivity:
    return SeriesActivity(
        series_instance_uid=row.series_instance_uid,
        study_instance_uid=row.study_instance_uid,
        instance_count=row.instance_count,
        last_received_at=row.last_received_at,
        open_associations=row.open_associations,
        last_end=None if row.last_end is None else AssociationEnd(row.last_end),
        conflict_count=row.conflict_count,
    )


_STORED: Final = tuple(column for column in instances.columns if column.name != "purged_at")
_UNPURGE: Final = (
    update(instances)
    .where(
        instances.c.sop_instance_uid == bindparam("uid"),
        instances.c.sha256 == bindparam("digest"),
        instances.c.purged_at.is_not(None),
    )
    .values(purged_at=None)
)


class _Statements:
    """The hot path's statements, built once; "insert or else" is spelt by dialect."""

    def __init__(self, dialect_name: str) -> None:
        self.touch_series = self._touch_series(dialect_name)
        self.insert_instance = self._insert_instance(dialect_name)
        self.link = self._link(dialect_name)
        self.count = (
            update(series)
            .where(series.c.series_instance_uid == bindparam("uid"))
            .values(
                instance_count=series.c.instance_count + bindparam("added"),
                conflict_count=series.c.conflict_count + bindparam("added_conflicts"),
                duplicate_count=series.c.duplicate_count + bindparam("added_duplicates"),
            )
        )

    @staticmethod
    def _touch_series(dialect_name: str) -> Any:
        now = bindparam("now", type_=series.c.last_received_at.type)
        statement = upsert(dialect_name)(series).values(
            series_instance_uid=bindparam("series_instance_uid"),
            study_instance_uid=bindparam("study_instance_uid"),
            instance_count=0,
            conflict_count=0,
            judged_count=0,
            first_received_at=now,
            last_received_at=now,
            priority=bindparam("priority"),
        )
        return statement.on_conflict_do_update(
            index_elements=[series.c.series_instance_uid],
            set_={
                "last_received_at": statement.excluded.last_received_at,
                "purged_at": None,
                "priority": highest_column(series.c.priority, statement.excluded.priority),
            },
        ).returning(series.c.instance_count, series.c.conflict_count)

    @staticmethod
    def _insert_instance(dialect_name: str) -> Any:
        """Gives no row for a duplicate, else whether another file of the series has this SOP Instance UID.

        That another series has it too is only recorded: the series' own UID decides which series it belongs to, so that
            one series never blocks the analysis of another.
        """
        known = instances.alias("known")
        columns = {
            column.name: bindparam(column.name, type_=column.type)
            for column in instances.columns
            if column.name not in {"is_conflict", "known_elsewhere", "purged_at"}
        }
        same_uid = select(known.c.ordinal).where(known.c.sop_instance_uid == bindparam("known_uid"))
        is_conflict = exists(same_uid.where(known.c.series_instance_uid == bindparam("known_series")))
        elsewhere = exists(same_uid.where(known.c.series_instance_uid != bindparam("known_series")))
        return (
            upsert(dialect_name)(instances)
            .values(**columns, is_conflict=is_conflict, known_elsewhere=elsewhere)
            .on_conflict_do_nothing(index_elements=[instances.c.sop_instance_uid, instances.c.sha256])
            .returning(instances.c.is_conflict)
        )

    @staticmethod
    def _link(dialect_name: str) -> Any:
        statement = upsert(dialect_name)(series_associations)
        return statement.on_conflict_do_update(
            index_elements=[series_associations.c.series_instance_uid, series_associations.c.association_id],
            set_={
                "duplicate_count": series_associations.c.duplicate_count + statement.excluded.duplicate_count,
            },
        )


def _last_bytes() -> Any:
    """sha256 of what came last under a SOP Instance UID of a series."""
    rows = [
        select(table.c.ordinal, table.c.sha256).where(
            table.c.series_instance_uid == bindparam("series_instance_uid"),
            table.c.sop_instance_uid == bindparam("sop_instance_uid"),
        )
        for table in (instances, returned_instances)
    ]
    either = union_all(*rows).subquery()
    return select(either.c.sha256).order_by(either.c.ordinal.desc()).limit(1)


def _returned() -> Any:
    """Returned instances as rows of `instances`: the file is that of the first arrival."""
    own = {"ordinal", "association_id", "received_at"}
    columns = [
        (returned_instances if column.name in own else instances).c[column.name]
        for column in _STORED
        if column.name != "is_conflict"
    ]
    return select(*columns, true().label("is_conflict"), true().label("is_return")).join(
        instances,
        (instances.c.series_instance_uid == returned_instances.c.series_instance_uid)
        & (instances.c.sop_instance_uid == returned_instances.c.sop_instance_uid)
        & (instances.c.sha256 == returned_instances.c.sha256),
    )


_LAST_BYTES: Final = _last_bytes()
_RETURNED: Final = _returned()


def _open_series() -> Any:
    of_series = (series_associations.c.series_instance_uid == series.c.series_instance_uid) & (
        associations.c.id == series_associations.c.association_id
    )
    still_open = (
        select(func.count())
        .select_from(series_associations, associations)
        .where(of_series, associations.c.ended_at.is_(None))
        .correlate(series)
        .scalar_subquery()
    )
    last_end = (
        select(associations.c.ended_how)
        .select_from(series_associations, associations)
        .where(of_series, associations.c.ended_at.is_not(None))
        .order_by(associations.c.ended_at.desc(), associations.c.id.desc())
        .limit(1)
        .correlate(series)
        .scalar_subquery()
    )
    return (
        select(series, still_open.label("open_associations"), last_end.label("last_end"))
        .where(series.c.instance_count > series.c.judged_count)
        .order_by(series.c.last_received_at)
    )


OPEN_SERIES: Final = _open_series()
