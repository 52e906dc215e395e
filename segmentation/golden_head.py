"""A drawn head for golden predictions: skull, scalp, brain, ventricles, bright lesions, texture; no patient's image.

Not the phantom of `dicom_node.demo` (this package knows no DICOM): four slices with every kind of tissue for a network:
clear lesions, faint ones, borders, and healthy tissue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segmentation.volume import FlairVolume

SLICES: Final = 4
FIELD_OF_VIEW_MM: Final = 240.0
_SEED: Final = 1885
# FLAIR intensities, grey matter about 100: fluid dark, lesions bright, fat brighter.
_FLUID, _WHITE, _GREY, _BONE, _SCALP, _LESION = 22.0, 82.0, 102.0, 12.0, 175.0, 165.0


@dataclass(frozen=True)
class _Blob:
    """An ellipse in one slice: (row, column) centre and radii in mm from the middle of the head, turned by `degrees`.

    `strength`: 1 is as bright as a clear lesion, less is fainter.
    """

    slice_: int
    centre: tuple[float, float]
    radii: tuple[float, float]
    degrees: float = 0.0
    strength: float = 1.0


# Both halves: each is drawn at +column and -column. Slice 0 frontal horns and atria, 1 and 2 the bodies, 3 above them.
_VENTRICLES: Final = (
    _Blob(0, (-26.0, 9.0), (17.0, 5.0), -18.0),
    _Blob(0, (26.0, 20.0), (15.0, 6.0), 20.0),
    _Blob(1, (-4.0, 12.0), (38.0, 6.5), -4.0),
    _Blob(2, (0.0, 12.0), (27.0, 5.0), 2.0),
)
_LESIONS: Final = (
    _Blob(0, (-44.0, 14.0), (6.0, 5.0)),
    _Blob(0, (45.0, -26.0), (9.0, 5.0), -25.0),
    _Blob(1, (-42.0, -17.0), (8.0, 6.0), 15.0),
    _Blob(1, (38.0, 19.0), (9.0, 6.0), -20.0, 0.8),
    _Blob(1, (-8.0, 37.0), (4.0, 5.0)),
    _Blob(1, (18.0, -40.0), (2.5, 2.5), 0.0, 0.7),
    _Blob(2, (5.0, -22.0), (24.0, 4.0), 4.0),
    _Blob(2, (-20.0, 36.0), (5.0, 3.5), 30.0, 0.55),
    _Blob(2, (26.0, 28.0), (7.0, 5.0), 0.0, 0.4),
    _Blob(3, (-12.0, -27.0), (13.0, 6.0), 10.0),
    _Blob(3, (16.0, 25.0), (8.0, 6.0), -15.0, 0.75),
    _Blob(3, (-30.0, 30.0), (2.5, 2.5)),
)


def draw_head(size: int) -> FlairVolume:
    """The head at `size` x `size` pixels: `SLICES` slices of 5 mm, the same bits for the same size and NumPy.

    Args:
        size: rows and columns.
    """
    pixel_mm = FIELD_OF_VIEW_MM / size
    axis = (np.arange(size) + 0.5) * pixel_mm - FIELD_OF_VIEW_MM / 2
    rows, columns = np.meshgrid(axis, axis, indexing="ij")
    random = np.random.default_rng(_SEED)
    slices = [_draw_slice(index, rows, columns, random, pixel_mm) for index in range(SLICES)]
    return FlairVolume(np.stack(slices).astype(np.float32), (5.0, pixel_mm, pixel_mm))


def draw_lesions(size: int) -> NDArray[np.bool_]:
    """Where the head's lesions are: bool (slice, row, column), what is brighter than the tissue around it by half of
    what a clear lesion is.

    Args:
        size: rows and columns, as of `draw_head`.
    """
    axis = (np.arange(size) + 0.5) * FIELD_OF_VIEW_MM / size - FIELD_OF_VIEW_MM / 2
    rows, columns = np.meshgrid(axis, axis, indexing="ij")
    strengths = [[_blob(lesion, index, rows, columns, 3.0) for lesion in _LESIONS] for index in range(SLICES)]
    return np.asarray(np.max(strengths, axis=1) >= 0.5)


def _draw_slice(
    index: int, rows: NDArray[np.float64], columns: NDArray[np.float64], random: np.random.Generator, pixel_mm: float
) -> NDArray[np.float64]:
    shrink = 1.0 - 0.03 * index  # the head tapers upwards
    head = _ellipse_depth(rows, columns, (96.0 * shrink, 76.0 * shrink))
    coarse, fine = (_noise(random, rows.shape, mm / pixel_mm) for mm in (7.0, 1.2))
    cortex = _inside(12.0 + 4.0 * coarse - (head - 14.0))  # grey matter: an uneven ribbon under the skull
    brain = _WHITE + (_GREY - _WHITE) * cortex + 5.0 * coarse + 2.0 * fine
    lesions = np.max([_blob(lesion, index, rows, columns, 3.0) for lesion in _LESIONS], axis=0)
    brain = brain + lesions * (_LESION - brain)
    fluid = np.max([_pair(ventricle, index, rows, columns) for ventricle in _VENTRICLES], axis=0)
    fluid = np.maximum(fluid, _inside(1.2 - np.abs(columns)) * _inside(np.abs(rows) - 45.0))  # between the hemispheres
    brain = brain + fluid * (_FLUID - brain)
    scalp, skull, cavity = (_inside(head - mm) for mm in (0.0, 5.0, 12.0))
    picture = scalp * (_SCALP + 12.0 * coarse)
    picture = picture + skull * (_BONE - picture)
    picture = picture + cavity * (_FLUID - picture)
    picture = picture + _inside(head - 14.0) * (brain - picture)
    noise = 2.0 * random.standard_normal(rows.shape)
    shaded: NDArray[np.float64] = np.abs(picture * (1.0 + 0.0008 * rows - 0.0006 * columns) + noise)
    return shaded


def _ellipse_depth(
    rows: NDArray[np.float64], columns: NDArray[np.float64], radii: tuple[float, float]
) -> NDArray[np.float64]:
    """About the depth in mm under an ellipse's rim; negative outside."""
    return (1.0 - np.hypot(rows / radii[0], columns / radii[1])) * min(radii)


def _blob(
    blob: _Blob, index: int, rows: NDArray[np.float64], columns: NDArray[np.float64], soft_mm: float = 1.5
) -> NDArray[np.float64]:
    if blob.slice_ != index:
        return np.zeros_like(rows)
    angle = np.deg2rad(blob.degrees)
    down, right = rows - blob.centre[0], columns - blob.centre[1]
    along, across = down * np.cos(angle) + right * np.sin(angle), right * np.cos(angle) - down * np.sin(angle)
    return blob.strength * _inside(_ellipse_depth(along, across, blob.radii), soft_mm)


def _pair(blob: _Blob, index: int, rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(_blob(blob, index, rows, columns), _blob(blob, index, rows, -columns))


def _inside(depth_mm: NDArray[np.float64], soft_mm: float = 1.5) -> NDArray[np.float64]:
    """Part of a pixel that lies inside, with an edge `soft_mm` wide."""
    return np.clip(depth_mm / soft_mm + 0.5, 0.0, 1.0)


def _noise(random: np.random.Generator, shape: tuple[int, ...], sigma_pixels: float) -> NDArray[np.float64]:
    """Smooth noise, mean 0, SD 1."""
    smooth = ndimage.gaussian_filter(random.standard_normal(shape), sigma_pixels, mode="wrap")
    return np.asarray((smooth - smooth.mean()) / smooth.std(), np.float64)
