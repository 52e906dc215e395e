"""What is read of a job's stored measurements.json by more than one program: whether its volumes may be used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_NOT_RELIABLE: Final = "not_reliable"

OF_THE_MASK: Final = (
    "wmh_volume_ml", "volume_interval_ml", "predictive_interval_ml", "lesion_count", "periventricular_volume_ml",
    "periventricular_interval_ml", "deep_volume_ml", "deep_interval_ml", "wmh_share_of_brain",
)  # fmt: skip
"""Fields of measurements.json that follow from the mask, and mean nothing where the mask is not reliable."""


def is_usable(measured: Mapping[str, Any]) -> bool:
    """Whether a person may be shown the numbers of a result as numbers: not those of a result that is not reliable."""
    return measured.get("reliability") != _NOT_RELIABLE


def usable_volume_ml(measured: Mapping[str, Any]) -> float | None:
    """The WMH volume in mL; None where there is none, or where the result is not reliable."""
    volume = measured.get("wmh_volume_ml")
    return float(volume) if is_usable(measured) and isinstance(volume, int | float) else None


def usable_part(measured: Mapping[str, Any]) -> dict[str, Any]:
    """The measurements without the numbers that must not be used."""
    return {key: value for key, value in measured.items() if is_usable(measured) or key not in OF_THE_MASK}
