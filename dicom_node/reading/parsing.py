"""The one place where bytes become data sets, and where every parser error becomes UnreadableObject."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import FileDataset


def read_header(path: Path) -> FileDataset:
    """Read everything of a DICOM file but its bulk pixel data.

    Raises:
        UnreadableObject: the file is no DICOM object, or is cut off or corrupt.
    """
    raise NotImplementedError
