"""The feedback table: segmentations that people corrected and sent back, and the outcome of each."""

from __future__ import annotations

import builtins
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, func, literal_column, select, update

from db.audit import record_action
from db.engine.database import Database
from db.engine.upsert import upsert
from db.engine.values import require_json, storable
from db.errors import IllegalTransition, UnknownRow
from db.records import Feedback, FeedbackDecision, FeedbackState
from db.reviews import note_correction
from db.schema import associations, feedback, instances, jobs
from db.series import mark_closed

_BEYOND_IDS: Final = 2**31
_MOST_TEXT: Final = 1024  # characters of text from the object itself


class FeedbackTable:
    """Received segmentations. Safe to use from several threads, processes and machines; a method is one transaction.

    No row is ever removed, and none changes its file: a later correction of a series supersedes an earlier one by being
    later. There are no leases: every process that looks at a row finds the same, and the first decision stays.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    # Receiving

    def receive(
        self, series_instance_uid: str, instance_count: int, sop_classes: Collection[str], *, closes: bool
    ) -> builtins.list[int]:
        """Make the rows of those of a series' first so many instances that are segmentations.

        Args:
            sop_classes: SOPClassUIDs of segmentations.
            closes: nothing else is in the series: its first `instance_count` instances have their verdict with this.

        Returns:
            the numbers of the rows that are new; those that are there already stay as they are.
        """
        now = self._database.clock()
        query = (
            select(instances, associations.c.calling_ae_title)
            .join(associations, associations.c.id == instances.c.association_id)
            .where(
                instances.c.series_instance_uid == series_instance_uid,
                instances.c.ordinal <= instance_count,
                instances.c.sop_class_uid.in_(sorted(sop_classes)),
            )
            .order_by(instances.c.ordinal)
        )
        with self._database.write() as connection:
            made = [_insert(connection, row, now) for row in connection.execute(query).all()]
            if closes:
                mark_closed(connection, series_instance_uid, instance_count)
        return [number for number in made if number is not None]

    # Working

    def due(self, limit: int = 1) -> builtins.list[Feedback]:
        """Rows to be looked at now, the one that is due longest first."""
        with self._database.read() as connection:
            return [_feedback_of(row) for row in connection.execute(due_query(self._database.clock(), limit))]

    def decide(self, feedback_id: int, decision: FeedbackDecision) -> Feedback:
        """Record the outcome of a look; a row that another process has decided in the meantime does not change.

        The audit records what is accepted, refused, or fits no series (once). It names the sender, never a person.

        Raises:
            UnknownRow: there is no such row.
            InvalidMeasurements: the comparison is no JSON.
        """
        if decision.comparison is not None:
            require_json(f"the comparison of feedback {feedback_id}", decision.comparison)
        now = self._database.clock()
        with self._database.write() as connection:
            before = _locked(connection, feedback_id)
            if before.state is not FeedbackState.WAITING:
                return before
            connection.execute(
                update(feedback).where(feedback.c.id == feedback_id).values(_decided(before, decision, now))
            )
            after = _get(connection, feedback_id)
            if (after.state, after.code) != (before.state, before.code) and after.state is not FeedbackState.OWN:
                if after.state is FeedbackState.ACCEPTED:
                    note_correction(connection, after, now)
                record_action(connection, now, after.calling_ae_title, *_audited(after))
            return after

    def put_back(self, feedback_id: int, delay_seconds: float, *, counted: bool) -> Feedback:
        """The look failed for another reason than the object (`counted` False: for example the disk): look again later.

        Raises:
            UnknownRow: there is no such row.
        """
        not_before = self._database.clock() + timedelta(seconds=delay_seconds)
        with self._database.write() as connection:
            connection.execute(
                update(feedback)
                .where(feedback.c.id == feedback_id, feedback.c.state == FeedbackState.WAITING.value)
                .values(not_before=not_before, attempts=feedback.c.attempts + (1 if counted else 0))
            )
            return _get(connection, feedback_id)

    # By hand

    def look_again(self, feedback_id: int, by: str | None = None) -> Feedback:
        """An administrator has a waiting or refused row looked at again.

        Args:
            by: who, for the audit.

        Raises:
            UnknownRow: there is no such row.
            IllegalTransition: it was accepted, or is our own result.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            before = _locked(connection, feedback_id)
            if before.state not in (FeedbackState.WAITING, FeedbackState.REFUSED):
                raise IllegalTransition(
                    f"feedback {feedback_id} is {before.state}; expected one that waits or was refused"
                )
            values = {"state": FeedbackState.WAITING.value, "not_before": now, "attempts": 0, "code": None}
            connection.execute(update(feedback).where(feedback.c.id == feedback_id).values(values))
            found = f"feedback {feedback_id}, found {before.state}"
            record_action(connection, now, by, "look at feedback again", None, found)
            return _get(connection, feedback_id)

    # Looking

    def get(self, feedback_id: int) -> Feedback:
        """One row.

        Raises:
            UnknownRow: there is none of that number.
        """
        with self._database.read() as connection:
            return _get(connection, feedback_id)

    def list(self, *, everything: bool = False, limit: int | None = None) -> builtins.list[Feedback]:
        """Newest first; without `everything` neither superseded corrections nor our own results."""
        query = _rows().order_by(feedback.c.id.desc()).limit(limit)
        if not everything:
            query = query.where(feedback.c.state != FeedbackState.OWN.value, _superseded_by().is_(None))
        with self._database.read() as connection:
            return [_feedback_of(row) for row in connection.execute(query)]

    def of_series(self, series_instance_uid: str) -> builtins.list[Feedback]:
        """What corrects a series, or lies in it; oldest first."""
        query = _rows().where(
            (feedback.c.source_series_uid == series_instance_uid)
            | (feedback.c.series_instance_uid == series_instance_uid)
        )
        with self._database.read() as connection:
            return [_feedback_of(row) for row in connection.execute(query.order_by(feedback.c.id))]

    def series_of_instances(self, sop_instance_uids: Collection[str]) -> builtins.list[str]:
        """SeriesInstanceUIDs of received instances with one of these SOPInstanceUIDs, sorted."""
        query = select(instances.c.series_instance_uid).where(
            instances.c.sop_instance_uid.in_(sorted(sop_instance_uids))
        )
        with self._database.read() as connection:
            return sorted(set(connection.execute(query).scalars()))

    def analysed_series(self, study_instance_uid: str) -> builtins.list[str]:
        """SeriesInstanceUIDs of a study that have a result, sorted."""
        with self._database.read() as connection:
            return sorted(set(connection.execute(analysed_query(study_instance_uid)).scalars()))

    def first_job_of_study(self, study_instance_uid: str) -> int | None:
        """The lowest number of a job about a series of that study: a name for the study that never changes."""
        with self._database.read() as connection:
            found: int | None = connection.execute(first_job_query(study_instance_uid)).scalar_one()
            return found


