"""What became of each lesion between two scans of one patient: new, grown, stable, shrunk or gone.

Both masks lie on the grid of the later scan (`segmentation.registration`). Lesions that touch across the two scans are
one site: a lesion that two earlier ones have grown into is one that has grown.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segmentation.measures import LEAST_LESION_ML
from segmentation.registration import Registration, register_rigidly, resample_onto
from segmentation.volume import FlairVolume

Mask = NDArray[np.bool_]
Kind = Literal["new", "grown", "stable", "shrunk", "gone"]
KINDS: Final[tuple[Kind, ...]] = ("new", "grown", "stable", "shrunk", "gone")

_NEIGHBOURS: Final = np.ones((3, 3, 3), dtype=bool)
# A site has changed when it did by more than the sum of both: the edge of a small lesion lies in other voxels at each
# visit. How often that is wrong for a brain without a change: `make agreement`, docs/evidence/agreement.json.
LEAST_CHANGE_ML: Final = 0.1
LEAST_CHANGE: Final = 0.15
"""Part of the larger of both volumes."""


@dataclass(frozen=True)
class SiteChange:
    """One site of lesions.

    Attributes:
        kind: what became of it.
        earlier_ml, now_ml: its volumes.
        centre: (slice, row, column) of its voxels in either scan, on the later scan's grid.
        label: of its voxels in `Changes.sites`.
    """

    kind: Kind
    earlier_ml: float
    now_ml: float
    centre: tuple[float, float, float]
    label: int


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class Changes:
    """Every site, the largest change first.

    Attributes:
        sites: each with its volumes.
        labels: int32 (slice, row, column): the site of each voxel that is WMH in either scan, 0 elsewhere.
        unseen_ml: WMH of the later scan where the earlier one shows nothing: compared with nothing, in no site.
    """

    sites: tuple[SiteChange, ...]
    labels: NDArray[np.int32]
    unseen_ml: float = 0.0

    def count(self, kind: Kind) -> int:
        """How many sites of a kind."""
        return sum(1 for site in self.sites if site.kind == kind)

    def change_ml(self, kind: Kind) -> float:
        """By how much the sites of a kind have changed in all; negative for a loss."""
        return sum(site.now_ml - site.earlier_ml for site in self.sites if site.kind == kind)


def compare_lesions(earlier: NDArray[np.float32], now: Mask, voxel_volume_ml: float) -> Changes:
    """Compare site by site.

    A site that is smaller than `LEAST_LESION_ML` in both scans is left out.

    Args:
        earlier: float32 (slice, row, column), 0 to 1: the part of each voxel that was WMH in the earlier scan.
        now: bool, same shape: WMH in the later scan.
        voxel_volume_ml: of one voxel.
    """
    if earlier.shape != now.shape:
        raise ValueError(f"expected an earlier mask of shape {now.shape}, got {earlier.shape}")
    then = earlier >= 0.5
    labels, count = ndimage.label(then | now, structure=_NEIGHBOURS)
    numbers = np.arange(1, count + 1)
    # The earlier volume by parts of voxels, which resampling leaves as it was; by voxels it would lose thin lesions.
    near = ndimage.grey_dilation(labels, footprint=_NEIGHBOURS) if count else labels
    owner = np.where(labels > 0, labels, near)
    volumes_then = ndimage.sum_labels(earlier, owner, numbers) * voxel_volume_ml
    volumes_now = ndimage.sum_labels(now, labels, numbers) * voxel_volume_ml
    centres = ndimage.center_of_mass(np.ones(labels.shape, np.uint8), labels, numbers) if count else []
    sites = []
    boxes = ndimage.find_objects(labels)
    for number, before, after, centre, box in zip(numbers, volumes_then, volumes_now, centres, boxes, strict=True):
        if max(before, after) < LEAST_LESION_ML * (1 - 1e-9):
            continue
        place = (float(centre[0]), float(centre[1]), float(centre[2]))
        inside = labels[box] == number
        was, here = then[box][inside].any(), now[box][inside].any()
        kind = _kind(float(before), float(after), bool(was), bool(here))
        sites.append(SiteChange(kind, float(before), float(after), place, int(number)))
    sites.sort(key=lambda site: -abs(site.now_ml - site.earlier_ml))
    return Changes(tuple(sites), labels.astype(np.int32))


def compare_scans(
    earlier: FlairVolume,
    earlier_affine: NDArray[np.float64],
    earlier_mask: Mask,
    now: FlairVolume,
    now_affine: NDArray[np.float64],
    now_mask: Mask,
) -> tuple[Changes, Registration]:
    """Register the earlier scan of a patient to the later one, and compare their lesions where both scans show them.

    Args:
        earlier, now: both volumes.
        earlier_affine, now_affine: 4x4, (column, row, slice) indices to mm, LPS.
        earlier_mask, now_mask: bool (slice, row, column), WMH on the grid of each volume.

    Returns:
        The changes on the grid of the later scan, and the registration. A registration that is not good
        (`Registration.is_good`) makes the changes worthless: the scans are of two heads, or too unlike.
    """
    found = register_rigidly(now, now_affine, earlier, earlier_affine)
    shape = (now_mask.shape[0], now_mask.shape[1], now_mask.shape[2])
    moved = resample_onto(found, earlier_mask.astype(np.float32), earlier_affine, shape, now_affine)
    # What the earlier scan does not show may have been there then: it is no change.
    shown = resample_onto(found, np.ones(earlier_mask.shape, np.float32), earlier_affine, shape, now_affine) > 0.5
    changes = compare_lesions(moved, now_mask & shown, now.voxel_volume_ml)
    return replace(changes, unseen_ml=int(np.count_nonzero(now_mask & ~shown)) * now.voxel_volume_ml), found


def _kind(earlier_ml: float, now_ml: float, was: bool, is_here: bool) -> Kind:
    change = now_ml - earlier_ml
    if abs(change) <= LEAST_CHANGE_ML + LEAST_CHANGE * max(earlier_ml, now_ml):
        return "stable"
    if change > 0:
        return "grown" if was else "new"
    return "shrunk" if is_here else "gone"
