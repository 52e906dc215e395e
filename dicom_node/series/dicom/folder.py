"""Find the series in files and folders that a user points at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from dicom_node.node.errors import UnreadableObject
from dicom_node.series.dicom import values
from dicom_node.series.dicom.parsing import read_header

_PREFIX_END = 132
_DICOMDIR = "DICOMDIR"
_ENDINGS = (".dcm", ".ima", ".dicom")
_APPLE_DOUBLE = (b"\0\5\x16\7", b"\0\5\x16\0")


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
    """Look through files and (recursively) folders; DICOMDIR and non-DICOM files are listed as unreadable,
    and what an operating system leaves in folders is passed over.

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


@dataclass(frozen=True)
class StudyFiles:
    """The files of each study, without their headers, so that a folder of thousands of studies takes little memory."""

    studies: tuple[tuple[Path, ...], ...]
    unreadable: tuple[tuple[Path, str], ...]


def group_by_study(paths: Sequence[Path]) -> StudyFiles:
    """Look through files and folders as `find_series` does; studies come in order of their first file's path."""
    studies: dict[str, list[Path]] = {}
    unreadable: list[tuple[Path, str]] = []
    for path in _files(paths):
        try:
            header = read_header(path)
        except UnreadableObject as error:
            unreadable.append((path, error.reason))
            continue
        if uid := values.text(header, "SeriesInstanceUID"):
            # A series without a study, which must not be, is a study of its own.
            studies.setdefault(values.text(header, "StudyInstanceUID") or uid, []).append(path)
        else:
            unreadable.append((path, "The file has no SeriesInstanceUID (a DICOMDIR, or no image)."))
    return StudyFiles(tuple(map(tuple, studies.values())), tuple(unreadable))


def looks_like_dicom(path: Path) -> bool:
    """Whether an unreadable file was DICOM once: by its prefix, or by its ending."""
    return path.name.upper() != _DICOMDIR and (path.suffix.lower() in _ENDINGS or _was_dicom(path, set()))


def lost_beside(series: SeriesFiles, unreadable: Sequence[tuple[Path, str]]) -> tuple[Path, ...]:
    """Unreadable files that may be slices of a series: in its folders, and DICOM by prefix, emptied, or named alike."""
    folders = {path.parent for path in series.paths}
    endings = {path.suffix for path in series.paths}
    return tuple(
        path
        for path, _ in unreadable
        if path.parent in folders and path.name.upper() != _DICOMDIR and _was_dicom(path, endings)
    )


def _was_dicom(path: Path, endings: set[str]) -> bool:
    try:
        with path.open("rb") as stream:
            head = stream.read(_PREFIX_END)
    except OSError:
        return path.suffix in endings
    return head[_PREFIX_END - 4 :] == b"DICM" or (path.suffix in endings and not head.strip(b"\0"))


def _is_of_the_system(path: Path) -> bool:
    """What macOS and Windows leave in folders: AppleDouble (RFC 1740), .DS_Store, thumbnails."""
    if path.name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        return True
    if not path.name.startswith("._"):
        return False
    try:
        with path.open("rb") as stream:
            return stream.read(4) in _APPLE_DOUBLE
    except OSError:
        return False


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(found for found in path.rglob("*") if found.is_file() and not _is_of_the_system(found))
        else:
            yield path
