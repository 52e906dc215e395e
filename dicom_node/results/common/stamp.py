"""The time of the analysis, as DICOM writes it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from pydicom.dataset import Dataset

from dicom_node.node.errors import ResultError
from dicom_node.series.dicom import values

_OFFSET = re.compile(r"([+-])(\d\d)([0-5]\d)")
_LARGEST_OFFSET = timedelta(hours=14)


@dataclass(frozen=True)
class Stamp:
    """One moment in the time zone of a study.

    Attributes:
        moment: with a time zone, without a fraction of a second.
        offset: TimezoneOffsetFromUTC (0008,0201) of the source, or "" where it names none.
    """

    moment: datetime
    offset: str

    @property
    def date(self) -> str:
        """DA."""
        return self.moment.strftime("%Y%m%d")

    @property
    def time(self) -> str:
        """TM."""
        return self.moment.strftime("%H%M%S")

    @property
    def date_time(self) -> str:
        """DT, with its offset from UTC."""
        return self.moment.strftime("%Y%m%d%H%M%S%z")


def stamp_of(analysed_at: datetime, header: Dataset) -> Stamp:
    """The moment of the analysis as the source's study would write it.

    Dates and times of one instance share one zone (PS3.3 C.12.1.1.8). Where the source names its offset, that is used
    and repeated; where it does not, its times are local ones, so that ours are in the local zone of this machine too.

    Raises:
        ResultError: `analysed_at` has no time zone.
    """
    if analysed_at.tzinfo is None:
        raise ResultError("expected analysed_at with a time zone, got one without; pass a UTC time")
    whole = analysed_at.replace(microsecond=0)
    text = values.text(header, "TimezoneOffsetFromUTC")
    offset = _offset(text)
    if offset is None:
        return Stamp(whole.astimezone(), "")
    return Stamp(whole.astimezone(timezone(offset)), text)


def _offset(text: str) -> timedelta | None:
    match = _OFFSET.fullmatch(text)
    if match is None:
        return None
    size = timedelta(hours=int(match[2]), minutes=int(match[3]))
    if size > _LARGEST_OFFSET:
        return None
    return -size if match[1] == "-" else size
