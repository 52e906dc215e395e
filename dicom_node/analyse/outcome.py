"""What becomes of a job whose attempt ended with an error: the worker's whole policy, as one table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from db.records import StoredInstance
from dicom_node.analyse.quarantine import FINDINGS_NAME
from dicom_node.node.errors import DamagedFiles, NotAnalysable, ResultNotValid, StorageTrouble, WmhNodeError
from dicom_node.node.logs import describe_error
from dicom_node.node.outbox import QUARANTINE
from dicom_node.node.storage import StorageProbe
from dicom_node.series.read.instances import damaged_instances
from segmentation.errors import SegmentationError


@dataclass(frozen=True)
class WaitForStorage:
    """The job goes back to the queue and keeps its attempt; no job is begun until the storage is back."""

    trouble: str


@dataclass(frozen=True)
class Reject:
    """The series cannot be analysed: the job ends, and destinations that accept one are sent a refusal report."""

    refusal: NotAnalysable


@dataclass(frozen=True)
class Quarantine:
    """The result set failed validation: the job fails, and the set is kept for inspection."""

    error: ResultNotValid

    def reason_for(self, job_id: int) -> str:
        """What the job says."""
        place = f"outbox/{QUARANTINE}/{job_id}"
        return f"{self.error}. Nothing was sent; the set and {FINDINGS_NAME} are in {place} of the storage"


@dataclass(frozen=True)
class Fail:
    """Another attempt cannot help: the job fails, and its reason says what to do."""

    reason: str


@dataclass(frozen=True)
class Retry:
    """Another attempt may help: the job waits for it, or fails when it has none left."""

    reason: str


Outcome = WaitForStorage | Reject | Quarantine | Fail | Retry


def outcome_of(error: Exception) -> Outcome:
    """The outcome for an error; the first row that fits decides.

    | error                                | outcome        |
    |--------------------------------------|----------------|
    | StorageTrouble                       | WaitForStorage |
    | NotAnalysable                        | Reject         |
    | ResultNotValid                       | Quarantine     |
    | any other of ours that is permanent  | Fail           |
    | any other of ours or segmentation's  | Retry          |
    | whatever else                        | Retry          |

    The reason never quotes the text of a foreign error, which may quote a patient.
    """
    match error:
        case StorageTrouble():
            return WaitForStorage(str(error))
        case NotAnalysable():
            return Reject(error)
        case ResultNotValid():
            return Quarantine(error)
        case WmhNodeError(permanent=True):
            return Fail(str(error))
        case WmhNodeError() | SegmentationError():
            return Retry(str(error))
        case _:
            return Retry(describe_error(error))


def cause_of(error: Exception, probe: StorageProbe, instances: Iterable[StoredInstance], storage: Path) -> Exception:
    """What an attempt really met: trouble of the storage, damaged files in it, or its own error.

    In this order, because each looks like the next one.

    Args:
        error: what the attempt raised.
        probe: of the storage.
        instances: of the job.
        storage: where their paths start.
    """
    if isinstance(error, StorageTrouble):
        return error  # it may have passed since, as that of an object store
    if (trouble := probe.trouble(error)) is not None:
        return StorageTrouble(trouble)
    if damaged := damaged_instances(instances, storage):
        return DamagedFiles([instance.sop_instance_uid for instance in damaged])
    return error
