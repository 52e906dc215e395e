"""What lies at the brain's surface is left out."""

from __future__ import annotations

import numpy as np
import pytest

from segmentation.brain_surface import without_surface


@pytest.mark.parametrize("pixel_mm", [0.5, 1.0])
def test_the_edge_is_left_out_in_mm(pixel_mm: float) -> None:
    """So many mm at every edge, whatever the pixels."""
    brain = np.zeros((2, 120, 120), bool)
    brain[0, 20:100, 20:100] = True
    deep = without_surface(brain, (pixel_mm, pixel_mm), 4.0)
    inset = round(4.0 / pixel_mm)
    expected = np.zeros_like(brain)
    expected[0, 20 + inset : 100 - inset, 20 + inset : 100 - inset] = True
    np.testing.assert_array_equal(deep, expected)


def test_pixels_may_be_oblong() -> None:
    """Rows and columns count by their own spacing."""
    brain = np.zeros((1, 60, 60), bool)
    brain[0, 10:50, 10:50] = True
    deep = without_surface(brain, (1.0, 2.0), 4.0)
    assert np.flatnonzero(deep[0].any(axis=1)).tolist() == list(range(14, 46))
    assert np.flatnonzero(deep[0].any(axis=0)).tolist() == list(range(12, 48))


def test_the_field_of_view_is_no_surface() -> None:
    """Where the image cuts the brain, WMH up to the border count."""
    brain = np.ones((1, 30, 30), bool)
    assert without_surface(brain, (1.0, 1.0)).all()
    brain[0, :, 20:] = False
    deep = without_surface(brain, (1.0, 1.0), 3.0)
    assert deep[0, :, :17].all()
    assert not deep[0, :, 17:].any()
