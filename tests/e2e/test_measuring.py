"""The ruler of the tests in the browser: it measures a shift that is there, and none where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from support.ohif import centroid_shift_of, shift_of

TO_CANVAS = np.array([[9.0, 0.0, 40.5], [0.0, 12.0, 30.5]])  # pixels of 9 x 12 on the canvas


def canvas_with(mask: np.ndarray, shift: tuple[float, float]) -> np.ndarray:
    """The mask on a canvas of 300 x 400, (columns, rows) away from where it should be."""
    y, x = np.indices((400, 300))
    column = np.floor((x + 0.5 - 40.5) / 9.0 - shift[0] + 0.5).astype(int)
    row = np.floor((y + 0.5 - 30.5) / 12.0 - shift[1] + 0.5).astype(int)
    inside = (column >= 0) & (row >= 0) & (column < mask.shape[1]) & (row < mask.shape[0])
    return np.where(inside, mask[row.clip(0, mask.shape[0] - 1), column.clip(0, mask.shape[1] - 1)], False)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (1.0, 0.0), (-0.7, 0.6), (0.0, -1.3)])
def test_a_shift_is_measured(shift: tuple[float, float]) -> None:
    """Both measures give the length of the shift, in pixels of the image, to a tenth; also by a part of the pixels."""
    mask = np.random.default_rng(5).random((24, 20)) > 0.8
    mask[[0, -1]] = mask[:, [0, -1]] = False
    picture = canvas_with(mask, shift)
    expected = pytest.approx(np.hypot(*shift), abs=0.12)
    by_centroid, dice = centroid_shift_of(picture, mask, TO_CANVAS)
    assert by_centroid == expected
    assert shift_of(picture.astype(float), mask.astype(float), TO_CANVAS) == expected
    part = np.indices(mask.shape)[0] < 15
    assert shift_of(picture.astype(float), mask.astype(float), TO_CANVAS, part) == expected
    assert (dice == 1.0) == (shift == (0.0, 0.0))


def test_scrambled_pixels_are_no_match() -> None:
    """What has the same centroid but other pixels has a low Dice coefficient."""
    mask = np.random.default_rng(5).random((24, 20)) > 0.8
    other = canvas_with(mask[::-1, ::-1], (0.0, 0.0))
    assert centroid_shift_of(other, mask, TO_CANVAS)[1] < 0.5
