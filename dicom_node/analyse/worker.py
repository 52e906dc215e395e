"""The worker: claims one job after the other and takes each from received files to a result set in the outbox."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from db.errors import LeaseLost
from db.inbox import Inbox
from db.jobs import JobTable
from db.records import Job, NewDelivery
from dicom_node.analyse.analysis import Analysis, analyse_series, write_analysis
from dicom_node.analyse.follow_up.finder import FollowUps
from dicom_node.analyse.held import FINDINGS_NAME, NOT_VALID_NAME
from dicom_node.analyse.refusal import WrittenRefusal, refusal_destinations, refused_series, write_refusal_report
from dicom_node.node.errors import ConfinedChildLost, NoRefusalReport, NotAnalysable, ResultNotValid, WmhNodeError
from dicom_node.node.heartbeat import Heartbeat
from dicom_node.node.logs import describe_error
from dicom_node.node.outbox import QUARANTINE, Outbox
from dicom_node.node.profiles import DeliveryOptions
from dicom_node.node.storage import StorageProbe
from dicom_node.results.common.comparison import FollowUp
from dicom_node.results.common.predecessor import ReportReference
from dicom_node.series.read.flair_series import FlairSeries
from dicom_node.series.read.instances import damaged_instances
from dicom_node.series.read.received_series import ReceivedSeriesReader
from segmentation.ensemble import Ensemble
from segmentation.errors import SegmentationError
from segmentation.regions import PUBLISHED_RULE, RegionRule

log = structlog.get_logger()

IDLE_SECONDS = 0.5
_LONGEST_RETRY_SECONDS = 3600.0
_TROUBLE_SECONDS = 5.0  # between looks whether the storage is back
_MOST_UIDS = 3  # in a reason


@dataclass(frozen=True)
class WorkRules:
    """How a worker goes about its jobs; times in seconds.

    Attributes:
        lease_seconds: how long a claim holds without a heartbeat.
        retry_seconds: wait after the first failed attempt; doubles with each.
        limit_seconds: an attempt that takes longer hangs, in a decoder say, and takes its process with it.
        destinations: what each destination is sent of every result set, by its name.
        region_rule: which WMH counts as periventricular.
    """

    lease_seconds: float
    retry_seconds: float
    limit_seconds: float
    destinations: Mapping[str, DeliveryOptions]
    region_rule: RegionRule = PUBLISHED_RULE

    def wait_after(self, attempts: int) -> float:
        """Seconds to wait after that many attempts failed."""
        return float(min(self.retry_seconds * 2 ** max(0, attempts - 1), _LONGEST_RETRY_SECONDS))


class Worker:
    """Takes jobs through analysis.

    Args:
        owner: name of the lease's holder, unique to this process.
        inbox, jobs: tables; the heartbeat's thread uses `jobs` too, on a connection of its own from the pool.
        current_model: gives the ensemble to use for the next job, None when no job can be begun; asked before each
            claim. A job that was begun is finished with the ensemble that it began with.
        storage: where the paths of instances start.
        outbox: where result sets go.
        reader: reads received files, within limits.
        follow_ups: finds earlier results of the patient; None: results say nothing of such.
        end_process: called with an exit code when an attempt hangs; a thread that hangs cannot be ended otherwise.
        has_settled: whether the machine's clock was not set in the last seconds, see `ClockWatch`.
    """

    def __init__(
        self,
        owner: str,
        inbox: Inbox,
        jobs: JobTable,
        current_model: Callable[[], Ensemble | None],
        storage: Path,
        outbox: Outbox,
        rules: WorkRules,
        reader: ReceivedSeriesReader | None = None,
        end_process: Callable[[int], object] = os._exit,
        follow_ups: FollowUps | None = None,
        has_settled: Callable[[float], bool] = lambda _seconds: True,
    ) -> None:
        self._owner = owner
        self._inbox = inbox
        self._jobs = jobs
        self._current_model = current_model
        self._storage = storage
        self._outbox = outbox
        self._rules = rules
        self._reader = reader or ReceivedSeriesReader()
        self._end_process = end_process
        self._follow_ups = follow_ups
        self._has_settled = has_settled
        self._probe = StorageProbe(storage)
        self._in_trouble = False

    def step(self) -> float:
        """For `run_until_stopped`; a job that was begun is finished before it returns."""
        if self.work_once():
            return 0.0
        return _TROUBLE_SECONDS if self._in_trouble else IDLE_SECONDS

    def close(self) -> None:
        """End the child that reads files."""
        self._reader.close()

    def work_once(self) -> bool:
        """Claim one job and finish it in one way or another; False when there is none, or none can be begun now: the
        storage is in trouble, or there is no model."""
        if self._in_trouble and not self._is_over():
            return False
        if (ensemble := self._current_model()) is None:
            return False
        seconds = self._rules.lease_seconds
        job = self._jobs.claim(self._owner, seconds, take_over=self._has_settled(seconds))
        if job is None:
            return False
        log.info("job claimed", job=job.id, series=job.series_instance_uid, attempt=job.attempts)
        with Heartbeat(self._beat(job.id), self._rules.lease_seconds / 3) as heartbeat:
            try:
                self._attempt(job, ensemble, heartbeat)
            except LeaseLost:
                log.warning("lease lost, result dropped", job=job.id)
        return True

    def _attempt(self, job: Job, ensemble: Ensemble, heartbeat: Heartbeat) -> None:
        """One attempt. This is the worker's edge: every error ends here and is written to the job."""
        try:
            self._analyse(job, ensemble, heartbeat)
        except LeaseLost:
            raise
        except Exception as error:
            self._end_attempt(job, error, ensemble, heartbeat)

    def _end_attempt(self, job: Job, error: Exception, ensemble: Ensemble, heartbeat: Heartbeat) -> None:
        """Find out what was wrong: the storage, the files in it, the series, or the attempt; in this order, since each
        looks like the next."""
        if (trouble := self._probe.trouble(error)) is not None:
            self._wait_for_storage(job, trouble)
        elif damaged := self._damaged(job):
            self._fail(job, damaged)
        elif isinstance(error, NotAnalysable):
            self._reject(job, error, ensemble, heartbeat)
        elif isinstance(error, ResultNotValid):
            self._hold_back(job, error)
        elif isinstance(error, WmhNodeError | SegmentationError):
            self._retry_later(job, str(error))
        else:
            self._retry_later(job, describe_error(error))

    def _wait_for_storage(self, job: Job, trouble: str) -> None:
        self._in_trouble = True
        log.error("storage in trouble, no job is begun until that is over", job=job.id, trouble=trouble)
        self._jobs.put_back(job.id, self._owner, trouble, self._rules.retry_seconds)

    def _reject(self, job: Job, error: NotAnalysable, ensemble: Ensemble, heartbeat: Heartbeat) -> None:
        """End the job, and tell the destinations that want it why. Should no answer come about, the verdict stands."""
        told = refusal_destinations(self._rules.destinations)
        answer, remark = None, ""
        try:
            answer = self._publish_answer(job, error, ensemble, told) if told else None
        except ConfinedChildLost as lost:  # the machine is short of something, and who waits is told later
            if job.attempts < job.max_attempts:
                self._retry_later(job, f"{error}; the answer that says so could not be made yet: {lost}")
                return
            remark = f"no answer could be made: {lost}"
            log.warning("no answer could be made", job=job.id, what=str(lost))
        except NoRefusalReport as why:
            remark = f"nobody is told: {why}"
            log.warning("nobody is told of a rejected series", job=job.id, why=str(why))
        except Exception as trouble:  # a part of the worker's edge
            if (away := self._probe.trouble(trouble)) is not None:
                self._wait_for_storage(job, away)
                return
            what = str(trouble) if isinstance(trouble, WmhNodeError) else describe_error(trouble)
            remark = f"no answer could be made: {what}"
            log.error("no answer could be made", job=job.id, what=what)  # noqa: TRY400 - a traceback may quote values
        folder, written = answer or (None, None)
        try:
            if heartbeat.lost:
                raise LeaseLost(f"job {job.id}: the lease of {self._owner} was lost while it answered")
            self._jobs.reject(
                job.id, self._owner, error.code, error.reason,
                answers=[] if folder is None or written is None else self._deliveries(folder, written.deliverable),
                report=None if written is None or written.report is None else written.report.uids,
                remark=remark,
            )  # fmt: skip
        except LeaseLost:
            if folder is not None:
                self._outbox.withdraw(folder)
            raise
        log.info("job rejected", job=job.id, code=error.code, told=len(told) if written is not None else 0)

    def _publish_answer(
        self, job: Job, error: NotAnalysable, ensemble: Ensemble, told: Mapping[str, DeliveryOptions]
    ) -> tuple[Path, WrittenRefusal]:
        """Write what is told and move it to where it is delivered from.

        Raises:
            NoRefusalReport, ConfinedChildLost: see `ReceivedSeriesReader.first_header`.
            ResultError: see `write_refusal_report`.
        """
        instances = self._inbox.instances_of(job.series_instance_uid)[: job.instance_count]
        header = self._reader.first_header(instances, self._storage)
        refused = refused_series(header, instances, job.instances_digest, error)
        with self._outbox.workplace(job.id) as workplace:
            written = write_refusal_report(
                refused, ensemble, job.created_at, told, workplace, self._earlier_report(job), _answered(job)
            )
            return self._outbox.publish(job.id, workplace, written.names), written

    def _deliveries(self, folder: Path, deliverable: Mapping[str, Sequence[str]]) -> list[NewDelivery]:
        inside = folder.relative_to(self._storage)
        return [
            NewDelivery(destination=destination, files=[str(inside / name) for name in names])
            for destination, names in deliverable.items()
        ]

    def _is_over(self) -> bool:
        if self._probe.trouble() is not None:
            return False
        self._in_trouble = False
        log.info("storage is back")
        return True

    def _damaged(self, job: Job) -> list[str]:
        """SOPInstanceUIDs of files of the job that are not what was received any more."""
        instances = self._inbox.instances_of(job.series_instance_uid)[: job.instance_count]
        return [one.sop_instance_uid for one in damaged_instances(instances, self._storage)]

    def _fail(self, job: Job, damaged: Sequence[str]) -> None:
        some = ", ".join(damaged[:_MOST_UIDS]) + (", ..." if len(damaged) > _MOST_UIDS else "")
        reason = (
            f"{len(damaged)} files of the series in the storage are not what was received any more, or gone: SOP "
            f"Instance UID {some}. Check the disk, then send the "
            "whole series again (that is enough), or restore the files from a backup and retry the job"
        )
        log.error("received files are damaged", job=job.id, files=len(damaged))
        self._jobs.fail(job.id, self._owner, reason)

    def _hold_back(self, job: Job, error: ResultNotValid) -> None:
        """Another attempt would give the same bytes: the job waits for a person."""
        place = f"outbox/{QUARANTINE}/{job.id}"
        log.error("result set held", job=job.id, findings=len(error.findings), place=place)
        reason = f"{error}. Nothing was sent; the set and {FINDINGS_NAME} are in {place} of the storage"
        self._jobs.fail(job.id, self._owner, reason)

    @contextmanager
    def _holding(self, job: Job, workplace: Path) -> Iterator[None]:
        """Keep a set that failed validation before the workplace goes."""
        try:
            yield
        except ResultNotValid:
            self._outbox.quarantine(job.id, workplace / NOT_VALID_NAME)
            raise

    def _analyse(self, job: Job, ensemble: Ensemble, heartbeat: Heartbeat) -> None:
        analysis = analyse_series(lambda: self._read(job), ensemble, None, self._rules.region_rule)
        with self._outbox.workplace(job.id) as workplace, self._holding(job, workplace):
            # The job's own time, not the clock's: a second attempt must give the same bytes.
            written = write_analysis(
                analysis,
                ensemble,
                job.created_at,
                workplace,
                predecessor=_answered(job) or self._earlier_report(job),
                all_options=self._rules.destinations,
                follow_up=self._follow_up_of(job, analysis, ensemble),
            )
            if heartbeat.lost:
                raise LeaseLost(f"job {job.id}: the lease of {self._owner} was lost while it computed")
            folder = self._outbox.publish(job.id, workplace, written.names)
        deliveries = self._deliveries(folder, written.deliverable)
        try:
            self._jobs.deliver(job.id, self._owner, written.measurements, deliveries, written.report.uids)
        except LeaseLost:
            self._outbox.withdraw(folder)
            raise
        log.info(
            "result set written",
            job=job.id,
            series=job.series_instance_uid,
            destinations=len(deliveries),
            wmh_volume_ml=written.measurements.get("wmh_volume_ml"),
        )

    def _earlier_report(self, job: Job) -> ReportReference | None:
        """The report that is there now. Should an earlier job still give one, a second attempt has other UIDs."""
        uids = self._jobs.earlier_report(job)
        return None if uids is None else ReportReference.from_uids(uids)

    def _follow_up_of(self, job: Job, analysis: Analysis, ensemble: Ensemble) -> FollowUp | None:
        return None if self._follow_ups is None else self._follow_ups.find(job, analysis.series, ensemble.identity)

    def _read(self, job: Job) -> FlairSeries:
        """The series that the job was made for: slices that came later belong to a later job."""
        instances = self._inbox.instances_of(job.series_instance_uid)[: job.instance_count]
        return self._reader.read(instances, self._storage, job.instances_digest)

    def _retry_later(self, job: Job, reason: str) -> None:
        wait = self._rules.wait_after(job.attempts)
        log.error("job attempt failed", job=job.id, attempt=job.attempts, reason=reason)
        self._jobs.retry_later(job.id, self._owner, reason, wait)

    def _beat(self, job_id: int) -> Callable[[], bool]:
        deadline = time.monotonic() + self._rules.limit_seconds

        def beat() -> bool:
            if time.monotonic() > deadline:
                log.error("job attempt hangs, ending this worker", job=job_id, limit_seconds=self._rules.limit_seconds)
                self._end_process(1)
                return False
            return self._jobs.heartbeat(job_id, self._owner, self._rules.lease_seconds)

        return beat


def _answered(job: Job) -> ReportReference | None:
    """The answer about these very images that was sent before the job was judged anew."""
    return None if job.answered is None else ReportReference.from_uids(job.answered)
