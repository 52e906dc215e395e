"""The loop that turns received series into jobs or rejections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from db.inbox import AssociationEnd, Inbox, SeriesActivity, StoredInstance
from db.jobs import JobTable
from dicom_node.completing.evidence import Evidence, Patience, seconds_to_wait
from dicom_node.completing.instances import analysed_instances, digest_of
from dicom_node.errors import UnreadableObject
from dicom_node.logs import describe_error
from dicom_node.reading.parsing import read_header
from dicom_node.selecting.flair import judge_series
from dicom_node.selecting.geometry import slice_completeness
from dicom_node.selecting.verdict import Verdict

log = structlog.get_logger()

PENDING_SECONDS = 0.25  # between looks while a series is waiting for its quiet time
IDLE_SECONDS = 1.0  # between looks while nothing is
_REMEMBERED_SERIES = 256


@dataclass(frozen=True)
class Examination:
    """What the headers of a series said, so that they are read once and not at every look."""

    looks_complete: bool
    verdict: Verdict


class Completer:
    """Decides which open series are complete, and makes each a job or a rejection.

    Safe to run in several processes: `enqueue` and `reject_series` are idempotent for the same set of instances.
    """

    def __init__(
        self,
        inbox: Inbox,
        jobs: JobTable,
        storage: Path,
        patience: Patience,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._inbox = inbox
        self._jobs = jobs
        self._storage = storage
        self._patience = patience
        self._clock = clock
        self._examined: dict[tuple[str, int, int], Examination] = {}

    def look(self) -> float:
        """Look at every open series once.

        Returns:
            seconds until the next look is due.
        """
        # The time first: an instance that comes while we look then makes its series younger, never older than it is.
        now = self._clock()
        waits = [self._consider(activity, now) for activity in self._inbox.open_series()]
        return min([IDLE_SECONDS, *(max(PENDING_SECONDS, wait) for wait in waits)])

    def _consider(self, activity: SeriesActivity, now: datetime) -> float:
        quiet = (now - activity.last_received_at).total_seconds()
        if quiet < self._patience.quiet_seconds:
            return self._patience.quiet_seconds - quiet
        if activity.open_associations and quiet < self._patience.open_association_seconds:
            return IDLE_SECONDS
        instances = self._inbox.instances_of(activity.series_instance_uid)
        if len(instances) != activity.instance_count:
            return PENDING_SECONDS  # more came since we asked: what we know of its quiet time is out of date
        examination = self._examine(activity, instances)
        evidence = Evidence(
            association_open=activity.open_associations > 0,
            released=activity.last_end is AssociationEnd.RELEASED,
            has_conflict=activity.conflict_count > 0,
            looks_complete=examination.looks_complete,
        )
        wait = seconds_to_wait(evidence, self._patience) - quiet
        if wait > 0:
            return wait
        self._close(activity.series_instance_uid, instances, examination.verdict)
        return IDLE_SECONDS

    def _examine(self, activity: SeriesActivity, instances: Sequence[StoredInstance]) -> Examination:
        key = (activity.series_instance_uid, len(instances), activity.conflict_count)
        if key not in self._examined:
            while len(self._examined) >= _REMEMBERED_SERIES:
                self._examined.pop(next(iter(self._examined)))
            self._examined[key] = _examine_files([self._storage / one.path for one in analysed_instances(instances)])
        return self._examined[key]

    def _close(self, series_uid: str, instances: Sequence[StoredInstance], verdict: Verdict) -> None:
        if not verdict.accepted:
            self._inbox.reject_series(series_uid, verdict.code, verdict.reason, len(instances))
            log.info("series rejected", series=series_uid, instances=len(instances), code=verdict.code)
            return
        job = self._jobs.enqueue(series_uid, digest_of(instances), len(instances))
        log.info("series complete", series=series_uid, instances=len(instances), job=job.id)


def _examine_files(paths: Sequence[Path]) -> Examination:
    """Read headers and judge them; whatever a hostile file does becomes a verdict.

    This is the worker's edge towards received bytes, so every error ends here: one bad series must not stop the others.
    """
    try:
        headers = [read_header(path) for path in paths]
        verdict = judge_series(headers)
        return Examination(looks_complete=slice_completeness(headers).looks_complete, verdict=verdict)
    except UnreadableObject as error:
        return Examination(looks_complete=True, verdict=Verdict(False, error.code, error.reason))
    except Exception as error:
        what = describe_error(error)
        log.error("series could not be examined", what=what)  # noqa: TRY400 - a traceback may quote a patient's values
        reason = f"The series could not be examined: {what}. Please report this with the series' UID."
        return Examination(looks_complete=True, verdict=Verdict(False, "unexpected_error", reason))
