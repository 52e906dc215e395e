"""How many series of a sender are rejected or need a review, before and of late."""

from __future__ import annotations

from datetime import timedelta

from support.clock import ManualClock
from support.received import instance, series_uid

from db.engine import Database
from db.inbox import Inbox
from db.jobs import JobTable
from db.records import NewDelivery
from db.shares import SenderCounts, counts_by_sender


def _series(database: Database, sender: str, number: int, review: bool | None) -> None:
    """A series of a sender that has a result, with or without a review recommended; None: it is rejected."""
    inbox, jobs, uid = Inbox(database), JobTable(database), series_uid(f"{len(sender)}.{number}")
    association = inbox.open_association(sender, "WMHNODE", "10.0.0.7", "r")
    inbox.record([instance(uid, 1, association)])
    jobs.enqueue(uid, f"{number:064x}", 1)
    job = jobs.claim("worker", 60)
    assert job is not None
    if review is None:
        jobs.reject(job.id, "worker", "no_flair", "it is no FLAIR")
    else:
        jobs.deliver(job.id, "worker", {"review_recommended": review}, [NewDelivery("pacs", ("outbox/1/1/sr.dcm",))])


def test_counts_are_by_sender_and_time(database: Database, clock: ManualClock) -> None:
    """Rejections and reviews are counted for the AE title that sent the series first, before and of late."""
    for number, review in enumerate((True, False, None)):
        _series(database, "OLD", number, review)
    clock.pass_seconds(10 * 86_400)
    _series(database, "OLD", 3, None)
    _series(database, "NEWER", 4, True)
    now = database.clock()
    assert counts_by_sender(database, now - timedelta(days=35), now - timedelta(days=7)) == {
        "OLD": (SenderCounts(3, 1, 2, 1), SenderCounts(1, 1, 0, 0)),
        "NEWER": (SenderCounts(), SenderCounts(1, 0, 1, 1)),
    }
    assert counts_by_sender(database, now - timedelta(days=1), now).keys() == {"OLD", "NEWER"}
