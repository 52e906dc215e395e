"""Storage commitment that senders ask us for (PS3.4 J, as SCP): what the inbox holds, who was informed.

The answer's row is committed before the request is answered: a report is owed from then on, whatever crashes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Row, literal_column, select, update

from db.engine.database import Database
from db.engine.upsert import upsert
from db.engine.values import storable
from db.records import CommitmentAnswer
from db.schema import commitment_answers, instances

PENDING: Final = "pending"  # to be reported in an association of its own
OFFERED: Final = "offered"  # reported in the association of the request; no answer yet
SENT: Final = "sent"
GIVEN_UP: Final = "given_up"
_BATCH: Final = 500
_IS_PENDING: Final = commitment_answers.c.state == literal_column("'pending'")


class CommitmentAnswerTable:
    """Answers owed to senders. Safe to use from several threads, processes and machines."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def classes_of(self, sop_instance_uids: Collection[str]) -> dict[str, set[str]]:
        """SOP Class UIDs under which the inbox holds instances, by SOP Instance UID; without those that it lacks."""
        uids = sorted(set(sop_instance_uids))
        found: dict[str, set[str]] = {}
        with self._database.read() as connection:
            for first in range(0, len(uids), _BATCH):
                query = select(instances.c.sop_instance_uid, instances.c.sop_class_uid).where(
                    instances.c.sop_instance_uid.in_(uids[first : first + _BATCH]), instances.c.purged_at.is_(None)
                )
                for row in connection.execute(query):
                    found.setdefault(row.sop_instance_uid, set()).add(row.sop_class_uid)
        return found

    def owe(
        self,
        transaction_uid: str,
        calling_ae_title: str,
        committed: Sequence[tuple[str, str]],
        failed: Sequence[tuple[str, str, int]],
        *,
        separately: bool,
    ) -> int | None:
        """Write down what a sender is to be answered; returns the row's id, None when it asked before.

        Args:
            separately: whether it is reported in an association of its own.
        """
        now = self._database.clock()
        values = {
            "transaction_uid": transaction_uid,
            "calling_ae_title": calling_ae_title,
            "committed": [list(pair) for pair in committed],
            "failed": [list(entry) for entry in failed],
            "state": PENDING if separately else OFFERED,
            "attempts": 0,
            "not_before": now,
            "created_at": now,
        }
        with self._database.write() as connection:
            statement = upsert(connection.dialect.name)(commitment_answers).values(values)
            key = [commitment_answers.c.transaction_uid, commitment_answers.c.calling_ae_title]
            made = connection.execute(
                statement.on_conflict_do_nothing(index_elements=key).returning(commitment_answers.c.id)
            ).first()
            if made is not None:
                return int(made.id)
            # Asked before, and the report did not arrive in that association: it is offered again.
            offered = select(commitment_answers.c.id).where(
                commitment_answers.c.transaction_uid == transaction_uid,
                commitment_answers.c.calling_ae_title == calling_ae_title,
                commitment_answers.c.state == OFFERED,
            )
            return connection.execute(offered).scalar_one_or_none()

    def claim(self, known: Collection[str], lease_seconds: float) -> CommitmentAnswer | None:
        """The report that has been due longest, to one of these AE titles; left alone by others for so long."""
        now = self._database.clock()
        query = due_query(now, known)
        with self._database.read() as connection:
            if connection.execute(query).first() is None:
                return None
        with self._database.write() as connection:
            row = connection.execute(query.with_for_update(skip_locked=True)).first()
            if row is None:
                return None
            claimed = connection.execute(
                update(commitment_answers)
                .where(commitment_answers.c.id == row.id)
                .values(attempts=row.attempts + 1, not_before=now + timedelta(seconds=lease_seconds))
                .returning(commitment_answers)
            )
            return _answer_of(claimed.one())

    def sent(self, answer_id: int) -> None:
        """The sender has taken the report."""
        self._settle(answer_id, SENT, None)

    def give_up(self, answer_id: int, reason: str) -> None:
        """It was tried for long enough."""
        self._settle(answer_id, GIVEN_UP, reason)

    def postpone(self, answer_id: int, reason: str, delay_seconds: float) -> None:
        """Try again later."""
        values = {
            "reason": storable(reason),
            "not_before": self._database.clock() + timedelta(seconds=delay_seconds),
        }
        with self._database.write() as connection:
            connection.execute(update(commitment_answers).where(commitment_answers.c.id == answer_id).values(values))

    def _settle(self, answer_id: int, state: str, reason: str | None) -> None:
        values = {
            "state": state,
            "settled_at": self._database.clock(),
            "reason": None if reason is None else storable(reason),
        }
        with self._database.write() as connection:
            connection.execute(update(commitment_answers).where(commitment_answers.c.id == answer_id).values(values))


def due_query(now: Any, known: Collection[str]) -> Any:
    """See `CommitmentAnswerTable.claim`."""
    return (
        select(commitment_answers)
        .where(
            _IS_PENDING,
            commitment_answers.c.not_before <= now,
            commitment_answers.c.calling_ae_title.in_(sorted(known)),
        )
        .order_by(commitment_answers.c.not_before, commitment_answers.c.id)
        .limit(1)
    )


def _answer_of(row: Row[Any]) -> CommitmentAnswer:
    return CommitmentAnswer(
        id=row.id,
        transaction_uid=row.transaction_uid,
        calling_ae_title=row.calling_ae_title,
        committed=tuple((pair[0], pair[1]) for pair in row.committed),
        failed=tuple((entry[0], entry[1], int(entry[2])) for entry in row.failed),
        attempts=row.attempts,
    )