def due_query(now: datetime, limit: int) -> Any:
    """See `FeedbackTable.due`."""
    # A literal: no index of one state can serve a parameter that may hold any.
    waits = feedback.c.state == literal_column("'waiting'")
    due = _rows().where(waits, feedback.c.not_before <= now)
    return due.order_by(feedback.c.not_before, feedback.c.id).limit(limit)


def analysed_query(study_instance_uid: str) -> Any:
    """See `FeedbackTable.analysed_series`."""
    return select(jobs.c.series_instance_uid).where(
        jobs.c.study_instance_uid == study_instance_uid, jobs.c.measurements.is_not(None)
    )


def first_job_query(study_instance_uid: str) -> Any:
    """See `FeedbackTable.first_job_of_study`."""
    return select(func.min(jobs.c.id)).where(jobs.c.study_instance_uid == study_instance_uid)


def _superseded_by() -> Any:
    """The last accepted correction of the row's series, when it came after the row (itself an accepted one)."""
    later = feedback.alias("later")
    return (
        select(func.max(later.c.id))
        .where(
            feedback.c.state == FeedbackState.ACCEPTED.value,
            later.c.source_series_uid == feedback.c.source_series_uid,
            later.c.state == FeedbackState.ACCEPTED.value,
            later.c.id > feedback.c.id,
        )
        .correlate(feedback)
        .scalar_subquery()
    )


def _rows() -> Any:
    return select(feedback, _superseded_by().label("superseded_by"))


