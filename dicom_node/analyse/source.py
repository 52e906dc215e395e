"""The received series of a job: read within limits, with what is known about how it arrived."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from db.inbox import Inbox
from db.jobs import JobTable
from db.records import Job, StoredInstance
from dicom_node.node.errors import ConfinedChildLost, IncompleteSeries, NotAnalysable
from dicom_node.node.logger import get_logger
from dicom_node.series.complete.completer import Examination
from dicom_node.series.geometry.planning import Planning, are_images_beside, missing_at_ends, planning_of_stack
from dicom_node.series.geometry.stacking import DIVIDED, MIN_SLICES
from dicom_node.series.read.flair_series import FEWER_ANNOUNCED, LONGER_IN_STUDY, OBJECTS_REFUSED, FlairSeries
from dicom_node.series.read.received_series import ReceivedSeriesReader

log = get_logger()

Examine = Callable[[Sequence[StoredInstance], Path], Examination]
_MOST_SERIES: Final = 16  # of a study; their headers are read


class SeriesSource:
    """Gives a worker the series of its jobs.

    Args:
        inbox, jobs: tables.
        reader: reads received files.
        storage: where the paths of instances start.
        examine: examines the other series of the study within limits; None: they are not looked at.
    """

    def __init__(
        self, inbox: Inbox, jobs: JobTable, reader: ReceivedSeriesReader, storage: Path, examine: Examine | None = None
    ) -> None:
        self._examine = examine
        self._inbox = inbox
        self._jobs = jobs
        self._reader = reader
        self._storage = storage

    def read(self, job: Job) -> tuple[FlairSeries, float]:
        """The series of a job, and how long reading took (seconds).

        Raises:
            NotAnalysable, ConfinedChildLost, WmhNodeError: see `ReceivedSeriesReader.read`.
            IncompleteSeries: the slices of the study are divided among series.
        """
        started = time.monotonic()
        try:
            series = self._reader.read(self._inbox.instances_of_job(job), self._storage, job.instances_digest)
        except NotAnalysable as refusal:
            self._require_stack(job, refusal)
            raise
        # As of the job, so that a second attempt gives the same bytes.
        if self._inbox.count_refused(job.series_instance_uid, job.instance_count, job.created_at):
            series = series.with_flags([OBJECTS_REFUSED])
        return self._seen_in_its_study(series, job), time.monotonic() - started

    def _seen_in_its_study(self, series: FlairSeries, job: Job) -> FlairSeries:
        reference, first = series.frame_of_reference_uid, series.headers[0]
        own = planning_of_stack(series.affine, len(series.frames), reference, first)
        others = list(self._plannings_beside(job))
        if missing_at_ends(own, others):
            series = series.with_flags([LONGER_IN_STUDY])
        return series.without_flags([FEWER_ANNOUNCED]) if are_images_beside(series.headers, own, others) else series

    def _plannings_beside(self, job: Job) -> Iterator[Planning]:
        """Of the study's other series; again as of the job."""
        if self._examine is None:
            return
        for instances in self._inbox.instances_beside(job, _MOST_SERIES):
            try:
                planning = self._examine(instances, self._storage).planning
            except ConfinedChildLost as error:
                log.warning("series of the study could not be read", job=job.id, trouble=str(error))
                continue
            if planning is not None:
                yield planning

    def retry_skipped(self, rejected: Job) -> None:
        """Analyse the series of the study that were skipped for one that is rejected now."""
        for other in self._jobs.retry_skipped(rejected.study_instance_uid) if rejected.study_instance_uid else ():
            log.info("skipped series is analysed after all", job=other.id, instead_of=rejected.id)

    def _require_stack(self, job: Job, refusal: NotAnalysable) -> None:
        """Where a study's slices are divided among series, the one that is answered answers for all of them."""
        if refusal.code not in DIVIDED or job.study_instance_uid is None:
            return
        if others := self._jobs.count_rejected(job.study_instance_uid, DIVIDED, job.series_instance_uid):
            raise IncompleteSeries.slice_per_series(others + 1, MIN_SLICES if job.instance_count > 1 else 1) from None
