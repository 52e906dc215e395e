"""Reviews: what readers say of results, and which results wait for that.

| what happens                                       | row of `reviews`  | `jobs.review`          |
|----------------------------------------------------|-------------------|------------------------|
| a result that recommends a review                  | none              | open                   |
| a reader takes it as it is                         | accepted          | accepted               |
| a reader rejects it, with a reason                 | rejected          | rejected               |
| a reader uploads a correction (before it is stored)| sent              | as it was              |
| a correction, however it came, fits the result     | corrected         | corrected              |
| a reader decides again                             | one more          | what the newest says   |

No row is ever removed or changed. A result that was withdrawn, or replaced by one about more images, or whose files
were removed (db/retention.py), waits for no review.
"""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, case, func, insert, literal_column, or_, select, update

from db.audit import record_action
from db.browse import LINE_COLUMNS, SCANNER, JobLine, line_of
from db.engine.database import Database
from db.engine.values import storable
from db.errors import IllegalTransition
from db.job_events import note
from db.records import Feedback, Job, Review, ReviewState, ReviewVerdict, job_of
from db.schema import jobs, reviews
from db.supersede import PATIENT_CORRECTED
from db.transitions import get_job, lock_job
from db.withdrawals import RESULT_STATES

_MOST_REASON: Final = 2000
_LARGEST_ID: Final = 2**31 - 1
# Counts are of the newest reviews: the page asks for them after each verdict, and a history has a million.
COUNTED: Final = 20_000
_STATES: Final = {
    ReviewVerdict.ACCEPTED: ReviewState.ACCEPTED,
    ReviewVerdict.REJECTED: ReviewState.REJECTED,
    ReviewVerdict.CORRECTED: ReviewState.CORRECTED,
}
_ACTIONS: Final = {
    ReviewVerdict.ACCEPTED: "accept result",
    ReviewVerdict.REJECTED: "reject result",
    ReviewVerdict.SENT: "upload correction",
}
_UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class ReviewCount:
    """What readers said last of the results of one model from one scanner.

    Attributes:
        model: name and version; "unknown" for results of before the node noted it.
    """

    model: str
    scanner: str
    accepted: int
    rejected: int
    corrected: int

    @property
    def reviewed(self) -> int:
        """All of them."""
        return self.accepted + self.rejected + self.corrected


