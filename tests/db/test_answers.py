"""A rejected job whose destinations get the reason: the answers' deliveries, on both databases."""

from __future__ import annotations

import pytest
from support.clock import ManualClock
from support.received import instance, series_uid

from db.deliveries import DeliveryTable
from db.engine import Database
from db.errors import LeaseLost
from db.inbox import Inbox
from db.jobs import JobTable
from db.records import Delivery, DeliveryState, Job, JobState, NewDelivery

REASON = "A slice is missing inside the stack."


class TestAnswers:
    """The job has ended; its answers go their own way."""

    @pytest.fixture(autouse=True)
    def _tables(self, database: Database, clock: ManualClock) -> None:
        self.clock = clock
        self.jobs = JobTable(database)
        self.deliveries = DeliveryTable(database)
        self.inbox = Inbox(database)

    def rejected(self, *destinations: str) -> Job:
        """A job that a worker rejects, with an answer to these destinations."""
        self.jobs.enqueue(series_uid(1), "a" * 64, 24)
        return self.reject_next(*destinations)

    def reject_next(self, *destinations: str, report: str = "1.2.3") -> Job:
        job = self.jobs.claim("worker-1", 60)
        assert job is not None
        answers = [NewDelivery(name, [f"outbox/{job.id}/{job.attempts}/sr.dcm"]) for name in destinations]
        return self.jobs.reject(job.id, "worker-1", "slices_missing", REASON, answers, {"SOPInstanceUID": report})

    def claimed(self) -> Delivery:
        delivery = self.deliveries.claim("sender-1", 60)
        assert delivery is not None
        return delivery

    def standing(self, job_id: int) -> list[tuple[str, DeliveryState]]:
        return [(delivery.destination, delivery.state) for delivery in self.deliveries.list(job_id)]

    def whats(self, job_id: int) -> list[str]:
        return [event.what for event in self.jobs.events(job_id)]

    def test_the_job_stays_rejected_whatever_comes_of_its_answers(self) -> None:
        """Sent or given up, the verdict is the same; the rows and the timeline say what came of each answer."""
        job = self.rejected("pacs", "archive")
        assert (job.state, job.code, job.reason, job.measurements) == (
            JobState.REJECTED, "slices_missing", REASON, None,
        )  # fmt: skip
        assert "pacs, archive will get a refusal report" in self.jobs.events(job.id)[-1].detail
        self.deliveries.sent(self.claimed().id, "sender-1")
        self.deliveries.give_up(self.claimed().id, "sender-1", "refused 3 times")
        after = self.jobs.get(job.id)
        assert (after.state, after.code, after.ended_at) == (JobState.REJECTED, "slices_missing", job.ended_at)
        assert self.standing(job.id) == [("pacs", DeliveryState.SENT), ("archive", DeliveryState.GIVEN_UP)]
        assert self.whats(job.id)[-3:] == ["rejected", "sent", "given up"]
        assert self.deliveries.claim("sender-1", 60) is None

    def test_no_answer_is_sent_unless_asked_for(self) -> None:
        """Without answers there is no delivery, as ever."""
        job = self.rejected()
        assert self.standing(job.id) == []
        assert "refusal report" not in self.jobs.events(job.id)[-1].detail

    def test_a_lost_lease_sends_no_answer(self) -> None:
        """A worker that lost the job writes neither verdict nor delivery."""
        self.jobs.enqueue(series_uid(1), "a" * 64, 24)
        job = self.jobs.claim("worker-1", 60)
        assert job is not None
        self.jobs.cancel(job.id)
        with pytest.raises(LeaseLost):
            self.jobs.reject(job.id, "worker-1", "blank", REASON, [NewDelivery("pacs", ["x"])])
        assert self.standing(job.id) == []

    def test_a_lost_answer_is_made_again_for_everybody(self) -> None:
        """If the job is rejected again, each destination gets a report, also those that had one."""
        job = self.rejected("pacs", "archive")
        self.deliveries.sent(self.claimed().id, "sender-1")
        assert self.deliveries.files_lost(self.claimed().id, "sender-1", "sr.dcm is gone from the outbox")
        assert self.jobs.get(job.id).state is JobState.QUEUED
        again = self.reject_next("pacs", "archive")
        assert again.id == job.id
        assert self.standing(job.id) == [("pacs", DeliveryState.PENDING), ("archive", DeliveryState.PENDING)]

    def test_a_retried_job_that_is_analysed_reaches_destinations_that_had_a_refusal(self) -> None:
        """An administrator retries (a new version reads the series): the result goes to everybody."""
        job = self.rejected("pacs")
        self.deliveries.sent(self.claimed().id, "sender-1")
        assert self.jobs.retry(job.id).state is JobState.QUEUED
        assert self.jobs.claim("worker-1", 60) is not None
        self.jobs.deliver(job.id, "worker-1", {}, [NewDelivery("pacs", ["seg.dcm"])])
        (delivery,) = self.deliveries.list(job.id)
        assert (delivery.state, delivery.files) == (DeliveryState.PENDING, ("seg.dcm",))

    def test_later_images_take_back_an_answer_that_is_not_sent(self) -> None:
        """A newer job is about more images; the older verdict, still on its way, would contradict it."""
        association = self.inbox.open_association("SCANNER", "WMHNODE", "127.0.0.1", "receiver-1")
        self.inbox.record([instance(series_uid(1), number, association) for number in range(24)])
        job = self.rejected("pacs", "archive")
        self.deliveries.sent(self.claimed().id, "sender-1")
        leased = self.claimed()
        self.inbox.record([instance(series_uid(1), 24, association)])
        newer = self.jobs.enqueue(series_uid(1), "b" * 64, 25)
        assert newer.predecessor_id == job.id
        assert self.standing(job.id) == [("pacs", DeliveryState.SENT), ("archive", DeliveryState.CANCELLED)]
        with pytest.raises(LeaseLost):
            self.deliveries.sent(leased.id, "sender-1")
        assert self.whats(job.id)[-1] == "superseded"
        assert self.jobs.earlier_report(newer) == {"SOPInstanceUID": "1.2.3"}

    @pytest.mark.parametrize("being_sent", [True, False])
    def test_an_answer_that_is_taken_back_while_it_is_sent_may_be_out(self, being_sent: bool) -> None:
        """A report being sent is finished, so the newer job names it; one that was not being sent is in no PACS."""
        job = self.rejected("pacs")
        if being_sent:
            self.claimed()
        newer = self.jobs.enqueue(series_uid(1), "b" * 64, 25)
        assert self.standing(job.id) == [("pacs", DeliveryState.CANCELLED)]
        assert self.jobs.earlier_report(newer) == ({"SOPInstanceUID": "1.2.3"} if being_sent else None)

    @pytest.mark.parametrize("being_sent", [True, False])
    def test_a_result_that_is_cancelled_while_it_is_sent_may_be_out(self, being_sent: bool) -> None:
        """The same of a result that an administrator cancels."""
        job = self.jobs.enqueue(series_uid(1), "a" * 64, 24)
        self.jobs.claim("worker-1", 60)
        self.jobs.deliver(job.id, "worker-1", {}, [NewDelivery("pacs", ["sr.dcm"])], {"SOPInstanceUID": "1.2.3"})
        if being_sent:
            self.claimed()
        self.jobs.cancel(job.id)
        newer = self.jobs.enqueue(series_uid(1), "b" * 64, 25)
        assert self.jobs.earlier_report(newer) == ({"SOPInstanceUID": "1.2.3"} if being_sent else None)

    def test_an_answer_that_was_sent_is_kept_when_the_job_is_decided_again(self) -> None:
        """The next worker knows the report that a PACS has, skipping reports that no PACS took."""
        job = self.rejected("pacs")
        assert job.answered is None
        self.deliveries.sent(self.claimed().id, "sender-1")
        assert self.jobs.retry(job.id).answered == {"SOPInstanceUID": "1.2.3"}
        self.reject_next("pacs", report="1.2.4")
        assert self.jobs.retry(job.id).answered == {"SOPInstanceUID": "1.2.3"}, "1.2.4 was never sent"
        self.reject_next("pacs", report="1.2.5")
        self.claimed()
        assert self.jobs.retry(job.id).answered == {"SOPInstanceUID": "1.2.5"}, "1.2.5 was just being sent"

    def test_an_answer_that_was_not_delivered_is_forgotten(self) -> None:
        """Given up while nothing was stored, lost from the outbox, or not yet sent: no PACS could find it."""
        job = self.rejected("pacs")
        assert self.deliveries.files_lost(self.claimed().id, "sender-1", "sr.dcm is gone from the outbox")
        assert self.jobs.get(job.id).answered is None
        self.reject_next("pacs")
        assert self.jobs.retry(job.id).answered is None
        self.reject_next("pacs")
        self.deliveries.give_up(self.claimed().id, "sender-1", "refused 3 times")
        assert self.jobs.retry(job.id).answered is None

    def test_an_answer_whose_report_was_stored_is_out_whatever_became_of_its_page(self) -> None:
        """Given up, tried again, or lost from the outbox since: the PACS that refuses the page has the report."""
        job = self.rejected("pacs")
        self.deliveries.give_up(self.claimed().id, "sender-1", "refused 3 times: summary.dcm", report_out=True)
        assert self.jobs.retry(job.id).answered == {"SOPInstanceUID": "1.2.3"}
        self.reject_next("pacs", report="1.2.4")
        self.deliveries.postpone(self.claimed().id, "sender-1", "summary.dcm", 0, refused=True, report_out=True)
        self.deliveries.postpone(self.claimed().id, "sender-1", "connection refused", 0)
        assert self.jobs.retry(job.id).answered == {"SOPInstanceUID": "1.2.4"}
        self.reject_next("pacs", report="1.2.5")
        self.deliveries.postpone(self.claimed().id, "sender-1", "summary.dcm", 0, refused=True, report_out=True)
        assert self.deliveries.files_lost(self.claimed().id, "sender-1", "summary.dcm is gone")
        assert self.jobs.get(job.id).answered == {"SOPInstanceUID": "1.2.5"}

    def test_an_answer_whose_sender_went_silent_may_be_out(self) -> None:
        """A sender that was killed may have sent the report: the next one, whose files are lost, knows no better."""
        job = self.rejected("pacs")
        self.claimed()
        self.clock.pass_seconds(61)
        assert self.deliveries.files_lost(self.claimed().id, "sender-1", "sr.dcm is gone from the outbox")
        assert self.jobs.get(job.id).answered == {"SOPInstanceUID": "1.2.3"}

    @pytest.mark.parametrize("stored", [True, False])
    def test_a_result_that_was_given_up_is_named_where_its_report_was_stored(self, stored: bool) -> None:
        """A PACS that refuses a page and stores the report shows two reports, and the later one names the first."""
        job = self.jobs.enqueue(series_uid(1), "a" * 64, 24)
        self.jobs.claim("worker-1", 60)
        files = ["seg.dcm", "summary.dcm", "sr.dcm"]
        self.jobs.deliver(job.id, "worker-1", {}, [NewDelivery("pacs", files)], {"SOPInstanceUID": "1.2.3"})
        self.deliveries.give_up(self.claimed().id, "sender-1", "refused 3 times: summary.dcm", report_out=stored)
        newer = self.jobs.enqueue(series_uid(1), "b" * 64, 25)
        assert self.jobs.earlier_report(newer) == ({"SOPInstanceUID": "1.2.3"} if stored else None)

    def test_a_later_job_names_the_answer_that_was_sent(self) -> None:
        """A retried job gives way to a newer one before it is decided again: the newer one finds what the PACS has."""
        job = self.rejected("pacs")
        self.deliveries.sent(self.claimed().id, "sender-1")
        self.jobs.retry(job.id)
        newer = self.jobs.enqueue(series_uid(1), "b" * 64, 25)
        assert self.jobs.get(job.id).state is JobState.CANCELLED
        assert self.jobs.earlier_report(newer) == {"SOPInstanceUID": "1.2.3"}
