"""Volumes for a person: no more digits than the method has. Pages and report show the same ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def millilitres(volume: float) -> str:
    """One digit after the point, two below 1 mL; a trace is not shown as nothing."""
    if 0 < volume < 0.005:
        return "<0.01 mL"
    return f"{_digits(volume, 2 if volume < 1 else 1)} mL"


def interval_millilitres(lower: float, upper: float) -> str:
    """Both ends with the same digits: two where the interval is of small volumes."""
    digits = 2 if upper < 2 else 1
    return f"{_digits(lower, digits)} to {_digits(upper, digits)} mL"


def interval_words(measured: Mapping[str, Any]) -> str:
    """The interval of measurements.json with its name, as on page 1: the measured one where the model knows it."""
    if (known := measured.get("predictive_interval_ml")) is not None:
        return f"{100 * float(measured['predictive_nominal']):.0f} % interval {interval_millilitres(*known)}"
    if (range_ml := measured.get("volume_interval_ml")) is not None:
        return f"range {interval_millilitres(*range_ml)}"
    return ""


def _digits(volume: float, digits: int) -> str:
    return f"{volume:.{digits}f}" if volume > 0 else "0"
