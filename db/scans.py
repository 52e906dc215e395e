"""The table of scans: which earlier result a job's result is compared with, chosen once and never again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import Row, or_, select

from db.engine.database import Database
from db.engine.upsert import upsert
from db.engine.values import require_json
from db.records import JobState, MeasuredScan, Scan
from db.schema import jobs, scans
from db.supersede import PATIENT_CORRECTED

# Their result set was handed over. A failed job with measurements was not delivered everywhere; the result is there.
_WITH_RESULT: Final = (JobState.DELIVERING.value, JobState.DONE.value, JobState.FAILED.value)


class ScanTable:
    """Scans by patient. Safe to use from several threads, processes and machines; each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def chosen(self, job_id: int) -> tuple[bool, MeasuredScan | None]:
        """Whether a choice was made for this job, and the result that it is compared with; (True, None): none."""
        with self._database.read() as connection:
            row = connection.execute(select(scans.c.compared_with_id).where(scans.c.job_id == job_id)).first()
            if row is None:
                return False, None
            if row.compared_with_id is None:
                return True, None
            found = connection.execute(_RESULTS.where(scans.c.job_id == row.compared_with_id)).first()
            return True, None if found is None else _result_of(found)

    def earlier_results(self, scan: Scan) -> list[MeasuredScan]:
        """Results of the same patient in another study that was acquired on an earlier day; the newest first.

        Whatever order they arrived in: what counts is the day of the acquisition. Of one day, the newest job first.
        """
        with self._database.read() as connection:
            return [_result_of(row) for row in connection.execute(earlier_query(scan))]

    def choose(self, scan: Scan, compared_with_id: int | None) -> MeasuredScan | None:
        """Record what the scan is compared with, unless that is recorded; returns the record that counts.

        A second attempt, or another worker that took the job over, gets the first one's choice: a job gives one result.

        Raises:
            InvalidMeasurements: the description is no JSON.
        """
        require_json(f"the description of the scan of job {scan.job_id}", scan.description)
        values = {**asdict(scan), "description": dict(scan.description), "compared_with_id": compared_with_id}
        with self._database.write() as connection:
            statement = upsert(connection.dialect.name)(scans).values(values)
            connection.execute(statement.on_conflict_do_nothing(index_elements=[scans.c.job_id]))
        return self.chosen(scan.job_id)[1]


_RESULTS: Final = (
    select(scans, jobs.c.measurements, jobs.c.report)
    .join(jobs, jobs.c.id == scans.c.job_id)
    .where(jobs.c.measurements.is_not(None), jobs.c.report.is_not(None))
)


def earlier_query(scan: Scan) -> Any:
    """See `ScanTable.earlier_results`."""
    return _RESULTS.where(
        scans.c.patient_key == scan.patient_key,
        scans.c.acquired_on < scan.acquired_on,
        scans.c.study_instance_uid != scan.study_instance_uid,
        jobs.c.state.in_(_WITH_RESULT),
        or_(jobs.c.code.is_(None), jobs.c.code != PATIENT_CORRECTED),
        jobs.c.withdrawn_at.is_(None),
    ).order_by(scans.c.acquired_on.desc(), scans.c.job_id.desc())


def _result_of(row: Row[Any]) -> MeasuredScan:
    scan = Scan(
        job_id=row.job_id,
        study_instance_uid=row.study_instance_uid,
        patient_key=row.patient_key,
        birth_key=row.birth_key,
        acquired_on=row.acquired_on,
        description=row.description,
    )
    return MeasuredScan(scan, row.measurements, row.report)
