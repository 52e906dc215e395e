"""The worker: takes each job from received files to a result set in the outbox; the way is `_analyse`."""

from __future__ import annotations

import os
from collections.abc import Callable

from db.errors import LeaseLost
from db.inbox import Inbox
from db.jobs import JobTable
from db.records import Job
from dicom_node.analyse.analysis import analyse, write_analysis
from dicom_node.analyse.follow_up.finder import FollowUps
from dicom_node.analyse.lease import job_lease
from dicom_node.analyse.outcome import Fail, Outcome, Quarantine, Reject, Retry, WaitForStorage, cause_of, outcome_of
from dicom_node.analyse.refusal import RefusalReporter
from dicom_node.analyse.rules import WorkRules
from dicom_node.analyse.source import Examine, SeriesSource
from dicom_node.node import metrics
from dicom_node.node.errors import NotAnalysable, RefusalReportDelayed, StorageTrouble
from dicom_node.node.heartbeat import Heartbeat
from dicom_node.node.logger import get_logger
from dicom_node.node.outbox import Outbox
from dicom_node.node.storage import StorageProbe
from dicom_node.results.common.predecessor import ReportReference
from dicom_node.series.read.received_series import ReceivedSeriesReader
from segmentation.ensemble import Ensemble

log = get_logger()
_IDLE_SECONDS, _TROUBLE_SECONDS = 0.5, 5.0  # between looks for a job, and whether the storage is back


class Worker:
    """Takes jobs of the tables `inbox` and `jobs` through analysis.

    Args:
        owner: name of the lease's holder, unique to this process.
        current_model: gives the ensemble for the next job, None when no job can be begun; asked before each claim.
        outbox: where result sets go; the paths of instances start in the folder above it.
        reader, follow_ups: read received files; find earlier results (None: results do not mention one).
        end_process, has_settled, examine: see `job_lease`, `ClockWatch` and `SeriesSource`.
    """

    def __init__(
        self,
        owner: str,
        inbox: Inbox,
        jobs: JobTable,
        current_model: Callable[[], Ensemble | None],
        outbox: Outbox,
        rules: WorkRules,
        reader: ReceivedSeriesReader,
        end_process: Callable[[int], object] = os._exit,
        follow_ups: FollowUps | None = None,
        has_settled: Callable[[float], bool] = lambda _seconds: True,
        examine: Examine | None = None,
    ) -> None:
        self._owner, self._inbox, self._jobs, self._current_model = owner, inbox, jobs, current_model
        self._outbox, self._rules, self._reader, self._follow_ups = outbox, rules, reader, follow_ups
        self._end_process, self._has_settled, self._storage = end_process, has_settled, outbox.folder.parent
        self._probe, self._waits_for_storage = StorageProbe(self._storage, outbox.away), False
        self._source = SeriesSource(inbox, jobs, reader, self._storage, examine)
        self._refusals = RefusalReporter(jobs, reader, outbox, rules.destinations, self._probe)

    def step(self) -> float:
        """For `run_until_stopped`; a job that was begun is finished before it returns."""
        return 0.0 if self.work_once() else _TROUBLE_SECONDS if self._waits_for_storage else _IDLE_SECONDS

    def close(self) -> None:
        """End the child that reads files."""
        self._reader.close()

    def work_once(self) -> bool:
        """Claim a job and finish it, whatever the outcome; False without a job, a model, or a storage to write to."""
        self._waits_for_storage = self._waits_for_storage and self._probe.trouble() is not None
        if self._waits_for_storage or (ensemble := self._current_model()) is None:
            return False
        seconds = self._rules.lease_seconds
        if (job := self._jobs.claim(self._owner, seconds, take_over=self._has_settled(seconds))) is None:
            return False
        log.info("job claimed", job=job.id, series=job.series_instance_uid, attempt=job.attempts)
        with job_lease(self._jobs, job.id, self._owner, self._rules, self._end_process) as lease:
            try:
                self._attempt(job, ensemble, lease)
            except LeaseLost:
                log.warning("lease lost, result dropped", job=job.id)
        return True

    def _attempt(self, job: Job, ensemble: Ensemble, lease: Heartbeat) -> None:
        """One attempt. This is the worker's edge: every error ends here and is written to the job."""
        try:
            self._analyse(job, ensemble, lease)
        except LeaseLost:
            raise
        except Exception as error:
            cause = cause_of(error, self._probe, self._inbox.rows_of_job(job), self._storage)
            self._end(job, ensemble, lease, outcome_of(cause))

    def _analyse(self, job: Job, ensemble: Ensemble, lease: Heartbeat) -> None:
        """Read, segment, look for an earlier result, write, publish, and commit the deliveries."""
        series, seconds_read = self._source.read(job)
        analysis = analyse(series, ensemble, seconds_read, None, self._rules.region_rule)
        predecessor = ReportReference.of(job.answered or self._jobs.earlier_report(job))
        found = analysis.segmentation
        follow_up = None if self._follow_ups is None else self._follow_ups.find(job, series, ensemble.identity, found)
        # The job's own time, not the clock's: a second attempt must give the same bytes.
        with self._outbox.workplace(job.id) as workplace:
            written = write_analysis(
                analysis, ensemble, job.created_at, workplace, None, predecessor, self._rules.destinations, follow_up
            )
            lease.require_held()
            folder = self._outbox.publish(job.id, workplace, written.names)
        deliveries = self._outbox.deliveries(folder, written.deliverable)
        with self._outbox.withdrawn_if_lost(folder):
            self._jobs.deliver(job.id, self._owner, written.measurements, deliveries, written.report.uids)
        metrics.analysed(written.measurements)
        log.info("result set written", job=job.id, destinations=len(deliveries), wmh_volume_ml=written.volume_ml)

    def _end(self, job: Job, ensemble: Ensemble, lease: Heartbeat, outcome: Outcome) -> None:
        match outcome:
            case WaitForStorage(trouble):
                self._waits_for_storage = True
                log.error("storage unavailable, no job starts until it is back", job=job.id, trouble=trouble)
                self._jobs.put_back(job.id, self._owner, trouble, self._rules.retry_seconds)
            case Reject(refusal):
                try:
                    self._reject(job, refusal, ensemble, lease)
                except (StorageTrouble, RefusalReportDelayed) as error:
                    self._end(job, ensemble, lease, outcome_of(error))
            case Quarantine(error):
                log.error("result set quarantined", job=job.id, findings=len(error.findings))
                self._jobs.fail(job.id, self._owner, outcome.reason_for(job.id))
            case Fail(reason):
                log.error("job failed", job=job.id, reason=reason)
                self._jobs.fail(job.id, self._owner, reason)
            case Retry(reason):
                log.error("job attempt failed", job=job.id, attempt=job.attempts, reason=reason)
                self._jobs.retry_later(job.id, self._owner, reason, self._rules.wait_after(job.attempts))

    def _reject(self, job: Job, refusal: NotAnalysable, ensemble: Ensemble, lease: Heartbeat) -> None:
        """Reject the job, and send a refusal report to destinations that accept one; it stays rejected without."""
        sent = self._refusals.publish(job, self._inbox.instances_of_job(job), refusal, ensemble)
        with self._outbox.withdrawn_if_lost(sent.folder):
            lease.require_held()
            answers = self._outbox.deliveries(sent.folder, sent.deliverable)
            self._jobs.reject(job.id, self._owner, refusal.code, refusal.reason, answers, sent.report, sent.remark)
        metrics.series_rejected(refusal.code)
        log.info("job rejected", job=job.id, code=refusal.code, destinations=len(answers))
        self._source.retry_skipped(job)
