"""Rows whose times were written while the machine's clock was ahead."""

from __future__ import annotations

import pytest
from support.clock import ManualClock

from db.clock import clamp_cohorts, clamp_deliveries, clamp_feedback, clamp_jobs
from db.cohorts import CohortRules, CohortTable, NewItem
from db.deliveries import DeliveryTable
from db.engine.database import Database
from db.inbox import Inbox
from db.jobs import JobTable
from db.records import AssociationEnd, JobState, NewDelivery, ReceivedInstance
from db.schema import feedback

STEPS = [3600.0, 3 * 86_400.0]  # hours, days
RETRY = 30.0
LEASE = 60.0


def wait_after(attempts: int) -> float:
    """Doubling."""
    return RETRY * 2 ** (attempts - 1)


@pytest.fixture
def tables(database: Database) -> tuple[JobTable, DeliveryTable]:
    """Of one database."""
    return JobTable(database), DeliveryTable(database)


def received(database: Database, series: str = "1.2.3") -> int:
    """One instance by an open association, whose id is given."""
    inbox = Inbox(database)
    association = inbox.open_association("SCANNER", "WMHNODE", "127.0.0.1", "receiver")
    inbox.record([ReceivedInstance("1.2.3.4", "1.2", series, "1.2", "1.2", "inbox/x", "0" * 64, 1, association)])
    return association


@pytest.mark.parametrize("step", STEPS)
class TestTheClockWasSetBack:
    """After the repair each wait is as long as it would have been; before it, longer by the step."""

    def test_a_job_that_was_never_begun(self, database: Database, clock: ManualClock, tables, step: float) -> None:
        """It is claimed at once."""
        jobs, _ = tables
        jobs.enqueue("1.2.3", "0" * 64, 1)
        clock.step(-step)
        assert jobs.claim("worker", LEASE) is None
        assert clamp_jobs(database, wait_after, LEASE) == 1
        assert jobs.claim("worker", LEASE) is not None

    def test_a_job_that_is_tried_again(self, database: Database, clock: ManualClock, tables, step: float) -> None:
        """It waits its own wait and no longer."""
        jobs, _ = tables
        job = jobs.enqueue("1.2.3", "0" * 64, 1)
        clock.pass_seconds(1)
        jobs.claim("worker", LEASE)
        jobs.retry_later(job.id, "worker", "trouble", RETRY)
        clock.step(-step)
        clamp_jobs(database, wait_after, LEASE)
        clock.pass_seconds(RETRY)
        assert jobs.claim("worker", LEASE) is not None

    def test_a_worker_that_died(self, database: Database, clock: ManualClock, tables, step: float) -> None:
        """Its job is taken over one lease later; one that lives keeps it."""
        jobs, _ = tables
        dead, alive = jobs.enqueue("1.2.3", "0" * 64, 1), jobs.enqueue("1.2.4", "1" * 64, 1)
        assert [jobs.claim(owner, LEASE).id for owner in ("dead", "alive")] == [dead.id, alive.id]
        clock.step(-step)
        clamp_jobs(database, wait_after, LEASE)
        clock.pass_seconds(LEASE - 1)
        assert jobs.heartbeat(alive.id, "alive", LEASE)
        clock.pass_seconds(2)
        assert jobs.claim("other", LEASE).id == dead.id
        assert jobs.claim("another", LEASE) is None

    def test_a_delivery(self, database: Database, clock: ManualClock, tables, step: float) -> None:
        """A new one is due at once, one that failed after its own wait, one whose sender died after a lease."""
        jobs, deliveries = tables
        job = jobs.enqueue("1.2.3", "0" * 64, 1)
        jobs.claim("worker", LEASE)
        jobs.deliver(job.id, "worker", {}, [NewDelivery(name, ["f"]) for name in ("failed", "held", "new")])
        failed, held = (deliveries.claim(owner, LEASE) for owner in ("a", "b"))
        deliveries.postpone(failed.id, "a", "no answer", RETRY)
        clock.step(-step)
        assert deliveries.claim("c", LEASE) is None
        assert clamp_deliveries(database, wait_after, LEASE)
        assert deliveries.claim("c", 10 * LEASE).destination == "new"
        clock.pass_seconds(RETRY)
        assert deliveries.claim("c", 10 * LEASE).id == failed.id
        clock.pass_seconds(LEASE)
        assert deliveries.claim("c", 10 * LEASE).id == held.id

    def test_a_failed_job_whose_series_is_sent_again(
        self, database: Database, clock: ManualClock, tables, step: float
    ) -> None:
        """The resend came after the failure, whatever the clock said then."""
        jobs, _ = tables
        received(database)
        job = jobs.enqueue("1.2.3", "0" * 64, 1)
        jobs.claim("worker", LEASE)
        jobs.fail(job.id, "worker", "damaged")
        clock.step(-step)
        clamp_jobs(database, wait_after, LEASE)
        clock.pass_seconds(1)
        received(database)
        assert [job.id for job in jobs.retry_resent()] == [job.id]

    def test_how_the_last_association_ended(self, database: Database, clock: ManualClock, tables, step: float) -> None:
        """The release after the step counts, not the abort of before."""
        inbox = Inbox(database)
        inbox.end_association(received(database), AssociationEnd.ABORTED)
        clock.step(-step)
        clamp_jobs(database, wait_after, LEASE)
        clock.pass_seconds(1)
        inbox.end_association(received(database), AssociationEnd.RELEASED)
        assert [activity.last_end for activity in inbox.open_series()] == [AssociationEnd.RELEASED]

    def test_a_correction(self, database: Database, clock: ManualClock, tables, step: float) -> None:
        """A segmentation that waits is looked at after its own wait."""
        row = {
            "sop_instance_uid": "1.2", "sha256": "0" * 64, "series_instance_uid": "1.2", "study_instance_uid": "1.2",
            "path": "inbox/x", "calling_ae_title": "PACS", "received_at": clock(), "state": "waiting", "attempts": 0,
            "not_before": clock(),
        }  # fmt: skip
        with database.write() as connection:
            connection.execute(feedback.insert().values(row))
        clock.step(-step)
        assert clamp_feedback(database, lambda came, now: 2.0 if came > now else 3600.0) == 1
        with database.read() as connection:
            (left,) = connection.execute(feedback.select()).all()
        assert (left.not_before - clock()).total_seconds() == 2


