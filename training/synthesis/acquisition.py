"""A scanner: thick, tilted slices through the head, blurred, shaded and noisy."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from training.synthesis.fields import smooth_field
from training.synthesis.heads import Head

Array = NDArray[np.float32]
_SIDE = 256


@dataclass(frozen=True)
class Protocol:
    """How one scan is taken.

    Attributes:
        pixel_mm: in-plane pixel spacing; the matrix has 256 rows and columns.
        thickness_mm: slice thickness.
        spacing_mm: distance of slice centres.
        angles_degrees: pitch, roll and yaw of the head.
        scale: size of the head along its axes.
        mirrored: left and right exchanged.
        first_mm: how far under the brain's lowest point the first slice lies.
    """

    pixel_mm: float
    thickness_mm: float
    spacing_mm: float
    angles_degrees: tuple[float, float, float]
    scale: tuple[float, float, float]
    mirrored: bool
    first_mm: float


def draw_protocol(generator: np.random.Generator) -> Protocol:
    """Clinical 2D protocols (3 to 7 mm) for the most part; some thin ones, as reformatted 3D FLAIR."""
    thin = generator.random() < 0.2
    thickness = generator.uniform(1.0, 2.0) if thin else generator.uniform(3.0, 7.0)
    spacing = generator.uniform(4.0, 6.0) if thin else thickness * generator.uniform(1.0, 1.3)
    pitch, roll, yaw = generator.normal(0, (6.5, 3.5, 5.0))
    return Protocol(
        pixel_mm=generator.uniform(205, 265) / _SIDE,
        thickness_mm=thickness,
        spacing_mm=spacing,
        angles_degrees=(pitch, roll, yaw),
        scale=(generator.uniform(0.92, 1.1), generator.uniform(0.92, 1.1), generator.uniform(0.92, 1.1)),
        mirrored=bool(generator.random() < 0.5),
        first_mm=generator.uniform(-10, 15),
    )


class Slab:
    """Sampling places of one protocol in one head."""

    def __init__(self, head: Head, protocol: Protocol) -> None:
        bottom, top = head.brain
        height = (top - bottom) * protocol.scale[2] + protocol.first_mm + 8
        count = max(8, round(height / protocol.spacing_mm))
        self._fine = max(1, round(protocol.thickness_mm / 1.5))
        inner = (np.arange(self._fine) - (self._fine - 1) / 2) * protocol.thickness_mm / self._fine
        middle = (bottom + top) / 2
        first = (bottom - middle) * protocol.scale[2] - protocol.first_mm
        heights = first + np.arange(count)[:, None] * protocol.spacing_mm + inner
        side = (np.arange(_SIDE) - (_SIDE - 1) / 2) * protocol.pixel_mm
        mirror = -1.0 if protocol.mirrored else 1.0
        turn = Rotation.from_euler("xyz", protocol.angles_degrees, degrees=True).as_matrix()
        # Columns run to the patient's left, rows to posterior; the head's axes to the right, to anterior, to superior.
        to_head = np.diag(1 / np.asarray(protocol.scale)) @ turn @ np.diag([-mirror, -1.0, 1.0])
        centre = np.array([*head.cerebrum[:2].mean(axis=1), middle])
        column, row, z = side, side, heights.reshape(-1)
        self.count = count
        self._planes = [
            (
                to_head[:, 0, None, None] * column[None, None, :]
                + to_head[:, 1, None, None] * row[None, :, None]
                + (to_head[:, 2] * depth + centre)[:, None, None]
            ).astype(np.float32)
            for depth in z
        ]

    def sample(self, values: Array) -> Array:
        """Mean of `values` over each slice's thickness, (slice, row, column)."""
        out = np.zeros((self.count, _SIDE, _SIDE), np.float32)
        for index, plane in enumerate(self._planes):
            out[index // self._fine] += ndimage.map_coordinates(values, plane, np.float32, order=1, mode="constant")
        return out / np.float32(self._fine)

    def share(self, where: NDArray[np.bool_]) -> Array:
        """Share of each voxel that lies in `where`, from the nearest places; (slice, row, column)."""
        last = np.array(where.shape)[:, None, None] - 1
        out = np.zeros((self.count, _SIDE, _SIDE), np.float32)
        for index, plane in enumerate(self._planes):
            nearest = np.rint(plane).astype(np.int32)
            inside = ((nearest >= 0) & (nearest <= last)).all(axis=0)
            clipped = np.clip(nearest, 0, last)
            out[index // self._fine] += where[clipped[0], clipped[1], clipped[2]] & inside
        return out / np.float32(self._fine)


def degrade(image: Array, generator: np.random.Generator) -> Array:
    """Resolution, motion ghosts, coil shading and Rician noise; white matter stays about 1."""
    blur = generator.uniform(0.25, 1.1)
    shape = image.shape
    out = np.stack([cv2.GaussianBlur(plane, (0, 0), blur) for plane in image])
    if generator.random() < 0.15:
        shift = int(generator.integers(20, 90))
        out += np.float32(generator.uniform(0.01, 0.05)) * np.roll(out, shift, axis=1)
    shading = smooth_field(shape, (3, 4, 4), generator) * generator.uniform(0.0, 0.25)
    out *= np.exp(shading)
    level = generator.uniform(0.005, 0.07)
    real = out + level * generator.standard_normal(shape, np.float32)
    imaginary = level * generator.standard_normal(shape, np.float32)
    return np.asarray(np.hypot(real, imaginary), np.float32)
