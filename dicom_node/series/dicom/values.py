"""Look at header values without trusting them: whatever cannot be understood is absent (None).

pydicom converts values on first access, so that a corrupt one raises late; these functions are the only way in which
selection and geometry read a header.
"""

from __future__ import annotations

import math
import unicodedata
from datetime import date
from typing import Final

from pydicom.dataset import Dataset
from pydicom.valuerep import PersonName

from dicom_node.series.dicom.parsing import PARSER_ERRORS

_DAY_DIGITS: Final = 8


def raw(header: Dataset, keyword: str) -> object:
    """The value of an element as pydicom gives it, or None."""
    try:
        return header.get(keyword)
    except PARSER_ERRORS:
        return None


def raw_at(header: Dataset, group: int, element: int) -> object:
    """The value of an element by its tag, as of private ones, or None."""
    try:
        return header[group, element].value if (group, element) in header else None
    except PARSER_ERRORS:
        return None


def items(header: Dataset | None, keyword: str) -> tuple[Dataset, ...]:
    """The items of a sequence; empty when it is absent or is none."""
    if header is None:
        return ()
    value = raw(header, keyword)
    try:
        return tuple(item for item in value if isinstance(item, Dataset)) if value is not None else ()  # type: ignore[attr-defined]
    except PARSER_ERRORS:
        return ()


def first_item(header: Dataset | None, keyword: str) -> Dataset | None:
    """The first item of a sequence, or None."""
    found = items(header, keyword)
    return found[0] if found else None


def texts(header: Dataset, keyword: str) -> tuple[str, ...]:
    """The values of a text element, stripped; compatibility forms (full-width letters) are folded."""
    value = raw(header, keyword)
    if value is None:
        return ()
    try:
        many = [value] if isinstance(value, str | bytes | PersonName) or not hasattr(value, "__iter__") else list(value)
        return tuple(unicodedata.normalize("NFKC", str(item)).strip() for item in many)
    except PARSER_ERRORS:
        return ()


def text(header: Dataset, keyword: str) -> str:
    """A text element, its values joined with a backslash; "" when absent."""
    return "\\".join(texts(header, keyword))


def numbers(header: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """Exactly `count` finite numbers, or None."""
    value = raw(header, keyword)
    if value is None or isinstance(value, str | bytes):
        return None
    try:
        found = tuple(float(number) for number in value)  # type: ignore[attr-defined]
    except PARSER_ERRORS:
        return None
    if len(found) != count or not all(map(math.isfinite, found)):
        return None
    return found


def number(header: Dataset, keyword: str) -> float | None:
    """One finite number (the first of several), or None."""
    value = raw(header, keyword)
    if value is None:
        return None
    try:
        if not isinstance(value, str | bytes) and hasattr(value, "__iter__"):
            value = next(iter(value), None)
        found = float(value)  # type: ignore[arg-type]
    except PARSER_ERRORS:
        return None
    return found if math.isfinite(found) else None


def whole(header: Dataset, keyword: str) -> int | None:
    """One whole number, or None."""
    found = number(header, keyword)
    return int(found) if found is not None and found == int(found) else None


def day(header: Dataset, keyword: str) -> date | None:
    """The day of a DA or DT element (PS3.5 6.2), or None when it holds none of the calendar."""
    found = text(header, keyword)[:_DAY_DIGITS]
    if len(found) != _DAY_DIGITS or not found.isdigit() or not found.isascii():
        return None
    try:
        return date(int(found[:4]), int(found[4:6]), int(found[6:]))
    except ValueError:
        return None
