"""What a segmentation says of itself, before anything is decided about it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from db.records import FeedbackFacts
from dicom_node.node.version import MANUFACTURER, SOFTWARE_NAME
from dicom_node.series.dicom import values
from dicom_node.series.dicom.parsing import PARSER_ERRORS

_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)+")
_MOST_SERIES: Final = 32
_MOST_INSTANCES: Final = 32  # a few are enough to find their series
_UUID_ROOT: Final = "2.25."
_NAME_BASED: Final = 5  # version of a UUID that was made of a name (RFC 9562 5.5)
_DATE_TIME: Final = re.compile(r"(\d{8})(\d{6})?")


def describe(header: Dataset) -> FeedbackFacts:
    """Who corrected, when, with what, and what the object refers to.

    The names are those of people: they may go into the database, and nowhere else by themselves.
    """
    return FeedbackFacts(
        content_creator=_creator(header),
        operator=_name(header, "OperatorsName"),
        content_time=_content_time(header),
        made_with=_made_with(header),
        refers_to={
            "series": _first(_referenced_series(header), _MOST_SERIES),
            "instances": _first(_referenced_instances(header), _MOST_INSTANCES),
            "study": values.text(header, "StudyInstanceUID"),
        },
    )


def claims_to_be_ours(header: Dataset) -> bool:
    """It names our equipment, and its UID is derived from a name, as only our results' are (`results.common.uids`).

    A changed object gets a new UID (PS3.3 C.12.1.1.2), so an object that a script edited without removing our name does
    not count as ours.
    """
    ours = values.text(header, "Manufacturer") == MANUFACTURER
    ours = ours and values.text(header, "ManufacturerModelName") == SOFTWARE_NAME
    return ours and _is_name_based(values.text(header, "SOPInstanceUID"))


def _is_name_based(uid: str) -> bool:
    number = uid.removeprefix(_UUID_ROOT)
    if number == uid or not number.isdecimal() or int(number) >= 2**128:
        return False
    return uuid.UUID(int=int(number)).version == _NAME_BASED


def _creator(header: Dataset) -> str | None:
    """ContentCreatorName, unless it is that of a program."""
    name = _name(header, "ContentCreatorName")
    return None if name is None or name.casefold() in {SOFTWARE_NAME, MANUFACTURER} else name


def _name(header: Dataset, keyword: str) -> str | None:
    """Names as they are written (`Doe^Jane^^Dr`), without empty parts at their end; several joined by "; "."""
    value = values.raw(header, keyword)
    several = value if isinstance(value, MultiValue) else [value] if value is not None else []
    try:
        names = [str(value).rstrip("^= ").strip() for value in several]
    except PARSER_ERRORS:  # bytes that are not of the character set that the object names
        return None
    return "; ".join(name for name in names if name) or None


def _content_time(header: Dataset) -> str | None:
    found = _DATE_TIME.match(values.text(header, "ContentDate") + values.text(header, "ContentTime")[:6])
    if found is None:
        return None
    try:
        return datetime.strptime(found[1] + (found[2] or "000000"), "%Y%m%d%H%M%S").isoformat()
    except ValueError:
        return None


def _made_with(header: Dataset) -> str | None:
    names = ("Manufacturer", "ManufacturerModelName", "SoftwareVersions")
    parts = [text for name in names if (text := values.text(header, name).replace("\\", ", "))]
    return " ".join(dict.fromkeys(parts)) or None


def _referenced_series(header: Dataset) -> Iterator[str]:
    """Common Instance Reference module (PS3.3 C.12.2), of this study and of others."""
    for holder in (header, *values.items(header, "StudiesContainingOtherReferencedInstancesSequence")):
        for item in values.items(holder, "ReferencedSeriesSequence"):
            yield values.text(item, "SeriesInstanceUID")


def _referenced_instances(header: Dataset) -> Iterator[str]:
    """Where tools write what they segmented: by series, by frame (PS3.3 C.7.6.16.2.6), or at the top."""
    for item in values.items(header, "ReferencedSeriesSequence"):
        yield from _uids_of(item, "ReferencedInstanceSequence")
    for name in ("SourceImageSequence", "ReferencedImageSequence"):
        yield from _uids_of(header, name)
    groups = (
        *values.items(header, "SharedFunctionalGroupsSequence"),
        *values.items(header, "PerFrameFunctionalGroupsSequence"),
    )
    for group in groups:
        for derivation in values.items(group, "DerivationImageSequence"):
            yield from _uids_of(derivation, "SourceImageSequence")


def _uids_of(holder: Dataset, name: str) -> Iterator[str]:
    for item in values.items(holder, name):
        yield values.text(item, "ReferencedSOPInstanceUID")


def _first(uids: Iterable[str], count: int) -> list[Any]:
    """The first so many different ones; what is no UID is nothing to look for."""
    found: dict[str, None] = {}
    for uid in uids:
        if len(uid) <= 64 and _UID.fullmatch(uid):
            found[uid] = None
        if len(found) == count:
            break
    return list(found)
