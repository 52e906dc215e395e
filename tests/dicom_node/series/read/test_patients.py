"""Who the images of a series are of."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage, RawDataStorage

from dicom_node.node.errors import UnreadableObject
from dicom_node.series.read.patients import require_one_patient


def _header(sop_class: str = MRImageStorage, **elements: str) -> Dataset:
    header = Dataset()
    header.SOPClassUID = sop_class
    for keyword, value in elements.items():
        setattr(header, keyword, value)
    return header


@pytest.mark.parametrize(
    "headers",
    [
        [{"PatientID": "1"}, {"PatientID": " 1 "}],
        [{"PatientID": "1", "PatientName": "A"}, {"PatientID": "1", "PatientName": "B"}],
        [{"PatientID": "1", "IssuerOfPatientID": "NORTH"}, {"PatientID": "1"}],
        [{"PatientName": "Doe^John"}, {"PatientName": "DOE^John^^=X^Y"}],
        [{"PatientName": "Doe ^John"}, {"PatientName": ""}, {}],
        [{"PatientName": "A", "PatientBirthDate": "19500101"}, {"PatientName": "A"}],
        [{"PatientBirthDate": "19500101"}, {"PatientBirthDate": "1950.01.01"}],
        [{"PatientID": "1"}, {"sop_class": RawDataStorage}],
        [{}, {"sop_class": RawDataStorage, "PatientName": "NOBODY"}],
        [],
    ],
)
def test_one_patient(headers: list[dict[str, str]]) -> None:
    """What is left out, or written in another way, makes no second patient; a raw object without ID names none."""
    require_one_patient([_header(**header) for header in headers])


@pytest.mark.parametrize(
    "headers",
    [
        [{"PatientID": "SECRET1"}, {"PatientID": "SECRET2"}],
        [{"PatientID": "SECRET1"}, {}],
        [{"PatientID": "SECRET1"}, {"sop_class": RawDataStorage, "PatientID": "SECRET2"}],
        [{"PatientID": "1", "IssuerOfPatientID": "SECRET1"}, {"PatientID": "1", "IssuerOfPatientID": "SECRET2"}],
        [{"PatientName": "SECRET^One"}, {"PatientName": "SECRET^Two"}],
        [{"PatientName": "SECRET^One=X^Y"}, {"PatientName": "SECRET^One=X^Z"}],
        [{"PatientName": "SECRET", "PatientBirthDate": "19500101"}, {"PatientBirthDate": "19500102"}],
    ],
)
def test_several_patients(headers: list[dict[str, str]]) -> None:
    """Two identifiers, issuers, names or birth dates are two patients; the reason states none of them."""
    with pytest.raises(UnreadableObject) as caught:
        require_one_patient([_header(**header) for header in headers])
    assert caught.value.code == "several_patients"
    assert "SECRET" not in caught.value.reason and "1950" not in caught.value.reason
