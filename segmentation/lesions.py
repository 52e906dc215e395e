"""Each lesion with its size and place, how far WMH extends in a slice, and the Fazekas grade that the sizes give.

The grade is derived from the masks by the sizes of Noh et al. (J Stroke Cerebrovasc Dis 2014;23:636), a modified
Fazekas scale; no reader has given it:

| grade | periventricular: extent of caps and bands from the ventricle | deep: largest diameter of a lesion |
|-------|--------------------------------------------------------------|------------------------------------|
| 0     | none                                                         | none                               |
| 1     | under 5 mm                                                   | under 10 mm                        |
| 2     | 5 to 10 mm                                                   | 10 to 25 mm                        |
| 3     | 10 mm and more                                               | 25 mm and more                     |

Fazekas et al. (AJR 1987;149:351) go by confluence in place of size: one streak of 10 x 2.5 mm is "deep 2" here, and 1
for a reader who sees no confluence. So the sizes stand beside the grades wherever these are shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segmentation.anatomy import Anatomy
from segmentation.boxes import box_of
from segmentation.measures import LEAST_LESION_ML

Mask = NDArray[np.bool_]
Side = Literal["left", "right", "both"]
Place = Literal["periventricular", "juxtacortical", "deep", "infratentorial"]
Grade = Literal[0, 1, 2, 3]

_NEIGHBOURS: Final = np.ones((3, 3, 3), dtype=bool)
_IN_PLANE: Final = np.ones((3, 3), dtype=bool)
_TOUCHES_MM: Final = 3.0
_ONE_SIDE: Final = 0.9
_PERIVENTRICULAR_MM: Final = (5.0, 10.0)
_DEEP_MM: Final = (10.0, 25.0)
_ANGLES: Final = np.linspace(0.0, np.pi, 18, endpoint=False)


@dataclass(frozen=True)
class Lesion:
    """One 26-connected component of the mask.

    Attributes:
        volume_ml: its volume.
        side: which half of the brain holds nine tenths of it; `both` where neither does, None where sides are unknown.
        place: where most of it lies; None where neither ventricles nor anatomy are known.
    """

    volume_ml: float
    side: Side | None
    place: Place | None


@dataclass(frozen=True)
class Extent:
    """How far WMH extends in the plane of a slice, in mm; 0 where there is none.

    WMH that comes within 3 mm of the ventricles is a cap or a band with all that hangs together with it in the slice;
    other WMH is deep.

    Attributes:
        periventricular: how far caps and bands reach from the ventricles.
        deep: the longest diameter of a deep lesion.
    """

    periventricular: float
    deep: float

    @property
    def fazekas(self) -> Fazekas:
        """The grades that these sizes give."""
        return Fazekas(_grade(self.periventricular, _PERIVENTRICULAR_MM), _grade(self.deep, _DEEP_MM))


@dataclass(frozen=True)
class Fazekas:
    """Derived grades, 0 to 3."""

    periventricular: Grade
    deep: Grade


def list_lesions(
    mask: Mask,
    voxel_volume_ml: float,
    spacing_mm: tuple[float, float, float],
    periventricular: Mask | None = None,
    anatomy: Anatomy | None = None,
    left: Mask | None = None,
) -> tuple[Lesion, ...]:
    """Every lesion of at least `LEAST_LESION_ML`, largest first.

    Args:
        mask: bool (slice, row, column).
        voxel_volume_ml: volume of one voxel.
        spacing_mm: (slice, row, column).
        periventricular: the part of the mask that is periventricular, where ventricles are known.
        anatomy: parts of the head, where a network found them.
        left: the patient's left half, where it is known.
    """
    around = box_of(mask)
    labels, count = ndimage.label(mask[around], structure=_NEIGHBOURS)
    if not count:
        return ()
    near_cortex = None if anatomy is None else _near(anatomy.cortex, spacing_mm)[around].copy()
    periventricular = None if periventricular is None else periventricular[around]
    anatomy = None if anatomy is None else anatomy.within(around)
    found = []
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        lesion = labels[box] == label
        volume_ml = int(np.count_nonzero(lesion)) * voxel_volume_ml
        if volume_ml < LEAST_LESION_ML * (1 - 1e-9):
            continue
        side = _side(_part(lesion, None if left is None else left[around][box]))
        place = _place(
            _part(lesion, None if anatomy is None else anatomy.within(box).infratentorial),
            _part(lesion, None if periventricular is None else periventricular[box]),
            _part(lesion, None if near_cortex is None else near_cortex[box]),
        )
        found.append(Lesion(volume_ml, side, place))
    return tuple(sorted(found, key=lambda one: -one.volume_ml))


def places_of(
    labels: NDArray[np.int32],
    near_ventricles: Mask,
    spacing_mm: tuple[float, float, float],
    anatomy: Anatomy | None = None,
) -> dict[int, Place | None]:
    """Where most of each labelled region lies, by the same rule as a lesion of the mask.

    Args:
        labels: int32 (slice, row, column), 0 outside.
        near_ventricles: bool, same shape: what counts as periventricular.
        spacing_mm: (slice, row, column).
        anatomy: parts of the head, where a network found them.
    """
    near_cortex = None if anatomy is None else _near(anatomy.cortex, spacing_mm)
    return {
        label: _place(
            _part(labels[box] == label, None if anatomy is None else anatomy.within(box).infratentorial),
            _part(labels[box] == label, near_ventricles[box]),
            _part(labels[box] == label, None if near_cortex is None else near_cortex[box]),
        )
        for label, box in enumerate(ndimage.find_objects(labels), start=1)
        if box is not None
    }


def measure_extent(
    mask: Mask,
    ventricles: Mask,
    voxel_volume_ml: float,
    spacing_mm: tuple[float, float, float],
    corner: tuple[int, int] = (0, 0),
) -> Extent:
    """The extent of a mask.

    Args:
        mask: bool (slice, row, column): WMH.
        ventricles: bool, same shape, not empty.
        voxel_volume_ml: volume of one voxel; regions in a slice under `LEAST_LESION_ML` do not count.
        spacing_mm: (slice, row, column).
        corner: row and column at which these masks begin in their slices: a length is rounded by where it lies.
    """
    extent_mm = diameter_mm = 0.0
    for wmh, inside in zip(mask, ventricles, strict=True):
        if not wmh.any():
            continue
        away = ndimage.distance_transform_edt(~inside, spacing_mm[1:]) if inside.any() else np.full(wmh.shape, np.inf)
        labels, count = ndimage.label(wmh, structure=_IN_PLANE)
        for label in range(1, count + 1):
            region = labels == label
            if np.count_nonzero(region) * voxel_volume_ml < LEAST_LESION_ML:
                continue
            if float(away[region].min()) <= _TOUCHES_MM:
                extent_mm = max(extent_mm, float(away[region].max()))
            else:
                diameter_mm = max(diameter_mm, _diameter_mm(region, spacing_mm[1:], corner))
    return Extent(extent_mm, diameter_mm)


def _grade(size_mm: float, limits_mm: tuple[float, float]) -> Grade:
    if size_mm <= 0:
        return 0
    return 1 if size_mm < limits_mm[0] else 2 if size_mm < limits_mm[1] else 3


def _diameter_mm(region: Mask, spacing_mm: tuple[float, float], corner: tuple[int, int]) -> float:
    """The largest width of a region over all directions, its outer pixels whole."""
    rows, columns = (
        (index + first) * step for index, first, step in zip(np.nonzero(region), corner, spacing_mm, strict=True)
    )
    widths = (np.ptp(rows * np.cos(angle) + columns * np.sin(angle)) for angle in _ANGLES)
    return float(max(widths)) + min(spacing_mm)


def _near(cortex: Mask, spacing_mm: tuple[float, float, float]) -> Mask:
    """Cortex and what lies within `_TOUCHES_MM` of it in the plane of the slice."""
    found = np.zeros(cortex.shape, bool)
    margin = [int(_TOUCHES_MM / step) + 1 for step in spacing_mm[1:]]
    for plane, out in zip(cortex, found, strict=True):
        box = box_of(plane, *margin)
        if plane[box].size:
            out[box] = ndimage.distance_transform_edt(~plane[box], spacing_mm[1:]) <= _TOUCHES_MM
    return found


def _part(lesion: Mask, region: Mask | None) -> float | None:
    """The part of a lesion that lies in a region; None where the region is unknown."""
    return None if region is None else float(np.count_nonzero(lesion & region)) / float(np.count_nonzero(lesion))


def _side(left: float | None) -> Side | None:
    if left is None:
        return None
    return "left" if left >= _ONE_SIDE else "right" if left <= 1 - _ONE_SIDE else "both"


def _place(infratentorial: float | None, periventricular: float | None, near_cortex: float | None) -> Place | None:
    """Infratentorial and periventricular by most of the lesion; juxtacortical where a tenth touches the cortex."""
    if infratentorial is not None and infratentorial > 0.5:
        return "infratentorial"
    if periventricular is None:
        return None
    if periventricular > 0.5:
        return "periventricular"
    return "juxtacortical" if near_cortex is not None and near_cortex > 0.1 else "deep"
