"""The states of a job and the only ways between them.

Source: docs/architecture.md, "Job states": `queued -> running -> delivering -> done`; sidings `rejected` (not
analysable: why), `failed` (attempts spent: why), `cancelled`. A lease is two columns and no state.

| action      | from                        | to         | when                                                        |
|-------------|-----------------------------|------------|-------------------------------------------------------------|
| enqueue     | (new)                       | queued     | the series is complete and a brain FLAIR                    |
| turn away   | (new)                       | rejected   | the series is complete and not analysable                   |
| claim       | queued                      | running    | a worker takes it                                           |
| claim       | running                     | running    | the lease ran out, another worker takes it                  |
| claim       | running                     | failed     | the lease ran out in the last attempt                       |
| supersede   | queued                      | cancelled  | a later slice made a newer job                              |
| supersede   | running                     | cancelled  | the same, and the attempt ended without a result            |
| retry later | running                     | queued     | the attempt failed and others are left                      |
| retry later | running                     | failed     | the last attempt failed                                     |
| put back    | running                     | queued     | the attempt met trouble that is not the job's; not counted  |
| fail        | running                     | failed     | trying again cannot help                                    |
| reject      | running                     | rejected   | the worker found it not analysable                          |
| deliver     | running                     | delivering | the result set lies in the outbox                           |
| deliver     | running                     | done       | the same, and there is no destination                       |
| settle      | delivering                  | done       | every destination has it                                    |
| settle      | delivering                  | failed     | every delivery has ended, at least one was given up         |
| make again  | delivering, rejected        | queued     | the result set, or the answer, is gone from the outbox      |
| cancel      | queued, running, delivering | cancelled  | an administrator cancels; a worker notices by its heartbeat |
| retry       | failed, cancelled, rejected | queued     | an administrator retries; there is no result yet            |
| retry       | failed, cancelled           | delivering | an administrator retries; the result is there: only sent    |

`done` has no way out: a late slice gives a new job. A rejected job that is retried is judged anew by its worker. Its
answer may still be on its way to destinations: that is their delivery rows' state, and changes nothing about the job's.
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


class JobAction(StrEnum):
    """What moves a job."""

    ENQUEUE = "enqueue"
    TURN_AWAY = "turn away"
    CLAIM = "claim"
    SUPERSEDE = "supersede"
    RETRY_LATER = "retry later"
    PUT_BACK = "put back"
    FAIL = "fail"
    REJECT = "reject"
    DELIVER = "deliver"
    SETTLE = "settle"
    MAKE_AGAIN = "make again"
    CANCEL = "cancel"
    RETRY = "retry"


_ENDED: Final = frozenset({JobState.DONE, JobState.REJECTED, JobState.FAILED, JobState.CANCELLED})

TRANSITIONS: Final[Mapping[JobAction, Mapping[JobState | None, frozenset[JobState]]]] = {
    JobAction.ENQUEUE: {None: frozenset({JobState.QUEUED})},
    JobAction.TURN_AWAY: {None: frozenset({JobState.REJECTED})},
    JobAction.CLAIM: {
        JobState.QUEUED: frozenset({JobState.RUNNING}),
        JobState.RUNNING: frozenset({JobState.RUNNING, JobState.FAILED}),
    },
    JobAction.SUPERSEDE: {
        JobState.QUEUED: frozenset({JobState.CANCELLED}),
        JobState.RUNNING: frozenset({JobState.CANCELLED}),
    },
    JobAction.RETRY_LATER: {JobState.RUNNING: frozenset({JobState.QUEUED, JobState.FAILED})},
    JobAction.PUT_BACK: {JobState.RUNNING: frozenset({JobState.QUEUED})},
    JobAction.FAIL: {JobState.RUNNING: frozenset({JobState.FAILED})},
    JobAction.REJECT: {JobState.RUNNING: frozenset({JobState.REJECTED})},
    JobAction.DELIVER: {JobState.RUNNING: frozenset({JobState.DELIVERING, JobState.DONE})},
    JobAction.SETTLE: {JobState.DELIVERING: frozenset({JobState.DONE, JobState.FAILED})},
    JobAction.MAKE_AGAIN: {
        JobState.DELIVERING: frozenset({JobState.QUEUED}),
        JobState.REJECTED: frozenset({JobState.QUEUED}),
    },
    JobAction.CANCEL: {
        JobState.QUEUED: frozenset({JobState.CANCELLED}),
        JobState.RUNNING: frozenset({JobState.CANCELLED}),
        JobState.DELIVERING: frozenset({JobState.CANCELLED}),
    },
    JobAction.RETRY: {
        JobState.FAILED: frozenset({JobState.QUEUED, JobState.DELIVERING}),
        JobState.CANCELLED: frozenset({JobState.QUEUED, JobState.DELIVERING}),
        JobState.REJECTED: frozenset({JobState.QUEUED}),
    },
}


def require_transition(job_id: int | None, action: JobAction, old: JobState | None, new: JobState) -> None:
    """Refuse a way that the table does not hold.

    Raises:
        IllegalTransition: says where the job stands and where it would have to.
    """
    ways = TRANSITIONS[action]
    if new in ways.get(old, frozenset()):
        return
    expected = ", ".join(state for state in ways if state is not None) or "no job yet"
    raise IllegalTransition(
        f"cannot {action} job {job_id}: it is {old}, expected {expected} (asked to become {new}, db/job_states.py)"
    )
