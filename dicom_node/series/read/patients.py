"""Whether all headers of a series name one patient: a result is filed under one of them, who may be the wrong one."""

from __future__ import annotations

from collections.abc import Iterable

from pydicom.dataset import Dataset

from dicom_node.node.errors import UnreadableObject
from dicom_node.series.dicom import values
from dicom_node.series.dicom.frames import IMAGE_CLASSES

_WHOSE = "find out which patients they belong to, and send each patient's images as a separate series."


def require_one_patient(headers: Iterable[Dataset]) -> None:
    """All headers name the same patient (PS3.3 C.7.1.1): by identifier and issuer, or where no image has one by name.

    An identifier is there or not; of issuer, name and birth date a blank is no other person. A vendor's raw object or a
    note among the images counts only when it names a patient: many of these do not.

    Raises:
        UnreadableObject: `several_patients`; no identifier is reported.
    """
    named = [header for header in headers if _is_image(header) or values.text(header, "PatientID")]
    identifiers = {values.text(header, "PatientID") for header in named}
    if len(identifiers) > 1:
        raise _several(len(identifiers), "patient IDs")
    issuers = {values.text(header, "IssuerOfPatientID") for header in named} - {""}
    if len(issuers) > 1:
        raise _several(len(issuers), "issuers of the patient ID")
    if identifiers == {""}:
        for what, elements in (("names", map(_name_groups, named)), ("birth dates", map(_birth_date, named))):
            if (count := max(len(set(group) - {""}) for group in zip(*elements, strict=True))) > 1:
                raise _several(count, f"{what} and no patient ID")


def names_another(one: Dataset, other: Dataset) -> bool:
    """Two files of one instance name different patients: the later one is a correction (IHE PIR), or a mistake.

    What a file does not say makes no other patient, and neither do case and blanks of a name: an archive that touches
    an object does no more. A PatientID where there was none is one.
    """
    pairs = [
        (values.text(one, "PatientID"), values.text(other, "PatientID")),
        (values.text(one, "IssuerOfPatientID"), values.text(other, "IssuerOfPatientID")),
        *zip(_name_groups(one), _name_groups(other), strict=True),
        *zip(_birth_date(one), _birth_date(other), strict=True),
    ]
    gains_identifier = not pairs[0][0] and bool(pairs[0][1])
    return gains_identifier or any(first and second and first != second for first, second in pairs)


def _is_image(header: Dataset) -> bool:
    return values.text(header, "SOPClassUID") in IMAGE_CLASSES


def _name_groups(header: Dataset) -> tuple[str, str, str]:
    """The name in Latin letters, in ideographs and as it sounds (PS3.5 6.2.1.2); what is not given is "".

    Case and blanks are no difference (PS3.5 6.2.1.1), and components that are empty at the end are often left out.
    """
    groups = values.text(header, "PatientName").casefold().split("=")
    alphabetic, ideographic, phonetic = (
        "^".join(part.strip() for part in group.split("^")).rstrip("^") for group in (*groups, "", "", "")[:3]
    )
    return alphabetic, ideographic, phonetic


def _birth_date(header: Dataset) -> tuple[str]:
    return (values.text(header, "PatientBirthDate").replace(".", ""),)  # 1950.01.01 is the form of ACR-NEMA 2.0


def _several(count: int, what: str) -> UnreadableObject:
    return UnreadableObject(
        "several_patients", f"The images of this series have {count} different {what}, and one is expected; {_WHOSE}"
    )
