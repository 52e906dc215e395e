"""An analysed scan: whose, when and how acquired, without a name; so that the next scan finds the one before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any


@dataclass(frozen=True, slots=True)
class Scan:
    """What a job is about, as far as another scan of the same patient must know.

    Attributes:
        job_id: of the job that analyses it.
        study_instance_uid: its study.
        patient_key: keyed hash of the patient's identifier; the same for every scan of the patient, and no identifier.
        birth_key: keyed hash of the date of birth; None when that is not given.
        acquired_on: day of the acquisition.
        description: scanner and protocol, as JSON.
    """

    job_id: int
    study_instance_uid: str
    patient_key: str
    birth_key: str | None
    acquired_on: date
    description: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ScanResult:
    """A scan whose job gave a result.

    Attributes:
        scan: the scan.
        measurements: the content of measurements.json.
        report: the UIDs of the report, by DICOM keyword.
    """

    scan: Scan
    measurements: Mapping[str, Any]
    report: Mapping[str, str]
