"""Senders whose series are suddenly rejected."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from support.clock import ManualClock
from support.received import instance, series_uid

from db.engine import Database, open_database
from db.engine.migrate import upgrade
from db.inbox import Inbox
from db.jobs import JobTable
from db.records import NewDelivery
from db.shares import SenderCounts, counts_by_sender
from dicom_node.serve.unusual import BEFORE, RECENT, unusual_senders


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def database(tmp_path: Path, clock: ManualClock) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path / 'node.sqlite'}"
    upgrade(url)
    with closing(open_database(url, clock)) as opened:
        yield opened


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
    assert counts_by_sender(database, now - BEFORE, now - RECENT) == {
        "OLD": (SenderCounts(3, 1, 2, 1), SenderCounts(1, 1, 0, 0)),
        "NEWER": (SenderCounts(), SenderCounts(1, 0, 1, 1)),
    }
    assert counts_by_sender(database, now - timedelta(days=1), now).keys() == {"OLD", "NEWER"}


@pytest.mark.parametrize(
    ("before", "recent", "words"),
    [
        (SenderCounts(100, 5), SenderCounts(20, 8), "40 % of its series of 7 days were rejected, before that 5 %"),
        (SenderCounts(100, 80), SenderCounts(20, 17), None),  # a PACS that sends whole studies
        (SenderCounts(100, 5), SenderCounts(9, 9), None),  # too few
        (SenderCounts(20, 0), SenderCounts(20, 20), None),  # nothing to compare with
        (
            SenderCounts(100, 0, 100, 10),
            SenderCounts(20, 0, 20, 12),
            "60 % of its results of 7 days recommend a review",
        ),
    ],
)
def test_a_rise_is_named_and_chance_is_not(before: SenderCounts, recent: SenderCounts, words: str | None) -> None:
    """A share that rises by 30 points is named; few series, or a share that was always high, are not."""
    found = list(unusual_senders({"SCANNER": (before, recent)}))
    assert [sender for sender, _ in found] == ([] if words is None else ["SCANNER"])
    assert words is None or words in found[0][1]
