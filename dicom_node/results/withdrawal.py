"""The note that results are withdrawn: a Key Object Selection that rejects them (IHE RAD TF-3, IOCM 4.66.4.1.3.3).

An archive that knows IOCM hides or deletes what the note names; another one files it beside the results, where a reader
finds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from highdicom.sr import CodedConcept
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import ExplicitVRLittleEndian

from dicom_node.node.errors import ResultError
from dicom_node.node.version import MANUFACTURER
from dicom_node.results.common.headers import file_meta_of
from dicom_node.results.common.identity import copy_elements, identity_of
from dicom_node.results.common.stamp import stamp_of
from dicom_node.results.common.uids import uuid_uid
from dicom_node.series.dicom import values

# PS3.16 CID 7011 and IHE RAD TF-3 table 4.66-1: why instances are rejected.
QUALITY: Final = ("113001", "Rejected for Quality Reasons")
PATIENT_SAFETY: Final = ("113037", "Rejected for Patient Safety Reasons")
_OFFSET: Final = 907  # behind the results of the same source, see `results.common.headers`
_SERIES_DESCRIPTION: Final = "WMH results withdrawn"
_EQUIPMENT: Final = ("ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions", "DeviceUID")


def build_withdrawal(files: Sequence[Path], reason: str, withdrawn_at: datetime, *, patient_safety: bool) -> Dataset:
    """The note about the objects of one result set, ready to be written.

    Args:
        files: Part 10 files of the outbox, all of one study.
        reason: in words of a person; what is not ASCII becomes "?".
        withdrawn_at: with a time zone.
        patient_safety: whether the results must not be seen any more; else they are of bad quality.

    Returns:
        a data set with file meta information. The same objects and kind of reason give the same UIDs.

    Raises:
        ResultError: an object cannot be read.
    """
    objects = [_head(file) for file in files]
    source = objects[0]
    code, meaning = PATIENT_SAFETY if patient_safety else QUALITY
    named = "\n".join(sorted(str(obj.SOPInstanceUID) for obj in objects))
    document = KeyObjectSelectionDocument(
        evidence=objects,
        content=KeyObjectSelection(
            document_title=CodedConcept(code, "DCM", meaning),
            referenced_objects=objects,
            description=reason.encode("ascii", "replace").decode(),
        ),
        series_instance_uid=uuid_uid(f"withdrawal-series\n{code}\n{named}"),
        series_number=_series_number(source),
        sop_instance_uid=uuid_uid(f"withdrawal-instance\n{code}\n{named}"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        series_description=_SERIES_DESCRIPTION,
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    result = Dataset()
    result.update(document)
    result.pop("SpecificCharacterSet", None)
    result.update(identity_of(source))
    copy_elements(source, result, _EQUIPMENT)
    stamp = stamp_of(withdrawn_at, source)
    for moment in ("InstanceCreation", "Series", "Content"):
        setattr(result, f"{moment}Date", stamp.date)
        setattr(result, f"{moment}Time", stamp.time)
    if stamp.offset:
        result.TimezoneOffsetFromUTC = stamp.offset
    result.file_meta = file_meta_of(result)
    return result


def _head(file: Path) -> Dataset:
    try:
        head = dcmread(file, stop_before_pixels=True)
    except OSError as error:
        raise ResultError(f"{file.name} of the result set cannot be read: {error.strerror}") from error
    except InvalidDicomError as error:
        raise ResultError(f"{file.name} of the result set is no DICOM file any more") from error
    head.update(identity_of(head))  # highdicom takes type 2 elements for granted
    return head


def _series_number(source: Dataset) -> int:
    number = values.whole(source, "SeriesNumber") or 0
    return (number // 1000 or 9) * 1000 + _OFFSET
