"""Corrections as training cases: a folder that `wmh-node train` and `evaluate` read as it is.

    OUT/patients.csv                      patient, site, split, case: our own numbers, nothing of the patient
    OUT/case-<job>/flair.nii.gz           the FLAIR as it was analysed
    OUT/case-<job>/wmh.nii.gz             what was corrected
    OUT/case-<job>/ventricles.nii.gz      only where the correction outlines them
    OUT/case-<job>/feedback.json          which correction it is, and how it compares with the model's mask

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
from db.records import Feedback, Job
from dicom_node.analyse.follow_up.patient_key import PatientHasher
from dicom_node.cases.prepare import write_nifti
from dicom_node.feedback.read import CorrectedMasks, read_corrected
from dicom_node.node.errors import ConfigurationError, NotAnalysable, WmhNodeError
from dicom_node.node.files import json_bytes, write_whole
from dicom_node.node.progress import CountProgress
from dicom_node.node.unfinished import Unfinished
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
        failed: number of the feedback, and why it could not be exported.
    """

    written: tuple[str, ...]
    unchanged: tuple[str, ...]
    failed: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class _Case:
    name: str
    patient: str


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

    def export(self, out: Path, progress: CountProgress | None = None) -> Exported:
        """Write every correction that counts into a folder; made when missing.

        Raises:
            ConfigurationError: the folder holds something else under a name of ours, or a patients.csv that cannot be
                added to.
        """
        corrections = sorted((row for row in self._feedback.list() if row.counts), key=lambda row: row.id)
        out.mkdir(parents=True, exist_ok=True)
        table = _Table.read(out / _PATIENTS)
        written: list[str] = []
        unchanged: list[str] = []
        failed: list[tuple[int, str]] = []
        for done, row in enumerate(corrections):
            if progress is not None:
                progress(done, len(corrections))
            try:
                case, is_new = self._one(row, out, table)
            except (NotAnalysable, WmhNodeError) as error:
                if isinstance(error, ConfigurationError):
                    raise
                failed.append((row.id, error.reason if isinstance(error, NotAnalysable) else str(error)))
                continue
            (written if is_new else unchanged).append(case.name)
            table.add(case)
        if written or unchanged:
            write_whole(out / _PATIENTS, table.text().encode())
        with suppress(OSError):  # not there, or another export writes in it
            (out / _HIDDEN).rmdir()
        return Exported(tuple(written), tuple(unchanged), tuple(failed))

    def _one(self, feedback: Feedback, out: Path, table: _Table) -> tuple[_Case, bool]:
        job = self._job(feedback)
        name = f"case-{self._jobs.of_series(job.series_instance_uid)[0].id:05d}"
        if _is_there(out / name, feedback) and name in table:
            return _Case(name, ""), False
        if file_sha256(self._storage / feedback.path) != feedback.sha256:
            raise WmhNodeError("its file in the storage differs from what was received: send the object again")
        instances = self._inbox.instances_of_job(job)
        series = self._reader.read(instances, self._storage, job.instances_digest)
        masks = read_corrected(self._storage / feedback.path, series)
        _write_case(out, name, series, masks, feedback)
        return _Case(name, self._patient(series)), True

    def _job(self, feedback: Feedback) -> Job:
        assert feedback.job_id is not None, "an accepted correction was compared with a job's result"
        return self._jobs.get(feedback.job_id)

    def _patient(self, series: FlairSeries) -> str:
        """The same for all scans of a patient; where he has no identifier, for all of a study."""
        identity = self._hasher.identity(series.headers[0])
        if identity is not None:
            return f"p-{identity.patient_key[:16]}"
        return f"study-{self._feedback.first_job_of_study(series.study_instance_uid) or 0:05d}"


def _is_there(folder: Path, feedback: Feedback) -> bool:
    """The folder holds exactly this correction.

    Raises:
        ConfigurationError: the folder is none of an export.
    """
    if not folder.exists():
        return False
    try:
        return bool(json.loads((folder / _WHICH).read_text())["feedback"] == feedback.id)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{folder} exists and is not a case of an earlier export ({_WHICH} is missing or broken): export to "
            "another folder, or remove it"
        ) from error


def _write_case(out: Path, name: str, series: FlairSeries, masks: CorrectedMasks, feedback: Feedback) -> None:
    """Whole or not there: written aside, and moved."""
    with Unfinished(out / _HIDDEN).workplace(name) as folder:
        write_nifti(folder / "flair.nii.gz", series.voxels, series)
        write_nifti(folder / "wmh.nii.gz", masks.wmh.astype(np.uint8), series)
        if masks.ventricles is not None:
            write_nifti(folder / "ventricles.nii.gz", masks.ventricles.astype(np.uint8), series)
        which: dict[str, Any] = {
            "feedback": feedback.id,
            "comparison": feedback.comparison,
            "notes": list(feedback.notes),
        }
        write_whole(folder / _WHICH, json_bytes(which))
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
