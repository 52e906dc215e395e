"""results.csv: one row a series. The names of its columns are a face that others rely on; new ones come last."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from io import StringIO
from typing import Any, Final

from db.measured import usable_part
from dicom_node.analyse.many.result import ScanResult

NAME: Final = "results.csv"
_PLACES: Final = ("periventricular", "juxtacortical", "deep", "infratentorial")
Value = Callable[[dict[str, Any]], Any]
"""Gives a cell from the content of measurements.json; None is an empty cell."""


def _field(name: str) -> Value:
    return lambda found: found.get(name)


def _end(name: str, place: int) -> Value:
    return lambda found: found[name][place] if name in found else None


def _of(group: str, name: str) -> Value:
    return lambda found: found.get(group, {}).get(name)


def _codes(found: dict[str, Any]) -> str:
    return ";".join(reason["code"] for reason in found.get("reasons", ()))


def _lesions(place: str, measure: Callable[[list[float]], float]) -> Value:
    """Of the lesions in one place; None where there is no list, or where it names no places."""

    def value(found: dict[str, Any]) -> float | None:
        lesions = found.get("lesions")
        if lesions is None or any("place" not in lesion for lesion in lesions):
            return None
        return measure([lesion["volume_ml"] for lesion in lesions if lesion["place"] == place])

    return value


def _largest(found: dict[str, Any]) -> float | None:
    return max((lesion["volume_ml"] for lesion in found.get("lesions", ())), default=None)


# Units are in the names: _ml millilitres, _seconds wall time; shares and indices are 0 to 1.
MEASURED: Final[dict[str, Value]] = {
    "series_instance_uid": _field("series_instance_uid"),
    "reliability": _field("reliability"),
    "review_recommended": _field("review_recommended"),
    "review_reasons": _codes,
    "wmh_volume_ml": _field("wmh_volume_ml"),
    "wmh_volume_lower_ml": _end("volume_interval_ml", 0),
    "wmh_volume_upper_ml": _end("volume_interval_ml", 1),
    "lesion_count": _field("lesion_count"),
    "largest_lesion_ml": _largest,
    "uncertainty_index": _field("uncertainty_index"),
    "periventricular_volume_ml": _field("periventricular_volume_ml"),
    "periventricular_lower_ml": _end("periventricular_interval_ml", 0),
    "periventricular_upper_ml": _end("periventricular_interval_ml", 1),
    "deep_volume_ml": _field("deep_volume_ml"),
    "deep_lower_ml": _end("deep_interval_ml", 0),
    "deep_upper_ml": _end("deep_interval_ml", 1),
    "periventricular_distance_mm": _of("periventricular_rule", "distance_mm"),
    "periventricular_distance_rule": _of("periventricular_rule", "distance"),
    "ventricle_volume_ml": _field("ventricle_volume_ml"),
    "brain_volume_ml": _field("brain_volume_ml"),
    "wmh_share_of_brain": _field("wmh_share_of_brain"),
    "outside_brain_ml": _field("outside_brain_ml"),
    "fazekas_periventricular": _of("fazekas", "periventricular"),
    "fazekas_deep": _of("fazekas", "deep"),
    "extent_periventricular_mm": _of("extent_mm", "periventricular"),
    "extent_deep_mm": _of("extent_mm", "deep"),
    **{f"lesions_{place}_count": _lesions(place, len) for place in _PLACES},
    **{f"lesions_{place}_ml": _lesions(place, sum) for place in _PLACES},
    "flags": lambda found: ";".join(found.get("flags", ())),
    "model_name": _of("model", "name"),
    "model_version": _of("model", "version"),
    "model_digest": _of("model", "digest"),
    **{f"{stage}_seconds": _of("seconds", stage) for stage in ("read", "preprocess", "infer", "measure", "write")},
    "predictive_lower_ml": _end("predictive_interval_ml", 0),
    "predictive_upper_ml": _end("predictive_interval_ml", 1),
    "predictive_nominal": _field("predictive_nominal"),
}
COLUMNS: Final = ("input", "folder", "status", "reason_code", "reason", *MEASURED)


def results_csv(results: Iterable[ScanResult]) -> bytes:
    """RFC 4180 in UTF-8: a header, and one row a series, also of those without a result; sorted by input."""
    stream = StringIO()
    table = csv.writer(stream)
    table.writerow(COLUMNS)
    for result in sorted(results, key=lambda one: (str(one.source), one.name)):
        measured = usable_part(result.measurements or {})
        cells = [value(measured) for value in MEASURED.values()]
        about = [_input(result), result.name, result.status, result.code, _printable(result.reason)]
        table.writerow([*about, *(_cell(cell) for cell in cells)])
    return stream.getvalue().encode("utf-8", "backslashreplace")


def _input(result: ScanResult) -> str:
    """The path, which must not begin as a spreadsheet's formula does; with ./ it names the same file."""
    path = _printable(str(result.source))
    return f"./{path}" if path.startswith(("=", "+", "-", "@")) else path


def _cell(value: Any) -> str:
    """Numbers as JSON writes them, so that no digit is lost; true and false in small letters."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _printable(text: str) -> str:
    """A folder's name may hold anything."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)
