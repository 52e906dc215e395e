"""Reviews on both databases: what waits, what readers said, and how it is counted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import update
from support.received import instance, series_uid

from db.audit import audit_entries
from db.engine import Database
from db.errors import IllegalTransition, UnknownRow
from db.feedback import FeedbackTable
from db.inbox import Inbox
from db.jobs import JobTable
from db.records import (
    AssociationEnd,
    FeedbackDecision,
    FeedbackState,
    Job,
    JobState,
    NewDelivery,
    ReceivedInstance,
    ReviewState,
    ReviewVerdict,
)
from db.reviews import ReviewCount, ReviewTable, counts_query
from db.schema import jobs
from db.withdrawals import WithdrawalTable

SEG = "1.2.840.10008.5.1.4.1.1.66.4"
MODEL = {"name": "wmh", "version": "1.0.0", "digest": "a" * 64}
COMPARISON = {
    "dsc": 0.9, "model_ml": 10.0, "corrected_ml": 11.0, "added_ml": 2.0, "removed_ml": 1.0, "model": MODEL,
}  # fmt: skip


@pytest.fixture
def table(database: Database) -> ReviewTable:
    """The table under test."""
    return ReviewTable(database)


def _analysed(
    database: Database, name: str, scanner: str = "MR1", *, recommended: bool = True, model: Mapping[str, Any] = MODEL
) -> Job:
    inbox, jobs = Inbox(database), JobTable(database)
    association = inbox.open_association(scanner, "WMHNODE", "10.0.0.7", "receiver")
    count = len(inbox.instances_of(series_uid(name)))
    inbox.record([instance(series_uid(name), count + 1, association)])
    inbox.end_association(association, AssociationEnd.RELEASED)
    job = jobs.enqueue(series_uid(name), f"{count:064x}", count + 1)
    jobs.claim("worker", 60)
    measured = {"wmh_volume_ml": 1.0, "review_recommended": recommended, "model": dict(model)}
    return jobs.deliver(job.id, "worker", measured, [NewDelivery("pacs", ["seg.dcm"])])


def _corrected(database: Database, job: Job, sha256: str = "b" * 64) -> None:
    """A correction of the job's result is received and accepted."""
    inbox, feedback = Inbox(database), FeedbackTable(database)
    association = inbox.open_association("VIEWER", "WMHNODE", "10.0.0.9", "receiver")
    seg = ReceivedInstance(
        "1.2.77.1", SEG, "1.2.77", "1.9", "1.2.840.10008.1.2.1", "inbox/s.dcm", sha256, 9, association
    )
    inbox.record([seg])
    (number,) = feedback.receive("1.2.77", 1, (SEG,), closes=True)
    feedback.decide(
        number,
        FeedbackDecision(
            FeedbackState.ACCEPTED, source_series_uid=job.series_instance_uid, job_id=job.id, comparison=COMPARISON
        ),
    )


def test_results_wait_until_a_reader_decides(database: Database, table: ReviewTable) -> None:
    """What recommends a review waits, newest first; a verdict takes it off the list, and the last one counts."""
    first, second = _analysed(database, "a"), _analysed(database, "b", "MR2")
    calm = _analysed(database, "c", recommended=False)
    assert (first.review, calm.review) == (ReviewState.OPEN, None)
    assert [line.id for line in table.worklist(10)] == [second.id, first.id]
    assert [line.id for line in table.worklist(10, before=second.id)] == [first.id]
    assert [line.scanner for line in table.worklist(1)] == ["MR2"]
    assert table.count_open(10) == 2
    table.decide(first.id, ReviewVerdict.ACCEPTED, "alice")
    table.decide(calm.id, ReviewVerdict.REJECTED, "alice", " motion ")
    assert [line.id for line in table.worklist(10)] == [second.id]
    table.decide(first.id, ReviewVerdict.REJECTED, "bob", "the septum")
    found = table.of_job(first.id)
    assert [(one.who, one.verdict, one.reason) for one in found] == [
        ("alice", ReviewVerdict.ACCEPTED, None),
        ("bob", ReviewVerdict.REJECTED, "the septum"),
    ]
    assert JobTable(database).get(first.id).review is ReviewState.REJECTED
    assert table.accepted() == []
    assert [review.job_id for review in table.list(2)] == [first.id, calm.id]


def test_counts_by_model_and_scanner(database: Database, table: ReviewTable) -> None:
    """The last verdict of each result counts once, under the model and the scanner that it came from."""
    other = {**MODEL, "version": "2.0.0", "digest": "c" * 64}
    first, second = _analysed(database, "a"), _analysed(database, "b")
    third = _analysed(database, "c", "MR2", model=other)
    for verdict in (ReviewVerdict.REJECTED, ReviewVerdict.ACCEPTED):
        table.decide(first.id, verdict, "alice", "x")
    table.decide(third.id, ReviewVerdict.REJECTED, "alice", "x")
    table.note_upload(second.id, "alice", "1.2.77.1", "b" * 64)
    assert table.counts() == [ReviewCount("wmh 1.0.0", "MR1", 1, 0, 0), ReviewCount("wmh 2.0.0", "MR2", 0, 1, 0)]
    _corrected(database, second)
    assert table.counts()[0] == ReviewCount("wmh 1.0.0", "MR1", 1, 0, 1)
    with database.read() as connection:  # of the newest one alone
        assert [tuple(row) for row in connection.execute(counts_query(1))] == [("wmh 1.0.0", "MR1", 0, 0, 1)]


