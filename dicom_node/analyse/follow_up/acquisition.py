"""When and how a scan was acquired, as far as two scans are compared by it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from pydicom.dataset import Dataset

from dicom_node.node.errors import NotAnalysable
from dicom_node.series.dicom import values
from dicom_node.series.dicom.examination import plain_label, scanner_name
from dicom_node.series.dicom.frames import Frame, frames_of
from dicom_node.series.read.flair_series import FlairSeries

_NEAR: Final = 0.05  # a scanner rounds and adjusts times and spacings; a protocol that was changed differs by more


@dataclass(frozen=True)
class Acquisition:
    """Scanner and protocol of a scan; what a header does not give is "" or None.

    Attributes:
        field_strength_t: tesla.
        echo_ms, repetition_ms, inversion_ms: milliseconds.
        spacing_mm: distance of voxel centres (slice, row, column).
        slice_thickness_mm: as the header says; the distance of slices has the gap in it.
        acquisition_type: 2D or 3D.
        serial_key, station_key: which scanner of its model, as keyed hashes, see `PatientHasher.scanner_keys`.
        size: rows and columns of the frames, on which the form of a result depends (`Profile.form_for`).
    """

    manufacturer: str
    model: str
    field_strength_t: float | None
    echo_ms: float | None
    repetition_ms: float | None
    inversion_ms: float | None
    spacing_mm: tuple[float, float, float]
    slice_thickness_mm: float | None
    acquisition_type: str
    serial_key: str = ""
    station_key: str = ""
    size: tuple[int, int] | None = None

    @classmethod
    def of(cls, series: FlairSeries, scanner_keys: tuple[str, str] = ("", "")) -> Acquisition:
        """From the first image of a series, and the hashes of its scanner's serial number and station name."""
        header = series.headers[0]
        frame = _first_frame(header)
        return cls(
            manufacturer=plain_label(values.text(header, "Manufacturer")),
            model=plain_label(values.text(header, "ManufacturerModelName")),
            field_strength_t=values.number(header, "MagneticFieldStrength") or None,
            echo_ms=frame.number_of("EchoTime") or None,
            repetition_ms=frame.number_of("RepetitionTime") or None,
            inversion_ms=frame.number_of("InversionTime") or None,
            spacing_mm=series.spacing_mm,
            slice_thickness_mm=frame.number_of("SliceThickness") or None,
            acquisition_type=plain_label(values.text(header, "MRAcquisitionType")),
            serial_key=scanner_keys[0],
            station_key=scanner_keys[1],
            size=(int(series.shape[1]), int(series.shape[2])),
        )

    @property
    def as_json(self) -> dict[str, Any]:
        """For the database; `from_json` reads it back."""
        return {**asdict(self), "spacing_mm": [float(length) for length in self.spacing_mm]}

    @classmethod
    def from_json(cls, values_of: Mapping[str, Any]) -> Acquisition:
        """What `as_json` gave, also by an earlier version: what it did not know is unknown."""
        known: dict[str, Any] = {field.name: values_of.get(field.name) for field in fields(cls)}
        for name in ("manufacturer", "model", "acquisition_type", "serial_key", "station_key"):
            known[name] = known[name] or ""
        known["spacing_mm"] = tuple(known["spacing_mm"] or (0.0, 0.0, 0.0))
        known["size"] = None if known["size"] is None else tuple(known["size"])
        return cls(**known)

    @property
    def scanner(self) -> str:
        """Like `SIEMENS Prisma, 3 T`."""
        return scanner_name(self.manufacturer, self.model, self.field_strength_t) or "unknown scanner"

    def other_scanner(self, earlier: Acquisition) -> bool:
        """Manufacturer, model or field strength differ; a value that one of the two lacks is no difference."""
        return (
            _texts_differ(self.manufacturer, earlier.manufacturer)
            or _texts_differ(self.model, earlier.model)
            or _numbers_differ(self.field_strength_t, earlier.field_strength_t)
        )

    def device_difference(self, earlier: Acquisition) -> str | None:
        """By what the two are known to be of two scanners, whatever their models: "serial number", or where not both
        give one "station name"; None when nothing shows it."""
        if self.serial_key and earlier.serial_key:
            return "serial number" if self.serial_key != earlier.serial_key else None
        return "station name" if _texts_differ(self.station_key, earlier.station_key) else None

    def protocol_differences(self, earlier: Acquisition) -> tuple[str, ...]:
        """What differs in how the two were acquired, each as "echo time 92 ms, earlier 120 ms"."""
        numbers = (
            ("echo time", self.echo_ms, earlier.echo_ms, "ms"),
            ("repetition time", self.repetition_ms, earlier.repetition_ms, "ms"),
            ("inversion time", self.inversion_ms, earlier.inversion_ms, "ms"),
            ("slice distance", self.spacing_mm[0], earlier.spacing_mm[0], "mm"),
            ("row spacing", self.spacing_mm[1], earlier.spacing_mm[1], "mm"),
            ("column spacing", self.spacing_mm[2], earlier.spacing_mm[2], "mm"),
            ("slice thickness", self.slice_thickness_mm, earlier.slice_thickness_mm, "mm"),
        )
        found = [
            f"{what} {_shown(now)} {unit}, earlier {_shown(before)} {unit}"
            for what, now, before, unit in numbers
            if _numbers_differ(now, before)
        ]
        if _texts_differ(self.acquisition_type, earlier.acquisition_type):
            found.insert(0, f"{self.acquisition_type} acquisition, earlier {earlier.acquisition_type}")
        return tuple(found)


def _first_frame(header: Dataset) -> Frame:
    try:
        return frames_of([header])[0]
    except (NotAnalysable, IndexError):
        return Frame(header=header, source=0, number=None, groups=())


def _texts_differ(now: str, before: str) -> bool:
    return bool(now and before) and now.casefold() != before.casefold()


def _numbers_differ(now: float | None, before: float | None) -> bool:
    return bool(now and before) and not math.isclose(now or 0.0, before or 0.0, rel_tol=_NEAR)


def _shown(number: float | None) -> str:
    return f"{number:.4g}"
