"""Logs hold no patient data."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.identifiers import check_no_identifier
from support.mr import mr_object, write_object

from dicom_node.node.logs import describe_error

PROGRAM = """
import logging, warnings
from dicom_node.node.logs import configure_logs
configure_logs("debug", "json", role="test")
import structlog
from pydicom.dataset import Dataset
from pydicom import config
ds = Dataset()
ds.PatientName = "SECRET^NAME" * 30
ds.StudyInstanceUID = "SECRET-UID"
ds.PatientBirthDate = "SECRET-DATE"
logging.getLogger("pydicom").error("Invalid value SECRET")
logging.getLogger("pynetdicom.assoc").warning("SECRET")
structlog.get_logger().info("series complete", series="1.2.3")
"""


def test_libraries_that_quote_values_are_silent() -> None:
    """pydicom's and pynetdicom's warnings quote element values; none of them reaches the log."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert "SECRET" not in done.stderr + done.stdout
    assert '"event": "series complete"' in done.stderr


def test_unexpected_errors_are_told_without_their_message() -> None:
    """What is kept of an unexpected error is its type and place, since its message may quote a patient's values."""
    try:
        int("DOE^JANE")
    except ValueError as error:
        words = describe_error(error)
    assert "ValueError" in words
    assert "test_logs.py" in words
    assert "DOE" not in words


@pytest.fixture
def patient(tmp_path: Path) -> Path:
    """A folder with the images of one."""
    header = mr_object()
    header.PatientID, header.PatientBirthDate = "SECRET42", "19010203"
    write_object(header, tmp_path / "image.dcm")
    return tmp_path


@pytest.mark.parametrize(
    "line",
    [
        "series of patient SECRET42.",
        "cannot read /inbox/SECRET42.dcm: it is cut off",
        "SECRET42_T1 rejected",
        "patient=secret42, tried again",
        "born 19010203.",
    ],
)
def test_the_look_for_patients_finds_them(line: str, patient: Path) -> None:
    """What every test with a node ends with sees an ID at the end of a sentence, in a file's name and in a compound."""
    with pytest.raises(AssertionError, match="tells who the patient is"):
        check_no_identifier(line, patient)


@pytest.mark.parametrize(
    "line",
    [
        "series=1.2.840.19010203.4 rejected",
        "series=1.2.840.19010203",
        "series=19010203.4.5",
        "SECRET421, XSECRET42",
        "size=119010203",
    ],
)
def test_the_look_for_patients_finds_no_others(line: str, patient: Path) -> None:
    """A component of a UID and part of a longer word or number identify no patient."""
    check_no_identifier(line, patient)
