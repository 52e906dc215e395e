"""Where the brain lies in a FLAIR volume, without a network: tissue of the brain's brightness, cut free of the skull.

The brain is the largest homogeneous body in the head, and bone and fluid, dark on FLAIR, lie around it. Its brightness
is the commonest one deep in the head. What has about that brightness is opened in mm, which cuts the thin bridges
through skull base and dura. From the slice with the largest body the brain is followed slice by slice upwards and
downwards: it may hold only what lies near it in the slice before. Neck, jaw and eyes lie beside the brain stem and are
not reached so.

Works on a grid of about 2 mm whatever the matrix, on thick 2D slices, on thin 3D ones and on images whose skull was
removed before. Threshold, opening and the largest body are those of Atkins and Mackiewich (IEEE Trans Med Imaging
1998;17:98); following it from slice to slice is ours. It is the fallback for model bundles without an anatomy network:
`segment_volume` asks `brain_mask`, and a network that marks the brain takes its place there.

Measured on flair-wmh of the shared data (`make brain-masks`): Dice with the data set's own masks, which hold some scalp
and skull base, 0.85 to 0.94 (median 0.92; the lowest has wide sulci); 99.7 to 100 % of the labelled WMH lie inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segmentation.volume import FlairVolume

Mask = NDArray[np.bool_]

_GRID_MM: Final = 2.0
_THINNEST_MM: Final = 3.0
_CLIP_PERCENTILE: Final = 99.5  # a hot pixel counts as bright fat
_DEEP_MM: Final = 20.0  # under the skin: past scalp and skull of an adult
_BINS: Final = 64
_DARKEST: Final = 0.62  # of the brain's brightness: fluid and bone lie below
_BRIGHTEST: Final = 2.0  # lesions reach 1.7 times the brain's brightness, fat 2 to 4 times
_BRIGHTEST_NEAR_SKIN: Final = 1.6  # scalp that fills a part of its voxel
_NEAR_SKIN_MM: Final = 14.0
_COVER: Final = 0.6  # part of the usual depth of the brain under the skin that it keeps everywhere
_BRIDGE_MM: Final = 5.0  # what is thinner on both sides is no brain
_STEP_MM: Final = 1.0  # away from its largest slice the brain grows by no more, and by the slope below
_SLOPE: Final = 0.2
_CLOSE_MM: Final = 8.0  # sulci are narrower
_GAP_MM: Final = 20.0  # what lies between parts of the brain may be brain in the next slice
_DEEPEST_MM: Final = 85.0  # from its largest slice to the foramen magnum, an adult's brain with the head tilted
_BODY_MEDIAN: Final = (0.78, 1.6)  # of one body in one slice, of the brain's brightness: muscle is darker, fat brighter
_BODY_SPREAD: Final = 0.6  # 10th to 90th percentile of it: brain is even, the face is not
_DRIFT: Final = 0.15  # by so much the brightness may change from slice to slice
_LARGEST_PART: Final = 0.95
_OPENING_MM: Final = 40.0  # dark bone reaches the air at the ears: the skin is drawn across


def brain_mask(volume: FlairVolume) -> Mask:
    """Mark the brain: grey and white matter with what lies between, ventricles and sulci included.

    Args:
        volume: one FLAIR volume.

    Returns:
        bool (slice, row, column), native grid; all False where no brain was found.
    """
    grid = _WorkingGrid.of(volume)
    values = grid.shrunk(volume.voxels)
    if values.min() == values.max():
        return np.zeros(volume.shape, bool)
    head = _head(values)
    if not head.any():
        return np.zeros(volume.shape, bool)
    brightness = _brightness(values, head, grid.spacing_mm)
    return grid.grown(_follow(_Head(values, _depth(head, grid.spacing_mm), grid.spacing_mm), brightness))


@dataclass(frozen=True)
class _WorkingGrid:
    """A coarse grid over the same field of view."""

    native: tuple[int, int, int]
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]

    @classmethod
    def of(cls, volume: FlairVolume) -> _WorkingGrid:
        native = volume.stored.shape
        wanted = (_THINNEST_MM, _GRID_MM, _GRID_MM)
        shape = tuple(
            max(1, min(n, round(n * s / w))) for n, s, w in zip(native, volume.spacing_mm, wanted, strict=True)
        )
        spacing = tuple(n * s / m for n, s, m in zip(native, volume.spacing_mm, shape, strict=True))
        return cls(native, shape, spacing)

    def shrunk(self, voxels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Local means."""
        calm = np.clip(voxels, 0.0, np.percentile(voxels, _CLIP_PERCENTILE))
        sigmas = [max(0.0, (n / m - 1) / 2) for n, m in zip(self.native, self.shape, strict=True)]
        return _resampled(ndimage.gaussian_filter(calm, sigmas, mode="nearest"), self.shape)

    def grown(self, mask: Mask) -> Mask:
        """Back onto the native grid."""
        return np.asarray(_resampled(mask.astype(np.float32), self.native) >= 0.5)


