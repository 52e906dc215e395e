"""Evidence about a result, measured before it is delivered: the mask against brain, image and doubt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segmentation.anatomy import Anatomy
from segmentation.boxes import box_of, sizes_of
from segmentation.bright_tissue import LARGE_PART, calm_brain
from segmentation.cortical_wedge import wedge_cm2
from segmentation.lost_slices import lost_lines, lost_slices
from segmentation.measures import Measures
from segmentation.midline import Midplane
from segmentation.noisy_lines import noisy_lines
from segmentation.skull_gap import skull_gap_mm
from segmentation.volume import FlairVolume

Mask = NDArray[np.bool_]

RIM_MM: Final = 5.0
_NEIGHBOURS: Final = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True)
class IntensityLimits:
    """Beyond these an image is unlike the images that a model was trained on; in units of the brain's median.

    Attributes:
        dark, spread, bright: upper limits of the numbers of that name in `Evidence`.
        of_training: derived from the model's own training images; False: those of FLAIR in general.
    """

    dark: float
    spread: float
    bright: float
    of_training: bool = True


GENERAL_LIMITS: Final = IntensityLimits(dark=0.75, spread=0.5, bright=2.5, of_training=False)
"""Real FLAIR of five scanners has 0.2 to 0.6, 0.2 to 0.3 and 1.4 to 1.8; for bundles that do not state their own."""


@dataclass(frozen=True)
class Evidence:
    """Numbers that the rules of `segmentation.plausibility` look at.

    Attributes:
        measures: of the delivered mask.
        brain_ml: volume of the brain mask; 0 where no brain was found.
        outside_ml: WMH that was found outside the brain and dropped.
        rim_share: part of the delivered WMH within `RIM_MM` of the brain's edge, in the plane of the slice; 0 to 1.
        largest_ml: the largest lesion (26-connected).
        largest_side: how far that lesion lies on one side of the brain: 0 both, 1 one side only.
        side: the same of all WMH.
        mass_radius_mm: radius of the largest disc, within one slice, that tissue brighter than 1.25 times the slice's
            median brain fills.
        wedge_cm2: area, in one slice, of the largest region that is as bright, reaches from the brain's surface into
            the depth, and has no like on the other side.
        skull_gap_mm: along the brain's edge, where on one side no skull lies around it; 0 without an anatomy network.
        lost_slices: slices inside the brain that show no head, are broken or repeat another one.
        lost_lines: rows and columns in the brain that have one value or hold noise, slice by slice, but those of lost
            slices.
        dark: 5th percentile of the brain's intensities, its median = 1. Low on FLAIR: fluid is dark.
        spread: its interquartile range, in the same unit.
        bright: its 99th percentile, in the same unit.
        scaled_by_extremes: a few extreme pixels decide the scale of the images that the networks see.
        limits: of `dark`, `spread` and `bright` for this model.
    """

    measures: Measures
    brain_ml: float
    outside_ml: float = 0.0
    rim_share: float = 0.0
    largest_ml: float = 0.0
    largest_side: float = 0.0
    side: float = 0.0
    mass_radius_mm: float = 0.0
    wedge_cm2: float = 0.0
    skull_gap_mm: float = 0.0
    lost_slices: int = 0
    lost_lines: int = 0
    dark: float = 0.3
    spread: float = 0.25
    bright: float = 1.6
    scaled_by_extremes: bool = False
    limits: IntensityLimits = GENERAL_LIMITS

    @property
    def is_unlike_training(self) -> bool:
        """Fluid is not dark, or the intensities are spread wider than the limits allow."""
        limits = self.limits
        return self.dark > limits.dark or self.spread > limits.spread or self.bright > limits.bright

    @property
    def share_of_brain(self) -> float | None:
        """WMH volume over brain volume; None where no brain was found."""
        return None if self.brain_ml <= 0 else self.measures.wmh_volume_ml / self.brain_ml

    @property
    def outside_share(self) -> float:
        """Part of all WMH found that lay outside the brain."""
        found = self.measures.wmh_volume_ml + self.outside_ml
        return 0.0 if found <= 0 else self.outside_ml / found


def gather(
    volume: FlairVolume,
    brain: Mask,
    mask: Mask,
    outside_ml: float,
    measures: Measures,
    scaled_by_extremes: bool = False,
    limits: IntensityLimits = GENERAL_LIMITS,
    anatomy: Anatomy | None = None,
) -> Evidence:
    """Measure the evidence.

    Args:
        volume: intensities.
        brain: bool (slice, row, column), empty where none was found.
        mask: bool, same shape: the WMH that is delivered.
        outside_ml: WMH that was dropped because it lay outside the brain.
        measures: of `mask`.
        scaled_by_extremes, limits: see `Evidence`.
        anatomy: the parts of the head; None without an anatomy network.
    """
    if not brain.any():
        return Evidence(measures, 0.0, outside_ml, scaled_by_extremes=scaled_by_extremes, limits=limits)
    ranks = np.percentile(volume.inside(brain), (5, 25, 50, 75, 99), overwrite_input=True)
    dark, lower, middle, upper, bright = (float(rank) for rank in ranks)
    scale = middle if middle > 0 else 1.0
    lost = lost_slices(volume, brain)
    plane = Midplane.of(brain, volume.spacing_mm)
    largest, largest_side = _largest_lesion(mask, plane)
    radius, wedge = _bright_tissue(volume, brain, plane)
    return Evidence(
        measures=measures,
        brain_ml=int(np.count_nonzero(brain)) * volume.voxel_volume_ml,
        outside_ml=outside_ml,
        rim_share=_rim_share(mask, brain, volume.spacing_mm),
        largest_ml=largest * volume.voxel_volume_ml,
        largest_side=largest_side,
        side=_one_sidedness(mask, plane),
        mass_radius_mm=radius,
        wedge_cm2=wedge,
        skull_gap_mm=0.0 if anatomy is None else skull_gap_mm(volume, brain, anatomy.infratentorial),
        lost_slices=len(lost),
        lost_lines=lost_lines(volume, brain, lost) + noisy_lines(volume, brain, lost),
        dark=dark / scale,
        spread=(upper - lower) / scale,
        bright=bright / scale,
        scaled_by_extremes=scaled_by_extremes,
        limits=limits,
    )


def _largest_lesion(mask: Mask, plane: Midplane) -> tuple[int, float]:
    """Voxels of the largest lesion, and how far it lies on one side."""
    box = box_of(mask)
    labels, count = ndimage.label(mask[box], structure=_NEIGHBOURS)
    if not count:
        return 0, 0.0
    sizes = sizes_of(labels, count)
    label = 1 + int(np.argmax(sizes[1:]))
    largest = np.zeros(mask.shape, bool)
    largest[box] = labels == label
    return int(sizes[label]), _one_sidedness(largest, plane)


def _rim_share(mask: Mask, brain: Mask, spacing_mm: tuple[float, float, float]) -> float:
    """Only slices with WMH are looked at."""
    total = int(np.count_nonzero(mask))
    if not total:
        return 0.0
    near = 0
    for lesion, inside in zip(mask, brain, strict=True):
        if lesion.any():
            box = box_of(inside | lesion)
            depth = ndimage.distance_transform_edt(np.pad(inside[box], 1), spacing_mm[1:])[1:-1, 1:-1]
            near += int(np.count_nonzero(lesion[box] & (depth <= RIM_MM)))
    return near / total


def _one_sidedness(mask: Mask, plane: Midplane) -> float:
    """Only slices with WMH are looked at."""
    total = side = 0
    for index in np.flatnonzero(mask.any(axis=(1, 2))):
        total += int(np.count_nonzero(mask[index]))
        side += int(np.count_nonzero(mask[index] & plane.lines[index].one_side(mask.shape[1:])))
    return 0.0 if not total else abs(2 * side - total) / total


def _bright_tissue(volume: FlairVolume, brain: Mask, plane: Midplane) -> tuple[float, float]:
    """Radius of the largest disc that bright tissue fills, in mm, and area of the largest wedge, in cm2.

    In every slice, as `segmentation.bright_region` looks: a region that is reported must be doubted too.
    """
    areas = brain.sum(axis=(1, 2))
    spacing = volume.spacing_mm[1:]
    radius = wedge = 0.0
    for index in map(int, np.flatnonzero(areas > LARGE_PART * areas.max())):
        calm = calm_brain(volume.plane(index), brain[index], spacing)
        # Beyond the box nothing is bright.
        radius = max(radius, float(ndimage.distance_transform_edt(np.pad(calm.body, 1), spacing).max()))
        wedge = max(wedge, wedge_cm2(calm, plane.lines[index].within(calm.box), spacing))
    return radius, wedge
