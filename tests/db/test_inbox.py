"""The inbox's contract, on both databases."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.clock import ManualClock
from support.received import instance, series_uid

from db.engine import Database
from db.errors import DatabaseError, UnknownRow
from db.inbox import Inbox
from db.jobs import JobTable
from db.records import AssociationEnd, Job, JobState, RecordOutcome

SERIES, OTHER_SERIES = series_uid(1), series_uid(2)
NEW, DUPLICATE, CONFLICT = RecordOutcome.NEW, RecordOutcome.DUPLICATE, RecordOutcome.CONFLICT


class TestInbox:
    """Instances, associations and series."""

    @pytest.fixture(autouse=True)
    def _tables(self, database: Database, clock: ManualClock) -> None:
        self.database = database
        self.clock = clock
        self.inbox = Inbox(database)
        self.jobs = JobTable(database)

    def open(self, receiver: str = "receiver-1", calling: str = "SCANNER") -> int:
        return self.inbox.open_association(calling, "WMHNODE", "10.0.0.7", receiver)

    def activity(self):
        (only,) = self.inbox.open_series()
        return only

    def test_what_is_recorded_is_given_back(self) -> None:
        """Every field of a received instance comes back, in the order of arrival, with its ordinal and time; but its
        priority, which is its series'."""
        association = self.open()
        sent = [instance(SERIES, number, association) for number in (5, 3, 9)]
        assert self.inbox.record(sent[:1]) == [NEW]
        self.clock.pass_seconds(1)
        assert self.inbox.record(sent[1:]) == [NEW, NEW]
        stored = self.inbox.instances_of(SERIES)
        assert [instance.ordinal for instance in stored] == [1, 2, 3]
        assert stored[2].received_at == self.clock.now
        for before, after in zip(sent, stored, strict=True):
            for field in set(before.__slots__) - {"priority"}:
                assert getattr(after, field) == getattr(before, field)
            assert not after.is_conflict

    def test_same_bytes_are_one_instance(self) -> None:
        """The same instance again is a duplicate: in the same batch, later, or by another association."""
        first, second = self.open(), self.open(calling="PACS")
        assert self.inbox.record([instance(SERIES, 1, first), instance(SERIES, 1, first)]) == [NEW, DUPLICATE]
        assert self.inbox.record([instance(SERIES, 1, second)]) == [DUPLICATE]
        (stored,) = self.inbox.instances_of(SERIES)
        assert stored.association_id == first

    def test_other_bytes_are_kept_beside(self) -> None:
        """Other bytes under a known SOP Instance UID are kept, flagged and counted; each sort is one row."""
        association = self.open()
        batch = [instance(SERIES, 1, association), instance(SERIES, 1, association, "other")]
        assert self.inbox.record(batch) == [NEW, CONFLICT]
        assert self.inbox.record(batch[1:]) == [DUPLICATE]
        assert [instance.is_conflict for instance in self.inbox.instances_of(SERIES)] == [False, True]
        assert self.activity().conflict_count == 1
        assert self.activity().instance_count == 2

    def test_earlier_bytes_that_come_back(self) -> None:
        """Bytes that come again after other bytes of their UID are the last again: a row without a file of its own."""
        association = self.open()
        first, other = instance(SERIES, 1, association), instance(SERIES, 1, association, "other")
        self.inbox.record([first, other, instance(SERIES, 2, association)])
        for _ in range(2):
            assert self.inbox.record([first, instance(SERIES, 2, association)]) == [DUPLICATE, DUPLICATE]
        stored = self.inbox.instances_of(SERIES)
        of_uid = [instance for instance in stored if instance.sop_instance_uid == first.sop_instance_uid]
        assert [(instance.ordinal, instance.sha256, instance.is_return) for instance in of_uid] == [
            (1, first.sha256, False),
            (2, other.sha256, False),
            (4, first.sha256, True),
        ]
        assert (stored[3].path, stored[3].is_conflict) == (first.path, True)
        assert self.activity().instance_count == 4
        found = self.inbox.look_into(SERIES)
        assert found is not None
        assert found[1] == stored
        self.inbox.record([other])
        assert [instance.sha256 for instance in self.inbox.instances_of(SERIES)][-1] == other.sha256

    def test_a_known_uid_in_another_series(self) -> None:
        """A SOP Instance UID that another series has too is no conflict: both series are whole; it is written down."""
        association = self.open()
        self.inbox.record([instance(SERIES, 1, association)])
        same_uid = replace(
            instance(OTHER_SERIES, 1, association), sop_instance_uid=instance(SERIES, 1, association).sop_instance_uid
        )
        assert self.inbox.record([same_uid]) == [NEW]
        (stored,) = self.inbox.instances_of(OTHER_SERIES)
        assert (stored.is_conflict, stored.known_elsewhere) == (False, True)
        assert [activity.conflict_count for activity in self.inbox.open_series()] == [0, 0]
        job = self.jobs.enqueue(OTHER_SERIES, "a" * 64, 1)
        assert any("another series also has" in event.detail for event in self.jobs.events(job.id))

    def test_look_into_a_series(self) -> None:
        """Evidence and instances of one series fit each other, and a decided series is not open."""
        association = self.open()
        self.inbox.record([instance(SERIES, number, association) for number in (1, 2)])
        self.inbox.record([instance(OTHER_SERIES, 1, association)])
        found = self.inbox.look_into(SERIES)
        assert found is not None
        activity, stored = found
        assert [activity] == [
            activity for activity in self.inbox.open_series() if activity.series_instance_uid == SERIES
        ]
        assert stored == self.inbox.instances_of(SERIES)
        self.jobs.enqueue(SERIES, "a" * 64, 2)
        assert self.inbox.look_into(SERIES) is None

    def test_mixed_batch(self) -> None:
        """A batch of several series gives one outcome per instance, in the batch's order."""
        a, b = self.open(), self.open()
        batch = [instance(OTHER_SERIES, 1, b), instance(SERIES, 1, a), instance(OTHER_SERIES, 2, b)]
        assert self.inbox.record(batch) == [NEW, NEW, NEW]
        assert len(self.inbox.instances_of(OTHER_SERIES)) == 2
        assert {activity.series_instance_uid for activity in self.inbox.open_series()} == {SERIES, OTHER_SERIES}

    def test_empty_batch(self) -> None:
        """Nothing to record is nothing done."""
        assert self.inbox.record([]) == []

    def test_a_batch_is_all_or_nothing(self) -> None:
        """When one row of a batch cannot be written, none is; the next batch is not disturbed."""
        good = instance(SERIES, 1, self.open())
        with pytest.raises(DatabaseError):
            self.inbox.record([good, replace(instance(SERIES, 2, 1), association_id=999_999)])
        assert self.inbox.instances_of(SERIES) == []
        assert self.inbox.open_series() == []
        assert self.inbox.record([good]) == [NEW]
        assert self.activity().open_associations == 1

    def test_evidence_of_an_association(self) -> None:
        """A series states whether associations that brought something of it are open, and how the last one ended."""
        association = self.open()
        self.inbox.record([instance(SERIES, 1, association)])
        assert (self.activity().open_associations, self.activity().last_end) == (1, None)
        self.inbox.end_association(association, AssociationEnd.RELEASED)
        assert (self.activity().open_associations, self.activity().last_end) == (0, AssociationEnd.RELEASED)

    def test_an_association_ends_once(self) -> None:
        """A second end does not change the first."""
        association = self.open()
        self.inbox.record([instance(SERIES, 1, association)])
        self.inbox.end_association(association, AssociationEnd.RELEASED)
        self.inbox.end_association(association, AssociationEnd.ABORTED)
        assert self.activity().last_end is AssociationEnd.RELEASED

    def test_others_do_not_hold_a_series(self) -> None:
        """An open association that brought nothing of a series says nothing about it."""
        association = self.open()
        self.inbox.record([instance(SERIES, 1, association)])
        self.inbox.end_association(association, AssociationEnd.RELEASED)
        self.inbox.record([instance(OTHER_SERIES, 1, self.open())])
        by_series = {activity.series_instance_uid: activity for activity in self.inbox.open_series()}
        assert by_series[SERIES].open_associations == 0
        assert by_series[OTHER_SERIES].open_associations == 1

    def test_killed_receiver(self) -> None:
        """A receiver that starts again ends only the associations that its predecessor left open."""
        lost, others = self.open("receiver-1"), self.open("receiver-2")
        self.inbox.record([instance(SERIES, 1, lost), instance(OTHER_SERIES, 1, others)])
        assert self.inbox.end_orphans("receiver-1", {}) == 1
        by_series = {activity.series_instance_uid: activity for activity in self.inbox.open_series()}
        assert by_series[SERIES].last_end is AssociationEnd.LOST
        assert by_series[OTHER_SERIES].open_associations == 1
        assert self.inbox.end_orphans("receiver-1", {}) == 0

    def test_ends_that_a_killed_receiver_noted(self) -> None:
        """They count as noted, of its own associations that are open; an id of another receiver's changes nothing."""
        released, lost, others = self.open("receiver-1"), self.open("receiver-1"), self.open("receiver-2")
        for number, association in enumerate((released, lost)):
            self.inbox.record([instance((SERIES, OTHER_SERIES)[number], 1, association)])
        known = dict.fromkeys((released, others, 999_999), AssociationEnd.RELEASED)
        assert self.inbox.end_orphans("receiver-1", known) == 2
        by_series = {activity.series_instance_uid: activity for activity in self.inbox.open_series()}
        assert by_series[SERIES].last_end is AssociationEnd.RELEASED
        assert by_series[OTHER_SERIES].last_end is AssociationEnd.LOST
        assert self.inbox.end_orphans("receiver-2", {}) == 1

    def test_resend_after_a_crash(self) -> None:
        """When everything is sent again, and all of it is there, its release still states that the series is whole."""
        lost = self.open()
        self.inbox.record([instance(SERIES, 1, lost), instance(SERIES, 2, lost)])
        self.inbox.end_orphans("receiver-1", {})
        self.clock.pass_seconds(30)
        again = self.open()
        assert self.inbox.record([instance(SERIES, 1, again), instance(SERIES, 2, again)]) == [DUPLICATE, DUPLICATE]
        assert (self.activity().open_associations, self.activity().last_received_at) == (1, self.clock.now)
        self.clock.pass_seconds(1)
        self.inbox.end_association(again, AssociationEnd.RELEASED)
        assert self.activity().last_end is AssociationEnd.RELEASED

    def test_a_decided_series_is_closed(self) -> None:
        """A series leaves the open ones with its verdict; a duplicate does not open it again, a new slice does."""
        association = self.open()
        self.inbox.record([instance(SERIES, 1, association)])
        self.jobs.enqueue(SERIES, "a" * 64, 1)
        assert self.inbox.open_series() == []
        self.inbox.record([instance(SERIES, 1, association)])
        assert self.inbox.open_series() == []
        self.inbox.record([instance(SERIES, 2, association)])
        assert self.activity().instance_count == 2

    def test_a_slice_between_look_and_verdict(self) -> None:
        """A slice that comes while a series is being decided keeps it open, for a job and for a rejection."""
        association = self.open()
        for series, decide in (
            (SERIES, lambda: self.jobs.enqueue(SERIES, "a" * 64, 1)),
            (OTHER_SERIES, lambda: self.inbox.reject_series(OTHER_SERIES, "gap", "Slice 2 is missing.", 1)),
        ):
            self.inbox.record([instance(series, 1, association)])
            self.inbox.record([instance(series, 2, association)])  # after the completer's look
            decide()
            assert self.activity().series_instance_uid == series
            self.jobs.enqueue(series, "b" * 64, 2)
            assert self.inbox.open_series() == []

    @pytest.mark.parametrize("first", ["job", "rejection"])
    @pytest.mark.parametrize("second", ["job", "rejection"])
    def test_an_older_verdict_comes_too_late(self, first: str, second: str) -> None:
        """A completer that looked earlier and decides later changes nothing: the job about more instances stays."""

        def decide(how: str, digest: str, count: int) -> Job:
            if how == "job":
                return self.jobs.enqueue(SERIES, digest, count)
            return self.inbox.reject_series(SERIES, "gap", "A slice is missing.", count)

        association = self.open()
        self.inbox.record([instance(SERIES, number, association) for number in (1, 2, 3)])
        newer = decide(first, "a" * 64, 3)
        assert decide(second, "b" * 64, 2) == newer
        assert self.jobs.list() == [newer]
        assert self.inbox.open_series() == []

    def test_a_series_that_asks_for_nothing(self) -> None:
        """A series is closed without a job, and opened again by what comes after."""
        association = self.open()
        self.inbox.record([instance(SERIES, 1, association)])
        self.inbox.close_series(SERIES, 1)
        assert self.inbox.open_series() == []
        assert self.jobs.list() == []
        self.inbox.record([instance(SERIES, 2, association)])
        assert self.activity().instance_count == 2

    def test_rejected_series(self) -> None:
        """A series that is turned away is a job in state rejected, listed with code and reason, with its story."""
        association = self.open()
        self.inbox.record([instance(SERIES, 1, association)])
        self.inbox.end_association(association, AssociationEnd.RELEASED)
        self.clock.pass_seconds(2)
        job = self.inbox.reject_series(SERIES, "not_flair", "This is a T1.")
        assert (job.state, job.code, job.reason) == (JobState.REJECTED, "not_flair", "This is a T1.")
        assert self.jobs.list([JobState.REJECTED]) == [job]
        assert self.inbox.open_series() == []
        assert self.jobs.claim("worker-1", 60) is None
        told = [event.what for event in self.jobs.events(job.id)]
        assert told == ["association opened", "received", "association released", "rejected"]

    def test_rejection_is_idempotent(self) -> None:
        """The same instances turned away twice are one job; with one more it is another, with a predecessor."""
        association = self.open()
        self.inbox.record([instance(SERIES, 1, association)])
        first = self.inbox.reject_series(SERIES, "gap", "Slice 2 is missing.")
        assert self.inbox.reject_series(SERIES, "gap", "Slice 2 is missing.") == first
        self.inbox.record([instance(SERIES, 2, association)])
        second = self.inbox.reject_series(SERIES, "gap", "Slice 3 is missing.")
        assert second.predecessor_id == first.id

    def test_rejection_and_job_agree_on_the_digest(self) -> None:
        """The rejected job's digest is the one that the node computes for the same instances."""
        from dicom_node.series.dicom.digest import instances_digest

        association = self.open()
        self.inbox.record([instance(SERIES, number, association) for number in (2, 1)])
        stored = self.inbox.instances_of(SERIES)
        job = self.inbox.reject_series(SERIES, "gap", "Slice 3 is missing.")
        assert job.instances_digest == instances_digest(
            (instance.sop_instance_uid, instance.sha256) for instance in stored
        )

    def test_conflicts_are_no_part_of_a_rejection(self) -> None:
        """Other bytes under a known UID are not analysed, so that they do not make a second rejection either."""
        association = self.open()
        self.inbox.record([instance(SERIES, 1, association)])
        rejected = self.inbox.reject_series(SERIES, "gap", "Slice 2 is missing.")
        self.inbox.record([instance(SERIES, 1, association, "other")])
        assert self.inbox.reject_series(SERIES, "gap", "Slice 2 is missing.") == rejected
        assert self.inbox.open_series() == []

    def test_a_rejection_names_what_was_chosen(self) -> None:
        """A caller that chose other instances than the first ones names them by their digest."""
        association = self.open()
        self.inbox.record([instance(SERIES, 1, association)])
        assert self.inbox.reject_series(SERIES, "gap", "Slice 2 is missing.", 1, "c" * 64).instances_digest == "c" * 64

    def test_rejected_then_mended(self) -> None:
        """A series that was turned away for a missing slice becomes a job when the slice comes."""
        association = self.open()
        self.inbox.record([instance(SERIES, 1, association)])
        rejected = self.inbox.reject_series(SERIES, "gap", "Slice 2 is missing.", 1)
        self.inbox.record([instance(SERIES, 2, association)])
        job = self.jobs.enqueue(SERIES, "b" * 64, self.activity().instance_count)
        assert job.predecessor_id == rejected.id
        assert self.jobs.get(rejected.id).state is JobState.REJECTED

    def test_nothing_to_reject(self) -> None:
        """A series of which nothing came cannot be rejected."""
        with pytest.raises(UnknownRow, match="no instance of series"):
            self.inbox.reject_series(SERIES, "gap", "Slice 2 is missing.")
