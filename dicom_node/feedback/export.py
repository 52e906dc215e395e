"""Corrections as training cases: a folder that `wmh-node train` and `evaluate` read as it is.

    OUT/patients.csv                      patient, site, split, case: our own numbers, nothing of the patient
    OUT/case-<job>/flair.nii.gz           the FLAIR as it was analysed
    OUT/case-<job>/wmh.nii.gz             what was corrected
    OUT/case-<job>/ventricles.nii.gz      only where the correction outlines them
    OUT/case-<job>/feedback.json          which correction it is, and how it compares with the model's mask; or which
                                          review accepted the model's own mask

A case is named for the first job about its series, which never changes, so that an export into the same folder again
adds what is new, and replaces what has been corrected once more. A patient is named by a keyed hash of the node
(`dicom_node.analyse.follow_up.patient_key`): the scans of one patient share a name, and only the node's key
shows whose it is.
Rows that are in patients.csv already are kept as they are, since people fill in sites and splits.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from db.feedback import FeedbackTable
from db.inbox import Inbox
from db.jobs import JobTable
from db.records import Feedback, Job, ReviewVerdict
from db.reviews import ReviewTable
from dicom_node.analyse.follow_up.patient_key import PatientHasher
from dicom_node.cases.prepare import write_nifti
from dicom_node.cases.seg_mask import WMH, read_seg_mask
from dicom_node.feedback.read import CorrectedMasks, read_corrected
from dicom_node.node.errors import ConfigurationError, NotAnalysable, WmhNodeError
from dicom_node.node.files import json_bytes, write_whole
from dicom_node.node.outbox import Outbox
from dicom_node.node.progress import CountProgress
from dicom_node.node.unfinished import Unfinished
from dicom_node.results.result_set import SEG_NAME
from dicom_node.series.dicom.parsing import file_sha256
from dicom_node.series.read.flair_series import FlairSeries
from dicom_node.series.read.received_series import ReceivedSeriesReader

_PATIENTS: Final = "patients.csv"
_COLUMNS: Final = ("patient", "site", "split", "case")  # training.data.cohort
_WHICH: Final = "feedback.json"
_HIDDEN: Final = ".unfinished"


@dataclass(frozen=True)
class Exported:
    """What an export did; names of case folders.

    Attributes:
        written: new or replaced.
        unchanged: there already, as they are now.
        failed: "feedback 3" or "job 5", and why it could not be exported.
    """

    written: tuple[str, ...]
    unchanged: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Case:
    name: str
    patient: str


@dataclass(frozen=True)
class _Corrected:
    """A case from a correction."""

    feedback: Feedback

    @property
    def words(self) -> str:
        return f"feedback {self.feedback.id}"

    @property
    def which(self) -> dict[str, Any]:
        """The content of feedback.json."""
        one = self.feedback
        return {"feedback": one.id, "comparison": one.comparison, "notes": list(one.notes)}


@dataclass(frozen=True)
class _Accepted:
    """A case from a result that a reader took as it is."""

    job: Job
    review_id: int

    @property
    def words(self) -> str:
        return f"job {self.job.id}"

    @property
    def which(self) -> dict[str, Any]:
        """The content of feedback.json."""
        note = "A reader accepted the model's own mask."
        return {"feedback": None, "review": self.review_id, "comparison": None, "notes": [note]}


_Source = _Corrected | _Accepted


def _accepted(reviews: ReviewTable | None) -> list[_Accepted]:
    """The accepted results, each with the review that accepted it; a correction that fits nothing may come later."""
    if reviews is None:
        return []
    found = []
    for job in reviews.accepted():
        said = [review.id for review in reviews.of_job(job.id) if review.verdict is ReviewVerdict.ACCEPTED]
        found.append(_Accepted(job, said[-1]))
    return found


class Exporter:
    """Writes corrections as training cases.

    Args:
        feedback, inbox, jobs: tables.
        storage: where the paths of instances start; absolute.
        hasher: names patients.
        reader: reads received series, within limits.
    """

    def __init__(
        self,
        feedback: FeedbackTable,
        inbox: Inbox,
        jobs: JobTable,
        storage: Path,
        hasher: PatientHasher,
        reader: ReceivedSeriesReader,
    ) -> None:
        self._feedback = feedback
        self._inbox = inbox
        self._jobs = jobs
        self._storage = storage
        self._hasher = hasher
        self._reader = reader

    def export(
        self, out: Path, progress: CountProgress | None = None, *, reviews: ReviewTable | None = None
    ) -> Exported:
        """Write every correction that counts into a folder; made when missing.

        Args:
            reviews: results that readers accepted are cases too, with the model's own mask; None: corrections only.

        Raises:
            ConfigurationError: the folder holds something else under a name of ours, or a patients.csv that cannot be
                added to.
        """
        corrections = [row for row in self._feedback.list() if row.counts]
        sources: list[_Source] = [_Corrected(row) for row in sorted(corrections, key=lambda row: row.id)]
        known = {row.source_series_uid for row in corrections}
        sources += [found for found in _accepted(reviews) if found.job.series_instance_uid not in known]
        out.mkdir(parents=True, exist_ok=True)
        table = _Table.read(out / _PATIENTS)
        written: list[str] = []
        unchanged: list[str] = []
        failed: list[tuple[str, str]] = []
        for done, source in enumerate(sources):
            if progress is not None:
                progress(done, len(sources))
            try:
                case, is_new = self._one(source, out, table)
            except (NotAnalysable, WmhNodeError) as error:
                if isinstance(error, ConfigurationError):
                    raise
                failed.append((source.words, error.reason if isinstance(error, NotAnalysable) else str(error)))
                continue
            (written if is_new else unchanged).append(case.name)
            table.add(case)
        if written or unchanged:
            write_whole(out / _PATIENTS, table.text().encode())
        with suppress(OSError):  # not there, or another export writes in it
            (out / _HIDDEN).rmdir()
        return Exported(tuple(written), tuple(unchanged), tuple(failed))

    def _one(self, source: _Source, out: Path, table: _Table) -> tuple[_Case, bool]:
        job = source.job if isinstance(source, _Accepted) else self._job(source.feedback)
        name = f"case-{self._jobs.of_series(job.series_instance_uid)[0].id:05d}"
        if _is_there(out / name, source) and name in table:
            return _Case(name, ""), False
        if isinstance(source, _Corrected):
            self._require_as_received(source.feedback)
        instances = self._inbox.instances_of_job(job)
        series = self._reader.read(instances, self._storage, job.instances_digest)
        _write_case(out, name, series, self._masks(source, series), source)
        return _Case(name, self._patient(series)), True

    def _masks(self, source: _Source, series: FlairSeries) -> CorrectedMasks:
        if isinstance(source, _Corrected):
            return read_corrected(self._storage / source.feedback.path, series)
        folder = Outbox(self._storage / "outbox").of_job(source.job.id)
        if folder is None or not (folder / SEG_NAME).exists():
            raise WmhNodeError("its result set is no longer in the outbox")
        return CorrectedMasks(read_seg_mask(folder / SEG_NAME, series, WMH), None, ())

    def _require_as_received(self, feedback: Feedback) -> None:
        if file_sha256(self._storage / feedback.path) != feedback.sha256:
            raise WmhNodeError("its file in the storage differs from what was received: send the object again")

    def _job(self, feedback: Feedback) -> Job:
        assert feedback.job_id is not None, "an accepted correction was compared with a job's result"
        return self._jobs.get(feedback.job_id)

    def _patient(self, series: FlairSeries) -> str:
        """The same for all scans of a patient; where he has no identifier, for all of a study."""
        identity = self._hasher.identity(series.headers[0])
        if identity is not None:
            return f"p-{identity.patient_key[:16]}"
        return f"study-{self._feedback.first_job_of_study(series.study_instance_uid) or 0:05d}"


def _is_there(folder: Path, source: _Source) -> bool:
    """The folder holds exactly this case.

    Raises:
        ConfigurationError: the folder is none of an export.
    """
    if not folder.exists():
        return False
    try:
        there = json.loads((folder / _WHICH).read_text())
        return bool(there["feedback"] == source.which["feedback"] and there.get("review") == source.which.get("review"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{folder} exists and is not a case of an earlier export ({_WHICH} is missing or broken): export to "
            "another folder, or remove it"
        ) from error


def _write_case(out: Path, name: str, series: FlairSeries, masks: CorrectedMasks, source: _Source) -> None:
    """Whole or not there: written aside, and moved."""
    with Unfinished(out / _HIDDEN).workplace(name) as folder:
        write_nifti(folder / "flair.nii.gz", series.voxels, series)
        write_nifti(folder / "wmh.nii.gz", masks.wmh.astype(np.uint8), series)
        if masks.ventricles is not None:
            write_nifti(folder / "ventricles.nii.gz", masks.ventricles.astype(np.uint8), series)
        write_whole(folder / _WHICH, json_bytes(source.which))
        if (out / name).exists():
            shutil.rmtree(out / name)
        folder.rename(out / name)


class _Table:
    """patients.csv: its columns and rows, others' kept as they are."""

    def __init__(self, columns: list[str], rows: list[dict[str, str]]) -> None:
        self._columns = columns
        self._rows = rows

    @classmethod
    def read(cls, path: Path) -> _Table:
        """What is there; our columns where nothing is."""
        if not path.exists():
            return cls(list(_COLUMNS), [])
        try:
            with path.open(newline="", encoding="utf-8-sig") as lines:
                reader = csv.DictReader(lines)
                rows = [{name: (cell or "") for name, cell in row.items() if name} for row in reader]
                columns = list(reader.fieldnames or ())
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise ConfigurationError(f"{path} cannot be read as CSV ({type(error).__name__}); nothing added") from error
        if missing := [name for name in _COLUMNS if name not in columns]:
            raise ConfigurationError(
                f"{path}: expected the columns {', '.join(_COLUMNS)}, missing {', '.join(missing)}: nothing added"
            )
        return cls(columns, rows)

    def __contains__(self, case: str) -> bool:
        return any(row["case"] == case for row in self._rows)

    def add(self, case: _Case) -> None:
        """A row for a case that has none."""
        if case.name not in self:
            self._rows.append({"patient": case.patient, "site": "", "split": "", "case": case.name})

    def text(self) -> str:
        """As CSV, in the order in which rows came."""
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, self._columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows)
        return buffer.getvalue()
