"""Priorities: what is claimed first, that waiting counts, and who may say so; on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from support.clock import ManualClock
from support.received import instance, series_uid

from db.audit import audit_entries
from db.clock import clamp_jobs
from db.engine import Database
from db.errors import IllegalTransition
from db.inbox import Inbox
from db.jobs import JobTable
from db.priorities import MOVED_BY, place_of
from db.records import AssociationEnd, Job, JobState, Priority

HOUR = 3600.0
HIGH, MEDIUM, LOW = Priority.HIGH, Priority.MEDIUM, Priority.LOW


class TestPriorities:
    """Jobs of several senders in one queue."""

    @pytest.fixture(autouse=True)
    def _tables(self, database: Database, clock: ManualClock) -> None:
        self.database, self.clock = database, clock
        self.inbox, self.jobs = Inbox(database), JobTable(database)
        self.count = 0

    def receive(self, *asked: Priority, series: str | None = None) -> str:
        """One association that sends an instance for each priority; returns the series' UID."""
        self.count += 1
        uid = series or series_uid(self.count)
        association = self.inbox.open_association("SCANNER", "WMHNODE", "10.0.0.7", "receiver-1")
        batch = [instance(uid, 100 * self.count + number, association) for number in range(len(asked))]
        self.inbox.record([replace(one, priority=priority) for one, priority in zip(batch, asked, strict=True)])
        self.inbox.end_association(association, AssociationEnd.RELEASED)
        return uid

    def queue(self, priority: Priority) -> Job:
        """A job of a new series that came with that priority."""
        uid = self.receive(priority)
        return self.jobs.enqueue(uid, "a" * 64, 1)

    def claimed(self) -> int | None:
        job = self.jobs.claim("worker", 100 * 24 * HOUR)
        return None if job is None else job.id

    def test_high_before_medium_before_low(self) -> None:
        """Of jobs that wait together the high one is next, then those of medium priority as they came, then the low."""
        made = []
        for priority in (LOW, MEDIUM, HIGH, MEDIUM):
            made.append(self.queue(priority).id)
            self.clock.pass_seconds(60)
        low, first, high, second = made
        assert [self.claimed() for _ in range(5)] == [high, first, second, low, None]

    def test_low_work_is_not_starved(self) -> None:
        """While medium jobs come faster than they are claimed, a low one is claimed once it has waited its hours."""
        low = self.queue(LOW).id
        self.queue(MEDIUM)
        hours = 0
        while self.claimed() != low:
            self.queue(MEDIUM)
            self.queue(MEDIUM)
            self.clock.pass_seconds(HOUR)
            hours += 1
            assert hours < 100, "the low job is starved"
        most = MOVED_BY[LOW] / timedelta(hours=1)
        assert most < hours <= 2 * most + 2  # two come an hour and one is claimed: twice the lead

    def test_a_medium_job_of_yesterday_before_a_high_one(self) -> None:
        """High priority is a lead of a day, not for ever."""
        medium = self.queue(MEDIUM).id
        self.clock.pass_seconds(24 * HOUR + 1)
        high = self.queue(HIGH).id
        assert [self.claimed(), self.claimed()] == [medium, high]

    def test_the_highest_of_a_series_counts(self) -> None:
        """One instance that is wanted soon makes the whole series wanted soon, in whatever order they come."""
        uid = self.receive(LOW, HIGH, LOW)
        assert self.jobs.enqueue(uid, "a" * 64, 3).priority is HIGH
        slow = self.receive(LOW)
        assert self.jobs.enqueue(slow, "a" * 64, 1).priority is LOW
        self.receive(MEDIUM, series=slow)
        assert self.jobs.enqueue(slow, "b" * 64, 2).priority is MEDIUM

    def test_a_raised_job_hands_its_priority_to_its_successor(self) -> None:
        """A late slice does not undo what a person did; a job that has ended says nothing about the next."""
        uid = self.receive(MEDIUM)
        job = self.jobs.enqueue(uid, "a" * 64, 1)
        self.jobs.prioritise(job.id, HIGH, "alice")
        self.receive(MEDIUM, series=uid)
        later = self.jobs.enqueue(uid, "b" * 64, 2)
        assert (later.priority, self.jobs.get(job.id).state) == (HIGH, JobState.CANCELLED)
        assert self.claimed() == later.id
        self.jobs.deliver(later.id, "worker", {}, [])
        self.receive(MEDIUM, series=uid)
        assert self.jobs.enqueue(uid, "c" * 64, 3).priority is MEDIUM

    def test_a_late_slice_does_not_undo_a_lowered_priority(self) -> None:
        """What a person lowered stays low, over several late slices and whatever their sender asks; once the job has
        ended, the sender is heard again."""
        uid = self.receive(MEDIUM)
        job = self.jobs.enqueue(uid, "a" * 64, 1)
        self.jobs.prioritise(job.id, LOW, "alice")
        for count, digest in ((2, "b"), (3, "c")):
            self.receive(HIGH, series=uid)
            job = self.jobs.enqueue(uid, digest * 64, count)
            assert job.priority is LOW
        assert any("by hand" in event.detail for event in self.jobs.events(job.id) if event.what == "prioritised")
        assert self.claimed() == job.id
        self.jobs.deliver(job.id, "worker", {}, [])
        self.receive(MEDIUM, series=uid)
        assert self.jobs.enqueue(uid, "d" * 64, 4).priority is HIGH

    def test_prioritise_is_audited_once(self) -> None:
        """The job moves to the front, timeline and audit say who and why; the same again changes nothing."""
        first, job = self.queue(MEDIUM), self.queue(LOW)
        moved = self.jobs.prioritise(job.id, HIGH, "alice", "in theatre at 10")
        assert (moved.priority, moved.state) == (HIGH, JobState.QUEUED)
        assert self.jobs.prioritise(job.id, HIGH, "bob") == moved
        (entry,) = audit_entries(self.database)
        assert (entry.who, entry.action, entry.job_id) == ("alice", "prioritise", job.id)
        assert entry.detail == "from low to high: in theatre at 10"
        lines = [event.detail for event in self.jobs.events(job.id) if event.what == "prioritised"]
        assert lines == ["by alice, from low to high: in theatre at 10"]
        assert [self.claimed(), self.claimed()] == [job.id, first.id]

    def test_only_queued_jobs(self) -> None:
        """What is no longer in the queue has no place in it, and is not changed."""
        job = self.queue(MEDIUM)
        self.claimed()
        with pytest.raises(IllegalTransition, match=f"cannot prioritise job {job.id}: it is running, expected queued"):
            self.jobs.prioritise(job.id, HIGH)
        assert audit_entries(self.database) == []

    def test_a_job_keeps_its_priority_when_it_is_tried_again(self) -> None:
        """A failed attempt waits its own time, whatever the priority, and then stands where that puts it."""
        high = self.queue(HIGH)
        assert self.claimed() == high.id
        again = self.jobs.retry_later(high.id, "worker", "no memory", 30)
        assert again.place == place_of(HIGH, again.not_before)
        medium = self.queue(MEDIUM)
        assert self.claimed() == medium.id
        self.clock.pass_seconds(31)
        third = self.queue(MEDIUM)
        assert [self.claimed(), self.claimed()] == [high.id, third.id]

    def test_a_job_that_is_put_back_keeps_its_place(self) -> None:
        """A full disk is not the job's fault: what it has waited still counts."""
        low = self.queue(LOW)
        self.clock.pass_seconds(13 * HOUR)
        assert self.claimed() == low.id
        self.jobs.put_back(low.id, "worker", "the disk is full", 5)
        medium = self.queue(MEDIUM)
        self.clock.pass_seconds(6)
        assert [self.claimed(), self.claimed()] == [low.id, medium.id]

    def test_a_place_from_a_clock_that_was_ahead_is_not_kept(self) -> None:
        """A job that was made and claimed while the clock was ahead by days does not go back to that place."""
        ahead = self.queue(MEDIUM)
        assert self.claimed() == ahead.id
        self.clock.step(-72 * HOUR)
        self.jobs.put_back(ahead.id, "worker", "the disk is full", 5)
        self.clock.pass_seconds(60)
        later = self.queue(MEDIUM)
        assert [self.claimed(), self.claimed()] == [ahead.id, later.id]

    def test_the_clock_was_set_back(self) -> None:
        """A job made while the clock was ahead by days does not stand behind all that comes until then."""
        ahead = self.queue(MEDIUM)
        self.clock.step(-72 * HOUR)
        clamp_jobs(self.database, lambda _attempts: 60.0, 60.0)
        self.clock.pass_seconds(60)
        later = self.queue(MEDIUM)
        assert [self.claimed(), self.claimed()] == [ahead.id, later.id]
