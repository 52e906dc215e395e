"""Logs hold no patient data."""

from __future__ import annotations

import subprocess
import sys

from dicom_node.logs import describe_error

PROGRAM = """
import logging, warnings
from dicom_node.logs import configure_logs
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
