"""What a result says where no earlier result is known; the same served and from files on a disk (ADR 4)."""

from __future__ import annotations

from typing import Final

from pydicom import Dataset

from dicom_node.analyse.follow_up.patient_key import PatientHasher
from dicom_node.results.common.comparison import NoEarlierScan
from dicom_node.series.dicom.examination import acquired_on

# Whether there is an identifier does not depend on the key.
_ANY_KEY: Final = PatientHasher(b"")


def none_known(header: Dataset) -> NoEarlierScan:
    """Why no earlier scan of the patient is known.

    Args:
        header: of any image of the series.
    """
    if _ANY_KEY.identity(header) is None:
        return NoEarlierScan("no_patient_identifier")
    return NoEarlierScan("none_known" if acquired_on(header) is not None else "no_date")
