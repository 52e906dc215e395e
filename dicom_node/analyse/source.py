"""The received series of a job: read within limits, with what is known about how it arrived."""

from __future__ import annotations

import time
from pathlib import Path

import structlog

from db.inbox import Inbox
from db.jobs import JobTable
from db.records import Job
from dicom_node.node.errors import IncompleteSeries
from dicom_node.series.read.flair_series import OBJECTS_REFUSED, FlairSeries
from dicom_node.series.read.received_series import ReceivedSeriesReader
from dicom_node.series.rules.selection import slice_per_series

log = structlog.get_logger()


class SeriesSource:
    """Gives a worker the series of its jobs.

    Args:
        inbox, jobs: tables.
        reader: reads received files.
        storage: where the paths of instances start.
    """

    def __init__(self, inbox: Inbox, jobs: JobTable, reader: ReceivedSeriesReader, storage: Path) -> None:
        self._inbox = inbox
        self._jobs = jobs
        self._reader = reader
        self._storage = storage

    def read(self, job: Job) -> tuple[FlairSeries, float]:
        """The series of a job, and how long reading took (seconds).

        Raises:
            NotAnalysable, ConfinedChildLost, WmhNodeError: see `ReceivedSeriesReader.read`.
            IncompleteSeries: each slice is a series of its own.
        """
        self._require_stack(job)
        started = time.monotonic()
        series = self._reader.read(self._inbox.instances_of_job(job), self._storage, job.instances_digest)
        # As of the job, so that a second attempt gives the same bytes.
        if self._inbox.count_refused(job.series_instance_uid, job.instance_count, job.created_at):
            series = series.with_flags([OBJECTS_REFUSED])
        return series, time.monotonic() - started

    def retry_skipped(self, rejected: Job) -> None:
        """Analyse the series of the study that were skipped for one that is rejected now."""
        for other in self._jobs.retry_skipped(rejected.study_instance_uid) if rejected.study_instance_uid else ():
            log.info("skipped series is analysed after all", job=other.id, instead_of=rejected.id)

    def _require_stack(self, job: Job) -> None:
        """The last of a study's one-slice series answers for all of them."""
        if job.instance_count != 1 or job.study_instance_uid is None:
            return
        if (others := self._jobs.count_rejected(job.study_instance_uid, "slice_per_series")) > 0:
            raise IncompleteSeries("slice_per_series", slice_per_series(others + 1))
