"""Logs hold no patient data."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.identifiers import check_no_identifier
from support.mr import mr_object, write_object

import dicom_node
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


LATE = """
import logging, sys
from dicom_node.node.logger import configure_logs_late, get_logger
configure_logs_late()
log = get_logger()
assert "structlog" not in sys.modules
logging.getLogger("pydicom").error("Invalid value SECRET")
assert "structlog" not in sys.modules
{first}
log.warning("series complete", series="1.2.3")
log.info("not wanted")
from dicom_node.node.logs import configure_logs
configure_logs("info", "json", role="test")
log.info("wanted")
"""


@pytest.mark.parametrize("first", ["", 'logging.getLogger("other").warning("of a library")'])
def test_the_log_is_configured_with_its_first_line(first: str) -> None:
    """A late log loads structlog with the first line, of ours or of a library, and can be configured again after."""
    program = LATE.format(first=first)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert "SECRET" not in done.stderr
    assert "not wanted" not in done.stderr
    assert ("of a library" in done.stderr) == bool(first)
    assert "series=1.2.3" in done.stderr
    assert '"event": "wanted"' in done.stderr


def test_one_module_alone_loads_the_log() -> None:
    """Every module takes its logger from `dicom_node.node.logger`: structlog costs a fifth of a start."""
    root = Path(dicom_node.__file__).parent
    files = [path for path in root.rglob("*.py") if "import structlog" in path.read_text()]
    loading = {path.relative_to(root).as_posix() for path in files}
    assert loading == {"node/logger.py", "node/logs.py"}


def test_unexpected_errors_are_reported_without_their_message() -> None:
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
