"""Periventricular and deep white matter hyperintensity, and the ventricles that separate them (paper, "Methods").

Periventricular is a WMH voxel whose centre lies within 10 mm (the paper tries 7.5 mm too) of the centre of a ventricle
voxel; deep is the rest. By the rule `2d`, as published, the distance is taken in the plane of each slice, so that a
slice without ventricles is all deep; by `3d` it is taken in space, slice distance in mm included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segmentation.boxes import box_of, sizes_of
from segmentation.errors import BadVolume
from segmentation.interval import Bounds, VolumeInterval

DistanceRule = Literal["2d", "3d"]
FLAG_NO_VENTRICLES: Final = "no_ventricles_found"

# A network's ventricle mask is cleaned up before anything is measured from it. The lateral ventricles of an adult
# hold 5 to 100 mL: when the largest component (26-connected) is under half a millilitre, none was found. Horns and the
# third and fourth ventricle may stand apart on thick slices; what is under 2 % of the largest counts as sulcal fluid.
LEAST_ML: Final = 0.5
LEAST_PART: Final = 0.02
_NEIGHBOURS: Final = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True)
class RegionRule:
    """What counts as periventricular.

    Attributes:
        distance_mm: largest distance from the ventricles.
        distance_rule: `2d` within each slice, `3d` in space.

    Raises:
        BadVolume: a distance that is not positive, or an unknown rule.
    """

    distance_mm: float = 10.0
    distance_rule: DistanceRule = "2d"

    def __post_init__(self) -> None:
        """Check once, so that no later code must."""
        if not (np.isfinite(self.distance_mm) and self.distance_mm > 0):
            raise BadVolume(f"expected a positive periventricular distance in mm, got {self.distance_mm}")
        if self.distance_rule not in get_args(DistanceRule):
            raise BadVolume(f"expected distance rule 2d or 3d, got {self.distance_rule!r}")


PUBLISHED_RULE: Final = RegionRule()


@dataclass(frozen=True)
class RegionVolumes:
    """Volumes in mL, and the rule that they follow.

    Attributes:
        periventricular_volume_ml, deep_volume_ml: parts of the WMH volume; they add up to it.
        ventricle_volume_ml: of the cleaned ventricles.
        distance_mm, distance_rule: see `RegionRule`.
        periventricular_interval_ml, deep_interval_ml: the parts of the WMH volume's interval; None when the caller of
            `divide` gave no bounds.
    """

    periventricular_volume_ml: float
    deep_volume_ml: float
    ventricle_volume_ml: float
    distance_mm: float
    distance_rule: DistanceRule
    periventricular_interval_ml: VolumeInterval | None = None
    deep_interval_ml: VolumeInterval | None = None

    @property
    def rule(self) -> RegionRule:
        """What counted as periventricular."""
        return RegionRule(self.distance_mm, self.distance_rule)


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class Regions:
    """The WMH of one volume by region.

    Attributes:
        periventricular: bool (slice, row, column), native grid: part of the WMH mask; the rest of that is deep.
        volumes: their volumes.
    """

    periventricular: NDArray[np.bool_]
    volumes: RegionVolumes


def clean_ventricles(mask: NDArray[np.bool_], voxel_volume_ml: float) -> NDArray[np.bool_]:
    """The plausible part of a ventricle mask: its largest component, and each other of at least `LEAST_PART` of that.

    Args:
        mask: bool (slice, row, column), native grid.
        voxel_volume_ml: volume of one voxel in mL.

    Returns:
        bool, same shape; all False when the largest component holds less than `LEAST_ML`.
    """
    cleaned = np.zeros(mask.shape, bool)
    box = box_of(mask)
    labels, count = ndimage.label(mask[box], structure=_NEIGHBOURS)
    sizes = sizes_of(labels, count)
    sizes[0] = 0
    largest = int(sizes.max())
    if largest * voxel_volume_ml >= LEAST_ML:
        cleaned[box] = (sizes >= LEAST_PART * largest)[labels] & mask[box]
    return cleaned


def divide(
    wmh: NDArray[np.bool_],
    ventricles: NDArray[np.bool_],
    spacing_mm: tuple[float, float, float],
    rule: RegionRule = PUBLISHED_RULE,
    bounds: Bounds | None = None,
) -> Regions | None:
    """Divide WMH into periventricular and deep.

    Args:
        wmh: bool (slice, row, column), native grid.
        ventricles: bool, same shape, cleaned.
        spacing_mm: distance of voxel centres in mm, (slice, row, column).
        rule: what counts as periventricular.
        bounds: `segmentation.interval.bounds_of` the WMH, for the intervals of both parts.

    Returns:
        None without a ventricle voxel: the regions are then undefined.

    Raises:
        ValueError: the masks differ in shape.
    """
    if wmh.shape != ventricles.shape:
        raise ValueError(f"expected ventricles of shape {wmh.shape}, got {ventricles.shape}")
    if not ventricles.any():
        return None
    inside = near(ventricles, spacing_mm, rule)
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    intervals = (None, None) if bounds is None else bounds.divided(voxel_ml, inside)
    periventricular = np.logical_and(wmh, inside, out=inside)
    inner = int(np.count_nonzero(periventricular))
    return Regions(
        periventricular,
        RegionVolumes(
            periventricular_volume_ml=inner * voxel_ml,
            deep_volume_ml=(int(np.count_nonzero(wmh)) - inner) * voxel_ml,
            ventricle_volume_ml=int(np.count_nonzero(ventricles)) * voxel_ml,
            distance_mm=rule.distance_mm,
            distance_rule=rule.distance_rule,
            periventricular_interval_ml=intervals[0],
            deep_interval_ml=intervals[1],
        ),
    )


def near(
    ventricles: NDArray[np.bool_], spacing_mm: tuple[float, float, float], rule: RegionRule = PUBLISHED_RULE
) -> NDArray[np.bool_]:
    """Voxels within the rule's distance of a ventricle voxel, that one included; (slice, row, column)."""
    found = np.zeros(ventricles.shape, bool)
    if rule.distance_rule == "3d":
        _mark_near(ventricles, spacing_mm, rule.distance_mm, found)
    else:
        for ventricle, out in zip(ventricles, found, strict=True):
            _mark_near(ventricle, spacing_mm[1:], rule.distance_mm, out)
    return found


def _mark_near(
    mask: NDArray[np.bool_], spacing_mm: tuple[float, ...], distance_mm: float, out: NDArray[np.bool_]
) -> None:
    """Write into `out` which voxels lie near the mask; works in the box that can hold any, which is much smaller."""
    if not mask.any():
        return
    reach = [int(distance_mm / step) + 1 for step in spacing_mm]
    box = tuple(
        slice(max(found.start - more, 0), found.stop + more)
        for found, more in zip(ndimage.find_objects(mask.astype(np.uint8))[0], reach, strict=True)
    )
    # Rounding of the squares must not drop a voxel that lies at the distance exactly.
    limit = distance_mm * (1.0 + 1e-9)
    out[box] = ndimage.distance_transform_edt(~mask[box], sampling=spacing_mm) <= limit
