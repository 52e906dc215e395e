"""Who the patients are, by the files that a node was sent: to look for them where they must not be."""

from __future__ import annotations

import re
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

_NAMES = ["PatientName", "ReferringPhysicianName", "OperatorsName"]
_OTHERS = ["PatientID", "PatientBirthDate", "AccessionNumber", "PatientAddress", "OtherPatientIDsSequence"]
# Shorter ones, such as an ID of 1, are in every log.
_SHORTEST = 5
# Parts of placeholder names in public samples, which are words that a log may have.
_NOBODY = {"phantom", "anonymized", "brain", "slice", "stacks", "timing", "development"}

# Neither part of a longer word or number, nor a component of a UID (digits, with a digit behind the next full stop).
_AS_A_WORD = r"(?<![^\W_])(?<!\d\.){}(?![^\W_])(?!\.\d)"


def identifiers_in(folder: Path) -> set[str]:
    """Names, their parts, IDs, accession numbers and birth dates in the DICOM files below a folder, in lower case.

    Left out is what cannot be distinguished from other words.
    """
    found: set[str] = set()
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        try:
            dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=[*_NAMES, *_OTHERS])
        except (InvalidDicomError, OSError, EOFError):
            continue
        found |= {part for name in _NAMES for part in _parts(str(dataset.get(name, "")))}
        found |= {str(dataset.get(tag, "")) for tag in _OTHERS[:-1]}
        found |= {str(item.get("PatientID", "")) for item in dataset.get("OtherPatientIDsSequence", [])}
    words = {text.strip().lower() for text in found}
    return {word for word in words if len(word) >= _SHORTEST and word not in _NOBODY}


def _parts(name: str) -> set[str]:
    return {name, *re.split(r"[\^= ]+", name)}


def check_no_identifier(text: str, folder: Path) -> None:
    """The text holds none of the identifiers of the files below a folder, as a word of its own.

    A file's name and a name put together with "_" have words of their own too; a component of a UID is none.
    """
    lower = text.lower()
    told = sorted(
        identifier
        for identifier in identifiers_in(folder)
        if re.search(_AS_A_WORD.format(re.escape(identifier)), lower)
    )
    assert told == [], f"the log tells who the patient is: {told}"
