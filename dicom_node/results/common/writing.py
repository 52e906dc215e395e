"""Data sets as the bytes of a DICOM file."""

from __future__ import annotations

from io import BytesIO

from pydicom.dataset import Dataset


def part10_bytes(dataset: Dataset) -> bytes:
    """A data set with its file meta information as the bytes of a DICOM file (PS3.10)."""
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()