@pytest.mark.parametrize("uploaded", [True, False])
def test_a_correction_is_a_review(database: Database, table: ReviewTable, *, uploaded: bool) -> None:
    """A correction that fits takes the result off the list; it is by who uploaded these bytes, else by the sender."""
    job = _analysed(database, "a")
    if uploaded:
        table.note_upload(job.id, "alice", "1.2.77.1", "b" * 64)
    table.note_upload(job.id, "mallory", "1.2.77.1", "d" * 64)
    assert table.count_open(10) == 1
    _corrected(database, job)
    assert table.count_open(10) == 0
    last = table.of_job(job.id)[-1]
    assert (last.verdict, last.who) == (ReviewVerdict.CORRECTED, "alice" if uploaded else "VIEWER")
    assert last.feedback_id == FeedbackTable(database).list()[0].id


def test_replaced_and_withdrawn_results_do_not_wait(database: Database, table: ReviewTable) -> None:
    """A result about fewer images, or one that was withdrawn, waits for no reader; the latter takes no verdict."""
    old = _analysed(database, "a")
    newer = _analysed(database, "a")
    assert [line.id for line in table.worklist(10)] == [newer.id] != [old.id]
    WithdrawalTable(database).withdraw(newer.id, "bob", "wrong", [])
    assert table.worklist(10) == []
    with pytest.raises(IllegalTransition, match="was withdrawn"):
        table.decide(newer.id, ReviewVerdict.ACCEPTED, "alice")


def test_results_whose_files_are_gone_do_not_wait(database: Database, table: ReviewTable) -> None:
    """No reader can look at a result whose files a retention rule removed: it is neither listed nor counted."""
    gone, there = _analysed(database, "a"), _analysed(database, "b")
    with database.write() as connection:
        connection.execute(update(jobs).where(jobs.c.id == gone.id).values(purged_at=database.clock()))
    assert [line.id for line in table.worklist(10)] == [there.id]
    assert table.count_open(10) == 1


def test_a_verdict_that_the_reader_did_not_see_is_not_replaced(database: Database, table: ReviewTable) -> None:
    """Two readers at once: the second one is refused and learns who was first; who has seen it may replace it."""
    job = _analysed(database, "a")
    rejected = table.decide(job.id, ReviewVerdict.REJECTED, "alice", "the septum", seen=0)
    with pytest.raises(IllegalTransition, match="alice has rejected the result of job"):
        table.decide(job.id, ReviewVerdict.ACCEPTED, "bob", seen=0)
    assert JobTable(database).get(job.id).review is ReviewState.REJECTED
    assert len(table.of_job(job.id)) == 1
    table.decide(job.id, ReviewVerdict.ACCEPTED, "bob", seen=rejected.id)
    assert JobTable(database).get(job.id).review is ReviewState.ACCEPTED


def test_a_result_that_is_made_again_is_not_reviewed(database: Database, table: ReviewTable) -> None:
    """While a job is analysed again, as when its result set was lost, its old result takes no verdict."""
    job = _analysed(database, "a")
    with database.write() as connection:
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(state=JobState.RUNNING.value))
    with pytest.raises(IllegalTransition, match="has no result to review"):
        table.decide(job.id, ReviewVerdict.ACCEPTED, "alice")


def test_a_replaced_result_is_no_accepted_one(database: Database, table: ReviewTable) -> None:
    """What a reader took as it is before more images came counts no longer, whatever is said of the later result."""
    old = _analysed(database, "a")
    table.decide(old.id, ReviewVerdict.ACCEPTED, "alice")
    assert [job.id for job in table.accepted()] == [old.id]
    newer = _analysed(database, "a")
    table.decide(newer.id, ReviewVerdict.REJECTED, "alice", "motion")
    assert table.accepted() == []
    table.decide(newer.id, ReviewVerdict.ACCEPTED, "alice")
    assert [job.id for job in table.accepted()] == [newer.id]


def test_what_is_refused(database: Database, table: ReviewTable) -> None:
    """No rejection without a reason, no verdict on a job without a result, and none is written down."""
    job = _analysed(database, "a")
    rejected = Inbox(database)
    association = rejected.open_association("MR1", "WMHNODE", "10.0.0.7", "receiver")
    rejected.record([instance(series_uid("z"), 1, association)])
    refused = rejected.reject_series(series_uid("z"), "not_axial", "no")
    for attempt in (
        lambda: table.decide(job.id, ReviewVerdict.REJECTED, "alice", " "),
        lambda: table.decide(job.id, ReviewVerdict.CORRECTED, "alice"),
        lambda: table.decide(refused.id, ReviewVerdict.ACCEPTED, "alice"),
        lambda: table.require_reviewable(refused.id),
    ):
        with pytest.raises(IllegalTransition):
            attempt()
    with pytest.raises(UnknownRow):
        table.decide(10**10, ReviewVerdict.ACCEPTED, "alice")
    with pytest.raises(UnknownRow):
        table.require_reviewable(10**10)
    table.require_reviewable(job.id)
    assert table.list(10) == []


def test_each_verdict_is_audited(database: Database, table: ReviewTable) -> None:
    """Accepting, rejecting and uploading are in the audit with account and job, and in the job's timeline."""
    job = _analysed(database, "a")
    table.decide(job.id, ReviewVerdict.ACCEPTED, "alice (page)")
    table.note_upload(job.id, "alice (page)", "1.2.77.1", "b" * 64)
    table.decide(job.id, ReviewVerdict.REJECTED, "bob (page)", "the septum\x00")
    entries = audit_entries(database)[:3]
    assert [(entry.who, entry.action, entry.job_id) for entry in entries] == [
        ("bob (page)", "reject result", job.id),
        ("alice (page)", "upload correction", job.id),
        ("alice (page)", "accept result", job.id),
    ]
    assert entries[0].at <= datetime.now(UTC)
    events = JobTable(database).events(job.id)
    assert [event.what for event in events][-3:] == ["accept result", "upload correction", "reject result"]
    assert "the septum" in events[-1].detail
