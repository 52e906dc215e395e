"""The delivery table's contract, on both databases."""

from __future__ import annotations

import pytest
from support.clock import ManualClock
from support.received import series_uid

from db.deliveries import DeliveryTable
from db.engine import Database
from db.errors import DatabaseError, LeaseLost, UnknownRow
from db.jobs import JobTable
from db.records import Delivery, DeliveryState, JobState, NewDelivery


class TestDeliveryTable:
    """Result sets on their way to destinations."""

    @pytest.fixture(autouse=True)
    def _tables(self, database: Database, clock: ManualClock) -> None:
        self.clock = clock
        self.jobs = JobTable(database)
        self.deliveries = DeliveryTable(database)

    def delivering(self, *destinations: str, number: int = 1) -> int:
        """A job that goes to these destinations; returns its id."""
        self.jobs.enqueue(series_uid(number), "a" * 64, 24)
        job = self.jobs.claim("worker-1", 60)
        assert job is not None
        files = [f"outbox/{job.id}/seg.dcm", f"outbox/{job.id}/sr.dcm"]
        self.jobs.deliver(job.id, "worker-1", {}, [NewDelivery(name, files) for name in destinations])
        return job.id

    def claimed(self, owner: str = "sender-1", lease_seconds: float = 60) -> Delivery:
        delivery = self.deliveries.claim(owner, lease_seconds)
        assert delivery is not None
        return delivery

    def test_one_row_per_destination(self) -> None:
        """Each destination has its row, with the files in sending order."""
        job_id = self.delivering("pacs", "archive")
        pacs, archive = self.deliveries.list(job_id)
        assert (pacs.destination, archive.destination) == ("pacs", "archive")
        assert pacs.files == (f"outbox/{job_id}/seg.dcm", f"outbox/{job_id}/sr.dcm")
        assert pacs.state is DeliveryState.PENDING

    def test_last_delivery_ends_the_job(self) -> None:
        """A job is done when the last destination has its results, not before."""
        job_id = self.delivering("pacs", "archive")
        self.deliveries.sent(self.claimed().id, "sender-1")
        assert self.jobs.get(job_id).state is JobState.DELIVERING
        self.deliveries.sent(self.claimed().id, "sender-1")
        assert self.jobs.get(job_id).state is JobState.DONE
        assert self.deliveries.claim("sender-1", 60) is None

    def test_an_older_result_does_not_follow_a_newer_one(self) -> None:
        """A destination that was down gets the older result of a series first; others need not wait for it."""
        first = self.delivering("pacs", "archive")
        self.deliveries.postpone(self.claimed().id, "sender-1", "connection refused", 600)
        self.deliveries.sent(self.claimed().id, "sender-1")  # the archive is up
        self.jobs.enqueue(series_uid(1), "b" * 64, 25)
        second = self.jobs.claim("worker-1", 60)
        assert second is not None
        self.jobs.deliver(second.id, "worker-1", {}, [NewDelivery("pacs", ["f"]), NewDelivery("archive", ["f"])])
        other = self.claimed()
        assert (other.job_id, other.destination) == (second.id, "archive")
        self.deliveries.sent(other.id, "sender-1")
        assert self.deliveries.claim("sender-1", 60) is None
        self.clock.pass_seconds(600)
        older = self.claimed()
        assert (older.job_id, older.destination) == (first, "pacs")
        assert self.deliveries.claim("sender-2", 60) is None
        self.deliveries.sent(older.id, "sender-1")
        assert self.claimed().job_id == second.id

    def test_lost_files_of_an_older_result_are_not_made_again(self) -> None:
        """When a newer job of the series is there, an older result that is gone from the outbox is given up."""
        first = self.delivering("pacs")
        self.jobs.enqueue(series_uid(1), "b" * 64, 25)
        assert not self.deliveries.files_lost(self.claimed().id, "sender-1", "seg.dcm is gone")
        assert self.jobs.get(first).state is JobState.FAILED

    def test_a_dead_pacs_repeats_no_inference(self) -> None:
        """While results wait for a destination no worker gets the job, however long it takes."""
        job_id = self.delivering("pacs")
        for _ in range(50):
            self.deliveries.postpone(self.claimed().id, "sender-1", "connection refused", 3600)
            self.clock.pass_seconds(3600)
            assert self.jobs.claim("worker-1", 60) is None
        self.deliveries.sent(self.claimed().id, "sender-1")
        job = self.jobs.get(job_id)
        assert (job.state, job.attempts) == (JobState.DONE, 1)

    def test_one_destination_down_does_not_block_the_others(self) -> None:
        """Deliveries to a destination that is down do not hold up the others."""
        jobs = [self.delivering("down", "up", number=number) for number in range(3)]
        sent = []
        while (delivery := self.deliveries.claim("sender-1", 60)) is not None:
            if delivery.destination == "down":
                self.deliveries.postpone(delivery.id, "sender-1", "connection refused", 600)
            else:
                self.deliveries.sent(delivery.id, "sender-1")
                sent.append(delivery.job_id)
        assert sent == jobs
        assert [self.jobs.get(job).state for job in jobs] == [JobState.DELIVERING] * 3

    def test_destinations_to_skip(self) -> None:
        """A sender may leave destinations alone that it knows to be down, without touching their rows."""
        job_id = self.delivering("down", "up")
        delivery = self.deliveries.claim("sender-1", 60, skip={"down"})
        assert delivery is not None
        assert delivery.destination == "up"
        assert self.deliveries.claim("sender-1", 60, skip=["down"]) is None
        assert self.deliveries.list(job_id)[0].attempts == 0

    def test_claims_are_exclusive(self) -> None:
        """Two senders never hold the same row; a silent one loses it to the next, and its words count no more."""
        job_id = self.delivering("pacs")
        first = self.claimed("sender-1", lease_seconds=60)
        assert self.deliveries.claim("sender-2", 60) is None
        self.clock.pass_seconds(61)
        second = self.claimed("sender-2")
        assert (second.id, second.attempts) == (first.id, 2)
        for act in (
            lambda: self.deliveries.sent(first.id, "sender-1"),
            lambda: self.deliveries.postpone(first.id, "sender-1", "refused", 1),
            lambda: self.deliveries.give_up(first.id, "sender-1", "refused"),
        ):
            with pytest.raises(LeaseLost, match="sender-2"):
                act()
        assert self.jobs.get(job_id).state is JobState.DELIVERING

    def test_heartbeat(self) -> None:
        """A long sending is prolonged by heartbeats."""
        self.delivering("pacs")
        delivery = self.claimed("sender-1", lease_seconds=60)
        for _ in range(3):
            self.clock.pass_seconds(50)
            assert self.deliveries.heartbeat(delivery.id, "sender-1", 60)
            assert self.deliveries.claim("sender-2", 60) is None
        assert not self.deliveries.heartbeat(delivery.id, "sender-2", 60)

    def test_backoff(self) -> None:
        """A postponed delivery is not tried before its time, counts its attempts and keeps the last reason."""
        job_id = self.delivering("pacs")
        self.deliveries.postpone(self.claimed().id, "sender-1", "status 0xA700", 30)
        self.clock.pass_seconds(29)
        assert self.deliveries.claim("sender-1", 60) is None
        assert self.deliveries.list(job_id)[0].reason == "status 0xA700"
        self.clock.pass_seconds(1)
        assert self.claimed().attempts == 2

    def test_refusals_in_a_row(self) -> None:
        """Refusals are counted in a row: other trouble ends the row, and so does a retry by hand."""
        job_id = self.delivering("pacs")
        counts = []
        for refused in (False, True, True, False, True):
            self.deliveries.postpone(self.claimed().id, "sender-1", "said no", 0, refused=refused)
            counts.append(self.deliveries.list(job_id)[0].refusals)
        assert counts == [0, 1, 2, 0, 1]
        self.deliveries.give_up(self.claimed().id, "sender-1", "refused")
        self.jobs.retry(job_id)
        assert self.deliveries.list(job_id)[0].refusals == 0

    def test_lost_files(self) -> None:
        """Results that are gone are made again for those who have not got them, and only for those."""
        job_id = self.delivering("pacs", "oldpacs", "archive")
        self.deliveries.sent(self.claimed().id, "sender-1")
        self.deliveries.give_up(self.claimed().id, "sender-1", "refused")
        other = self.claimed("sender-2")
        assert self.deliveries.files_lost(other.id, "sender-2", "seg.dcm is gone")
        queued = self.jobs.get(job_id)
        assert queued.state is JobState.QUEUED
        assert [delivery.destination for delivery in self.deliveries.list(job_id)] == ["pacs"]
        with pytest.raises(UnknownRow):
            self.deliveries.sent(other.id, "sender-2")
        job = self.jobs.claim("worker-1", 60)
        assert job is not None
        new = [NewDelivery(name, ["seg.dcm"]) for name in ("pacs", "oldpacs", "archive")]
        self.jobs.deliver(job_id, "worker-1", {}, new)
        states = {delivery.destination: delivery.state for delivery in self.deliveries.list(job_id)}
        pending = DeliveryState.PENDING
        assert states == {"pacs": DeliveryState.SENT, "oldpacs": pending, "archive": pending}
        for _ in range(2):
            self.deliveries.sent(self.claimed().id, "sender-1")
        assert self.jobs.get(job_id).state is JobState.DONE
        assert any("seg.dcm is gone; it is analysed again" in event.detail for event in self.jobs.events(job_id))

    def test_files_that_are_lost_again_and_again(self) -> None:
        """An outbox that keeps nothing ends a job after its attempts, and a retry by hand begins afresh."""
        job_id = self.delivering("pacs")
        for _ in range(2):
            assert self.deliveries.files_lost(self.claimed().id, "sender-1", "seg.dcm is gone")
            job = self.jobs.claim("worker-1", 60)
            assert job is not None
            self.jobs.deliver(job.id, "worker-1", {}, [NewDelivery("pacs", ["seg.dcm"])])
        assert not self.deliveries.files_lost(self.claimed().id, "sender-1", "seg.dcm is gone")
        assert self.jobs.get(job_id).state is JobState.FAILED
        assert self.jobs.retry(job_id).state is JobState.DELIVERING
        assert self.deliveries.files_lost(self.claimed().id, "sender-1", "seg.dcm is gone")
        assert self.jobs.get(job_id).state is JobState.QUEUED

    def test_given_up(self) -> None:
        """A job of which one destination was given up goes on to the others, then fails with a reason that names it."""
        job_id = self.delivering("oldpacs", "pacs")
        self.deliveries.give_up(self.claimed().id, "sender-1", "SOP class not supported")
        assert self.jobs.get(job_id).state is JobState.DELIVERING
        self.deliveries.sent(self.claimed().id, "sender-1")
        job = self.jobs.get(job_id)
        assert (job.state, job.code) == (JobState.FAILED, "not_delivered")
        assert job.reason == "not delivered everywhere: oldpacs: SOP class not supported"

    def test_retry_sends_and_does_not_analyse(self) -> None:
        """Retrying a job with results only sends them, and only to who has not got them."""
        job_id = self.delivering("oldpacs", "pacs")
        self.deliveries.give_up(self.claimed().id, "sender-1", "oldpacs: SOP class not supported")
        self.deliveries.sent(self.claimed().id, "sender-1")
        assert self.jobs.retry(job_id, by="alice@console").state is JobState.DELIVERING
        assert self.jobs.claim("worker-1", 60) is None
        again = self.claimed()
        assert (again.destination, again.attempts, again.reason) == ("oldpacs", 1, None)
        self.deliveries.sent(again.id, "sender-1")
        assert self.jobs.get(job_id).state is JobState.DONE

    def test_cancelled_delivery(self) -> None:
        """Cancelling a job stops its deliveries: none is claimed, and a sender at work has lost the lease."""
        job_id = self.delivering("pacs", "archive")
        sending = self.claimed()
        self.jobs.cancel(job_id)
        with pytest.raises(LeaseLost, match="cancelled"):
            self.deliveries.sent(sending.id, "sender-1")
        assert self.deliveries.claim("sender-2", 60) is None
        assert {delivery.state for delivery in self.deliveries.list(job_id)} == {DeliveryState.CANCELLED}
        assert self.jobs.retry(job_id).state is JobState.DELIVERING

    def test_timeline(self) -> None:
        """The timeline holds each destination's story; the same trouble again is there once."""
        job_id = self.delivering("pacs")
        for _ in range(20):
            self.deliveries.postpone(self.claimed().id, "sender-1", "connection refused", 10)
            self.clock.pass_seconds(10)
        self.deliveries.postpone(self.claimed().id, "sender-1", "status 0xA700", 10)
        self.clock.pass_seconds(10)
        self.deliveries.sent(self.claimed().id, "sender-1")
        told = [(event.what, event.detail) for event in self.jobs.events(job_id)][2:]
        assert told == [
            ("results written", "goes to pacs"),
            ("not sent yet", "to pacs, attempt 1: connection refused; will retry"),
            ("not sent yet", "to pacs, attempt 21: status 0xA700; will retry"),
            ("sent", "to pacs, attempt 22, 210.0 s after it was due"),
            ("done", "every destination has the results"),
        ]

    def test_unknown_delivery(self) -> None:
        """A delivery that is not there is an error that says so."""
        with pytest.raises(UnknownRow, match="no delivery 4711"):
            self.deliveries.sent(4711, "sender-1")

    @pytest.mark.parametrize(("destination", "files"), [("", ["seg.dcm"]), ("pacs", [])])
    def test_empty_deliveries_do_not_exist(self, destination: str, files: list[str]) -> None:
        """A delivery without destination or files cannot be made."""
        with pytest.raises(DatabaseError, match="needs a destination and files"):
            NewDelivery(destination, files)
