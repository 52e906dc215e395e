"""What the tables say about the node, on both databases."""

from __future__ import annotations

from datetime import timedelta

from support.clock import ManualClock
from support.received import instance, series_uid

from db.deliveries import DeliveryTable
from db.engine import Database
from db.inbox import Inbox
from db.jobs import JobTable
from db.overview import overview
from db.records import DeliveryState, JobState, NewDelivery


def test_an_empty_node(database: Database, clock: ManualClock) -> None:
    """With no rows there is nothing of anything, and no time of anything."""
    found = overview(database, clock.now)
    assert (found.jobs, found.deliveries, found.waiting_series) == ((), (), 0)
    assert (found.last_received_at, found.last_result_at, found.oldest_waiting_at) == (None, None, None)
    assert (found.failed_since, found.not_delivered_since) == (0, 0)


def test_series_wait_until_they_are_decided(database: Database, clock: ManualClock) -> None:
    """A series counts as waiting from its first instance to its verdict."""
    inbox = Inbox(database)
    association = inbox.open_association("SCANNER", "WMHNODE", "10.0.0.7", "receiver-1")
    inbox.record([instance(series_uid(1), 1, association)])
    first = clock.now
    clock.pass_seconds(30)
    inbox.record([instance(series_uid(1), 2, association), instance(series_uid(2), 1, association)])
    found = overview(database, clock.now)
    assert (found.waiting_series, found.oldest_waiting_at, found.last_received_at) == (2, first, clock.now)
    inbox.close_series(series_uid(1), 2)
    assert overview(database, clock.now).waiting_series == 1


def test_jobs_and_deliveries_by_state(database: Database, clock: ManualClock) -> None:
    """Each state has its number and its oldest; failures count from the time asked for, and the last result shows."""
    jobs, deliveries = JobTable(database), DeliveryTable(database)
    made = clock.now
    for number in (1, 2, 3):
        jobs.enqueue(series_uid(number), "a" * 64, 24)
        clock.pass_seconds(10)
    job = jobs.claim("worker", 60)
    assert job is not None
    jobs.deliver(job.id, "worker", {"wmh_volume_ml": 1.0}, [NewDelivery("lab", ["x"]), NewDelivery("pacs", ["x"])], {})
    delivered = clock.now
    for _ in range(2):
        delivery = deliveries.claim("deliverer", 60)
        assert delivery is not None
        if delivery.destination == "pacs":
            deliveries.give_up(delivery.id, "deliverer", "refused")
        else:
            deliveries.sent(delivery.id, "deliverer")
    clock.pass_seconds(60)
    found = overview(database, delivered - timedelta(seconds=1))
    assert [(job.state, job.count, job.oldest_at) for job in found.jobs] == [
        (JobState.QUEUED, 2, made + timedelta(seconds=10)),
        (JobState.FAILED, 1, made),
    ]
    assert [
        (delivery.destination, delivery.state, delivery.count, delivery.oldest_at) for delivery in found.deliveries
    ] == [
        ("lab", DeliveryState.SENT, 1, delivered),
        ("pacs", DeliveryState.GIVEN_UP, 1, delivered),
    ]
    assert (found.failed_since, found.not_delivered_since) == (1, 1)
    assert found.last_result_at is None
    later = overview(database, clock.now)
    assert (later.failed_since, later.not_delivered_since) == (0, 0)
