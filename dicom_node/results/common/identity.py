"""Patient and study of a result: the source's own names and identifiers, and of the rest what is legal.

A PACS files a result by these values, as it has filed the images: names and identifiers are copied byte for byte, legal
or not (too long, several values, undeclared characters), and nothing is corrected by guessing. Other attributes are
copied only where they are legal. Real headers lack type 2 attributes, or hold dates that are none: those become empty
(PS3.3 allows it), never an error.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from copy import deepcopy
from datetime import date
from typing import Final

from pydicom.charset import python_encoding
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from dicom_node.results.common.legality import encodings_of, problems_of
from dicom_node.series.dicom import values
from dicom_node.series.dicom.parsing import PARSER_ERRORS

# Type 2: always there, empty when unknown (PS3.3 C.7.1.1 Patient, C.7.2.1 General Study).
REQUIRED: Final = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
)
# PS3.3 C.7.1.3, C.7.2.3.
_CLINICAL_TRIAL: Final = (
    "ClinicalTrialSponsorName",
    "ClinicalTrialProtocolID",
    "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID",
    "ClinicalTrialSiteName",
    "ClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID",
    "ClinicalTrialTimePointID",
    "ClinicalTrialTimePointDescription",
)
# Copied when there: what files or explains the study (PS3.3 C.7.1.1, C.7.2.1, C.7.2.2, C.7.1.3, C.7.2.3). Free text
# about the patient (comments, history) stays with the images.
OPTIONAL: Final = (
    "IssuerOfPatientID",
    "OtherPatientIDsSequence",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "StudyDescription",
    "IssuerOfAccessionNumberSequence",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    *_CLINICAL_TRIAL,
)
# Names and identifiers: a PACS that accepted the images with them matches results by them, so they are never checked.
AS_IT_IS: Final = frozenset(
    {
        "PatientName",
        "PatientID",
        "IssuerOfPatientID",
        "ReferringPhysicianName",
        "StudyID",
        "AccessionNumber",
        "StudyDescription",
        *_CLINICAL_TRIAL,
    }
)
_ENUMERATED: Final = {"PatientSex": ("M", "F", "O"), "PatientIdentityRemoved": ("YES", "NO")}

# One of them is type 1C, required where PatientIdentityRemoved is YES (PS3.3 C.7.1.1).
_METHODS: Final = ("DeidentificationMethod", "DeidentificationMethodCodeSequence")

# Type 1 in the items of a sequence (PS3.3 C.7.1.1); of a code: PS3.3 Table 8.8-1.
ITEMS_NEED: Final = {"OtherPatientIDsSequence": ("PatientID", "TypeOfPatientID")}
_CODES: Final = "CodeSequence"  # so end the keywords of all sequences of codes
_CODE_VALUES: Final = ("CodeValue", "LongCodeValue", "URNCodeValue")

_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?|60(\.\d{1,6})?)?)?")
_AGE = re.compile(r"\d{3}[DWMY]")
_CHARACTER_SET = re.compile(r"ISO[ _-]*IR[ _-]*(\d+)", re.IGNORECASE)


def copy_elements(source: Dataset, target: Dataset, keywords: tuple[str, ...]) -> None:
    """Copy the elements that are there, legal and encodable; the others stay away. No value is changed.

    Those of `AS_IT_IS` are copied even where they are illegal.
    """
    for keyword in keywords:
        element = _legal_element(source, keyword)
        if element is not None:
            target.add(element)


def identity_of(header: Dataset) -> Dataset:
    """The patient and study attributes for a result of this source instance.

    Args:
        header: one source instance, without pixels.

    Returns:
        A data set with StudyInstanceUID, all of `REQUIRED`, what is there of `OPTIONAL`, and SpecificCharacterSet where
        the source names a known one.
    """
    identity = _in_character_set_of(header)
    identity.StudyInstanceUID = values.text(header, "StudyInstanceUID")
    copy_elements(header, identity, REQUIRED + OPTIONAL)
    _drop_unexplained_removal(identity)
    for keyword in REQUIRED:
        if keyword not in identity:
            setattr(identity, keyword, "")
    return identity


def _drop_unexplained_removal(identity: Dataset) -> None:
    """Of a YES in PatientIdentityRemoved that says not how, leave nothing, in place: the element is type 3 and files
    nothing, and how the images were de-identified is not ours to make up."""
    removed = values.text(identity, "PatientIdentityRemoved") == "YES"
    if removed and not any(keyword in identity for keyword in _METHODS):
        del identity.PatientIdentityRemoved


def character_set_of(header: Dataset) -> str | list[str] | None:
    """SpecificCharacterSet (0008,0005) of a header, its spelling corrected; None where it is absent or unknown.

    Our own text is ASCII, which every character set holds, so that the source's serves for the result too.
    """
    found = [_spelled(term) for term in values.texts(header, "SpecificCharacterSet")]
    if not any(found) or any(term not in python_encoding for term in found):
        return None
    return found[0] if len(found) == 1 else found


def _spelled(term: str) -> str:
    """`ISO IR 192` and the like, seen in the wild, as PS3.3 C.12.1.1.2 spells them."""
    match = _CHARACTER_SET.fullmatch(term)
    return f"ISO_IR {match[1]}" if match else term


def _legal_element(source: Dataset, keyword: str) -> DataElement | None:
    if values.raw(source, keyword) is None:
        return None
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    element = source[tag]
    if element.is_empty or not _is_legal(keyword, source) or not _is_encodable(element, source):
        return None
    return deepcopy(element)


def _is_legal(keyword: str, source: Dataset) -> bool:
    """Whether the value may stand in a result. Names and identifiers always may."""
    if keyword in AS_IT_IS:
        return True
    try:
        sound = _is_sound(source[keyword], encodings_of(_in_character_set_of(source)))
    except PARSER_ERRORS:  # something in an item cannot be understood
        sound = False
    if not sound:
        return False
    if keyword in _ENUMERATED:
        return values.text(source, keyword) in _ENUMERATED[keyword]
    check = _CHECKS.get(dictionary_VR(keyword))
    return check is None or all(map(check, values.texts(source, keyword)))


def _is_sound(element: DataElement, encodings: Sequence[str]) -> bool:
    """Whether the result checks would pass the element, with everything below it."""
    if any(problems_of(element, (), encodings)):
        return False
    if element.VR != "SQ":
        return True
    return all(
        _is_whole(item, element.keyword) and all(_is_sound(inner, encodings) for inner in item)
        for item in element.value
    )


def _is_whole(item: Dataset, keyword: str) -> bool:
    """Whether an item of this sequence has what it must have; an empty one says nothing."""
    if keyword.endswith(_CODES):
        has_value = any(values.text(item, value) for value in _CODE_VALUES)
        has_scheme = bool(values.text(item, "CodingSchemeDesignator") or values.text(item, "URNCodeValue"))
        return has_value and has_scheme and bool(values.text(item, "CodeMeaning"))
    return len(item) > 0 and all(values.text(item, needed) for needed in ITEMS_NEED.get(keyword, ()))


def _is_date(text: str) -> bool:
    """YYYYMMDD that is in the calendar (PS3.5 6.2 DA)."""
    if not re.fullmatch(r"\d{8}", text):
        return False
    try:
        date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return False
    return True


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


_CHECKS: Final[dict[str, Callable[[str], bool]]] = {
    "AS": lambda text: _AGE.fullmatch(text) is not None,
    "DA": _is_date,
    "DS": _is_number,
    "TM": lambda text: _TIME.fullmatch(text) is not None,
}


def _is_encodable(element: DataElement, source: Dataset) -> bool:
    """The writer can write it; a parser that forgave a broken value does not promise that."""
    alone = _in_character_set_of(source)
    alone.add(element)
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    try:
        write_dataset(stream, alone)
    except PARSER_ERRORS:
        return False
    return True


def _in_character_set_of(source: Dataset) -> Dataset:
    """A data set with nothing but the source's SpecificCharacterSet, if that is known."""
    alone = Dataset()
    character_set = character_set_of(source)
    if character_set:
        alone.SpecificCharacterSet = character_set
    return alone
