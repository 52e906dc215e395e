"""A corrected mask beside the model's own, on one grid."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def compare_masks(
    corrected: NDArray[np.bool_], model: NDArray[np.bool_], spacing_mm: tuple[float, float, float]
) -> dict[str, float]:
    """Dice similarity coefficient (Dice 1945, doi:10.2307/1932409) and volumes in mL.

    Two empty masks agree: DSC 1.

    Args:
        corrected, model: bool (slice, row, column).
        spacing_mm: (slice, row, column).

    Returns:
        dsc, model_ml, corrected_ml, added_ml (in the correction only), removed_ml (in the model's mask only).
    """
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    both, sizes = int((corrected & model).sum()), int(corrected.sum()) + int(model.sum())
    return {
        "dsc": 1.0 if sizes == 0 else 2.0 * both / sizes,
        "model_ml": float(model.sum()) * voxel_ml,
        "corrected_ml": float(corrected.sum()) * voxel_ml,
        "added_ml": float((corrected & ~model).sum()) * voxel_ml,
        "removed_ml": float((model & ~corrected).sum()) * voxel_ml,
    }


def model_of(measurements: dict[str, Any] | None) -> dict[str, str] | None:
    """Name, version and digest of the model that measurements.json names."""
    model = (measurements or {}).get("model")
    if not isinstance(model, dict) or not {"name", "version", "digest"} <= set(model):
        return None
    return {name: str(model[name]) for name in ("name", "version", "digest")}
