"""Random histories of the job and delivery tables against a model: what must hold whatever happens in which order."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from support.clock import ManualClock
from support.received import series_uid

from db.deliveries import DeliveryTable
from db.engine import open_database
from db.engine.migrate import upgrade
from db.errors import IllegalTransition, LeaseLost
from db.jobs import JobTable
from db.records import DeliveryState, Job, JobState, NewDelivery
from db.transitions import TRANSITIONS

LEASE_SECONDS = 60
OWNERS = st.sampled_from(["a", "b", "c"])
HOW = ["deliver", "later", "put back", "reject", "fail", "beat"]
WAYS = {(old, new) for ways in TRANSITIONS.values() for old, after in ways.items() for new in after}


class Histories(RuleBasedStateMachine):
    """Workers, senders and an administrator do anything at any time; time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="wmh-histories-"))
        url = f"sqlite:///{self.folder / 'node.sqlite'}"
        upgrade(url)
        self.clock = ManualClock()
        self.database = open_database(url, self.clock)
        self.jobs = JobTable(self.database, max_attempts=2)
        self.deliveries = DeliveryTable(self.database)
        self.seen: dict[int, JobState] = {}
        self.measured: dict[int, object] = {}
        self.digests = 0

    def teardown(self) -> None:
        self.database.close()
        shutil.rmtree(self.folder)

    def some_job(self, number: int) -> int:
        return 1 + number % len(self.seen)

    @rule(series=st.integers(1, 3))
    def complete(self, series: int) -> None:
        self.digests += 1
        self.jobs.enqueue(series_uid(series), f"{self.digests:064x}", self.digests)

    @rule(owner=OWNERS)
    def claim(self, owner: str) -> None:
        self.claimed(owner)

    def claimed(self, owner: str) -> Job | None:
        before = {job.id: job for job in self.jobs.list()}
        job = self.jobs.claim(owner, LEASE_SECONDS)
        if job is None:
            return None
        was = before[job.id]
        assert was.lease_expires is None or was.lease_expires <= self.clock.now, "claimed under another's lease"
        assert was.not_before <= self.clock.now
        assert job.attempts <= 2 * job.max_attempts, "those that ended with their worker count half"
        self.states_follow_the_table()  # before the next step of the same rule
        return job

    # What happens most of the time, so that histories get far.

    @rule(owner=OWNERS, destinations=st.integers(1, 2))
    def claim_and_deliver(self, owner: str, destinations: int) -> None:
        if (job := self.claimed(owner)) is not None:
            new = [NewDelivery("x", ["f"]), NewDelivery("y", ["f"])]
            self.jobs.deliver(job.id, owner, {"by": owner}, new[:destinations])

    @rule(owner=OWNERS, delay=st.integers(0, 99))
    def claim_and_fail_an_attempt(self, owner: str, delay: int) -> None:
        if (job := self.claimed(owner)) is not None:
            self.jobs.retry_later(job.id, owner, "trouble", delay)

    @precondition(lambda self: self.seen)
    @rule(number=st.integers(0, 99), owner=OWNERS, how=st.sampled_from(HOW), stranger=st.booleans())
    def work(self, number: int, owner: str, how: str, stranger: bool) -> None:
        job = self.jobs.get(self.some_job(number))
        owner = owner if stranger else job.lease_owner or owner
        holds = job.state is JobState.RUNNING and job.lease_owner == owner
        acts = {
            "deliver": lambda: self.jobs.deliver(
                job.id, owner, {"number": number}, [NewDelivery("x", ["f"]), NewDelivery("y", ["f"])][: number % 3]
            ),
            "later": lambda: self.jobs.retry_later(job.id, owner, "trouble", number),
            "put back": lambda: self.jobs.put_back(job.id, owner, "disk full", number),
            "reject": lambda: self.jobs.reject(job.id, owner, "gap", "A slice is missing."),
            "fail": lambda: self.jobs.fail(job.id, owner, "no memory"),
        }
        if how == "beat":
            assert self.jobs.heartbeat(job.id, owner, LEASE_SECONDS) == holds
        elif holds:
            acts[how]()
        else:
            with pytest.raises(LeaseLost):
                acts[how]()
            assert self.jobs.get(job.id) == job

    @rule(owner=OWNERS, how=st.sampled_from(["sent", "postpone", "give up", "silence"]), wait=st.integers(0, 99))
    def send(self, owner: str, how: str, wait: int) -> None:
        delivery = self.deliveries.claim(owner, LEASE_SECONDS)
        if delivery is None:
            return
        assert self.jobs.get(delivery.job_id).state is JobState.DELIVERING
        match how:
            case "sent":
                self.deliveries.sent(delivery.id, owner)
            case "postpone":
                self.deliveries.postpone(delivery.id, owner, "no answer", wait)
            case "give up":
                self.deliveries.give_up(delivery.id, owner, "refused")

    @precondition(lambda self: self.seen)
    @rule(number=st.integers(0, 99), retry=st.booleans())
    def administrate(self, number: int, retry: bool) -> None:
        job = self.jobs.get(self.some_job(number))
        try:
            (self.jobs.retry if retry else self.jobs.cancel)(job.id, "admin")
        except IllegalTransition:
            assert self.jobs.get(job.id) == job

    @rule(seconds=st.integers(1, 100))
    def time_passes(self, seconds: int) -> None:
        self.clock.pass_seconds(seconds)

    @invariant()
    def states_follow_the_table(self) -> None:
        for job in self.jobs.list():
            old = self.seen.get(job.id)
            # An enqueue may supersede: one step can bring one change to each of several jobs, never two to one.
            assert old is job.state or (old, job.state) in WAYS, f"job {job.id}: {old} -> {job.state}"
            self.seen[job.id] = job.state

    @invariant()
    def only_running_jobs_have_a_lease(self) -> None:
        for job in self.jobs.list():
            assert (job.lease_owner is not None) == (job.lease_expires is not None) == (job.state is JobState.RUNNING)
            assert (job.ended_at is not None) == job.state.has_ended

    @invariant()
    def a_result_is_computed_once(self) -> None:
        for job in self.jobs.list():
            if job.id in self.measured:
                assert job.measurements == self.measured[job.id]
            elif job.measurements is not None:
                self.measured[job.id] = job.measurements

    @invariant()
    def deliveries_agree_with_their_job(self) -> None:
        for job in self.jobs.list():
            states = {delivery.state for delivery in self.deliveries.list(job.id)}
            if job.state is JobState.DONE:
                assert states <= {DeliveryState.SENT}
            if job.state is JobState.DELIVERING:
                assert DeliveryState.PENDING in states
            else:
                assert DeliveryState.PENDING not in states

    @invariant()
    def an_older_result_never_follows_a_newer_one(self) -> None:
        for series in range(1, 4):
            *older, _ = self.jobs.of_series(series_uid(series)) or [None]
            assert JobState.QUEUED not in {job.state for job in older}
            assert sum(job.state is JobState.RUNNING for job in self.jobs.of_series(series_uid(series))) <= 1

    @invariant()
    def the_newest_state_of_a_series_is_never_superseded(self) -> None:
        for series in range(1, 4):
            of_series = self.jobs.of_series(series_uid(series))
            assert not of_series or of_series[-1].code != "superseded"


@pytest.mark.slow
def test_histories() -> None:
    """Whatever workers, senders and administrators do: states follow the table, a result is computed once and handed to
    every destination that is not given up, and no action happens without a lease."""
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )  # fmt: skip