def _resampled(values: NDArray[np.float32], shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """Linear, edges of the field of view kept: voxel centres at half-integer positions."""
    steps = [n / m for n, m in zip(values.shape, shape, strict=True)]
    offsets = [step / 2 - 0.5 for step in steps]
    return np.asarray(
        ndimage.affine_transform(values, steps, offsets, output_shape=shape, order=1, mode="nearest"), np.float32
    )


def _head(values: NDArray[np.float32]) -> Mask:
    """What is no air: above the threshold of Otsu, fat and vessels clipped so that they do not move it."""
    signal = values[values > 0]
    if not signal.size:
        return np.zeros(values.shape, bool)
    top = 3.0 * float(np.median(signal[signal > 0.1 * np.percentile(signal, 95)]))
    return np.asarray(values > 0.6 * _otsu(np.clip(values, 0.0, top)))


def _otsu(values: NDArray[np.float32]) -> float:
    """The threshold that parts dark from bright with the largest variance between them (Otsu 1979)."""
    counts, edges = np.histogram(values, bins=256)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float(centres[int(np.nanargmax(between))])


def _brightness(values: NDArray[np.float32], head: Mask, spacing_mm: tuple[float, float, float]) -> float:
    """The commonest intensity deep in the head."""
    depth = _depth(head, spacing_mm)
    deep = values[head & (depth > min(_DEEP_MM, 0.6 * depth.max()))]
    counts, edges = np.histogram(deep, bins=_BINS, range=(0.0, float(np.percentile(deep, 99))))
    smooth = ndimage.gaussian_filter1d(counts.astype(float), 1.5)
    peak = int(np.argmax(smooth))
    return float((edges[peak] + edges[peak + 1]) / 2)


def _depth(head: Mask, spacing_mm: tuple[float, float, float]) -> NDArray[np.float64]:
    """Distance under the skin in space; the head goes on where the volume ends below and above."""
    filled = np.stack([ndimage.binary_fill_holes(_closed(plane, _OPENING_MM, spacing_mm)) for plane in head])
    around = np.pad(filled, ((0, 0), (1, 1), (1, 1)))
    return np.asarray(ndimage.distance_transform_edt(around, spacing_mm)[:, 1:-1, 1:-1])


@dataclass(frozen=True, eq=False)
class _Head:
    """Intensities, depth under the skin in mm (0 in air), and spacing; arrays (slice, row, column)."""

    values: NDArray[np.float32]
    depth: NDArray[np.float64]
    spacing_mm: tuple[float, float, float]

    def tissue(self, index: int, brightness: float, least_depth: float = 0.0) -> Mask:
        """What has about the brain's brightness in one slice."""
        values, depth = self.values[index], self.depth[index]
        brightest = np.where(depth < _NEAR_SKIN_MM, _BRIGHTEST_NEAR_SKIN, _BRIGHTEST) * brightness
        return np.asarray(
            (depth > 0) & (depth >= least_depth) & (values > _DARKEST * brightness) & (values < brightest)
        )


def _follow(head: _Head, brightness: float) -> Mask:
    """The brain, from its largest slice to both ends."""
    spacing = head.spacing_mm
    largest = [
        _largest(_eroded(head.tissue(index, brightness), _BRIDGE_MM / 2, spacing)) for index in range(len(head.values))
    ]
    areas = np.array([plane.sum() for plane in largest])
    start = int(np.median(np.flatnonzero(areas >= _LARGEST_PART * areas.max())))
    brain = np.zeros(head.values.shape, bool)
    brain[start] = middle = _whole(largest[start], head.tissue(start, brightness), spacing)
    least_depth = _COVER * float(np.median(head.depth[start][middle & ~_eroded(middle, spacing[1], spacing)]))
    lowest = max(0, start - int(_DEEPEST_MM / spacing[0]))
    for indices in (range(start + 1, len(brain)), range(start - 1, lowest - 1, -1)):
        before, bright = middle, brightness
        for index in indices:
            bright = _drifted(head.values[index], before, bright, spacing)
            found = _next(head, index, before, bright, least_depth)
            if not found.any():
                break
            brain[index] = before = found
    return brain


def _drifted(values: NDArray[np.float32], before: Mask, bright: float, spacing_mm: tuple[float, float, float]) -> float:
    """The brain's brightness in the next slice: coils brighten what lies near them."""
    inner = values[_eroded(before, _BRIDGE_MM, spacing_mm)]
    near = inner[(inner > _DARKEST * bright) & (inner < _BRIGHTEST_NEAR_SKIN * bright)]
    return bright if near.size == 0 else float(np.clip(np.median(near), (1 - _DRIFT) * bright, (1 + _DRIFT) * bright))


def _next(head: _Head, index: int, before: Mask, bright: float, least_depth: float) -> Mask:
    """The brain in the slice beside one where it is known."""
    spacing = head.spacing_mm
    reach = _STEP_MM + _SLOPE * spacing[0]
    allowed = _dilated(_closed(before, _GAP_MM, spacing), reach, spacing)
    tissue = head.tissue(index, bright, least_depth)
    bodies = _eroded(tissue, _BRIDGE_MM / 2, spacing) & allowed
    core = _brainlike(bodies, _eroded(before, reach, spacing), head.values[index] / bright)
    if not core.any():
        return core
    return np.asarray(_whole(core, tissue, spacing) & allowed & (head.depth[index] >= least_depth))


def _brainlike(bodies: Mask, seed: Mask, relative: NDArray[np.float32]) -> Mask:
    """The bodies of a slice that the seed touches and that are as bright and as even as brain."""
    labels, count = ndimage.label(bodies)
    chosen = []
    for label in range(1, count + 1):
        body = labels == label
        dark, median, bright = np.percentile(relative[body], (10, 50, 90))
        if (seed & body).any() and _BODY_MEDIAN[0] < median < _BODY_MEDIAN[1] and bright - dark < _BODY_SPREAD * median:
            chosen.append(label)
    return np.isin(labels, chosen)


def _whole(core: Mask, tissue: Mask, spacing_mm: tuple[float, float, float]) -> Mask:
    """The body without what the opening took: its rim where there is tissue, its sulci, its ventricles."""
    rim = _dilated(core, _BRIDGE_MM / 2 + 1.0, spacing_mm) & tissue
    return np.asarray(ndimage.binary_fill_holes(_closed(rim | core, _CLOSE_MM, spacing_mm)))


def _closed(mask: Mask, gap_mm: float, spacing_mm: tuple[float, float, float]) -> Mask:
    """With gaps up to this width filled."""
    pad = int(np.ceil(gap_mm / min(spacing_mm[1:]))) + 1
    padded = _dilated(np.pad(mask, pad), gap_mm / 2, spacing_mm)
    return _eroded(padded, gap_mm / 2, spacing_mm)[pad:-pad, pad:-pad]


def _largest(mask: Mask) -> Mask:
    labels, count = ndimage.label(mask)
    if not count:
        return mask
    return np.asarray(labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:])))


def _eroded(mask: Mask, by_mm: float, spacing_mm: tuple[float, float, float]) -> Mask:
    """Within a slice; what lies outside the field of view does not erode."""
    padded = np.pad(mask, 1, mode="edge")
    return np.asarray(ndimage.distance_transform_edt(padded, spacing_mm[1:])[1:-1, 1:-1] > by_mm)


def _dilated(mask: Mask, by_mm: float, spacing_mm: tuple[float, float, float]) -> Mask:
    if not mask.any():
        return mask
    return np.asarray(ndimage.distance_transform_edt(~mask, spacing_mm[1:]) <= by_mm)
