"""Native pixels reach the network's square grid and come back in the same place."""

import numpy as np
import pytest

from segmentation.preprocessing.slice_grid import SliceGrid

GRIDS = [
    pytest.param((256, 256), (0.9, 0.9), id="identity"),
    pytest.param((512, 512), (0.45, 0.45), id="shrink"),
    pytest.param((128, 128), (1.8, 1.8), id="grow"),
    pytest.param((384, 306), (0.6, 0.6), id="not square"),
    pytest.param((256, 320), (0.9, 0.6), id="anisotropic"),
]


def _ramp(shape: tuple[int, int], spacing: tuple[float, float]) -> np.ndarray:
    """A plane over the field of view: interpolation of any order keeps it."""
    rows, columns = (np.arange(n) - (n - 1) / 2 for n in shape)
    return (100 + rows[:, None] * spacing[0] + 0.5 * columns[None] * spacing[1]).astype(np.float32)[None]


@pytest.mark.parametrize(("shape", "spacing"), GRIDS)
def test_there_and_back_is_the_same_place(shape: tuple[int, int], spacing: tuple[float, float]) -> None:
    """A plane of intensities returns to each native pixel with its own value: no shift, no scale."""
    grid = SliceGrid(shape, spacing, 256)
    plane = _ramp(shape, spacing)
    back = grid.to_native(grid.to_square(plane))
    inner = np.s_[:, shape[0] // 5 : -shape[0] // 5, shape[1] // 5 : -shape[1] // 5]
    np.testing.assert_allclose(back[inner], plane[inner], atol=0.05)


@pytest.mark.parametrize(("shape", "spacing"), GRIDS)
def test_aspect_is_kept(shape: tuple[int, int], spacing: tuple[float, float]) -> None:
    """A disc in mm stays a disc on the square grid, whatever the matrix and the pixel spacing."""
    rows, columns = ((np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, spacing, strict=True))
    disc = (rows[:, None] ** 2 + columns[None] ** 2 <= 50**2)[None]
    square = SliceGrid(shape, spacing, 256).mask_to_square(disc)[0]
    height, width = square.any(axis=1).sum(), square.any(axis=0).sum()
    # 110 pixels across; a native pixel is up to 1.25 of the square ones.
    assert abs(int(height) - int(width)) <= 2


def test_probabilities_stay_probabilities() -> None:
    """Resampling back to the native grid never leaves [0, 1]."""
    noise = np.random.default_rng(0).random((3, 256, 256)).astype(np.float32)
    native = SliceGrid((384, 306), (0.6, 0.6), 256).to_native(noise)
    assert native.shape == (3, 384, 306)
    assert native.min() >= 0
    assert native.max() <= 1


def test_identity_changes_no_bit() -> None:
    """A native grid that is already the network's passes through untouched."""
    image = np.random.default_rng(0).random((2, 256, 256)).astype(np.float32)
    grid = SliceGrid((256, 256), (0.898, 0.898), 256)
    assert np.array_equal(grid.to_native(grid.to_square(image)), image)


@pytest.mark.parametrize("threshold", [-0.5, 0.0, 0.3, 0.5])
def test_a_native_mask_is_where_the_native_values_reach_the_threshold(threshold: float) -> None:
    """In every slice, those without such a value too, and beyond the square field of view."""
    grid = SliceGrid((40, 56), (1.0, 0.8), 32)
    values = np.random.default_rng(4).random((5, 32, 32)).astype(np.float32)
    values[1] = 0
    values[2] = np.nextafter(np.float32(0.5), np.float32(0))
    values[3] = 0.5
    values[4] = -1
    expected = grid.to_native(values) >= threshold
    assert np.array_equal(grid.to_native_mask(values, threshold), expected)
