"""Proof of delivery: the contract of its table, on both databases."""

from __future__ import annotations

import re

import pytest
from support.clock import ManualClock
from support.received import instance, series_uid

from db import delivery_transitions
from db.deliveries import DeliveryTable
from db.delivery_transitions import DELIVERY_TRANSITIONS, DeliveryAction, after
from db.engine import Database
from db.errors import IllegalTransition, LeaseLost
from db.inbox import Inbox
from db.jobs import JobTable
from db.proofs import RESEND_AFTER, ProofTable
from db.records import (
    CommitmentObject,
    Delivery,
    DeliveryState,
    JobState,
    NewDelivery,
    Proof,
    ReportOutcome,
)

_FILES = ("outbox/1/1/seg.dcm", "outbox/1/1/sr.dcm")
_OBJECTS = [CommitmentObject("1.2.3", f"1.2.3.{at}", file) for at, file in enumerate(_FILES)]
_UIDS = [obj.sop_instance_uid for obj in _OBJECTS]


def test_the_docstring_is_the_table() -> None:
    """The table of delivery states that people read and the one that the program obeys are the same."""
    rows = re.findall(r"^\| (\S.*?)\s*\| (\S.*?)\s*\| (\S+)\s*\| ", delivery_transitions.__doc__ or "", re.MULTILINE)
    documented = {(action, frozenset(old.split(", ")), new) for action, old, new in rows if action != "action"}
    in_code = {(str(a), frozenset(map(str, old)), str(new)) for a, (old, new) in DELIVERY_TRANSITIONS.items()}
    assert documented == in_code
    for action in DeliveryAction:
        for state in set(DeliveryState) - DELIVERY_TRANSITIONS[action][0]:
            with pytest.raises(IllegalTransition, match=f"it is {state}, expected "):
                after(action, 1, state)


