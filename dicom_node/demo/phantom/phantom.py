"""Make a phantom: arrays only, no DICOM."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from dicom_node.demo.phantom.anatomy import Head
from dicom_node.demo.phantom.lesions import Lesions
from dicom_node.demo.phantom.shapes import Points, inside
from dicom_node.demo.phantom.spec import PhantomSpec
from segmentation.measures import count_lesions

__all__ = ["Phantom", "PhantomSpec", "make_phantom"]

# White matter in the units of a 14-bit scanner image; fat then lies near the top, as on 1.5 T scans.
_WHITE_MATTER = 4200.0
_TOP = 16383.0
# Gives lesions 1.5 times the brain's median, as on the labelled 1.5 T scans (1.34 to 1.69); the rim is fainter than the
# core.
_LESION_GAIN = 0.75
_LESION_EDGE_MM = 1.5
_LEVEL_RANGE_MM = 20.0
_HEAD_CENTRE_MM = (0.0, 0.0, 8.0)
_CENTRE_FROM_CHIN_MM = (0.0, 0.0, -20.0)
# How differently a head lies at two visits, at most, about and along each axis.
_TURN_DEGREES = 4.0
_SHIFT_MM = 3.0


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class Phantom:
    """A synthetic head with its truth, all on one grid (slice, row, column), slices from feet to head.

    Attributes:
        spec: what was asked for.
        flair: float32, scanner-like intensities (whole numbers, 0 to 16383).
        wmh, brain, ventricles: bool masks of the truth: voxels at least half filled.
        affine: float64 (4, 4), (column index, row index, slice index, 1) to mm, LPS.
        truth_ml: volume of the WMH mask in mL, with the distance of slice centres as the voxel's depth.
        lesion_count: 26-connected components of the WMH mask of at least the size that results count.
    """

    spec: PhantomSpec
    flair: NDArray[np.float32]
    wmh: NDArray[np.bool_]
    brain: NDArray[np.bool_]
    ventricles: NDArray[np.bool_]
    affine: NDArray[np.float64]
    truth_ml: float
    lesion_count: int


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class _Rendered:
    """The head on the slices' grid, white matter = 1; `level` keeps its sub-slices, the rest is averaged over them.

    Attributes:
        intensity, brain, ventricle: float32 (slice, row, column).
        level: float32 (slice, sub-slice, row, column), see `Lesions.level`.
    """

    intensity: NDArray[np.float32]
    brain: NDArray[np.float32]
    ventricle: NDArray[np.float32]
    level: NDArray[np.float32]


def make_phantom(spec: PhantomSpec) -> Phantom:
    """Make the phantom that the spec describes; the same spec gives the same bits on the same machine."""
    random = np.random.default_rng(spec.seed)
    head, lesions = Head(random, has_neck=spec.chin), Lesions(random)
    affine = phantom_affine(spec)
    rendered = _render(spec, _pose(spec) @ affine, head, lesions)
    brightness, filled = _lesions_on_slices(rendered.level, spec)
    wmh = filled >= 0.5
    flair = _acquire(rendered.intensity + brightness, spec, _noise_of_visit(spec, random))
    return Phantom(
        spec=spec,
        flair=flair,
        wmh=wmh,
        brain=rendered.brain >= 0.5,
        ventricles=rendered.ventricle >= 0.5,
        affine=affine,
        truth_ml=float(wmh.sum() * np.prod(spec.spacing_mm) / 1000.0),
        lesion_count=count_lesions(wmh, float(np.prod(spec.spacing_mm)) / 1000.0),
    )


def phantom_affine(spec: PhantomSpec) -> NDArray[np.float64]:
    """Affine (column, row, slice index) to mm in LPS: the middle of the volume lies at the middle of the head."""
    tilt = np.deg2rad(spec.oblique_degrees)
    depth, height, width = spec.spacing_mm
    affine = np.eye(4)
    affine[:3, 0] = np.array([1.0, 0.0, 0.0]) * width
    affine[:3, 1] = np.array([0.0, np.cos(tilt), np.sin(tilt)]) * height
    affine[:3, 2] = np.array([0.0, -np.sin(tilt), np.cos(tilt)]) * depth
    middle = np.array([(spec.matrix - 1) / 2.0, (spec.matrix - 1) / 2.0, (spec.slices - 1) / 2.0])
    affine[:3, 3] = np.array(_CENTRE_FROM_CHIN_MM if spec.chin else _HEAD_CENTRE_MM) - affine[:3, :3] @ middle
    return affine


def _pose(spec: PhantomSpec) -> NDArray[np.float64]:
    """How the head lies on a date: 4x4, scanner to head, mm; the identity without a date."""
    pose = np.eye(4)
    if (day := spec.acquired_on) is None:
        return pose
    random = np.random.default_rng((spec.seed, day.toordinal(), 1))
    turn = Rotation.from_euler("xyz", random.uniform(-_TURN_DEGREES, _TURN_DEGREES, 3), degrees=True)
    pose[:3, :3] = turn.as_matrix()
    pose[:3, 3] = random.uniform(-_SHIFT_MM, _SHIFT_MM, 3)
    return pose


def _noise_of_visit(spec: PhantomSpec, random: np.random.Generator) -> np.random.Generator:
    day = spec.acquired_on
    return random if day is None else np.random.default_rng((spec.seed, day.toordinal(), 2))


def _sub_slices(spec: PhantomSpec) -> NDArray[np.float64]:
    """Offsets of the samples through one slice, in slices: about every 1.2 mm of its thickness."""
    count = int(np.clip(round(spec.slice_thickness_mm / 1.2), 1, 5))
    return ((np.arange(count) + 0.5) / count - 0.5) * (1.0 - spec.gap_fraction)


def _render(spec: PhantomSpec, affine: NDArray[np.float64], head: Head, lesions: Lesions) -> _Rendered:
    """Sample the head slice by slice, so that memory stays small."""
    offsets = _sub_slices(spec)
    grid = (spec.slices, spec.matrix, spec.matrix)
    rendered = _Rendered(
        intensity=np.zeros(grid, np.float32),
        brain=np.zeros(grid, np.float32),
        ventricle=np.zeros(grid, np.float32),
        level=np.full((spec.slices, len(offsets), spec.matrix, spec.matrix), -100.0, np.float32),
    )
    rows, columns = np.meshgrid(np.arange(spec.matrix), np.arange(spec.matrix), indexing="ij")
    for index in range(spec.slices):
        for sub, offset in enumerate(offsets):
            x, y, z = (
                (
                    affine[axis, 0] * columns
                    + affine[axis, 1] * rows
                    + affine[axis, 2] * (index + offset)
                    + affine[axis, 3]
                )
                .astype(np.float32)
                .ravel()
                for axis in range(3)
            )
            everywhere = Points(x, y, z)
            (chosen,) = np.nonzero(head.outside(everywhere) > -1.0)
            points = Points(x[chosen], y[chosen], z[chosen])
            tissues = head.tissues(points)
            share = np.float32(1.0 / len(offsets))
            rendered.intensity[index].ravel()[chosen] += tissues.intensity * share
            rendered.brain[index].ravel()[chosen] += tissues.brain * share
            rendered.ventricle[index].ravel()[chosen] += tissues.ventricle * share
            rendered.level[index, sub].ravel()[chosen] = lesions.level(points, tissues, head.fine.at(points))
    return rendered


def _lesions_on_slices(
    level: NDArray[np.float32], spec: PhantomSpec
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What lesions add to the intensity, and the part of each voxel that they fill; (slice, row, column)."""
    grid = (spec.slices, spec.matrix, spec.matrix)
    brightness, filled = np.zeros(grid, np.float32), np.zeros(grid, np.float32)
    where = np.nonzero(level.max(axis=1) > -_LEVEL_RANGE_MM)
    candidates = level.transpose(0, 2, 3, 1)[where]
    if spec.wmh_ml == 0 or candidates.size == 0:
        return brightness, filled
    wanted = spec.wmh_ml * 1000.0 / float(np.prod(spec.spacing_mm))
    threshold = _threshold(candidates, wanted)
    part = inside(candidates - np.float32(threshold), _LESION_EDGE_MM)
    core = 0.8 + 0.2 * np.clip((candidates - threshold) / 4.0, 0.0, 1.0)
    filled[where] = part.mean(axis=1)
    brightness[where] = (_LESION_GAIN * part * core).mean(axis=1)
    return brightness, filled


