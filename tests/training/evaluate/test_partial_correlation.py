"""Partial correlation."""

from __future__ import annotations

import numpy as np
import pytest

from training.evaluate.correlation import partial_correlation


def test_as_by_the_textbook_formula() -> None:
    """(r_xy - r_xz r_yz) / sqrt((1 - r_xz^2)(1 - r_yz^2)), on data confounded by z."""
    rng = np.random.default_rng(3)
    z = rng.normal(size=40)
    x, y = z + rng.normal(size=40), -z + rng.normal(size=40)
    r = np.corrcoef([x, y, z])
    expected = (r[0, 1] - r[0, 2] * r[1, 2]) / np.sqrt((1 - r[0, 2] ** 2) * (1 - r[1, 2] ** 2))
    found = partial_correlation(x, y, z)
    assert found is not None
    assert found.r == pytest.approx(expected)
    assert found.low < found.r < found.high


def test_pure_confounding_vanishes() -> None:
    """Two quantities that depend on the third alone correlate strongly, and not at all once it is held fixed."""
    rng = np.random.default_rng(5)
    z = np.linspace(0, 10, 200)
    x, y = z + rng.normal(0, 0.3, 200), -z + rng.normal(0, 0.3, 200)
    found = partial_correlation(x, y, z)
    assert np.corrcoef(x, y)[0, 1] < -0.95
    assert found is not None
    assert abs(found.r) < 0.2


def test_undefined_is_none() -> None:
    """Four values, or a quantity that is the third one over again, give None rather than NaN."""
    values = np.array([1.0, 2.0, 3.0, 5.0, 4.0, 7.0])
    assert partial_correlation(values[:4], values[:4], values[:4]) is None
    assert partial_correlation(values, values[::-1], 2 * values) is None
    assert partial_correlation(values, np.ones(6), values**2) is None
