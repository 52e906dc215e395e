"""Cohorts: studies of an archive that are fetched one after the other, and what has come of each.

An item is `waiting` until the receiver's own rows hold every instance that the archive lists (`done`), or until it was
tried often enough (`failed`). A lease is two columns, as for jobs. One archive is asked by one item at a time.
"""

from __future__ import annotations

import builtins
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, Update, func, insert, literal_column, or_, select, update

from db.audit import record_action
from db.engine.database import Database
from db.engine.values import storable
from db.errors import IllegalTransition, LeaseLost, UnknownRow
from db.schema import cohort_items, cohorts, instances, jobs

# Literals: no index of one state can serve a parameter that may hold any.
_WAITING: Final = cohort_items.c.state == literal_column("'waiting'")
_QUEUED: Final = jobs.c.state == literal_column("'queued'")
_BATCH: Final = 500  # UIDs in one query, rows in one insert


class CohortState(StrEnum):
    """ACTIVE: its items are fetched. PAUSED: no further one is begun."""

    ACTIVE = "active"
    PAUSED = "paused"


class Way(StrEnum):
    """How studies come here. MOVE: C-MOVE to our receiver. GET: C-GET. WEB: QIDO-RS and WADO-RS."""

    MOVE = "move"
    GET = "get"
    WEB = "web"


