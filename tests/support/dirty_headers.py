"""Values that scanners and information systems write against the standard, as seen in the field."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset
from support.result_cases import Case, series_of

from dicom_node.series.read.flair_series import FlairSeries
from dicom_node.series.read.series import read_series


@dataclass(frozen=True)
class DirtyHeader:
    """Elements of a source, and what results make of them.

    Attributes:
        elements: keyword -> value, on every instance.
        passed_on: keywords of what results have byte for byte.
        left_out: keywords of what results do not have, neither at their root nor in the scanner's item.
    """

    elements: dict[str, object]
    passed_on: tuple[str, ...] = field(default=())
    left_out: tuple[str, ...] = field(default=())


def item(**elements: object) -> Dataset:
    """An item of a sequence."""
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def _passed(keyword: str, value: object) -> DirtyHeader:
    return DirtyHeader({keyword: value}, passed_on=(keyword,))


def _left_out(keyword: str, value: object) -> DirtyHeader:
    return DirtyHeader({keyword: value}, left_out=(keyword,))


_CODE = {"CodeValue": "113100", "CodingSchemeDesignator": "DCM"}
_OTHER_ID = {"PatientID": "OTHER-7", "TypeOfPatientID": "TEXT"}

DIRTY: Final = {
    "accession number of 17": _passed("AccessionNumber", "A2026032900000017"),
    "two accession numbers": _passed("AccessionNumber", ["A-1", "A-2"]),
    "long study id": _passed("StudyID", "STUDY-0123456789-0123456789"),
    "long study description": _passed("StudyDescription", "MR head " * 12),
    "two study descriptions": _passed("StudyDescription", ["MR", "Head"]),
    "long patient id": _passed("PatientID", "P" * 70),
    "patient id with a backslash": _passed("PatientID", ["P-1", "P-2"]),
    "long patient name": _passed("PatientName", "Nemo" * 17 + "^Captain"),
    "long issuer": _passed("IssuerOfPatientID", "ISSUER" * 12),
    "long referring physician": _passed("ReferringPhysicianName", "House" * 15 + "^Gregory"),
    "two referring physicians": _passed("ReferringPhysicianName", ["House^Gregory", "Wilson^James"]),
    "long subject id": _passed("ClinicalTrialSubjectID", "S" * 70),
    "two study dates": DirtyHeader({"StudyDate": ["20260101", "20260102"]}),
    "two weights": _left_out("PatientWeight", ["70", "71"]),
    "long station name": _left_out("StationName", "AWP-ROOM-2-MAGNETOM"),
    "long manufacturer": DirtyHeader({"Manufacturer": "Maker of scanners " * 5}),
    "long software version": DirtyHeader({"SoftwareVersions": ["VE11C", "syngo MR E11 " * 6]}),
    "long deidentification method": _left_out("DeidentificationMethod", "all that names a person was taken out " * 3),
    "code without meaning": _left_out("DeidentificationMethodCodeSequence", [item(**_CODE)]),
    "empty code": _left_out("DeidentificationMethodCodeSequence", [item()]),
    "meaning without code": _left_out("DeidentificationMethodCodeSequence", [item(CodeMeaning="Basic profile")]),
    "identity removed, not said how": _left_out("PatientIdentityRemoved", "YES"),
    "identity removed by an empty method": DirtyHeader(
        {"PatientIdentityRemoved": "YES", "DeidentificationMethod": "", "DeidentificationMethodCodeSequence": []},
        left_out=("PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence"),
    ),
    "identity removed by a method that is too long": DirtyHeader(
        {"PatientIdentityRemoved": "YES", "DeidentificationMethod": "all that names a person was taken out " * 3},
        left_out=("PatientIdentityRemoved", "DeidentificationMethod"),
    ),
    "identity removed by a code without meaning": DirtyHeader(
        {"PatientIdentityRemoved": "YES", "DeidentificationMethodCodeSequence": [item(**_CODE)]},
        left_out=("PatientIdentityRemoved", "DeidentificationMethodCodeSequence"),
    ),
    "identity removed as it should be": DirtyHeader(
        {"PatientIdentityRemoved": "YES", "DeidentificationMethod": "Basic profile"},
        passed_on=("PatientIdentityRemoved", "DeidentificationMethod"),
    ),
    "identity not removed": _passed("PatientIdentityRemoved", "NO"),
    "other id without type": _left_out("OtherPatientIDsSequence", [item(PatientID="OTHER-7")]),
    "other id that is empty": _left_out("OtherPatientIDsSequence", [item(**_OTHER_ID), item()]),
    "other id that is too long": _left_out(
        "OtherPatientIDsSequence", [item(PatientID="P" * 70, TypeOfPatientID="TEXT")]
    ),
    "other id with a bad code below": _left_out(
        "OtherPatientIDsSequence",
        [
            item(
                **_OTHER_ID,
                IssuerOfPatientIDQualifiersSequence=[item(AssigningAgencyOrDepartmentCodeSequence=[item(**_CODE)])],
            )
        ],
    ),
    "issuer of nothing": _left_out("IssuerOfAccessionNumberSequence", [item()]),
    "other ids as they should be": DirtyHeader({"OtherPatientIDsSequence": [item(**_OTHER_ID)]}),
}


def with_undeclared_latin(case: Case, folder: Path) -> FlairSeries:
    """A series with Müller^Jürg, Schädel (StudyDescription) and Brücke (StationName) in undeclared Latin-1."""
    plain = {"PatientName": "Muller^Jurg", "StudyDescription": "Schadel", "StationName": "Brucke"}
    latin = {"PatientName": "Müller^Jürg", "StudyDescription": "Schädel", "StationName": "Brücke"}
    series_of(case, folder, extra=plain)
    for file in folder.iterdir():
        data = file.read_bytes().replace(b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 192", b"")
        for keyword, text in latin.items():
            data = data.replace(plain[keyword].encode(), text.encode("latin-1"))
        file.write_bytes(data)
    series = read_series(sorted(folder.iterdir()))
    assert "SpecificCharacterSet" not in series.headers[0]
    return series