def _threshold(candidates: NDArray[np.float32], wanted_voxels: float) -> float:
    """Level above which lesions fill `wanted_voxels` voxels at least by half; by bisection."""
    low, high = -_LEVEL_RANGE_MM, _LEVEL_RANGE_MM
    for _ in range(24):
        middle = 0.5 * (low + high)
        filled = (inside(candidates - np.float32(middle), _LESION_EDGE_MM).mean(axis=1) >= 0.5).sum()
        low, high = (middle, high) if filled > wanted_voxels else (low, middle)
    return 0.5 * (low + high)


def _acquire(clean: NDArray[np.float32], spec: PhantomSpec, random: np.random.Generator) -> NDArray[np.float32]:
    """What a scanner makes of it: blur in plane, receive field, Rician noise, whole numbers."""
    blurred = ndimage.gaussian_filter(clean, (0.0, 0.45, 0.45))
    signal = blurred * _receive_field(clean.shape, spec, random)
    real = random.standard_normal(clean.shape, dtype=np.float32) * np.float32(spec.noise)
    imaginary = random.standard_normal(clean.shape, dtype=np.float32) * np.float32(spec.noise)
    magnitude = np.hypot(signal + real, imaginary) * np.float32(_WHITE_MATTER)
    flair: NDArray[np.float32] = np.clip(np.rint(magnitude), 0.0, _TOP).astype(np.float32)
    return flair


def _receive_field(shape: tuple[int, ...], spec: PhantomSpec, random: np.random.Generator) -> NDArray[np.float32]:
    """A smooth gain around 1: random, but of few and long waves, as coils make it."""
    coarse = random.standard_normal((5, 5, 5)).astype(np.float32)
    smooth = ndimage.gaussian_filter(coarse, 1.0, mode="nearest")
    smooth = (smooth - smooth.mean()) / (np.abs(smooth - smooth.mean()).max() + 1e-6)
    axes = [np.linspace(0.0, 4.0, length, dtype=np.float32) for length in shape]
    where = np.meshgrid(*axes, indexing="ij", sparse=False)
    field = ndimage.map_coordinates(smooth, where, order=2, mode="nearest", output=np.float32)
    gain: NDArray[np.float32] = (1.0 + np.float32(spec.bias) * field).astype(np.float32)
    return gain
