"""One FLAIR volume in, one segmentation on the same grid out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from segmentation.anatomy import Anatomy
from segmentation.boxed import BoxedMask
from segmentation.boxes import Box, box_of
from segmentation.brain import brain_mask
from segmentation.brain_surface import without_surface
from segmentation.bright_region import LEAST_RADIUS_MM, BrightRegion, find_bright_region
from segmentation.ensemble import Ensemble
from segmentation.evidence import gather
from segmentation.interval import SURELY_OUTSIDE, Bounds, bounds_of
from segmentation.lesions import Extent, Lesion, list_lesions, measure_extent
from segmentation.measures import Doubt, Measures, measure
from segmentation.midline import left_half
from segmentation.plausibility import LEAST_BRAIN_ML, PLAUSIBLE, Plausibility, assess_plausibility
from segmentation.preprocessing.case import FLAG_EXTREME_PIXELS, preprocess
from segmentation.preprocessing.slice_grid import SliceGrid
from segmentation.probability import ProbabilityMap
from segmentation.regions import (
    FLAG_NO_VENTRICLES,
    PUBLISHED_RULE,
    RegionRule,
    Regions,
    RegionVolumes,
    clean_ventricles,
    divide,
)
from segmentation.uncertainty import uncertainty_index
from segmentation.ventricle_edge import at_dark_edge
from segmentation.volume import FlairVolume

FLAG_OUTSIDE_BRAIN: Final = "wmh_outside_brain_dropped"
_OUTSIDE_WORTH_A_FLAG_ML: Final = 0.1

StageProgress = Callable[[str, int, int], None]
"""Called with (stage, done, total): `preprocess` and `measure` count 0 to 1, `infer` counts slices."""


@dataclass(frozen=True)
class StageSeconds:
    """Wall time of each stage in seconds, by a monotonic clock."""

    preprocess: float
    infer: float
    measure: float


@dataclass(frozen=True)
class Segmentation:
    """The ensemble's segmentation of one FLAIR volume.

    Attributes:
        kept_mask: native grid: probability at or above the bundle's threshold. `mask` is all of it.
        probability_map: the members' mean.
        measures: volume, lesion count, uncertainty.
        seconds: wall time of the stages.
        flags: what was unusual about the case, sorted slugs such as `blank_slices` or `no_histogram_peak`.
        kept_ventricles: the ventricles, cleaned up; None when the bundle has no ventricle network.
        kept_periventricular: part of the mask; None when there are no ventricles to measure it from.
        regions: volumes of periventricular and deep WMH and of the ventricles; None in the same case.
        brain_volume_ml: of the brain mask; None where no brain was found.
        outside_brain_ml: WMH that the ensemble marked outside the brain, left out of everything else.
        plausibility: whether the result can be right, and why not.
        lesions: each of at least the least size, largest first.
        extent: how far the WMH extends in a slice; None without ventricles.
        anatomy: the parts of the head; None when the bundle has no anatomy network.
        bright_region: bright tissue that is wider than WMH usually is, and how much of it is in the mask; None without.
    """

    kept_mask: BoxedMask
    probability_map: ProbabilityMap
    measures: Measures
    seconds: StageSeconds
    flags: tuple[str, ...]
    kept_ventricles: BoxedMask | None = None
    kept_periventricular: BoxedMask | None = None
    regions: RegionVolumes | None = None
    brain_volume_ml: float | None = None
    outside_brain_ml: float = 0.0
    plausibility: Plausibility = PLAUSIBLE
    lesions: tuple[Lesion, ...] = ()
    extent: Extent | None = None
    anatomy: Anatomy | None = None
    bright_region: BrightRegion | None = None

    @property
    def mask(self) -> NDArray[np.bool_]:
        """What is WMH: bool (slice, row, column), native grid; made when it is asked for, as the other two."""
        return self.kept_mask.whole()

    @property
    def ventricles(self) -> NDArray[np.bool_] | None:
        """The ventricles, same shape; None where they are not known."""
        return None if self.kept_ventricles is None else self.kept_ventricles.whole()

    @property
    def periventricular(self) -> NDArray[np.bool_] | None:
        """The part of the mask near the ventricles, same shape; None where they are not known."""
        return None if self.kept_periventricular is None else self.kept_periventricular.whole()

    @property
    def probability(self) -> NDArray[np.float32]:
        """The members' mean, mapped back to the native grid: float32 (slice, row, column), 0 outside the brain; made
        when it is asked for."""
        return self.probability_map.whole()

    @property
    def is_reliable(self) -> bool:
        """False where the numbers must not be used."""
        return self.plausibility.reliability != "not_reliable"

    @property
    def review_recommended(self) -> bool:
        """A person must look before the result is used: by the uncertainty index or by any other rule."""
        return self.measures.review_recommended or self.plausibility.reliability != "ok"

    @property
    def wmh_share_of_brain(self) -> float | None:
        """WMH volume over brain volume; None where no brain was found."""
        return None if not self.brain_volume_ml else self.measures.wmh_volume_ml / self.brain_volume_ml


def segment_volume(
    volume: FlairVolume,
    ensemble: Ensemble,
    progress: StageProgress | None = None,
    region_rule: RegionRule = PUBLISHED_RULE,
) -> Segmentation:
    """Segment white matter hyperintensities, and divide them where the bundle has a ventricle network.

    The members' probabilities are averaged before they are mapped back: the mapping is linear, so the order changes
    only the time. The same volume gives the same bits every time on one machine.

    Args:
        volume: what to segment.
        ensemble: by which networks.
        progress: called at each stage.
        region_rule: which WMH counts as periventricular.
    """
    report = progress or _silent

    report("preprocess", 0, 1)
    started = time.monotonic()
    # The brain comes first: by the scale `brain-alone` the members see nothing else.
    anatomy = ensemble.predict_anatomy(volume)
    brain = find_brain(volume, anatomy)
    case = preprocess(volume, ensemble.preprocessing, brain)
    prepared = time.monotonic()
    report("preprocess", 1, 1)

    mean = ensemble.predict_mean(case.images, lambda done, total: report("infer", done, total))
    marked = ensemble.predict_ventricles(case.images)
    grid, found_flags = case.grid, case.flags
    del case  # its images are as large as the probabilities
    inferred = time.monotonic()

    report("measure", 0, 1)
    marked_in = (
        without_surface(brain, volume.spacing_mm[1:]) if ensemble.preprocessing.scale == "brain-alone" else brain
    )
    probability = ProbabilityMap(mean, grid, marked_in if brain.any() else None)
    index = _index_on_network_grid(probability, marked_in if brain.any() else None, ensemble.threshold)
    ventricles = _ventricles(marked, grid, ensemble.ventricle_threshold, volume, anatomy)
    del mean, marked, marked_in
    # All that is measured on masks alone is measured in the box that holds them.
    box = _box_of_all(brain, ventricles, volume.shape)
    read = _read(probability, brain, ensemble.threshold, box)
    mask, bounds, outside_ml = read.mask, read.bounds, read.outside * volume.voxel_volume_ml
    probability = probability.cut()
    kept_ventricles = None if ventricles is None else BoxedMask.of(ventricles)
    ventricles = None if ventricles is None else ventricles[box].copy()
    doubt = Doubt(read.index if index is None else index, ensemble.review_above, ensemble.predictive)
    measures = measure(mask, None, volume.voxel_volume_ml, bounds, doubt)
    # Extreme pixels decide the scale of their slices where that is their maximum.
    scaled_by_extremes = FLAG_EXTREME_PIXELS in found_flags and ensemble.preprocessing.scale == "slice-maximum"
    if scaled_by_extremes:
        measures = replace(measures, review_recommended=True)
    regions = None if ventricles is None else divide(mask, ventricles, volume.spacing_mm, region_rule, bounds)
    del bounds, read
    left = None if anatomy is None else left_half(brain[box], volume.spacing_mm, volume.columns_to_left)
    lesions = list_lesions(
        mask,
        volume.voxel_volume_ml,
        volume.spacing_mm,
        None if regions is None else regions.periventricular,
        None if anatomy is None else anatomy.within(box),
        left,
    )
    del left
    extent = (
        None
        if ventricles is None or regions is None
        else measure_extent(mask, ventricles, volume.voxel_volume_ml, volume.spacing_mm, (box[1].start, box[2].start))
    )
    near = None if regions is None else BoxedMask(volume.shape, box, regions.periventricular).tight()
    kept = BoxedMask(volume.shape, box, mask).tight()
    flags = _flags(found_flags, ventricles, regions, outside_ml)
    volumes = None if regions is None else regions.volumes
    del mask, ventricles, regions
    whole = kept.whole()
    evidence = gather(
        volume, brain, whole, outside_ml, measures, scaled_by_extremes, ensemble.intensity_limits, anatomy
    )
    measured = time.monotonic()
    report("measure", 1, 1)

    seconds = StageSeconds(prepared - started, inferred - prepared, measured - inferred)
    return Segmentation(
        kept_mask=kept,
        probability_map=probability,
        measures=measures,
        seconds=seconds,
        flags=flags,
        kept_ventricles=kept_ventricles,
        kept_periventricular=near,
        regions=volumes,
        brain_volume_ml=evidence.brain_ml or None,
        outside_brain_ml=outside_ml,
        plausibility=assess_plausibility(evidence),
        lesions=lesions,
        extent=extent,
        anatomy=anatomy,
        bright_region=(None if evidence.mass_radius_mm < LEAST_RADIUS_MM else find_bright_region(volume, brain, whole)),
    )


def find_brain(volume: FlairVolume, anatomy: Anatomy | None = None) -> NDArray[np.bool_]:
    """The brain, bool (slice, row, column) on the native grid; empty where too little was found to rely on.

    The one place that decides how the brain is found: by the bundle's anatomy network where it has one.
    """
    brain = brain_mask(volume) if anatomy is None else anatomy.brain
    enough = int(np.count_nonzero(brain)) * volume.voxel_volume_ml >= LEAST_BRAIN_ML
    return brain if enough else np.zeros_like(brain)


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class _Reading:
    """What a probability map says at a threshold.

    Attributes:
        mask: bool, the box: at or above the threshold, in the brain; by the scale `brain-alone` not at its surface.
        bounds: see `bounds_of`; in the box.
        outside: voxels at or above it outside the brain.
        index: the uncertainty index on the native grid.
    """

    mask: NDArray[np.bool_]
    bounds: Bounds
    outside: int
    index: float | None


def _box_of_all(brain: NDArray[np.bool_], ventricles: NDArray[np.bool_] | None, shape: tuple[int, int, int]) -> Box:
    """What holds brain and ventricles; everything where there is no brain, since nothing is left out then."""
    if not brain.any():
        return tuple(slice(0, length) for length in shape)
    boxes = [box_of(brain)]
    if ventricles is not None and ventricles.any():
        boxes.append(box_of(ventricles))
    return tuple(
        slice(min(end.start for end in ends), max(end.stop for end in ends)) for ends in zip(*boxes, strict=True)
    )


def _read(probability: ProbabilityMap, brain: NDArray[np.bool_], threshold: float, box: Box) -> _Reading:
    """Slice by slice, so that the probabilities of the native grid are never held at once.

    Args:
        probability: of the whole volume.
        brain: bool (slice, row, column).
        threshold: of the mask.
        box: holds the brain, and so all of the mask.
    """
    mask, sure, possible = (np.zeros([end.stop - end.start for end in box], bool) for _ in range(3))
    predicted, outside = [np.empty(0, np.float32)], 0
    for index in range(len(probability)):
        # Linear interpolation gives nothing above the highest value.
        if probability.mean[index].max() < min(threshold, SURELY_OUTSIDE):
            continue
        anywhere = probability.anywhere(index)
        if probability.brain is not None:
            outside += int(np.count_nonzero((anywhere >= threshold) & ~brain[index]))
        place = index - box[0].start
        if not 0 <= place < len(mask):
            continue
        inside = probability.inside(index, anywhere)[box[1:]]
        mask[place] = inside >= threshold
        predicted.append(inside[mask[place]])
        bounds = bounds_of(mask[place], inside)
        sure[place], possible[place] = bounds.sure, bounds.possible
    values = np.concatenate(predicted)
    return _Reading(mask, Bounds(sure, possible), outside, uncertainty_index(values, np.ones(values.shape, bool)))


def _index_on_network_grid(
    probability: ProbabilityMap, brain: NDArray[np.bool_] | None, threshold: float
) -> float | None:
    """The uncertainty index where the networks spoke: interpolated to a finer matrix, the same scan has more of it."""
    mean, grid = probability.mean, probability.grid
    predicted = mean >= threshold
    if grid is not None and brain is not None:
        for index in np.flatnonzero(predicted.any(axis=(1, 2))):
            predicted[index] &= grid.mask_to_square(brain[index][np.newaxis])[0]
    return uncertainty_index(mean, predicted)


def _ventricles(
    marked: NDArray[np.float32] | None,
    grid: SliceGrid,
    threshold: float,
    volume: FlairVolume,
    anatomy: Anatomy | None,
) -> NDArray[np.bool_] | None:
    """The ventricles on the native grid, cleaned up: by the network of their own, else by the anatomy network."""
    if marked is not None:
        found = grid.to_native_mask(marked, threshold)
    elif anatomy is not None:
        found = at_dark_edge(anatomy.ventricles, volume, anatomy.brain)
    else:
        return None
    return clean_ventricles(found, volume.voxel_volume_ml)


def _flags(
    found: tuple[str, ...], ventricles: NDArray[np.bool_] | None, regions: Regions | None, outside_ml: float
) -> tuple[str, ...]:
    lost = ventricles is not None and regions is None
    more = {FLAG_NO_VENTRICLES: lost, FLAG_OUTSIDE_BRAIN: outside_ml >= _OUTSIDE_WORTH_A_FLAG_ML}
    return tuple(sorted({*found, *(flag for flag, holds in more.items() if holds)}))


def _silent(stage: str, done: int, total: int) -> None:
    """No progress wanted."""