class ReviewTable:
    """Reviews. Safe to use from several threads, processes and machines; each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def decide(
        self, job_id: int, verdict: ReviewVerdict, who: str, reason: str | None = None, *, seen: int | None = None
    ) -> Review:
        """A reader accepts or rejects a result; a later decision replaces an earlier one.

        Args:
            verdict: ACCEPTED or REJECTED; a correction decides by itself, see `note_correction`.
            who: the account, for the audit.
            reason: needed to reject.
            seen: number of the newest review of the result that the reader had before the eyes, 0 for none: a newer one
                is not replaced unseen. None: whatever was said meanwhile.

        Raises:
            UnknownRow: there is no such job.
            IllegalTransition: it has no result that can be reviewed, is rejected without a reason, or somebody else
                reviewed it meanwhile.
        """
        if verdict not in (ReviewVerdict.ACCEPTED, ReviewVerdict.REJECTED):
            raise IllegalTransition(f"expected accepted or rejected, got {verdict}")
        if verdict is ReviewVerdict.REJECTED and not (reason or "").strip():
            raise IllegalTransition(f"the result of job {job_id} is not rejected: expected a reason, got none")
        return self._noted(job_id, verdict, who, reason, None, seen)

    def note_upload(self, job_id: int, who: str, sop_instance_uid: str, sha256: str) -> Review:
        """A reader uploads a correction, which is checked and stored next: who it was, until it is matched
        (`note_correction`).

        Raises:
            UnknownRow, IllegalTransition: as of `decide`.
        """
        return self._noted(job_id, ReviewVerdict.SENT, who, None, (sop_instance_uid, sha256))

    def require_reviewable(self, job_id: int) -> None:
        """Refuse a job without a result that can be reviewed, before anything is stored.

        Raises:
            UnknownRow, IllegalTransition: as of `decide`.
        """
        with self._database.read() as connection:
            job = get_job(connection, job_id)
        _require_result(job.id, job.measurements is not None, job.state, job.withdrawn_at)

    def _noted(
        self,
        job_id: int,
        verdict: ReviewVerdict,
        who: str,
        reason: str | None,
        upload: tuple[str, str] | None,
        seen: int | None = None,
    ) -> Review:
        now = self._database.clock()
        with self._database.write() as connection:
            job = lock_job(connection, job_id)
            _require_result(job.id, job.measurements is not None, job.state, job.withdrawn_at)
            if seen is not None:
                _require_newest(connection, job.id, seen)
            review = _insert(connection, job, now, verdict, who, reason=reason, upload=upload)
            words = review.reason or (f"segmentation {upload[0]}" if upload else "")
            note(connection, job.id, now, _ACTIONS[verdict], f"by {who}{f': {words}' if words else ''}")
            record_action(connection, now, who, _ACTIONS[verdict], job.id, words)
            return review

    # Looking

    def worklist(self, limit: int, before: int | None = None) -> builtins.list[JobLine]:
        """Results that wait for a review, newest first."""
        with self._database.read() as connection:
            return [line_of(row) for row in connection.execute(worklist_query(limit, before))]

    def count_open(self, at_most: int) -> int:
        """How many wait, counted up to a limit."""
        open_ones = worklist_query(at_most, None).with_only_columns(jobs.c.id).subquery()
        with self._database.read() as connection:
            return int(connection.execute(select(func.count()).select_from(open_ones)).scalar_one())

    def oldest_open(self) -> datetime | None:
        """When the job was made whose result has waited longest for a review; None when none waits."""
        waiting = worklist_query(1, None).with_only_columns(jobs.c.created_at)
        with self._database.read() as connection:
            return connection.execute(waiting.order_by(None).order_by(jobs.c.id)).scalar()

    def of_job(self, job_id: int) -> builtins.list[Review]:
        """Everything that readers said of a job's result, oldest first."""
        query = select(reviews).where(reviews.c.job_id == job_id).order_by(reviews.c.id)
        with self._database.read() as connection:
            return [_review_of(row) for row in connection.execute(query)]

    def list(self, limit: int, before: int | None = None) -> builtins.list[Review]:
        """Newest first; `before`: only rows with smaller numbers."""
        query = select(reviews).order_by(reviews.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(reviews.c.id < min(before, _LARGEST_ID))
        with self._database.read() as connection:
            return [_review_of(row) for row in connection.execute(query)]

    def counts(self) -> builtins.list[ReviewCount]:
        """Of the newest `COUNTED` reviews, by model and scanner, the most first; of each result the last review."""
        with self._database.read() as connection:
            found = [ReviewCount(*row) for row in connection.execute(counts_query(COUNTED))]
        return sorted(found, key=lambda count: -count.reviewed)

    def accepted(self) -> builtins.list[Job]:
        """Jobs whose result a reader took as it is, and that no later result replaces, by number."""
        is_accepted = jobs.c.review == ReviewState.ACCEPTED.value
        query = select(jobs).where(is_accepted, jobs.c.withdrawn_at.is_(None), ~_replaced()).order_by(jobs.c.id)
        with self._database.read() as connection:
            return [job_of(row) for row in connection.execute(query)]


def note_correction(connection: Connection, correction: Feedback, now: datetime) -> None:
    """A correction fits a result: in the transaction that accepts it. Who uploaded it, else the sender's AE title."""
    if correction.job_id is None:
        return
    job = lock_job(connection, correction.job_id)
    uploaded_by = connection.execute(
        select(reviews.c.who)
        .where(
            reviews.c.sop_instance_uid == correction.sop_instance_uid,
            reviews.c.sha256 == correction.sha256,
            reviews.c.verdict == ReviewVerdict.SENT.value,
        )
        .order_by(reviews.c.id)
    ).scalar()
    who = uploaded_by or correction.calling_ae_title
    upload = (correction.sop_instance_uid, correction.sha256)
    _insert(connection, job, now, ReviewVerdict.CORRECTED, who, upload=upload, feedback_id=correction.id)
    note(connection, job.id, now, "corrected", f"by {who}: correction {correction.id}")


def worklist_query(limit: int, before: int | None) -> Any:
    """See `ReviewTable.worklist`."""
    query = (
        select(*LINE_COLUMNS)
        .where(
            jobs.c.review == literal_column("'open'"),
            jobs.c.purged_at.is_(None),
            jobs.c.withdrawn_at.is_(None),
            or_(jobs.c.code.is_(None), jobs.c.code != PATIENT_CORRECTED),
            ~_replaced(),
        )
        .order_by(jobs.c.id.desc())
        .limit(limit)
    )
    return query if before is None else query.where(jobs.c.id < min(before, _LARGEST_ID))


def _replaced() -> Any:
    """A later job about more images of the series has a result."""
    newer = jobs.alias("newer")
    return (
        select(newer.c.id)
        .where(
            newer.c.series_instance_uid == jobs.c.series_instance_uid,
            newer.c.id > jobs.c.id,
            newer.c.measurements.is_not(None),
        )
        .correlate(jobs)
        .exists()
    )


def _require_result(job_id: int, has_result: bool, state: str, withdrawn_at: datetime | None) -> None:
    if withdrawn_at is not None:
        raise IllegalTransition(f"the result of job {job_id} was withdrawn, so it is not reviewed")
    if not has_result or state not in RESULT_STATES:  # a result that is made again is another one
        raise IllegalTransition(f"job {job_id} is {state} and has no result to review")


def _require_newest(connection: Connection, job_id: int, seen: int) -> None:
    query = select(reviews).where(reviews.c.job_id == job_id).order_by(reviews.c.id.desc()).limit(1)
    newest = connection.execute(query).first()
    if newest is not None and newest.id != seen:
        words = "sent a correction of" if newest.verdict == ReviewVerdict.SENT.value else newest.verdict
        raise IllegalTransition(f"nothing was changed: {newest.who} has {words} the result of job {job_id} meanwhile")


def _insert(
    connection: Connection,
    job: Job,
    now: datetime,
    verdict: ReviewVerdict,
    who: str,
    *,
    reason: str | None = None,
    upload: tuple[str, str] | None = None,
    feedback_id: int | None = None,
) -> Review:
    model = (job.measurements or {}).get("model")
    model = model if isinstance(model, dict) else {}
    scanner = connection.execute(select(SCANNER).where(jobs.c.id == job.id)).scalar()
    values = {
        "job_id": job.id,
        "at": now,
        "who": storable(who)[:255],
        "verdict": verdict.value,
        "reason": storable(reason.strip())[:_MOST_REASON] or None if reason else None,
        "sop_instance_uid": upload[0] if upload else None,
        "sha256": upload[1] if upload else None,
        "feedback_id": feedback_id,
        "model": f"{model.get('name')} {model.get('version')}"[:255] if model else None,
        "model_digest": str(model["digest"])[:64] if model.get("digest") else None,
        "scanner": scanner,
    }
    row = connection.execute(insert(reviews).returning(reviews), values).one()
    if (state := _STATES.get(verdict)) is not None:
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(review=state.value))
    return _review_of(row)


def counts_query(counted: int) -> Any:
    """See `ReviewTable.counts`."""
    last = reviews.alias("last")
    oldest = select(func.coalesce(func.max(last.c.id), 0) - counted).scalar_subquery()
    decided = (reviews.c.id > oldest, reviews.c.verdict != ReviewVerdict.SENT.value)
    newest = select(func.max(reviews.c.id).label("id")).where(*decided).group_by(reviews.c.job_id).subquery()
    sums = [
        func.sum(case((reviews.c.verdict == verdict.value, 1), else_=0))
        for verdict in (ReviewVerdict.ACCEPTED, ReviewVerdict.REJECTED, ReviewVerdict.CORRECTED)
    ]
    model, scanner = func.coalesce(reviews.c.model, _UNKNOWN), func.coalesce(reviews.c.scanner, _UNKNOWN)
    return (
        select(model, scanner, *sums)
        .join(newest, newest.c.id == reviews.c.id)
        .group_by(model, scanner)
        .order_by(model, scanner)
    )


def _review_of(row: Row[Any]) -> Review:
    values = dict(row._mapping)
    return Review(**{**values, "verdict": ReviewVerdict(values["verdict"])})
