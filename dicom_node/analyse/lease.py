"""The lease of a job while a worker computes."""

from __future__ import annotations

import time
from collections.abc import Callable

from db.jobs import JobTable
from dicom_node.analyse.rules import WorkRules
from dicom_node.node.heartbeat import Heartbeat
from dicom_node.node.logger import get_logger

log = get_logger()


def job_lease(
    jobs: JobTable, job_id: int, owner: str, rules: WorkRules, end_process: Callable[[int], object]
) -> Heartbeat:
    """A heartbeat that renews the lease of a job for at most `rules.limit_seconds`.

    Args:
        jobs: used from the heartbeat's thread, on a connection of its own from the pool.
        end_process: called with an exit code when the attempt hangs; a thread that hangs cannot be ended otherwise.
    """
    deadline = time.monotonic() + rules.limit_seconds

    def beat() -> bool:
        if time.monotonic() > deadline:
            log.error("job attempt hangs, ending this worker", job=job_id, limit_seconds=rules.limit_seconds)
            end_process(1)
            return False
        return jobs.heartbeat(job_id, owner, rules.lease_seconds)

    return Heartbeat(beat, rules.lease_seconds / 3)
