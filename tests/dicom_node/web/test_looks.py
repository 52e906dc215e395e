"""Each look at images is in the audit."""

from __future__ import annotations

from support.clock import ManualClock
from support.received import series_uid

from db.audit import audit_entries
from db.engine import Database
from db.jobs import JobTable
from dicom_node.web.looks import Looks


def test_a_look_is_noted_once_in_a_while(database: Database, clock: ManualClock) -> None:
    """Who pages through slices looks once; another person, another job, or a return later is another look."""
    jobs = JobTable(database)
    first, second = (jobs.enqueue(series_uid(number), "ab" * 32, 24) for number in (1, 2))
    looks = Looks(database, clock.still)
    for who, job, seconds in (
        ("alice", first, 0), ("alice", first, 30), ("bob", first, 30), ("alice", second, 30), ("alice", first, 700),
    ):  # fmt: skip
        clock.pass_seconds(seconds)
        looks.note(who, job)
    noted = [(entry.who, entry.job_id, entry.action) for entry in reversed(audit_entries(database))]
    assert noted == [
        (who, job.id, "look at images")
        for who, job in (("alice", first), ("bob", first), ("alice", second), ("alice", first))
    ]