def _insert(connection: Connection, row: Row[Any], now: datetime) -> int | None:
    """The new row's number; None when it is there already."""
    values = {
        "sop_instance_uid": row.sop_instance_uid,
        "sha256": row.sha256,
        "series_instance_uid": row.series_instance_uid,
        "study_instance_uid": row.study_instance_uid,
        "path": row.path,
        "calling_ae_title": row.calling_ae_title,
        "received_at": row.received_at,
        "state": FeedbackState.WAITING.value,
        "attempts": 0,
        "not_before": now,
    }
    statement = upsert(connection.dialect.name)(feedback).values(values)
    return connection.execute(
        statement.on_conflict_do_nothing(index_elements=[feedback.c.sop_instance_uid, feedback.c.sha256]).returning(
            feedback.c.id
        )
    ).scalar_one_or_none()


def _locked(connection: Connection, feedback_id: int) -> Feedback:
    if 0 < feedback_id < _BEYOND_IDS:
        connection.execute(select(feedback.c.id).where(feedback.c.id == feedback_id).with_for_update())
    return _get(connection, feedback_id)


def _get(connection: Connection, feedback_id: int) -> Feedback:
    """A number too large for the column is unknown, not an error of the driver."""
    known = 0 < feedback_id < _BEYOND_IDS
    row = connection.execute(_rows().where(feedback.c.id == feedback_id)).first() if known else None
    if row is None:
        raise UnknownRow(f"there is no feedback {feedback_id}; `wmh-node feedback list --all` lists all")
    return _feedback_of(row)


def _decided(before: Feedback, decision: FeedbackDecision, now: datetime) -> dict[str, Any]:
    """The columns that a decision changes."""
    waits = decision.state is FeedbackState.WAITING
    values: dict[str, Any] = {
        "state": decision.state.value,
        "not_before": now + timedelta(seconds=decision.wait_seconds),
        "source_series_uid": decision.source_series_uid,
        "job_id": decision.job_id,
        "code": decision.code,
        "reason": None if decision.reason is None else storable(decision.reason),
        "notes": [storable(note) for note in decision.notes] or None,
        "comparison": None if decision.comparison is None else dict(decision.comparison),
        # A row that goes on waiting keeps the moment at which it was first found to fit nothing.
        "decided_at": before.decided_at if waits and before.decided_at is not None else now,
    }
    if (facts := decision.facts) is not None:
        for name in ("content_creator", "operator", "content_time", "made_with"):
            value = getattr(facts, name)
            values[name] = None if value is None else storable(value)[:_MOST_TEXT]
        values["content_time"] = None if facts.content_time is None else facts.content_time[:40]
        values["refers_to"] = None if facts.refers_to is None else dict(facts.refers_to)
    return values


def _audited(after: Feedback) -> tuple[str, int | None, str]:
    """Action, job and detail for the audit."""
    about = f"segmentation {after.sop_instance_uid}, feedback {after.id}"
    if after.state is not FeedbackState.ACCEPTED:
        action = "feedback refused" if after.state is FeedbackState.REFUSED else "feedback fits no series yet"
        return action, after.job_id, f"{about}: {after.reason} [{after.code}]"
    detail = f"{about}, corrects series {after.source_series_uid}: {comparison_in_figures(after)}"
    return "feedback accepted", after.job_id, detail


def comparison_in_figures(feedback: Feedback) -> str:
    """The comparison of a correction with the model's own mask, in one line."""
    if (found := feedback.comparison) is None:
        return "the model's own mask no longer exists, so nothing is compared"
    model = found["model"]
    return (
        f"DSC {found['dsc']:.3f} with the model's own mask, {found['model_ml']:.2f} mL by the model, "
        f"{found['corrected_ml']:.2f} mL corrected ({found['added_ml']:.2f} mL added, {found['removed_ml']:.2f} mL "
        f"removed); model {model['name']} {model['version']} ({model['digest'][:12]})"
    )


def _feedback_of(row: Row[Any]) -> Feedback:
    values = dict(row._mapping)
    return Feedback(
        **{**values, "state": FeedbackState(values["state"]), "notes": tuple(values["notes"] or ())},
    )
