"""The states of a job and the only ways between them.

Source: ../shared design, "The way of the data": `queued -> running -> delivering -> done`; sidings `rejected` (not
analysable: why), `failed` (attempts spent: why), `cancelled`. A lease is two columns and no state.

| from       | to         | when                                                                                     |
|------------|------------|------------------------------------------------------------------------------------------|
| (new)      | queued     | the series is complete and a brain FLAIR                                                 |
| (new)      | rejected   | the series is complete and not analysable                                                |
| queued     | running    | claimed                                                                                  |
| queued     | cancelled  | an administrator cancels, or a later slice makes a newer job (superseded)                |
| running    | running    | claimed again after the lease ran out                                                    |
| running    | queued     | the attempt failed and others are left                                                   |
| running    | delivering | the result set lies in the outbox                                                        |
| running    | done       | the same, and there is no destination                                                    |
| running    | rejected   | the worker found it not analysable                                                       |
| running    | failed     | attempts spent                                                                           |
| running    | cancelled  | an administrator cancels; the worker notices at its next heartbeat                       |
| delivering | done       | every destination has it                                                                 |
| delivering | failed     | every delivery has ended, at least one was given up                                      |
| delivering | cancelled  | an administrator cancels                                                                 |
| failed     | queued     | an administrator retries; there is no result yet                                         |
| failed     | delivering | an administrator retries; the result is there, so it is only sent, never computed again  |
| cancelled  | queued     | as for failed                                                                            |
| cancelled  | delivering | as for failed                                                                            |
| rejected   | queued     | an administrator retries, after an upgrade say; the worker judges the series anew        |

`done` has no way out: a late slice gives a new job.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from db.errors import IllegalTransition


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DELIVERING = "delivering"
    DONE = "done"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def has_ended(self) -> bool:
        """True when nothing happens to the job any more unless somebody asks."""
        return self in _ENDED


_ENDED: Final = frozenset({JobState.DONE, JobState.REJECTED, JobState.FAILED, JobState.CANCELLED})

TRANSITIONS: Final[Mapping[JobState | None, frozenset[JobState]]] = {
    None: frozenset({JobState.QUEUED, JobState.REJECTED}),
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED}),
    JobState.RUNNING: frozenset(
        {
            JobState.RUNNING,
            JobState.QUEUED,
            JobState.DELIVERING,
            JobState.DONE,
            JobState.REJECTED,
            JobState.FAILED,
            JobState.CANCELLED,
        }
    ),
    JobState.DELIVERING: frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED}),
    JobState.DONE: frozenset(),
    JobState.REJECTED: frozenset({JobState.QUEUED}),
    JobState.FAILED: frozenset({JobState.QUEUED, JobState.DELIVERING}),
    JobState.CANCELLED: frozenset({JobState.QUEUED, JobState.DELIVERING}),
}


def require_transition(job_id: int, old: JobState | None, new: JobState) -> None:
    """Refuse a way that the table does not hold.

    Raises:
        IllegalTransition: says where the job stands and where it may go.
    """
    allowed = TRANSITIONS[old]
    if new not in allowed:
        ways = ", ".join(sorted(allowed)) or "nothing (it has ended for good)"
        raise IllegalTransition(f"job {job_id} is {old}, so it cannot become {new}; expected one of: {ways}")