class ItemState(StrEnum):
    """WAITING: not all of it is here. DONE: the receiver has all of it. FAILED: tried often enough."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class NewItem:
    """A row of a list: `given`: all of its columns; the study by its UID, or by its accession number.

    Raises:
        ValueError: neither.
    """

    line: int
    given: Mapping[str, str]
    study_instance_uid: str | None
    accession_number: str | None

    def __post_init__(self) -> None:
        """Check once, so that nothing after has to."""
        if not (self.study_instance_uid or self.accession_number):
            raise ValueError(f"row {self.line}: expected a study or an accession number, got neither")


@dataclass(frozen=True, slots=True)
class CohortRules:
    """When items are fetched. `per_hour`: at most so many; `from_hour` to `until_hour` of the day; None: always."""

    per_hour: int | None = None
    from_hour: int | None = None
    until_hour: int | None = None

    def allow_hour(self, hour: int) -> bool:
        """Whether something may be begun in this hour of the day; the window may go over midnight."""
        if self.from_hour is None or self.until_hour is None:
            return True
        if self.from_hour < self.until_hour:
            return self.from_hour <= hour < self.until_hour
        return hour >= self.from_hour or hour < self.until_hour


@dataclass(frozen=True, slots=True)
class Cohort:
    """One cohort. `counts`: its items by state."""

    id: int
    name: str
    source: str
    way: Way
    state: CohortState
    rules: CohortRules
    created_at: datetime
    created_by: str
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class CohortItem:
    """One study. `expected`: series -> SOP Instance UIDs, as the archive lists them; None until it was asked."""

    id: int
    cohort_id: int
    line: int
    given: Mapping[str, str]
    study_instance_uid: str | None
    accession_number: str | None
    state: ItemState
    attempts: int
    expected: Mapping[str, Sequence[str]] | None
    reason: str | None
    source: str = ""
    way: Way = Way.MOVE


@dataclass(frozen=True, slots=True)
class CohortLine:
    """What a page shows of an item: nothing of the other columns of the list, which may name the patient.

    `instances_expected`: as the archive lists them; None until it was asked.
    """

    line: int
    state: ItemState
    attempts: int
    study_instance_uid: str | None
    instances_expected: int | None
    reason: str | None


class CohortTable:
    """Cohorts and their items. Safe to use from several threads, processes and machines; each method is one
    transaction.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, name: str, source: str, rules: CohortRules, items: Sequence[NewItem], by: str, way: Way = Way.MOVE
    ) -> Cohort:
        """Add a cohort, active at once.

        Raises:
            IllegalTransition: there is one of that name.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            if connection.execute(select(cohorts.c.id).where(cohorts.c.name == name)).first() is not None:
                raise IllegalTransition(f"there is a cohort {name} already: choose another --name")
            values = {
                "name": name, "source": source, "way": way.value, "state": CohortState.ACTIVE.value,
                "per_hour": rules.per_hour, "from_hour": rules.from_hour, "until_hour": rules.until_hour,
                "created_at": now, "created_by": storable(by)[:255],
            }  # fmt: skip
            added = connection.execute(insert(cohorts).values(values).returning(cohorts.c.id)).scalar_one()
            rows = [_values(added, item, now) for item in items]
            for first in range(0, len(rows), _BATCH):
                connection.execute(insert(cohort_items), rows[first : first + _BATCH])
            record_action(connection, now, by, "add cohort", None, f"{name}: {len(rows)} studies of {source}")
            return _cohort(connection, name)

    def list(self) -> builtins.list[Cohort]:
        """All cohorts, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(select(cohorts).order_by(cohorts.c.id)).all()
            counts = _counts(connection)
            return [_cohort_of(row, counts.get(row.id, {})) for row in rows]

    def get(self, name: str) -> Cohort:
        """One cohort.

        Raises:
            UnknownRow: there is none of that name.
        """
        with self._database.read() as connection:
            return _cohort(connection, name)

    def numbered(self, cohort_id: int) -> Cohort:
        """One cohort by its number.

        Raises:
            UnknownRow: there is none of that number.
        """
        with self._database.read() as connection:
            return _cohort(connection, cohort_id)

    def lines(
        self, cohort_id: int, limit: int, *, after: int | None = None, state: ItemState | None = None
    ) -> builtins.list[CohortLine]:
        """Items of a cohort in the order of its list: the first ones, or those behind the row `after`."""
        shown = ("line", "state", "attempts", "study_instance_uid", "expected", "reason")
        query = select(*(cohort_items.c[name] for name in shown)).where(cohort_items.c.cohort_id == cohort_id)
        if after is not None:
            query = query.where(cohort_items.c.line > after)
        if state is not None:
            query = query.where(cohort_items.c.state == state.value)
        with self._database.read() as connection:
            return [_line(row) for row in connection.execute(query.order_by(cohort_items.c.line).limit(limit))]

    def items(self, name: str) -> builtins.list[CohortItem]:
        """The items of a cohort in the order of its list.

        Raises:
            UnknownRow: there is none of that name.
        """
        with self._database.read() as connection:
            cohort = _cohort(connection, name)
            query = select(cohort_items).where(cohort_items.c.cohort_id == cohort.id).order_by(cohort_items.c.line)
            return [_item(row, cohort) for row in connection.execute(query)]

    def set_state(self, name: str, state: CohortState, by: str) -> Cohort:
        """Pause or resume a cohort; an item that is being fetched is finished.

        Raises:
            UnknownRow: there is none of that name.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            cohort = _cohort(connection, name)
            connection.execute(_changing(cohort.id).values(state=state.value))
            record_action(
                connection, now, by, f"{'pause' if state is CohortState.PAUSED else 'resume'} cohort", None, name
            )
            return _cohort(connection, name)

    def try_again(self, name: str, by: str) -> int:
        """Let the failed items of a cohort be tried again; returns how many there were.

        Raises:
            UnknownRow: there is none of that name.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            cohort = _cohort(connection, name)
            connection.execute(_changing(cohort.id))
            failed = cohort_items.c.cohort_id == cohort.id, cohort_items.c.state == ItemState.FAILED.value
            values = {"state": ItemState.WAITING.value, "attempts": 0, "not_before": now, "settled_at": None}
            count = connection.execute(update(cohort_items).where(*failed).values(values)).rowcount
            record_action(connection, now, by, "retry cohort", None, f"{name}: {count} studies")
            return count

    def something_waits(self) -> bool:
        """Whether an active cohort has something to fetch; read without the write lock."""
        query = (
            select(cohort_items.c.id)
            .join(cohorts, cohorts.c.id == cohort_items.c.cohort_id)
            .where(cohorts.c.state == CohortState.ACTIVE.value, _WAITING)
            .limit(1)
        )
        with self._database.read() as connection:
            return connection.execute(query).first() is not None

    def claim(
        self, owner: str, lease_seconds: float, hour: int, skip: Collection[str] = (), *, take_over: bool = True
    ) -> CohortItem | None:
        """Claim the next item that may be fetched now; None when none may.

        Nothing is begun while a job is queued: live work comes first, and no archive's study stands before it. Of one
        archive one item at a time is fetched, by whichever process.

        Args:
            owner: name of the lease's holder.
            hour: of the day, on the clock that the rules mean.
            skip: archives to leave alone for now.
            take_over: whether an item whose lease ran out may be taken.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            waits = select(jobs.c.id).where(_QUEUED).limit(1)
            if connection.execute(waits).first() is not None:
                return None
            query = select(cohorts).where(cohorts.c.state == CohortState.ACTIVE.value).order_by(cohorts.c.id)
            # Locked, so that two processes do not begin with the same archive.
            for cohort in connection.execute(query.with_for_update()).all():
                if cohort.source in skip or not _rules(cohort).allow_hour(hour):
                    continue
                if _is_busy(connection, cohort.source, now, take_over) or _is_spent(connection, cohort, now):
                    continue
                if (row := _next(connection, cohort.id, now, take_over)) is not None:
                    lease = {"lease_owner": owner, "lease_expires": now + timedelta(seconds=lease_seconds)}
                    own = update(cohort_items).where(cohort_items.c.id == row.id)
                    connection.execute(_changing(cohort.id))
                    connection.execute(own.values(attempts=row.attempts + 1, **lease))
                    return _item(row, cohort, attempts=row.attempts + 1)
        return None

    def heartbeat(self, item_id: int, owner: str, lease_seconds: float) -> bool:
        """Prolong a lease; False when it is lost."""
        now = self._database.clock()
        with self._database.write() as connection:
            own = cohort_items.c.id == item_id, cohort_items.c.lease_owner == owner
            expires = now + timedelta(seconds=lease_seconds)
            return connection.execute(update(cohort_items).where(*own).values(lease_expires=expires)).rowcount == 1

    def expects(self, item_id: int, owner: str, study_uid: str, expected: Mapping[str, Sequence[str]]) -> None:
        """What the archive lists of the study; written before anything is asked for.

        Raises:
            LeaseLost: the item is not the owner's any more.
        """
        found = {series: sorted(uids) for series, uids in expected.items()}
        self._change(item_id, owner, {"expected": found, "study_instance_uid": study_uid})

    def moving(self, item_id: int, owner: str) -> None:
        """The archive is asked for it now; this counts for the hour.

        Raises:
            LeaseLost: the item is not the owner's any more.
        """
        self._change(item_id, owner, {"moved_at": self._database.clock()})

    def held(self, sop_instance_uids: Collection[str]) -> set[str]:
        """Which of these instances the receiver has, or had: their rows stay when files leave the disk."""
        wanted, found = sorted(sop_instance_uids), set[str]()
        with self._database.read() as connection:
            for first in range(0, len(wanted), _BATCH):
                of_these = instances.c.sop_instance_uid.in_(wanted[first : first + _BATCH])
                found |= set(connection.execute(select(instances.c.sop_instance_uid).where(of_these)).scalars())
        return found

    def end(self, item_id: int, owner: str, state: ItemState, reason: str | None = None) -> None:
        """All of it is here, or it was tried often enough.

        Raises:
            LeaseLost: the item is not the owner's any more.
        """
        now = self._database.clock()
        words = None if reason is None else storable(reason)
        self._change(item_id, owner, {"state": state.value, "reason": words, "settled_at": now, **_NO_LEASE})

    def postpone(self, item_id: int, owner: str, reason: str, delay_seconds: float, *, counts: bool) -> None:
        """Try it again later.

        Args:
            reason: why it did not work.
            counts: whether the attempt counts; one at an archive that is down does not.

        Raises:
            LeaseLost: the item is not the owner's any more.
        """
        until = self._database.clock() + timedelta(seconds=delay_seconds)
        back: dict[str, Any] = {} if counts else {"attempts": cohort_items.c.attempts - 1}
        self._change(item_id, owner, {"reason": storable(reason), "not_before": until, **_NO_LEASE, **back})

    def _change(self, item_id: int, owner: str, values: Mapping[str, Any]) -> None:
        with self._database.write() as connection:
            own = cohort_items.c.id == item_id, cohort_items.c.lease_owner == owner
            # The cohort's row first, as `claim` locks them.
            connection.execute(_changing(select(cohort_items.c.cohort_id).where(*own).scalar_subquery()))
            if connection.execute(update(cohort_items).where(*own).values(dict(values))).rowcount != 1:
                raise LeaseLost(f"item {item_id} of a cohort is no longer {owner}'s")

    def results(self, items: Sequence[CohortItem]) -> dict[str, builtins.list[Any]]:
        """The newest job of each series that the items expect, by study: rows of `jobs`."""
        by_series = {series: item for item in items for series in item.expected or {}}
        found: dict[str, builtins.list[Any]] = {}
        wanted = sorted(by_series)
        with self._database.read() as connection:
            for first in range(0, len(wanted), _BATCH):
                of_these = jobs.c.series_instance_uid.in_(wanted[first : first + _BATCH])
                newest = select(func.max(jobs.c.id)).where(of_these).group_by(jobs.c.series_instance_uid)
                for row in connection.execute(select(jobs).where(jobs.c.id.in_(newest)).order_by(jobs.c.id)):
                    study = by_series[row.series_instance_uid].study_instance_uid or ""
                    found.setdefault(study, []).append(row)
        return found


def cohort_changes(connection: Connection) -> int:
    """A number that grows whenever a cohort is added, or it or one of its items changes."""
    number = func.coalesce(func.sum(cohorts.c.changes + 1), 0)
    return int(connection.execute(select(number)).scalar_one())


_NO_LEASE: Final = {"lease_owner": None, "lease_expires": None}


def _values(cohort_id: int, item: NewItem, now: datetime) -> dict[str, Any]:
    return {
        "cohort_id": cohort_id,
        "line": item.line,
        "given": {storable(name): storable(value) for name, value in item.given.items()},
        "study_instance_uid": item.study_instance_uid,
        "accession_number": item.accession_number,
        "state": ItemState.WAITING.value,
        "attempts": 0,
        "not_before": now,
    }


def _changing(cohort_id: Any) -> Update:
    """Its number grows, which open pages look at."""
    return update(cohorts).where(cohorts.c.id == cohort_id).values(changes=cohorts.c.changes + 1)


def _cohort(connection: Connection, name: str | int) -> Cohort:
    """By its name, or by its number."""
    known_by = cohorts.c.id if isinstance(name, int) else cohorts.c.name
    row = connection.execute(select(cohorts).where(known_by == name)).first()
    if row is None:
        raise UnknownRow(f"there is no cohort {name}: `wmh-node cohort list` lists them")
    return _cohort_of(row, _counts(connection, row.id).get(row.id, {}))


def _counts(connection: Connection, cohort_id: int | None = None) -> dict[int, dict[str, int]]:
    """Items by state, of each cohort or of one."""
    of, state = cohort_items.c.cohort_id, cohort_items.c.state
    query = select(of, state, func.count()).group_by(of, state)
    if cohort_id is not None:
        query = query.where(of == cohort_id)
    found: dict[int, dict[str, int]] = {}
    for number, name, count in connection.execute(query):
        found.setdefault(number, {})[name] = count
    return found


def _cohort_of(row: Row[Any], counts: Mapping[str, int]) -> Cohort:
    return Cohort(
        row.id, row.name, row.source, Way(row.way), CohortState(row.state), _rules(row), row.created_at, row.created_by,
        {state.value: counts.get(state.value, 0) for state in ItemState},
    )  # fmt: skip


def _rules(row: Row[Any]) -> CohortRules:
    return CohortRules(row.per_hour, row.from_hour, row.until_hour)


def _item(row: Row[Any], cohort: Row[Any] | Cohort, **changes: Any) -> CohortItem:
    values = {name: getattr(row, name) for name in CohortItem.__slots__ if name not in ("source", "way")}
    where_from = {"source": cohort.source, "way": Way(cohort.way)}
    return CohortItem(**{**values, "state": ItemState(row.state), **where_from, **changes})


def _line(row: Row[Any]) -> CohortLine:
    expected = None if row.expected is None else sum(map(len, row.expected.values()))
    return CohortLine(row.line, ItemState(row.state), row.attempts, row.study_instance_uid, expected, row.reason)


def _free(now: datetime, take_over: bool) -> Any:
    not_leased = cohort_items.c.lease_expires.is_(None)
    return or_(not_leased, cohort_items.c.lease_expires <= now) if take_over else not_leased


def _next(connection: Connection, cohort_id: int, now: datetime, take_over: bool) -> Row[Any] | None:
    query = (
        select(cohort_items)
        .where(
            cohort_items.c.cohort_id == cohort_id,
            _WAITING,
            cohort_items.c.not_before <= now,
            _free(now, take_over),
        )
        .order_by(cohort_items.c.not_before, cohort_items.c.line)
        .limit(1)
    )
    return connection.execute(query).first()


def _is_busy(connection: Connection, source: str, now: datetime, take_over: bool) -> bool:
    """Whether an item of this archive is being fetched."""
    query = (
        select(cohort_items.c.id)
        .join(cohorts, cohorts.c.id == cohort_items.c.cohort_id)
        .where(
            cohorts.c.source == source,
            _WAITING,
            ~_free(now, take_over),
        )
        .limit(1)
    )
    return connection.execute(query).first() is not None


def _is_spent(connection: Connection, cohort: Row[Any], now: datetime) -> bool:
    """Whether as many were asked for in the last hour as the cohort may."""
    if cohort.per_hour is None:
        return False
    query = select(func.count()).where(
        cohort_items.c.cohort_id == cohort.id, cohort_items.c.moved_at > now - timedelta(hours=1)
    )
    return bool(connection.execute(query).scalar_one() >= cohort.per_hour)
