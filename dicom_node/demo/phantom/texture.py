"""Smooth random fields in space, drawn once from a generator and sampled anywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dicom_node.demo.phantom.shapes import Field, Points


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class Lattice:
    """A scalar field on a cubic lattice centred at the origin; repeats beyond its edge.

    Attributes:
        values: float32 (x, y, z).
        step_mm: distance of lattice points.
    """

    values: NDArray[np.float32]
    step_mm: float

    def at(self, points: Points) -> Field:
        """Linear interpolation at the points."""
        half = (np.array(self.values.shape) - 1) / 2.0
        where = [axis / np.float32(self.step_mm) + np.float32(h) for axis, h in zip(points, half, strict=True)]
        return np.asarray(
            ndimage.map_coordinates(self.values, where, order=1, mode="grid-wrap", output=np.float32), np.float32
        )


def noise_lattice(random: np.random.Generator, wavelength_mm: float, step_mm: float, size: int) -> Lattice:
    """Gaussian noise with most of its power near one wavelength; mean 0, standard deviation 1."""
    white = random.standard_normal((size, size, size), dtype=np.float32)
    frequency = np.fft.fftfreq(size, step_mm)
    half = np.fft.rfftfreq(size, step_mm)
    radius = np.sqrt(frequency[:, None, None] ** 2 + frequency[None, :, None] ** 2 + half[None, None, :] ** 2)
    centre = 1.0 / wavelength_mm
    band = np.exp(-0.5 * ((radius - centre) / (0.3 * centre)) ** 2)
    shaped = np.fft.irfftn(np.fft.rfftn(white) * band, s=white.shape, axes=(0, 1, 2))
    shaped /= shaped.std()
    return Lattice(shaped.astype(np.float32), step_mm)


def sheet_distance(field: Lattice) -> Lattice:
    """Distance in mm to the sheets where the field changes its sign (these wind like sulci)."""
    positive = field.values > 0
    away = np.where(positive, ndimage.distance_transform_edt(positive), ndimage.distance_transform_edt(~positive))
    smooth = ndimage.gaussian_filter((away - 0.5) * field.step_mm, 0.6, mode="wrap")
    return Lattice(smooth.astype(np.float32), field.step_mm)
