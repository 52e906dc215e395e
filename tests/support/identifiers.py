"""Who the patients are, by the files that a node was sent: to look for them where they must not be."""

from __future__ import annotations

from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

_TAGS = ["PatientName", "PatientID", "OtherPatientIDs", "PatientAddress", "ReferringPhysicianName"]
# Shorter ones, such as an ID of 1, are in every log.
_SHORTEST = 5


def identifiers_in(folder: Path) -> set[str]:
    """Names and IDs in the DICOM files below a folder, where they are long enough to be told from other words."""
    found: set[str] = set()
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        try:
            dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_TAGS)
        except (InvalidDicomError, OSError, EOFError):
            continue
        found |= {str(dataset.get(tag, "")).strip() for tag in _TAGS}
    return {text for text in found if len(text) >= _SHORTEST}


def check_no_identifier(text: str, folder: Path) -> None:
    """The text holds none of the identifiers of the files below a folder."""
    told = sorted(identifier for identifier in identifiers_in(folder) if identifier in text)
    assert told == [], f"the log tells who the patient is: {told}"
