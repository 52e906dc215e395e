"""When and on which scanner images were acquired, as their header says."""

from __future__ import annotations

from datetime import date
from typing import Final

from pydicom.dataset import Dataset

from dicom_node.series.dicom import values

# Where a date of acquisition may stand, best first (PS3.3 C.7.6.1, C.8.13.1, C.7.3.1, C.7.2.1).
_DATES: Final = ("AcquisitionDateTime", "AcquisitionDate", "SeriesDate", "StudyDate")
_LONGEST: Final = 64  # LO, PS3.5 6.2


def acquired_on(header: Dataset) -> date | None:
    """The day of the acquisition; None when no date in the header is one."""
    return next((day for keyword in _DATES if (day := values.day(header, keyword)) is not None), None)


def scanner_name(manufacturer: str, model: str, field_strength_t: float | None) -> str:
    """Like `SIEMENS Prisma, 3 T`; "" where neither manufacturer nor model is known."""
    name = f"{manufacturer} {model}".strip()
    return name if not name or field_strength_t is None else f"{name}, {field_strength_t:.4g} T"


def examination_in_words(header: Dataset) -> str:
    """Like `Scan of 2025-03-01, SIEMENS Prisma, 3 T`; what the header does not give is said to be missing."""
    day = acquired_on(header)
    scanner = scanner_name(
        plain_label(values.text(header, "Manufacturer")),
        plain_label(values.text(header, "ManufacturerModelName")),
        values.number(header, "MagneticFieldStrength") or None,
    )
    when = "Scan without a date" if day is None else f"Scan of {day.isoformat()}"
    return f"{when}, {scanner or 'scanner not named'}"


def plain_label(text: str) -> str:
    """One line of ASCII, which every database and every character set of a report takes."""
    plain = text.encode("ascii", "replace").decode()
    return " ".join("".join(sign if sign.isprintable() else " " for sign in plain).split())[:_LONGEST]