@pytest.mark.parametrize("step", STEPS)
def test_a_study_of_a_cohort(database: Database, clock: ManualClock, step: float) -> None:
    """It is fetched again after its own wait, also when its retriever died, and what was asked for before the step
    counts for one hour."""
    table = CohortTable(database)
    table.add("c", "pacs", CohortRules(per_hour=1), [NewItem(1, {}, "1.2", None)], "test")
    item = table.claim("one", LEASE, 12)
    assert item is not None
    table.moving(item.id, "one")
    clock.step(-step)
    clock.pass_seconds(LEASE + 1)
    assert table.claim("two", LEASE, 12) is None
    assert clamp_cohorts(database, wait_after, LEASE) == 3
    clock.pass_seconds(3600)
    again = table.claim("two", LEASE, 12)
    assert again is not None
    table.postpone(item.id, "two", "trouble", RETRY * 2, counts=True)
    clock.step(-step)
    assert clamp_cohorts(database, wait_after, LEASE) > 0
    clock.pass_seconds(RETRY * 2)
    assert table.claim("three", LEASE, 12) is None, "one an hour"
    clock.pass_seconds(3600)
    assert table.claim("three", LEASE, 12) is not None


def test_waits_that_may_be_are_left_alone(database: Database, clock: ManualClock, tables) -> None:
    """A retry, a lease and a delivery on their way are not touched, nor what is seconds off between two machines."""
    jobs, deliveries = tables
    later, running, sent = (jobs.enqueue(f"1.2.{number}", f"{number:064d}", 1) for number in range(3))
    for owner in ("a", "b", "c"):
        jobs.claim(owner, LEASE)
    jobs.retry_later(later.id, "a", "trouble", RETRY)
    jobs.deliver(sent.id, "c", {}, [NewDelivery("pacs", ["f"])])
    deliveries.postpone(deliveries.claim("d", LEASE).id, "d", "no answer", RETRY)
    clock.step(-3)
    assert clamp_jobs(database, wait_after, LEASE) == clamp_deliveries(database, wait_after, LEASE) == 0
    assert jobs.get(running.id).state is JobState.RUNNING
