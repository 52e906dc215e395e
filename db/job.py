"""A job and its timeline, as frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from db.job_states import JobState


@dataclass(frozen=True, slots=True)
class Job:
    """The analysis of one state of one series: its first `instance_count` instances, named by `instances_digest`.

    Attributes:
        attempts: how often it was claimed.
        max_attempts: after so many it fails.
        not_before: a queued job is not claimed earlier.
        lease_owner, lease_expires: who works on it, and until when that holds without a heartbeat; both or none.
        predecessor_id: the job about an earlier state of the series.
        code, reason: why it is rejected, failed, cancelled, or waits for another attempt; the reason in words.
        measurements: what the analysis measured (measurements.json), once there is a result.
        report: the UIDs of its report, by DICOM keyword, once there is one; a successor's report names it.
        answered: the UIDs of the report of an answer (why it was rejected) that was sent before the job was judged
            anew; what comes of it now takes that one's place.
        ended_at: when it became done, rejected, failed or cancelled.
    """

    id: int
    series_instance_uid: str
    study_instance_uid: str | None
    instances_digest: str
    instance_count: int
    state: JobState
    attempts: int
    max_attempts: int
    not_before: datetime
    lease_owner: str | None
    lease_expires: datetime | None
    predecessor_id: int | None
    code: str | None
    reason: str | None
    measurements: Mapping[str, Any] | None
    report: Mapping[str, str] | None
    answered: Mapping[str, str] | None
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class JobEvent:
    """One line of a job's timeline.

    Attributes:
        what: a few words that do not vary: "received", "queued", "claimed", "sent", ...
        detail: the rest of the sentence.
    """

    at: datetime
    what: str
    detail: str
