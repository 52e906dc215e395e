"""Keyed hashes instead of the patient's identity: two scans of one patient match, and the patient stays unknown.
The same for the scanner, whose serial number would identify the hospital.

HMAC-SHA-256 (RFC 2104) with a random key in STORAGE, never in the database: without the key, trying identifiers until
one fits is impossible, and a leaked database holds no identifier in any form.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset

from dicom_node.node.objects.shared import SharedStorage
from dicom_node.node.patient_key_file import open_key
from dicom_node.series.dicom import values

# What de-identification tools and careless consoles write for everybody: to compare by these would mix patients.
_PLACEHOLDERS: Final = frozenset(
    {
        "ANON", "ANONYM", "ANONYMISED", "ANONYMIZED", "ANONYMOUS", "DEIDENTIFIED", "DUMMY", "EMERGENCY", "NA", "NOID",
        "NONE", "NULL", "PATIENT", "PATIENTID", "PHANTOM", "REMOVED", "SUBJECT", "TEST", "UNKNOWN", "XXX",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PatientIdentity:
    """Who a scan is of, as keyed hashes (64 hex digits).

    Attributes:
        patient_key: of identifier and issuer.
        birth_key: of these and the date of birth; None where that is not given.
    """

    patient_key: str
    birth_key: str | None


class PatientHasher:
    """Makes the hashes of one node; every process and machine of it that shares STORAGE makes the same.

    Args:
        key: the node's secret.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def identity(self, header: Dataset) -> PatientIdentity | None:
        """Who this instance says that it is of.

        Identifier and issuer (PatientID, IssuerOfPatientID; PS3.3 C.7.1.1) are compared as they are written, but for
        spaces around them and full-width letters; an issuer in one scan and none in the other makes two patients.

        Returns:
            None without an identifier, or with one that tools write for everybody.
        """
        identifier = values.text(header, "PatientID")
        if not identifier or not _is_somebody(identifier):
            return None
        who = [identifier, values.text(header, "IssuerOfPatientID")]
        birth = values.day(header, "PatientBirthDate")
        return PatientIdentity(
            self._hash("patient", *who), None if birth is None else self._hash("birth", *who, birth.isoformat())
        )

    def scanner_keys(self, header: Dataset) -> tuple[str, str]:
        """Which scanner this instance says that it is of: by DeviceSerialNumber and by StationName (PS3.3 C.7.5.1).

        Returns:
            "" for one that is not given, or that tools write for every scanner.
        """
        serial, station = (values.text(header, keyword).upper() for keyword in ("DeviceSerialNumber", "StationName"))
        return (
            self._hash("serial", serial) if _is_somebody(serial) else "",
            self._hash("station", station) if _is_somebody(station) else "",
        )

    def _hash(self, *parts: str) -> str:
        return hmac.new(self._key, json.dumps(parts).encode(), hashlib.sha256).hexdigest()


def open_hasher(storage: Path, shared: SharedStorage | None = None, *, makes: bool = True) -> PatientHasher:
    """The node's hasher; see `open_key`."""
    return PatientHasher(open_key(storage, shared, makes=makes))


def _is_somebody(identifier: str) -> bool:
    letters = "".join(sign for sign in identifier.upper() if sign.isalnum())
    return bool(letters.strip("0")) and letters not in _PLACEHOLDERS
