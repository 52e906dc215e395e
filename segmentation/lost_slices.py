"""Slices and lines inside the brain that show no head: black, noise, or the image of another place once more.

Such a slice is in the stack and has lost its image on the way: an export wrote zeros, a codec or a byte order broke it,
a copy overwrote it. What WMH it held is not counted, and nothing in the header says so.

In a head, bright tissue lies beside bright tissue, so that means over blocks of a centimetre resemble their neighbours;
in noise they do not. The brain grows and shrinks evenly from slice to slice: where a slice has less than half of the
brain that slices on both sides have, its image is broken or another's. And a slice is about as bright as those beside
it.

Measured on 21 real FLAIR of five scanners, the least of each: correlation of neighbouring blocks of one slice 0.41 to
0.84 (noise: under 0.1); share of the brain area on both sides 0.85 to 1.03 (swapped bytes: 0.1); brightness over that
of the neighbours 0.50 to 1.21.

A row or column that lost its values is one number along 60 mm of brain; a scan has noise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segmentation.volume import FlairVolume

Mask = NDArray[np.bool_]

_BLOCK_MM: Final = 10.0
_LEAST_LIKENESS: Final = 0.25
_BRIGHTEST_PERCENTILE: Final = 99.5
_LEAST_SHARE_OF_BESIDE: Final = 0.5
_LEAST_LEVEL: Final = 0.4
_MOST_LEVEL: Final = 2.5
_LINE_MM: Final = 60.0
_BESIDE_MM: Final = 3.0
_LEAST_AREA_MM2: Final = 2000.0  # of brain: beyond, as near the vertex, a slice may show little


def lost_slices(volume: FlairVolume, brain: Mask) -> tuple[int, ...]:
    """Indices of the slices between the first and the last with much brain that show no head.

    Args:
        volume: intensities.
        brain: bool (slice, row, column).
    """
    pixel_mm2 = volume.spacing_mm[1] * volume.spacing_mm[2]
    areas = brain.sum(axis=(1, 2)) * pixel_mm2
    held = np.flatnonzero(areas >= _LEAST_AREA_MM2)
    if not held.size:
        return ()
    inside = range(int(held[0]), int(held[-1]) + 1)
    seen: dict[bytes, int] = {}
    lost: list[int] = []
    for index in inside:
        pixels = volume.plane(index)
        earlier = seen.setdefault(hashlib.sha256(np.ascontiguousarray(volume.stored[index]).data).digest(), index)
        beside = min(float(areas[:index].max(initial=0.0)), float(areas[index + 1 :].max(initial=0.0)))
        is_hole = areas[index] < _LEAST_SHARE_OF_BESIDE * beside
        if is_hole or earlier != index or _likeness(pixels, volume.spacing_mm[1:]) < _LEAST_LIKENESS:
            lost.append(index)
    whole = [index for index in inside if index not in lost]
    return tuple(sorted({*lost, *_uneven(volume, brain, whole)}))


def lost_lines(volume: FlairVolume, brain: Mask, lost: Collection[int] = ()) -> int:
    """How many rows and columns, slice by slice, have one value where brain lies on both sides of them.

    Args:
        volume: intensities.
        brain: bool (slice, row, column).
        lost: indices of slices that are not looked at.
    """
    rows_mm, columns_mm = volume.spacing_mm[1:]
    looked_at = [index for index in range(len(brain)) if index not in lost]
    return sum(
        _lost_rows(volume.plane(index), brain[index], rows_mm, columns_mm)
        + _lost_rows(volume.plane(index).T, brain[index].T, columns_mm, rows_mm)
        for index in looked_at
    )


def _lost_rows(pixels: NDArray[np.float32], inside: Mask, across_mm: float, along_mm: float) -> int:
    """Of one slice (row, column): distance of rows, and of pixels along them."""
    beside = max(1, round(_BESIDE_MM / across_mm))
    both = inside[2 * beside :] & inside[: -2 * beside]
    is_long = both.sum(axis=1) * along_mm >= _LINE_MM
    both, middle = both[is_long], pixels[beside:-beside][is_long]
    lowest = np.where(both, middle, np.float32(np.inf)).min(axis=1, initial=np.float32(np.inf))
    highest = np.where(both, middle, np.float32(-np.inf)).max(axis=1, initial=np.float32(-np.inf))
    return int(np.count_nonzero(lowest == highest))


def _uneven(volume: FlairVolume, brain: Mask, whole: list[int]) -> list[int]:
    """Slices far darker or brighter than both neighbours where these have brain."""
    found = []
    pixel_mm2 = volume.spacing_mm[1] * volume.spacing_mm[2]
    for before, index, after in zip(whole, whole[1:], whole[2:], strict=False):
        both = brain[before] & brain[after]
        if np.count_nonzero(both) * pixel_mm2 < _LEAST_AREA_MM2:
            continue
        low, level, high = (float(np.median(volume.plane(i)[both])) for i in (before, index, after))
        floor = float(volume.stored[[before, index, after]].min())
        around = sorted((low - floor, high - floor))
        if level - floor < _LEAST_LEVEL * around[0] or level - floor > _MOST_LEVEL * around[1]:
            found.append(index)
    return found


def _likeness(pixels: NDArray[np.float32], spacing_mm: tuple[float, float]) -> float:
    """Correlation of neighbouring blocks of one slice, -1 to 1; 0 of a blank one."""
    rows, columns = (max(1, round(_BLOCK_MM / spacing)) for spacing in spacing_mm)
    height, width = pixels.shape[0] // rows, pixels.shape[1] // columns
    whole = np.minimum(pixels[: height * rows, : width * columns], np.percentile(pixels, _BRIGHTEST_PERCENTILE))
    blocks = whole.reshape(height, rows, width, columns).mean(axis=(1, 3), dtype=np.float64)
    one = np.concatenate([blocks[:-1].ravel(), blocks[:, :-1].ravel()])
    other = np.concatenate([blocks[1:].ravel(), blocks[:, 1:].ravel()])
    if one.size < 2:
        return 1.0
    if one.std() == 0 or other.std() == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])
