"""The job table's contract, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from support.clock import ManualClock
from support.received import instance, series_uid

from db.audit import audit_entries
from db.deliveries import DeliveryTable
from db.engine import Database
from db.errors import IllegalTransition, InvalidMeasurements, LeaseLost, UnknownRow
from db.inbox import Inbox
from db.jobs import RESENT, JobTable
from db.records import AssociationEnd, Job, JobState, NewDelivery

SERIES = series_uid(1)
_TIMES = dict.fromkeys(("not_before", "created_at"), datetime(2026, 1, 1, tzinfo=UTC))
_JOB_TIMES = dict.fromkeys(("updated_at", "place"), datetime(2026, 1, 1, tzinfo=UTC))
DIGEST, LATER_DIGEST = "a" * 64, "b" * 64


class TestJobTable:
    """One job at a time, by hand and clock."""

    @pytest.fixture(autouse=True)
    def _tables(self, database: Database, clock: ManualClock) -> None:
        self.database = database
        self.clock = clock
        self.inbox = Inbox(database)
        self.jobs = JobTable(database, max_attempts=3)

    def receive(self, count: int, series: str = SERIES) -> int:
        association = self.inbox.open_association("SCANNER", "WMHNODE", "10.0.0.7", "receiver-1")
        self.inbox.record([instance(series, number, association) for number in range(count)])
        self.inbox.end_association(association, AssociationEnd.RELEASED)
        return association

    def claimed(self, owner: str = "worker-1", lease_seconds: float = 60) -> Job:
        job = self.jobs.claim(owner, lease_seconds)
        assert job is not None
        return job

    def test_enqueue_then_claim_then_done(self) -> None:
        """A job goes queued, running, done, and keeps what was measured."""
        queued = self.jobs.enqueue(SERIES, DIGEST, 24)
        assert (queued.state, queued.attempts, queued.instance_count) == (JobState.QUEUED, 0, 24)
        running = self.claimed()
        assert (running.id, running.state, running.attempts) == (queued.id, JobState.RUNNING, 1)
        assert running.lease_owner == "worker-1"
        assert running.created_at == queued.created_at
        done = self.jobs.deliver(running.id, "worker-1", {"wmh_volume_ml": 4.25, "uncertainty_index": None}, [])
        assert done.state is JobState.DONE
        assert done.ended_at == self.clock.now
        assert done.lease_owner is None
        assert self.jobs.get(done.id) == done
        assert done.measurements == {"wmh_volume_ml": 4.25, "uncertainty_index": None}

    def test_enqueue_is_idempotent(self) -> None:
        """The same state of a series is one job, however often it is found complete, and whatever became of the job."""
        first = self.jobs.enqueue(SERIES, DIGEST, 24)
        assert self.jobs.enqueue(SERIES, DIGEST, 24) == first
        running = self.claimed()
        assert self.jobs.enqueue(SERIES, DIGEST, 24) == running
        done = self.jobs.deliver(running.id, "worker-1", {}, [])
        assert self.jobs.enqueue(SERIES, DIGEST, 24) == done
        assert len(self.jobs.list()) == 1

    def test_late_slice(self) -> None:
        """A slice after the result gives a new job that names its predecessor; the old one stays as it was."""
        self.jobs.enqueue(SERIES, DIGEST, 24)
        done = self.jobs.deliver(self.claimed().id, "worker-1", {}, [])
        later = self.jobs.enqueue(SERIES, LATER_DIGEST, 25)
        assert later.predecessor_id == done.id
        assert later.state is JobState.QUEUED
        assert self.jobs.get(done.id) == done

    def test_earlier_report(self) -> None:
        """A job finds the report of the last job before it that gave one, past those that gave none."""
        report = {"SOPInstanceUID": "1.2.3"}
        first = self.jobs.enqueue(SERIES, DIGEST, 24)
        done = self.jobs.deliver(self.claimed().id, "worker-1", {}, [], report)
        assert done.report == report
        assert self.jobs.earlier_report(first) is None
        self.jobs.enqueue(SERIES, LATER_DIGEST, 25)
        self.jobs.fail(self.claimed().id, "worker-1", "no memory")
        third = self.jobs.enqueue(SERIES, "c" * 64, 26)
        assert self.jobs.earlier_report(third) == report
        assert self.jobs.earlier_report(self.jobs.enqueue(series_uid(2), DIGEST, 24)) is None

    def test_queued_job_is_superseded(self) -> None:
        """A job that no worker has begun gives way to the one with more slices, and says so."""
        first = self.jobs.enqueue(SERIES, DIGEST, 24)
        later = self.jobs.enqueue(SERIES, LATER_DIGEST, 25)
        old = self.jobs.get(first.id)
        assert (old.state, old.code) == (JobState.CANCELLED, "superseded")
        assert f"job {later.id}" in (old.reason or "")
        assert self.claimed().id == later.id
        assert self.jobs.claim("worker-2", 60) is None

    def test_running_job_is_not_superseded(self) -> None:
        """A job that is under way is finished, though more slices came."""
        self.jobs.enqueue(SERIES, DIGEST, 24)
        running = self.claimed()
        later = self.jobs.enqueue(SERIES, LATER_DIGEST, 25)
        assert self.jobs.get(running.id).state is JobState.RUNNING
        assert self.jobs.claim("worker-2", 60) is None, "the newer one waits: it names the older one's report"
        self.jobs.deliver(running.id, "worker-1", {}, [], {"sop_instance_uid": "1.2.3"})
        assert self.claimed("worker-2").id == later.id
        assert self.jobs.earlier_report(later) == {"sop_instance_uid": "1.2.3"}

    @pytest.mark.parametrize("end", ["silence", "failure", "full disk"])
    def test_an_older_job_does_not_follow_a_newer_one(self, end: str) -> None:
        """A job whose attempt ends without a result gives way to the one with more slices, however it ended."""
        first = self.jobs.enqueue(SERIES, DIGEST, 24)
        self.claimed("worker-1", lease_seconds=60)
        later = self.jobs.enqueue(SERIES, LATER_DIGEST, 25)
        match end:
            case "silence":
                self.clock.pass_seconds(61)
            case "failure":
                assert self.jobs.retry_later(first.id, "worker-1", "trouble", 0).state is JobState.CANCELLED
            case "full disk":
                assert self.jobs.put_back(first.id, "worker-1", "disk full", 0).state is JobState.CANCELLED
        assert self.claimed("worker-2").id == later.id
        old = self.jobs.get(first.id)
        assert (old.state, old.code) == (JobState.CANCELLED, "superseded")
        assert f"job {later.id} replaces it" in (old.reason or "")
        with pytest.raises(LeaseLost):
            self.jobs.deliver(first.id, "worker-1", {}, [])
        assert self.jobs.claim("worker-3", 60) is None

    def test_a_report_that_was_never_sent_is_no_predecessor(self) -> None:
        """A report that no destination took and none will get is not named by a later one."""
        report = {"sop_instance_uid": "1.2.3"}
        first = self.jobs.enqueue(SERIES, DIGEST, 24)
        self.jobs.deliver(self.claimed().id, "worker-1", {}, [NewDelivery("pacs", ["sr.dcm"])], report)
        second = self.jobs.enqueue(SERIES, LATER_DIGEST, 25)
        assert self.jobs.earlier_report(second) == report  # on its way
        self.jobs.cancel(first.id)
        assert self.jobs.earlier_report(second) is None

    def test_claim_is_first_come_first_served(self) -> None:
        """Jobs are claimed in the order in which they became due."""
        ids = []
        for number in range(3):
            ids.append(self.jobs.enqueue(series_uid(number), DIGEST, 24).id)
            self.clock.pass_seconds(1)
        assert [self.claimed(f"worker-{n}").id for n in range(3)] == ids
        assert self.jobs.claim("worker-9", 60) is None

    def test_lease_protects(self) -> None:
        """No other worker gets a job while its lease holds, and heartbeats prolong it."""
        self.jobs.enqueue(SERIES, DIGEST, 24)
        job = self.claimed("worker-1", lease_seconds=60)
        for _ in range(5):
            self.clock.pass_seconds(50)
            assert self.jobs.claim("worker-2", 60) is None
            assert self.jobs.heartbeat(job.id, "worker-1", 60)
        assert not self.jobs.heartbeat(job.id, "worker-2", 60)

    def test_takeover(self) -> None:
        """When a worker goes silent another takes the job; the first one's result is refused, the second's taken."""
        self.jobs.enqueue(SERIES, DIGEST, 24)
        job = self.claimed("worker-1", lease_seconds=60)
        self.clock.pass_seconds(61)
        taken = self.claimed("worker-2")
        assert (taken.id, taken.attempts) == (job.id, 2)
        assert not self.jobs.heartbeat(job.id, "worker-1", 60)
        with pytest.raises(LeaseLost, match="worker-2"):
            self.jobs.deliver(job.id, "worker-1", {"wmh_volume_ml": 1.0}, [NewDelivery("pacs", ["a"])])
        assert self.jobs.get(job.id).measurements is None
        assert self.jobs.deliver(job.id, "worker-2", {"wmh_volume_ml": 2.0}, []).measurements == {"wmh_volume_ml": 2.0}

    def test_lease_that_was_never_taken(self) -> None:
        """A worker whose lease ran out, but whose job no other took, may still hand in its result."""
        self.jobs.enqueue(SERIES, DIGEST, 24)
        job = self.claimed("worker-1", lease_seconds=60)
        self.clock.pass_seconds(600)
        assert self.jobs.heartbeat(job.id, "worker-1", 60)
        self.clock.pass_seconds(600)
        assert self.jobs.deliver(job.id, "worker-1", {}, []).state is JobState.DONE

    @pytest.mark.parametrize(
        "act",
        [
            lambda jobs, job_id: jobs.deliver(job_id, "stranger", {}, []),
            lambda jobs, job_id: jobs.retry_later(job_id, "stranger", "disk full", 5),
            lambda jobs, job_id: jobs.put_back(job_id, "stranger", "disk full", 5),
            lambda jobs, job_id: jobs.reject(job_id, "stranger", "not_flair", "This is no FLAIR."),
            lambda jobs, job_id: jobs.fail(job_id, "stranger", "no memory"),
        ],
        ids=["deliver", "retry_later", "put_back", "reject", "fail"],
    )
    def test_only_the_owner_ends_an_attempt(self, act: Callable[[JobTable, int], Job]) -> None:
        """A worker without the lease changes nothing."""
        self.jobs.enqueue(SERIES, DIGEST, 24)
        job = self.claimed("worker-1")
        with pytest.raises(LeaseLost):
            act(self.jobs, job.id)
        assert self.jobs.get(job.id) == job

    def test_backoff(self) -> None:
        """A failed attempt is not tried again before its delay has passed, and keeps its reason meanwhile."""
        self.jobs.enqueue(SERIES, DIGEST, 24)
        waiting = self.jobs.retry_later(self.claimed().id, "worker-1", "disk full", 30)
        assert (waiting.state, waiting.reason, waiting.lease_owner) == (JobState.QUEUED, "disk full", None)
        self.clock.pass_seconds(29)
        assert self.jobs.claim("worker-2", 60) is None
        self.clock.pass_seconds(1)
        assert self.claimed("worker-2").attempts == 2

    def test_put_back(self) -> None:
        """An attempt that met trouble of the storage is not counted, however often; the job waits its time."""
        self.jobs.enqueue(SERIES, DIGEST, 24)
        for _ in range(10):
            queued = self.jobs.put_back(self.claimed().id, "worker-1", "No space left on device", 30)
            assert (queued.state, queued.attempts, queued.lease_owner) == (JobState.QUEUED, 0, None)
            assert self.jobs.claim("worker-2", 60) is None
            self.clock.pass_seconds(30)
        assert self.claimed("worker-2").attempts == 1
        assert "put back" in {event.what for event in self.jobs.events(queued.id)}

    def test_attempts_spent(self) -> None:
        """After the last attempt the job fails, and gives the reason; no worker gets it any more."""
        self.jobs.enqueue(SERIES, DIGEST, 24)
        for _ in range(2):
            assert self.jobs.retry_later(self.claimed().id, "worker-1", "disk full", 0).state is JobState.QUEUED
        failed = self.jobs.retry_later(self.claimed().id, "worker-1", "disk full", 0)
        assert (failed.state, failed.code) == (JobState.FAILED, "attempts_spent")
        assert failed.reason == "all 3 attempts are used, the last one failed: disk full"
        self.clock.pass_seconds(10_000)
        assert self.jobs.claim("worker-1", 60) is None

    def test_a_job_that_kills_its_workers(self) -> None:
        """A series that kills every worker that takes it ends as failed, though later than one that brings errors, and
        the next job is claimed."""
        poison = self.jobs.enqueue(SERIES, DIGEST, 24)
        for number in range(6):
            assert self.claimed(f"worker-{number}").id == poison.id
            self.clock.pass_seconds(61)
        other = self.jobs.enqueue(series_uid(2), DIGEST, 24)
        assert self.claimed("worker-6").id == other.id
        failed = self.jobs.get(poison.id)
        assert failed.state is JobState.FAILED
        assert "all 3 attempts (of 6 made, 6 ended with their worker and count half)" in failed.reason
        assert "the worker worker-5 went silent during the last one" in failed.reason

    def test_machine_crashes_are_not_the_jobs_fault(self) -> None:
        """Three crashes of the machine, then two errors of ours: the job is tried once more, and done."""
        job = self.jobs.enqueue(SERIES, DIGEST, 24)
        for number in range(3):
            self.claimed(f"worker-{number}")
            self.clock.pass_seconds(61)
        assert self.jobs.retry_later(self.claimed("worker-3").id, "worker-3", "trouble", 0).state is JobState.QUEUED
        assert self.claimed("worker-4").id == job.id
        assert self.jobs.deliver(job.id, "worker-4", {}, []).state is JobState.DONE

    def test_crashes_before_a_retry_by_hand_do_not_count(self) -> None:
        """Who has a job tried again gives it all its attempts."""
        job = self.jobs.enqueue(SERIES, DIGEST, 24)
        for number in range(6):
            self.claimed(f"worker-{number}")
            self.clock.pass_seconds(61)
        assert self.jobs.claim("worker-6", 60) is None
        self.jobs.retry(job.id)
        for number in range(6):
            assert self.claimed(f"again-{number}").id == job.id
            self.clock.pass_seconds(61)
        assert self.jobs.claim("again-6", 60) is None

    def test_nothing_is_taken_over_while_the_clock_is_not_trusted(self) -> None:
        """Right after the clock was set forward a lease that seems to have run out stays its worker's; what is queued
        still begins."""
        job = self.jobs.enqueue(SERIES, DIGEST, 24)
        self.claimed()
        self.clock.pass_seconds(2 * 3600)
        assert self.jobs.claim("worker-2", 60, take_over=False) is None
        other = self.jobs.enqueue(series_uid(2), DIGEST, 24)
        assert self.jobs.claim("worker-2", 60, take_over=False).id == other.id
        assert self.jobs.heartbeat(job.id, "worker-1", 60)
        assert self.jobs.claim("worker-3", 60) is None

    def test_reject(self) -> None:
        """A series that is not analysable ends at once, with a code and a sentence, whatever attempts are left."""
        self.jobs.enqueue(SERIES, DIGEST, 24)
        rejected = self.jobs.reject(self.claimed().id, "worker-1", "gap", "Slice 7 is missing.")
        assert (rejected.state, rejected.code, rejected.reason) == (JobState.REJECTED, "gap", "Slice 7 is missing.")
        assert self.jobs.claim("worker-1", 60) is None

    def test_cancel_while_running(self) -> None:
        """An administrator's cancel takes the lease away: heartbeat says so, and the result is refused."""
        self.jobs.enqueue(SERIES, DIGEST, 24)
        job = self.claimed()
        assert self.jobs.cancel(job.id, by="alice@console").state is JobState.CANCELLED
        assert not self.jobs.heartbeat(job.id, "worker-1", 60)
        with pytest.raises(LeaseLost, match="cancelled"):
            self.jobs.deliver(job.id, "worker-1", {}, [])

    @pytest.mark.parametrize("how", ["failed", "cancelled", "rejected"])
    def test_retry(self, how: str) -> None:
        """A job that ended without a result is analysed again, with all its attempts."""
        self.jobs.enqueue(SERIES, DIGEST, 24)
        job = self.claimed()
        match how:
            case "failed":
                self.jobs.fail(job.id, "worker-1", "no memory")
            case "cancelled":
                self.jobs.cancel(job.id)
            case "rejected":
                self.jobs.reject(job.id, "worker-1", "gap", "Slice 7 is missing.")
        again = self.jobs.retry(job.id, by="alice@console")
        assert (again.state, again.attempts, again.code, again.reason) == (JobState.QUEUED, 0, None, None)
        assert again.ended_at is None
        assert self.claimed("worker-2").id == job.id

    def test_retry_of_an_older_state(self) -> None:
        """A job that a newer one replaced is not brought back: its result would follow the newer one."""
        old = self.jobs.enqueue(SERIES, DIGEST, 24)
        newer = self.jobs.enqueue(SERIES, LATER_DIGEST, 25)
        with pytest.raises(IllegalTransition, match=f"job {newer.id}"):
            self.jobs.retry(old.id)

    @pytest.mark.parametrize("state", ["queued", "running", "done"])
    def test_no_retry_of_what_has_not_failed(self, state: str) -> None:
        """Retry of a job that is under way or done is refused, and changes nothing."""
        self.jobs.enqueue(SERIES, DIGEST, 24)
        if state != "queued":
            job = self.claimed()
        if state == "done":
            self.jobs.deliver(job.id, "worker-1", {}, [])
        (before,) = self.jobs.list()
        with pytest.raises(IllegalTransition, match=state):
            self.jobs.retry(before.id)
        assert self.jobs.get(before.id) == before
        assert audit_entries(self.database) == []

    def test_who_did_it(self) -> None:
        """Cancel and retry are in the audit with who asked, newest first; an unnamed caller is "unknown"."""
        job = self.jobs.enqueue(SERIES, DIGEST, 24)
        self.jobs.cancel(job.id, by="alice@console")
        self.clock.pass_seconds(5)
        self.jobs.retry(job.id)
        retried, cancelled = audit_entries(self.database)
        assert (cancelled.who, cancelled.action, cancelled.job_id) == ("alice@console", "cancel", job.id)
        assert (retried.who, retried.action, retried.at) == ("unknown", "retry", self.clock.now)

    def test_a_reason_from_outside(self) -> None:
        """A reason with characters that a database cannot hold is stored without them: the job gets its end."""
        self.jobs.enqueue(SERIES, DIGEST, 24)
        failed = self.jobs.fail(self.claimed().id, "worker-1", "broken \x00 tag \udcff é 😀")
        assert failed.reason == "broken \ufffd tag \ufffd é 😀"
        assert self.jobs.events(failed.id)[-1].detail == failed.reason

    def test_measurements_are_json(self) -> None:
        """NaN among the measurements is refused on both databases, and the job stays with its worker."""
        self.jobs.enqueue(SERIES, DIGEST, 24)
        job = self.claimed()
        with pytest.raises(InvalidMeasurements, match="not JSON compliant"):
            self.jobs.deliver(job.id, "worker-1", {"uncertainty_index": float("nan")}, [])
        assert self.jobs.get(job.id) == job

    def test_unknown_job(self) -> None:
        """Asking for a job that is not there says so, and how to find those that are."""
        for act in (self.jobs.get, self.jobs.events, self.jobs.cancel, self.jobs.retry):
            with pytest.raises(UnknownRow, match="jobs list"):
                act(4711)
            with pytest.raises(UnknownRow):
                act(10**20)

    def test_list(self) -> None:
        """Jobs are listed newest first, by state and up to a limit."""
        ids = [self.jobs.enqueue(series_uid(number), DIGEST, 24).id for number in range(4)]
        first = self.claimed()
        assert [job.id for job in self.jobs.list()] == ids[::-1]
        assert [job.id for job in self.jobs.list(limit=2)] == ids[:1:-1]
        assert [job.id for job in self.jobs.list([JobState.RUNNING])] == [first.id]
        assert self.jobs.list([]) == []

    def failed(self) -> Job:
        """A job about three received instances that failed."""
        self.receive(3)
        self.jobs.enqueue(SERIES, DIGEST, 3)
        job = self.jobs.fail(self.claimed().id, "worker-1", "no memory")
        self.clock.pass_seconds(60)
        return job

    def test_the_whole_series_again(self) -> None:
        """A failed job is tried again when its whole series was sent again after the failure; once for each time."""
        failed = self.failed()
        assert self.jobs.retry_resent() == []
        self.receive(3)
        (again,) = self.jobs.retry_resent()
        assert (again.id, again.state) == (failed.id, JobState.QUEUED)
        assert self.jobs.retry_resent() == []
        assert audit_entries(self.database)[0].who == "the sender of the series"
        self.jobs.fail(self.claimed().id, "worker-1", "no memory")
        self.clock.pass_seconds(60)
        assert self.jobs.retry_resent() == []

    def test_what_came_again_is_dealt_with_once(self) -> None:
        """Duplicates of a series that has not failed, or is tried again, are not looked at again: no list grows."""
        self.failed()
        self.receive(3)
        assert len(self.jobs.retry_resent()) == 1
        self.receive(2, series_uid(2))
        self.receive(2, series_uid(2))
        self.jobs.retry_resent()
        with self.database.read() as connection:
            assert connection.execute(RESENT).all() == []

    def test_one_statement_or_several(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A claim and a delivery leave the same rows and words, whether PostgreSQL did them in one statement or not."""
        measured = {"model": {"name": "m", "version": "1", "digest": "d" * 64}, "wmh_volume_ml": 4.25}
        new = [NewDelivery("pacs", ["a.dcm", "b.dcm"]), NewDelivery("raid", ["a.dcm"])]
        found = []
        for series in (series_uid(1), series_uid(2)):
            self.jobs.enqueue(series, DIGEST, 24)
            self.clock.pass_seconds(2.26)
            job = self.claimed()
            assert self.jobs.get(job.id) == job
            delivered = self.jobs.deliver(job.id, "worker-1", measured, new, {"SOPInstanceUID": "1.2.3"})
            assert self.jobs.get(job.id) == delivered
            lines = [(line.what, line.detail) for line in self.jobs.events(job.id)]
            sent = [
                replace(delivery, id=0, job_id=0, **_TIMES) for delivery in DeliveryTable(self.database).list(job.id)
            ]
            found.append((replace(delivered, id=0, series_instance_uid="", **_TIMES, **_JOB_TIMES), lines, sent))
            monkeypatch.setattr("db.jobs.claim_queued", lambda *_: None)
            monkeypatch.setattr("db.jobs.deliver_first", lambda *_: None)
        assert found[0] == found[1]

    def test_a_series_again_in_parts(self) -> None:
        """A sender that opens an association for each instance sends the whole series again too; some of it is not."""
        self.failed()
        self.receive(2)
        assert self.jobs.retry_resent() == []
        self.receive(1)
        assert len(self.jobs.retry_resent()) == 1

    def test_a_series_again_is_no_retry_of_the_rest(self) -> None:
        """What is done, cancelled by hand or replaced by a newer job stays so when its series is sent again."""
        failed = self.failed()
        self.jobs.retry(failed.id)
        self.jobs.cancel(failed.id)
        self.clock.pass_seconds(60)
        self.receive(3)
        assert self.jobs.retry_resent() == []
        self.jobs.retry(failed.id)
        self.jobs.fail(self.claimed().id, "worker-1", "no memory")
        self.receive(4)
        newer = self.jobs.enqueue(SERIES, LATER_DIGEST, 4)
        self.clock.pass_seconds(1)
        self.receive(4)
        assert self.jobs.retry_resent() == []
        assert self.jobs.get(newer.id).state is JobState.QUEUED

    def test_timeline(self) -> None:
        """The timeline holds a series' story in order: who sent it, how long it waited, who took it, where it went."""
        self.receive(24)
        self.clock.pass_seconds(2)
        job = self.jobs.enqueue(SERIES, DIGEST, 24)
        self.clock.pass_seconds(3)
        self.claimed()
        self.clock.pass_seconds(1)
        self.jobs.retry_later(job.id, "worker-1", "disk full", 10)
        self.clock.pass_seconds(10)
        self.claimed("worker-2", lease_seconds=60)
        self.clock.pass_seconds(61)
        self.claimed("worker-3")
        self.jobs.deliver(job.id, "worker-3", {}, [NewDelivery("pacs", ["seg.dcm"])])
        told = [(event.what, event.detail) for event in self.jobs.events(job.id)]
        assert told == [
            ("association opened", "SCANNER at 10.0.0.7 called WMHNODE"),
            ("received", "24 instances from SCANNER"),
            ("association released", "SCANNER: closed normally by the sender"),
            ("queued", "24 instances, complete 2.0 s after the last one was received"),
            ("claimed", "by worker-1, attempt 1 of 3, after 3.0 s in the queue"),
            ("attempt failed", "disk full; attempt 1 of 3, again in 10 s"),
            ("claimed", "by worker-2, attempt 2 of 3, after 0.0 s in the queue"),
            ("taken over", "by worker-3, attempt 3 of 3: the lease of worker-2 ran out"),
            ("results written", "goes to pacs"),
        ]

    def test_timeline_names_the_model(self) -> None:
        """The timeline says which model made a result, and when it is another than that of the series' earlier one."""
        told = []
        for count, digest, letter in ((2, DIGEST, "a"), (3, LATER_DIGEST, "a"), (4, "c" * 64, "b")):
            self.receive(count)
            job = self.jobs.enqueue(SERIES, digest, count)
            self.claimed()
            measurements = {"model": {"name": "wmh-tiny", "version": "1.0.0", "digest": letter * 64}}
            self.jobs.deliver(job.id, "worker-1", measurements, [NewDelivery("pacs", ["seg.dcm"])])
            told.append(self.jobs.events(job.id)[-1].detail)
        a, b = (f"wmh-tiny 1.0.0 ({letter * 12})" for letter in "ab")
        assert told == [
            f"by model {a}; goes to pacs",
            f"by model {a}; goes to pacs",
            f"by model {b}, the earlier result was by {a}; goes to pacs",
        ]

    def test_timeline_of_a_predecessor(self) -> None:
        """What came after a job was made is reported by its successor, not by it."""
        self.receive(2)
        first = self.jobs.enqueue(SERIES, DIGEST, 2)
        self.clock.pass_seconds(60)
        association = self.inbox.open_association("OTHER", "WMHNODE", "10.0.0.8", "receiver-1")
        self.inbox.record([instance(SERIES, 0, association), instance(SERIES, 2, association)])
        second = self.jobs.enqueue(SERIES, LATER_DIGEST, 3)
        assert not any("OTHER" in event.detail for event in self.jobs.events(first.id))
        details = [event.detail for event in self.jobs.events(second.id)]
        assert "2 instances from SCANNER" in details
        assert "1 instances, 1 sent again with the same bytes from OTHER" in details
        assert f"3 instances, complete 0.0 s after the last one was received, successor of job {first.id}" in details
