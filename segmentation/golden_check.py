"""A compiled ensemble beside its bundle's golden predictions (`segmentation.golden`).

A runtime, a driver or a CPU that computes something else is found before it makes a mask.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from segmentation.anatomy import PART_THRESHOLD
from segmentation.bundle import ModelBundle
from segmentation.ensemble import Ensemble
from segmentation.errors import BadBundle

# Largest difference of the members' mean that is still the same network. In float32 two orders of summation differ by
# under 0.001 with real weights. In bfloat16 one member of the first reference bundle was off by up to 0.12 where a
# lesion ends, the mean of its five by 0.03; a missing member moved the mean by 0.18, a swapped weight by 0.2.
_F32_TOLERANCE: Final = 0.01
_BF16_TOLERANCE_OF_ONE: Final = 0.25


@dataclass(frozen=True)
class GoldenVerdict:
    """How far an ensemble is from its bundle's golden predictions.

    Attributes:
        max_difference: largest absolute difference of a probability, ventricles and parts of the head included.
        flipped: pixels that change sides of a threshold.
        passed: whether this is the bundle's model: as many members, and no difference beyond what the ensemble's
            precision explains.
    """

    max_difference: float
    flipped: int
    passed: bool


@dataclass(frozen=True, eq=False)
class _Comparison:
    expected: NDArray[Any]
    found: NDArray[Any]
    threshold: float
    tolerance: float

    @property
    def difference(self) -> float:
        return float(np.abs(self.found - self.expected).max())

    @property
    def flipped(self) -> int:
        return int(np.count_nonzero((self.found >= self.threshold) ^ (self.expected >= self.threshold)))


def check_golden(bundle: ModelBundle, ensemble: Ensemble) -> GoldenVerdict:
    """Compare a compiled ensemble with the golden predictions of a bundle.

    Args:
        bundle: has golden predictions.
        ensemble: what was opened from it.

    Raises:
        BadBundle: the bundle has no golden predictions.
    """
    golden = bundle.golden
    if golden is None:
        raise BadBundle(
            f"{bundle.identity.name} {bundle.identity.version} has no golden predictions to compare with: write it "
            f"again with this version of wmh-node"
        )
    found = ensemble.predict(golden.images).mean(axis=0, dtype=np.float64)
    tolerance = _tolerance(ensemble.precision, bundle.members)
    comparisons = [_Comparison(golden.probability, found, bundle.threshold, tolerance)]
    if golden.ventricles is not None and bundle.ventricles is not None:
        ventricles = ensemble.predict_ventricles(golden.images)
        comparisons.append(
            _Comparison(
                golden.ventricles,
                np.full_like(golden.images, np.nan) if ventricles is None else ventricles,
                bundle.ventricles.threshold,
                _tolerance(ensemble.precision, 1),
            )
        )
    if golden.anatomy is not None and golden.anatomy_images is not None:
        parts = ensemble.predict_parts(golden.anatomy_images)
        missing = np.full_like(golden.anatomy, np.nan)
        said = missing if parts is None else np.moveaxis(parts, 0, 1)
        comparisons.append(_Comparison(golden.anatomy, said, PART_THRESHOLD, _tolerance(ensemble.precision, 1)))
    return GoldenVerdict(
        max_difference=max(comparison.difference for comparison in comparisons),
        flipped=sum(comparison.flipped for comparison in comparisons),
        # NaN compares to False.
        passed=ensemble.members == bundle.members
        and all(comparison.difference <= comparison.tolerance for comparison in comparisons),
    )


def _tolerance(precision: str, members: int) -> float:
    """By precision; the errors of bfloat16 average out over members."""
    return _F32_TOLERANCE if precision == "f32" else _BF16_TOLERANCE_OF_ONE / float(members) ** 0.5
