"""Cases as a pool of network-ready slices, in memory or in a `SliceStore`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from segmentation.brain import brain_mask
from segmentation.preprocessing.case import PreprocessedCase, preprocess
from segmentation.preprocessing.masked import grown
from segmentation.preprocessing.slice_grid import SliceGrid
from segmentation.volume import FlairVolume
from training.data.cases import Case, LabelledCase
from training.data.ignored import UNKNOWN, dim_rims, with_ignored_rims
from training.data.presets import Recipe


class Planes(Protocol):
    """Slices by number: an array (slice, row, column), or what reads them from a disk."""

    def __len__(self) -> int:
        """Number of slices."""

    def __getitem__(self, index: int) -> NDArray[Any]:
        """One slice (row, column)."""


@dataclass(frozen=True)
class CaseSlices:
    """The slices of one case with brain in them.

    Attributes:
        images: one series of slices per variant (scalp factor or margin of the brain); all variants have the same ones.
        labels: int8: 1, 0, or `UNKNOWN` where the mask says nothing.
        marked: bool (slice,), whether any pixel of it is 1.
    """

    images: tuple[Planes, ...]
    labels: Planes
    marked: NDArray[np.bool_]


class PlaneSource(Protocol):
    """Where the slices of a case come from."""

    def slices_of(self, case: Case, recipe: Recipe, drawn: int | None) -> CaseSlices:
        """See `slices_of`."""


class Stack:
    """Slices of many cases under one number each; none of them is in memory unless its case is."""

    def __init__(self, parts: Sequence[Planes]) -> None:
        self._parts = tuple(parts)
        self._ends = np.cumsum([len(part) for part in self._parts])

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, index: int) -> NDArray[Any]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        part = int(np.searchsorted(self._ends, index, side="right"))
        return self._parts[part][index - (int(self._ends[part - 1]) if part else 0)]

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self[index] for index in range(len(self)))


@dataclass(frozen=True)
class SliceGroup:
    """Slices of one origin, ready for a network.

    Attributes:
        share: part of the drawn slices that comes from this group.
        images: one stack of float slices per variant; all variants have the same slices.
        labels: int8 slices: 1, 0, or `UNKNOWN` where the mask says nothing.
        weights: float64 (slice,), chance of being drawn within the group, sum 1.
        scans: int (slice,), number of the scan that each slice is of; slices of a scan stand in their order in it.
    """

    share: float
    images: tuple[Stack, ...]
    labels: Stack
    weights: NDArray[np.float64]
    scans: NDArray[np.int_]

    def beside(self, index: int, generator: np.random.Generator) -> int:
        """One of the (at most two) slices beside a slice; the slice itself where its scan has no other."""
        near = [other for other in (index - 1, index + 1) if 0 <= other < len(self.scans)]
        near = [other for other in near if self.scans[other] == self.scans[index]]
        return near[generator.integers(len(near))] if near else index


@dataclass(frozen=True)
class SlicePool:
    """What batches are drawn from: the real scans first, drawn ones (synthetic scans, phantoms) after them."""

    groups: tuple[SliceGroup, ...]

    def __len__(self) -> int:
        return sum(len(group.labels) for group in self.groups)

    def real_only(self) -> SlicePool:
        """The pool without drawn scans."""
        return SlicePool((replace(self.groups[0], share=1.0),))


def build_pool(
    cases: Sequence[Case], drawn: Sequence[Case], recipe: Recipe, source: PlaneSource | None = None
) -> SlicePool:
    """Preprocess every case, or read it from a store; slices without brain are left out.

    Real scans are shown once per scalp factor, or per margin of the brain. Drawn ones have scalps of every brightness
    already, and there are many: they are kept in half precision, which is far finer than their noise.
    """
    others = build_group(drawn, recipe, source, is_drawn=True) if drawn else None
    return join_pool(build_group(cases, recipe, source), others, recipe)


def join_pool(real: SliceGroup, drawn: SliceGroup | None, recipe: Recipe) -> SlicePool:
    """One pool of both groups, with the recipe's shares."""
    if drawn is None or recipe.synthetic_share == 0:
        return SlicePool((real,))
    return SlicePool((replace(real, share=1 - recipe.synthetic_share), replace(drawn, share=recipe.synthetic_share)))


