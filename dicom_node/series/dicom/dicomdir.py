"""The files that a DICOMDIR names (PS3.3 F.3, Basic Directory IOD; PS3.10 8.6)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydicom.multival import MultiValue

from dicom_node.node.errors import UnreadableObject
from dicom_node.series.dicom.parsing import guarded, read_object

NAME: Final = "DICOMDIR"
# Components of a Referenced File ID (0004,1500) hold capital letters, digits and the underscore (PS3.10 8.5); real
# discs have dots too. Anything that could lead out of the folder is left out.
_UNREADABLE: Final = "The DICOMDIR cannot be read; name its folder in its place, so that every file there is looked at"
_OUTSIDE: Final = frozenset({"", ".", ".."})


def files_of_dicomdir(dicomdir: Path) -> tuple[Path, ...]:
    """The image files that the directory records name, in their order; those that do not exist are left in.

    Args:
        dicomdir: the file; the names are relative to its folder. Systems that copy a disc may change the case of names.

    Raises:
        UnreadableObject: the file is no DICOMDIR.
    """
    try:
        records = guarded(lambda: list(read_object(dicomdir).DirectoryRecordSequence), "bad_dicomdir", _UNREADABLE)
    except UnreadableObject as error:
        raise UnreadableObject("bad_dicomdir", f"{_UNREADABLE} ({error.code})") from error
    files = []
    for record in records:
        file_id = record.get("ReferencedFileID")
        if not file_id:
            continue
        parts = [str(part) for part in (file_id if isinstance(file_id, (MultiValue, list)) else [file_id])]
        if any(part in _OUTSIDE or "/" in part or "\\" in part for part in parts):
            continue
        files.append(_existing(dicomdir.parent, parts))
    if not files:
        raise UnreadableObject("bad_dicomdir", "The DICOMDIR names no file.")
    return tuple(dict.fromkeys(files))


def _existing(folder: Path, parts: list[str]) -> Path:
    exact = folder.joinpath(*parts)
    lower = folder.joinpath(*(part.lower() for part in parts))
    return lower if not exact.exists() and lower.exists() else exact
