"""Series found by what people know of them: UIDs from the database, accession number and description from one image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

from db.inbox import Inbox
from db.records import Job, SeriesActivity
from dicom_node.node.errors import UnreadableObject

# Reading an image takes milliseconds: only the newest series are read.
_MOST_READ: Final = 500

Found = TypeVar("Found", Job, SeriesActivity)


class SeriesFinder:
    """Keeps what a text names: a UID of the study or the series, its accession number, or a part of its description.

    Args:
        text: any case; None finds everything.
        inbox: rows of the images.
        storage: where their paths start.
    """

    def __init__(self, text: str | None, inbox: Inbox, storage: Path) -> None:
        self._text = None if text is None else text.strip().casefold()
        self._inbox = inbox
        self._storage = storage

    def keep(self, rows: Sequence[Found], limit: int | None = None) -> list[Found]:
        """Those that the text names, in their order, at most so many."""
        found: list[Found] = []
        for row in rows if self._text is None else self._named(rows):
            if limit is not None and len(found) == limit:
                break
            found.append(row)
        return found

    def _named(self, rows: Sequence[Found]) -> Iterator[Found]:
        read = 0
        for row in rows:
            if self._text in (row.series_instance_uid, row.study_instance_uid):
                yield row
            elif read < _MOST_READ and not _is_uid(self._text or ""):
                read += 1
                if self._is_in_image(row.series_instance_uid):
                    yield row

    def _is_in_image(self, series_instance_uid: str) -> bool:
        from dicom_node.series.dicom.parsing import read_header  # pydicom, which a list without a text need not load

        text = self._text or ""
        for first in self._inbox.instances_of(series_instance_uid)[:1]:
            try:
                header = read_header(self._storage / first.path)
            except UnreadableObject:  # damaged, or removed by the retention rules
                return False
            accession, description = (str(header.get(name, "")) for name in ("AccessionNumber", "SeriesDescription"))
            return bool(text) and (text == accession.strip().casefold() or text in description.casefold())
        return False


def _is_uid(text: str) -> bool:
    return text.count(".") > 2 and text.replace(".", "").isdigit()