class TestProofTable:
    """Sets that are stored and wait for a proof."""

    @pytest.fixture(autouse=True)
    def _tables(self, database: Database, clock: ManualClock) -> None:
        self.clock = clock
        self.jobs, self.deliveries, self.proofs = JobTable(database), DeliveryTable(database), ProofTable(database)

    def stored(self, proof: Proof | None = Proof.COMMIT) -> int:
        """A job whose one delivery is stored and to be proven; returns the job's id."""
        self.jobs.enqueue(series_uid(1), "a" * 64, 24)
        job = self.jobs.claim("worker-1", 60)
        assert job is not None
        self.jobs.deliver(job.id, "worker-1", {}, [NewDelivery("pacs", _FILES)])
        self.send(proof)
        return job.id

    def send(self, proof: Proof | None = Proof.COMMIT) -> None:
        claimed = self.deliveries.claim("sender-1", 60)
        assert claimed is not None
        self.deliveries.sent(claimed.id, "sender-1", proof)

    def ask(self, transaction: str, objects: list[CommitmentObject] = _OBJECTS, wait_seconds: float = 3600) -> Delivery:
        claimed = self.proofs.claim("sender-1", 60)
        assert claimed is not None
        self.proofs.begin(claimed.id, "sender-1", transaction, objects)
        assert self.proofs.asked(claimed.id, "sender-1", transaction, wait_seconds)
        return claimed

    def standing(self, job_id: int) -> tuple[str, str]:
        (delivery,) = self.deliveries.list(job_id)
        return str(delivery.state), str(self.jobs.get(job_id).state)

    def test_the_report_that_ends_a_job_gives_the_time_to_its_result(self, database: Database) -> None:
        """From the last image to the proof, for the report that ended the job and for no other."""
        inbox = Inbox(database)
        association = inbox.open_association("SCANNER", "WMHNODE", "10.0.0.7", "r")
        inbox.record([instance(series_uid(1), 1, association)])
        job_id = self.stored()
        self.ask("1.2.9", wait_seconds=10)
        self.clock.pass_seconds(10)
        self.ask("1.2.10")
        assert self.proofs.seconds_to_result(job_id) is None
        assert self.proofs.seconds_to_proof("1.2.10") is None
        self.clock.pass_seconds(90)
        self.proofs.report("1.2.10", _UIDS, {})
        self.clock.pass_seconds(5)
        self.proofs.report("1.2.9", _UIDS, {})
        assert self.proofs.seconds_to_proof("1.2.10") == self.proofs.seconds_to_result(job_id) == 100.0
        assert self.proofs.seconds_to_proof("1.2.9") is None

    def test_done_means_proven(self) -> None:
        """Stored is not done where a proof is promised: the report makes it committed, and the job done, once."""
        job_id = self.stored()
        assert self.standing(job_id) == ("sent", "delivering")
        self.ask("1.2.9")
        assert self.proofs.claim("sender-1", 60) is None, "nothing to do until the report or its time"
        assert self.proofs.report("1.2.8", _UIDS, {}) is ReportOutcome.UNKNOWN
        assert self.proofs.report("1.2.9", _UIDS, {}) is ReportOutcome.TAKEN
        assert self.standing(job_id) == ("committed", "done")
        events = self.jobs.events(job_id)
        assert self.proofs.report("1.2.9", [], {_UIDS[0]: "no such object"}) is ReportOutcome.REPEATED
        assert (self.standing(job_id), self.jobs.events(job_id)) == (("committed", "done"), events)

    def test_a_report_before_the_request_was_noted(self) -> None:
        """The destination may report before its answer to the request is written down, or after a kill in between."""
        job_id = self.stored()
        claimed = self.proofs.claim("sender-1", 60)
        assert claimed is not None
        self.proofs.begin(claimed.id, "sender-1", "1.2.9", _OBJECTS)
        assert self.proofs.report("1.2.9", _UIDS, {}) is ReportOutcome.TAKEN
        assert not self.proofs.asked(claimed.id, "sender-1", "1.2.9", 60)
        assert self.standing(job_id) == ("committed", "done")

    def test_only_what_failed_is_sent_again(self) -> None:
        """Of a partial failure the named objects alone are due again; what is proven then is the whole set."""
        job_id = self.stored()
        self.ask("1.2.9")
        self.proofs.report("1.2.9", [_UIDS[0]], {_UIDS[1]: "no such object"})
        again = self.deliveries.claim("sender-1", 60)
        assert again is not None
        assert (again.files, again.files_to_send) == (_FILES, (_FILES[1],))
        assert again.reason == "not held there: sr.dcm (no such object)"
        self.deliveries.sent(again.id, "sender-1", Proof.COMMIT)
        self.ask("1.2.10", _OBJECTS[1:])
        self.proofs.report("1.2.10", [_UIDS[1]], {})
        assert self.standing(job_id) == ("committed", "done")

    def test_refused_in_the_end(self) -> None:
        """A destination that lacks the same object after every resend is believed, with its reason in the job."""
        job_id = self.stored()
        for number in range(len(RESEND_AFTER) + 1):
            self.ask(f"1.2.9.{number}")
            self.proofs.report(f"1.2.9.{number}", [_UIDS[0]], {})
            if number < len(RESEND_AFTER):
                self.clock.pass_seconds(RESEND_AFTER[number])
                self.send()
        assert self.standing(job_id) == ("refused", "failed")
        job = self.jobs.get(job_id)
        assert (job.code, "sr.dcm (the report does not name it)" in (job.reason or "")) == ("not_proven", True)
        assert self.jobs.retry(job_id).state is JobState.DELIVERING
        claimed = self.deliveries.claim("sender-1", 60)
        assert claimed is not None
        assert claimed.files_to_send == _FILES, "a person's retry sends all of it"

    def test_unanswered_and_then_answered(self) -> None:
        """A job that failed for want of a report is done when the report comes after all."""
        job_id = self.stored()
        first = self.ask("1.2.9")
        assert self.proofs.questions(first.id) == 1
        self.clock.pass_seconds(3601)
        second = self.ask("1.2.10")
        assert self.proofs.questions(second.id) == 2
        self.clock.pass_seconds(3601)
        claimed = self.proofs.claim("sender-2", 60)
        assert claimed is not None
        self.proofs.unanswered(claimed.id, "sender-2", "no report in 2 hours")
        assert self.standing(job_id) == ("unanswered", "failed")
        self.proofs.report("1.2.9", _UIDS, {})
        assert self.standing(job_id) == ("committed", "done")

    def test_a_lost_lease(self) -> None:
        """A sender that died is followed by another one; what the first says then counts no more."""
        self.stored(Proof.VERIFY)
        claimed = self.proofs.claim("sender-1", 60)
        assert claimed is not None
        self.clock.pass_seconds(61)
        taken = self.proofs.claim("sender-2", 60)
        assert taken is not None
        with pytest.raises(LeaseLost):
            self.proofs.proven(claimed.id, "sender-1", "lists every object")
        self.proofs.proven(taken.id, "sender-2", "lists every object")
        assert [event.what for event in self.jobs.events(taken.job_id)][-2:] == ["verified", "done"]

    def test_cancelled_while_the_proof_is_awaited(self) -> None:
        """What is stored there counts as sent; a report that comes later changes nothing."""
        job_id = self.stored()
        self.ask("1.2.9")
        self.jobs.cancel(job_id)
        assert self.standing(job_id) == ("sent", "cancelled")
        assert self.proofs.report("1.2.9", _UIDS, {}) is ReportOutcome.TAKEN
        assert self.standing(job_id) == ("sent", "cancelled")
