"""Find the series in files and folders that a user points at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from dicom_node.node.errors import UnreadableObject
from dicom_node.series.dicom import values
from dicom_node.series.dicom.parsing import read_header


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
    """Look through files and (recursively) folders; DICOMDIR and non-DICOM files are listed as unreadable.

    Series come in order of their first file's path. A path that does not exist is listed as unreadable too.
    """
    members: dict[str, list[tuple[Path, Dataset]]] = {}
    unreadable: list[tuple[Path, str]] = []
    for path in _files(paths):
        try:
            header = read_header(path)
        except UnreadableObject as error:
            unreadable.append((path, error.reason))
            continue
        uid = values.text(header, "SeriesInstanceUID")
        if uid:
            members.setdefault(uid, []).append((path, header))
        else:
            unreadable.append((path, "The file has no SeriesInstanceUID (a DICOMDIR, or no image)."))
    series = tuple(
        SeriesFiles(uid, tuple(path for path, _ in found), tuple(header for _, header in found))
        for uid, found in members.items()
    )
    return FoundSeries(series=series, unreadable=tuple(unreadable))


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(found for found in path.rglob("*") if found.is_file())
        else:
            yield path
