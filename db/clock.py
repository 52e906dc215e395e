"""Times of rows after the machine's clock was set back: no row waits longer than it would have.

A row that was written while the clock was ahead waits until a time that lies hours or days off. Every wait of ours has
a longest length, so that a time further ahead than that is known to be wrong. It is brought back to
the longest that it can mean; doing so again changes nothing. Only waits are touched: when something happened is a
record, but for the times that others are compared with (when a job failed, when an association ended, and since when
files rest that leave the disk some days later).

Also for a clock that differs a little between machines: nothing is touched within `SLACK_SECONDS`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Table, literal_column, select, update

from db.engine.database import Database
from db.priorities import place_of
from db.records import DeliveryState, FeedbackState, JobState, Priority
from db.schema import (
    associations,
    cohort_items,
    commitment_answers,
    deliveries,
    feedback,
    jobs,
    series,
    series_associations,
)

SLACK_SECONDS: Final = 5.0

WaitAfter = Callable[[int], float]
"""The longest wait, in seconds, after so many attempts."""


def clamp_jobs(database: Database, wait_after: WaitAfter, lease_seconds: float) -> int:
    """Bring back times of jobs; returns how many rows were changed.

    Args:
        wait_after: of a queued job.
        lease_seconds: how long a claim holds.
    """

    def longest(row: Any) -> float:
        made_ahead = row.created_at > database.clock() + timedelta(seconds=SLACK_SECONDS)
        return 0.0 if made_ahead and row.attempts == 0 else wait_after(max(row.attempts, 1))

    return (
        _clamp(database, jobs, "not_before", JobState.QUEUED.value, longest)
        + _clamp(database, jobs, "lease_expires", JobState.RUNNING.value, lambda _row: lease_seconds)
        + _clamp(database, jobs, "ended_at", JobState.FAILED.value, lambda _row: 0.0)
        + _clamp_ends(database)
    )


def clamp_deliveries(
    database: Database, wait_after: WaitAfter, lease_seconds: float, proof_seconds: float = 86_400.0
) -> int:
    """Bring back times of deliveries, of waits for their proofs, and of reports that are owed; as `clamp_jobs`.

    Args:
        proof_seconds: the longest wait for a proof.
    """

    def longest(row: Any) -> float:
        return wait_after(row.attempts) if row.attempts else 0.0

    # As the indexes name them.
    unproven = (deliveries.c.state == literal_column("'sent'")) & deliveries.c.settled_at.is_(None)
    owed = commitment_answers.c.state == literal_column("'pending'")
    return (
        _clamp(database, deliveries, "not_before", DeliveryState.PENDING.value, longest)
        + _clamp(database, deliveries, "lease_expires", DeliveryState.PENDING.value, lambda _row: lease_seconds)
        + _clamp(database, deliveries, "not_before", unproven, lambda _row: proof_seconds)
        + _clamp(database, deliveries, "lease_expires", unproven, lambda _row: lease_seconds)
        + _clamp(database, commitment_answers, "not_before", owed, _longest_answer_wait)
    )


def _longest_answer_wait(row: Any) -> float:
    """Seconds; a claim holds 300, and each attempt doubles the wait of 15."""
    return float(max(300.0, 15.0 * 2 ** min(row.attempts, 20)))


def clamp_feedback(database: Database, longest: Callable[[datetime, datetime], float]) -> int:
    """Bring back times of segmentations that wait.

    Args:
        longest: the longest wait in seconds of one that came at the first time, seen at the second.
    """

    def of_row(row: Any) -> float:
        return longest(row.received_at, database.clock())

    return _clamp(database, feedback, "not_before", FeedbackState.WAITING.value, of_row)


def clamp_cohorts(database: Database, wait_after: WaitAfter, lease_seconds: float) -> int:
    """Bring back times of studies that are fetched; as `clamp_jobs`.

    What was asked for later than now counts as now.
    """
    waiting = cohort_items.c.state == literal_column("'waiting'")  # as the index names it
    moved = cohort_items.c.moved_at.is_not(None)

    def longest(row: Any) -> float:
        return wait_after(row.attempts) if row.attempts else 0.0

    return (
        _clamp(database, cohort_items, "not_before", waiting, longest)
        + _clamp(database, cohort_items, "lease_expires", waiting, lambda _row: lease_seconds)
        + _clamp(database, cohort_items, "moved_at", moved, lambda _row: 0.0)
    )


def clamp_resting(database: Database) -> int:
    """Bring back since when files rest: of a time that has not come yet it is only known that it was before now.

    So their days begin now, and not with a date of the clock's that may be years ahead. Of series whose files are
    there, as `RetentionTable` looks at.
    """
    now = database.clock()
    ahead = now + timedelta(seconds=SLACK_SECONDS)
    is_kept = series.c.purged_at.is_(None)
    of_kept = select(series.c.series_instance_uid).where(is_kept)
    wrong: list[tuple[Table, str, ColumnElement[bool]]] = [
        (
            series,
            "last_received_at",
            is_kept & (series.c.instance_count <= series.c.judged_count) & (series.c.last_received_at > ahead),
        ),
        (jobs, "ended_at", jobs.c.series_instance_uid.in_(of_kept) & (jobs.c.ended_at > ahead)),
    ]
    with database.read() as connection:
        if not any(_has_row(connection, table, where) for table, _, where in wrong):
            return 0
    with database.write() as connection:
        return sum(
            connection.execute(update(table).where(where).values({column: now})).rowcount
            for table, column, where in wrong
        )


def _clamp(
    database: Database, table: Table, column: str, state: str | ColumnElement[bool], longest: Callable[[Any], float]
) -> int:
    """Bring `column` back in rows of one state where it lies further ahead than `longest` seconds; how many."""
    now = database.clock()
    of_state = table.c.state == state if isinstance(state, str) else state
    value = table.c[column]
    ahead = select(table).where(of_state, value > now + timedelta(seconds=SLACK_SECONDS))
    with database.read() as connection:
        rows = connection.execute(ahead).all()
    bounds = {row.id: now + timedelta(seconds=longest(row)) for row in rows}
    wrong = [row for row in rows if getattr(row, column) > bounds[row.id] + timedelta(seconds=SLACK_SECONDS)]
    if not wrong:
        return 0
    with database.write() as connection:
        # As it was seen: a process that has moved the row meanwhile knew the right time.
        return sum(
            connection.execute(
                update(table)
                .where(table.c.id == row.id, of_state, value == getattr(row, column))
                .values(_brought_back(table, column, row, bounds[row.id]))
            ).rowcount
            for row in wrong
        )


def _brought_back(table: Table, column: str, row: Any, bound: datetime) -> dict[str, datetime]:
    """The time, and with that of a queued job its place."""
    if table is not jobs or column != "not_before":
        return {column: bound}
    return {column: bound, "place": place_of(Priority(row.priority), bound)}


def _clamp_ends(database: Database) -> int:
    """Ends of the associations of open series: the last of them says whether the series is whole."""
    now = database.clock()
    of_open = (
        select(series_associations.c.association_id)
        .join(series, series.c.series_instance_uid == series_associations.c.series_instance_uid)
        .where(series.c.instance_count > series.c.judged_count)
    )
    wrong = associations.c.id.in_(of_open) & (associations.c.ended_at > now + timedelta(seconds=SLACK_SECONDS))
    with database.read() as connection:
        if not _has_row(connection, associations, wrong):
            return 0
    with database.write() as connection:
        return connection.execute(update(associations).where(wrong).values(ended_at=now)).rowcount


def _has_row(connection: Connection, table: Table, condition: Any) -> bool:
    return connection.execute(select(table).where(condition).limit(1)).first() is not None
