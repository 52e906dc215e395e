"""Read a FLAIR series from DICOM files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dicom_node.reading.flair_series import FlairSeries, SourceFrame

__all__ = ["FlairSeries", "SourceFrame", "read_series"]


def read_series(paths: Sequence[Path]) -> FlairSeries:
    """Read the files of one series into one regular volume.

    Args:
        paths: the files of one series, in any order.

    Raises:
        NotFlair: the series is readable, but is not a brain FLAIR.
        IncompleteSeries: slices are missing, or too few.
        UnreadableObject: a file is no DICOM, or its pixels cannot be decoded.
        UnsupportedGeometry: the slices do not stack into one regular axial volume.
    """
    raise NotImplementedError
