"""Find the series in files and folders that a user points at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset


@dataclass(frozen=True)
class SeriesFiles:
    """The files of one series, with their headers in the same order."""

    series_instance_uid: str
    paths: tuple[Path, ...]
    headers: tuple[Dataset, ...]


@dataclass(frozen=True)
class FoundSeries:
    """What lies under a path: series, and files that are no readable DICOM image with the reason."""

    series: tuple[SeriesFiles, ...]
    unreadable: tuple[tuple[Path, str], ...]


def find_series(paths: Sequence[Path]) -> FoundSeries:
    """Look through files and (recursively) folders; DICOMDIR and non-DICOM files are listed as unreadable."""
    raise NotImplementedError
