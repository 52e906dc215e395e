"""When and how two scans were acquired."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from support.result_cases import CASES, series_of

from dicom_node.analyse.follow_up.acquisition import Acquisition
from dicom_node.series.dicom.examination import acquired_on

NOW = Acquisition("SIEMENS", "Prisma", 3.0, 92.0, 9000.0, 2500.0, (5.0, 0.9, 0.9), 4.0, "2D")


@pytest.mark.parametrize("enhanced", [False, True], ids=["classic", "enhanced"])
def test_it_is_read_from_either_kind_of_instance(enhanced: bool, tmp_path: Path) -> None:
    """Classic and Enhanced instances of one scan give the same description, and it survives the database."""
    series = series_of(CASES[3] if enhanced else CASES[0], tmp_path)
    found = Acquisition.of(series)
    assert found.manufacturer and found.model
    assert found.echo_ms and found.repetition_ms and found.inversion_ms and found.slice_thickness_mm
    assert found.spacing_mm == series.spacing_mm
    assert found.size == series.voxels.shape[1:]
    assert Acquisition.from_json(json.loads(json.dumps(found.as_json))) == found
    assert acquired_on(series.headers[0]) is not None


def test_an_empty_header_has_no_description(tmp_path: Path) -> None:
    """What is not given is unknown, and differs from nothing."""
    series = series_of(CASES[0], tmp_path)
    bare = Acquisition.of(replace(series, headers=(Dataset(),)))
    assert (bare.manufacturer, bare.echo_ms, bare.scanner) == ("", None, "unknown scanner")
    assert not bare.other_scanner(NOW) and not NOW.other_scanner(bare)
    assert Acquisition.from_json({}).protocol_differences(NOW) == ()


@pytest.mark.parametrize(
    ("changed", "differs"),
    [
        (replace(NOW, manufacturer="Philips"), True),
        (replace(NOW, model="Skyra"), True),
        (replace(NOW, field_strength_t=1.5), True),
        (replace(NOW, field_strength_t=2.95), False),
        (replace(NOW, manufacturer="Siemens", model="PRISMA"), False),
        (replace(NOW, echo_ms=120.0), False),
    ],
)
def test_scanners_are_distinguished(changed: Acquisition, differs: bool) -> None:
    """Manufacturer, model and field strength; neither spelling nor the strength's last digits."""
    assert NOW.other_scanner(changed) is differs


@pytest.mark.parametrize(
    ("now", "earlier", "expected"),
    [
        (("a", "s"), ("b", "s"), "serial number"),
        (("a", "s"), ("a", "t"), None),
        (("", "s"), ("a", "t"), "station name"),
        (("", "s"), ("a", "s"), None),
        (("a", ""), ("", "t"), None),
        (("", ""), ("a", "s"), None),
    ],
)
def test_two_scanners_of_one_model_are_distinguished(
    now: tuple[str, str], earlier: tuple[str, str], expected: str | None
) -> None:
    """By serial number, else by station name; never one by the other, and what is not known is no difference."""
    one, other = (replace(NOW, serial_key=serial, station_key=station) for serial, station in (now, earlier))
    assert one.device_difference(other) == other.device_difference(one) == expected
    assert not one.other_scanner(other)


def test_a_description_of_an_earlier_version_is_readable() -> None:
    """It knows neither the scanner's number nor the size of its frames."""
    old = {key: value for key, value in NOW.as_json.items() if key not in ("serial_key", "station_key", "size")}
    assert Acquisition.from_json(old) == NOW
    assert NOW.size is None
    sized = replace(NOW, size=(47, 41), serial_key="a" * 64)
    assert Acquisition.from_json(json.loads(json.dumps(sized.as_json))) == sized


def test_protocols_are_distinguished_in_words() -> None:
    """Each difference beyond 5 % with both values; scanners adjust within that."""
    earlier = replace(NOW, echo_ms=120.0, repetition_ms=9100.0, spacing_mm=(6.5, 0.9, 0.9), acquisition_type="3D")
    assert NOW.protocol_differences(earlier) == (
        "2D acquisition, earlier 3D",
        "echo time 92 ms, earlier 120 ms",
        "slice distance 5 mm, earlier 6.5 mm",
    )
    assert NOW.protocol_differences(NOW) == ()


def test_names_from_headers_are_one_line_of_ascii(tmp_path: Path) -> None:
    """A report's character set and a database's text take whatever a scanner calls itself."""
    series = series_of(CASES[0], tmp_path)
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 192"
    header.Manufacturer = "M\u00fcller\n & S\u00f6hne" + "x" * 90
    found = Acquisition.of(replace(series, headers=(header,)))
    assert found.manufacturer.startswith("M?ller & S?hnexx") and len(found.manufacturer) == 64


@pytest.mark.parametrize(
    ("elements", "day"),
    [
        ({"AcquisitionDateTime": "20240229101500.0000+0100", "AcquisitionDate": "20200101"}, date(2024, 2, 29)),
        ({"AcquisitionDate": "20240229", "StudyDate": "20200101"}, date(2024, 2, 29)),
        ({"AcquisitionDate": "20230229", "StudyDate": "20200101"}, date(2020, 1, 1)),
        ({"SeriesDate": "20240301"}, date(2024, 3, 1)),
        ({"StudyDate": "2024"}, None),
        ({}, None),
    ],
)
def test_the_day_of_the_acquisition(elements: dict[str, str], day: date | None) -> None:
    """The best date that the header gives and the calendar knows."""
    header = Dataset()
    for keyword, value in elements.items():
        setattr(header, keyword, value)
    assert acquired_on(header) == day
