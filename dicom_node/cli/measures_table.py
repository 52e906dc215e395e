"""Measurements for a reader at a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from db.measured import is_usable, usable_part
from dicom_node.analyse.many.result import ScanResult

_ROWS = (
    ("wmh_volume_ml", "WMH volume", "{:.2f} mL"),
    ("periventricular_volume_ml", "  periventricular", "{:.2f} mL"),
    ("deep_volume_ml", "  deep", "{:.2f} mL"),
    ("ventricle_volume_ml", "ventricles", "{:.2f} mL"),
    ("lesion_count", "lesions", "{:d}"),
    ("uncertainty_index", "uncertainty index", "{:.3f}"),
    ("brain_volume_ml", "brain", "{:.0f} mL"),
    ("outside_brain_ml", "left out, outside the brain", "{:.2f} mL"),
    ("review_recommended", "review recommended", "{}"),
    ("reliability", "reliability", "{}"),
)
_IN_A_ROW = (("wmh_volume_ml", "{:.1f}"), ("lesion_count", "{:d}"), ("uncertainty_index", "{:.2f}"))


def measures_table(measurements: dict[str, Any], truth: dict[str, Any] | None = None) -> Table:
    """Measured values, and the truth beside them where it is known."""
    table = Table("", "measured", *(["truth"] if truth is not None else []), box=None)
    shown = usable_part(measurements)
    if not is_usable(measurements):
        table.add_row("WMH volume", "not reliable", *([""] if truth is not None else []))
    for key, label, form in _ROWS:
        if key not in shown:
            continue
        cells = [label, _cell(shown[key], form)]
        if truth is not None:
            cells.append(_cell(truth[key], form) if key in truth else "")
        table.add_row(*cells)
    for name, seconds in measurements.get("seconds", {}).items():
        table.add_row(f"seconds, {name}", f"{seconds:.2f}")
    for reason in measurements.get("reasons", []):
        table.add_row(f"  {reason['code']}", reason["sentence"])
    flags = measurements.get("flags")
    if flags:
        table.add_row("flags", ", ".join(flags))
    return table


def many_table(results: Sequence[ScanResult]) -> Table:
    """One row a series: what a person looks at first; results.csv has the rest."""
    table = Table("input", "WMH mL", "lesions", "unsure", "verdict", box=None)
    for result in results:
        found = result.measurements
        source = escape("".join(sign if sign.isprintable() else "?" for sign in str(result.source)))
        if found is None:
            table.add_row(source, "", "", "", f"{result.status}: {result.code}")
            continue
        verdict = "review" if found["reliability"] == "ok" and found["review_recommended"] else found["reliability"]
        shown = usable_part(found)
        numbers = [_cell(shown[key], form) if key in shown else "" for key, form in _IN_A_ROW]
        table.add_row(source, *numbers, verdict)
    return table


def _cell(value: Any, form: str) -> str:
    if value is None:
        return "undefined"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return form.format(value)
