"""Whether all headers of a series name one patient: a result is filed under one of them, who may be the wrong one."""

from __future__ import annotations

from collections.abc import Iterable

from pydicom.dataset import Dataset

from dicom_node.errors import UnreadableObject
from dicom_node.reading import values
from dicom_node.reading.frames import IMAGE_CLASSES

_WHOSE = "find out whose they are, and send each patient's images as a series of their own."


def require_one_patient(headers: Iterable[Dataset]) -> None:
    """All headers name the same patient (PS3.3 C.7.1.1): by identifier and issuer, or where no image has one by name.

    A vendor's raw object or a note among the images counts only when it names somebody: many of these name nobody.

    Raises:
        UnreadableObject: `several_patients`; no identifier is told.
    """
    named = [header for header in headers if _is_image(header) or values.text(header, "PatientID")]
    identifiers = {values.text(header, "PatientID") for header in named}
    if len(identifiers) > 1:
        raise _several(len(identifiers), "patient IDs")
    issuers = {values.text(header, "IssuerOfPatientID") for header in named} - {""}
    if len(issuers) > 1:
        raise _several(len(issuers), "issuers of the patient ID")
    if identifiers == {""}:
        people = {_person(header) for header in named}
        if len(people) > 1:
            raise _several(len(people), "names or birth dates and no patient ID")


def _is_image(header: Dataset) -> bool:
    return values.text(header, "SOPClassUID") in IMAGE_CLASSES


def _person(header: Dataset) -> tuple[str, str]:
    # Components and groups that are empty at the end are often left out (PS3.5 6.2), and case is none (PS3.5 6.2.1.1).
    name = values.text(header, "PatientName").rstrip("^= ").casefold()
    return name, values.text(header, "PatientBirthDate")


def _several(count: int, what: str) -> UnreadableObject:
    return UnreadableObject(
        "several_patients", f"The images of this series have {count} different {what}, and one is expected; {_WHOSE}"
    )