def build_group(
    cases: Sequence[Case], recipe: Recipe, source: PlaneSource | None = None, is_drawn: bool = False
) -> SliceGroup:
    """Cases of one origin.

    Args:
        cases: in the order in which their slices are counted.
        recipe: how they are preprocessed.
        source: a store; None: all slices in memory.
        is_drawn: synthetic scans or phantoms.
    """
    of_case = slices_of if source is None else source.slices_of
    found = [of_case(case, recipe, number if is_drawn else None) for number, case in enumerate(cases)]
    weights = np.concatenate([np.where(case.marked, 1.0, recipe.empty_slice_weight) for case in found])
    return SliceGroup(
        share=1.0,
        images=tuple(Stack([case.images[index] for case in found]) for index in range(len(found[0].images))),
        labels=Stack([case.labels for case in found]),
        weights=weights / weights.sum(),
        scans=np.repeat(np.arange(len(found)), [len(case.marked) for case in found]),
    )


def slices_of(case: Case, recipe: Recipe, drawn: int | None) -> CaseSlices:
    """Preprocess one case: images float32, of a drawn one float16.

    Args:
        case: with the mask that the recipe learns.
        recipe: how.
        drawn: number of a drawn scan; None: a real one.

    Raises:
        BadCase: no mask of the recipe's target.
    """
    loaded = case.load()
    variants = _variants(loaded, recipe, drawn)
    kept = np.asarray(variants[0].brain_mask.any(axis=(1, 2)))
    labels = _label(loaded, recipe, variants[0].grid, drawn is not None)[kept]
    kind = np.float32 if drawn is None else np.float16
    return CaseSlices(
        images=tuple(ready.images[kept].astype(kind) for ready in variants),
        labels=labels,
        marked=np.asarray((labels > 0).any(axis=(1, 2))),
    )


def _variants(case: LabelledCase, recipe: Recipe, drawn: int | None) -> list[PreprocessedCase]:
    """The case as it is shown, once or in several ways; all on one grid. A drawn one, by its number, is shown once."""
    is_drawn = drawn is not None
    if recipe.preprocessing.scale != "brain-alone":
        factors = (1.0,) if is_drawn else recipe.scalp_factors
        return [preprocess(_dim_scalp(case, factor), recipe.preprocessing) for factor in factors]
    brain = brain_mask(case.volume) if case.brain is None else case.brain
    # The smallest margin first: slices are chosen by it.
    margins = sorted(recipe.brain_margins_mm, key=abs)
    if is_drawn:
        margins = [float(np.random.default_rng(drawn).uniform(min(margins), max(margins)))]
    pixel_mm = case.volume.spacing_mm[1]
    return [preprocess(case.volume, recipe.preprocessing, grown(brain, margin / pixel_mm)) for margin in margins]


def _label(case: LabelledCase, recipe: Recipe, grid: SliceGrid, is_drawn: bool) -> NDArray[np.int8]:
    """The target on the square grid, `UNKNOWN` where the case's mask says nothing."""
    label = grid.mask_to_square(case.label(recipe.target)).astype(np.int8)
    if recipe.target == "wmh":
        rim_mm, least_sd = recipe.ignored_rim_mm, recipe.ignored_rim_sd
        if rim_mm and is_drawn and least_sd is not None:
            label[grid.mask_to_square(dim_rims(case, rim_mm, least_sd))] = UNKNOWN
        if rim_mm and not is_drawn:
            case = with_ignored_rims(case, rim_mm, least_sd)
        if case.ignore is not None:
            label[grid.mask_to_square(case.ignore) & (label == 0)] = UNKNOWN
    return label


def _dim_scalp(case: LabelledCase, factor: float) -> FlairVolume:
    """The case as a scanner with fat saturation would show it: everything outside the brain darker."""
    if factor == 1.0 or case.brain is None:
        return case.volume
    voxels = np.where(case.brain, case.volume.voxels, case.volume.voxels * np.float32(factor))
    return FlairVolume(voxels.astype(np.float32), case.volume.spacing_mm)
