"""Cases as a pool of network-ready slices, and batches drawn from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from segmentation.brain import brain_mask
from segmentation.preprocessing.case import PreprocessedCase, preprocess
from segmentation.preprocessing.masked import LOWEST, grown
from segmentation.preprocessing.slice_grid import SliceGrid
from segmentation.volume import FlairVolume
from training.data.augmentation import WHOLE, Window, augment, augment_brain, thicken
from training.data.cases import LabelledCase
from training.data.ignored import UNKNOWN, with_ignored_rims
from training.data.presets import Recipe
from training.errors import BadCase


@dataclass(frozen=True)
class SliceGroup:
    """Slices of one origin, ready for a network.

    Attributes:
        share: part of the drawn slices that comes from this group.
        images: one float (slice, row, column) array per scalp variant; all variants have the same slices.
        labels: int8 (slice, row, column): 1, 0, or `UNKNOWN` where the mask says nothing.
        weights: float64 (slice,), chance of being drawn within the group, sum 1.
        scans: int (slice,), number of the scan that each slice is of; slices of a scan stand in their order in it.
    """

    share: float
    images: tuple[NDArray[np.floating[Any]], ...]
    labels: NDArray[np.int8]
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


def build_pool(cases: Sequence[LabelledCase], drawn: Sequence[LabelledCase], recipe: Recipe) -> SlicePool:
    """Preprocess every case; slices without brain are left out.

    Real scans are shown once per scalp factor, or per margin of the brain. Drawn ones have scalps of every brightness
    already, and there are many: they are kept in half precision, which is far finer than their noise.
    """
    return join_pool(build_group(cases, recipe), build_group(drawn, recipe, is_drawn=True) if drawn else None, recipe)


def join_pool(real: SliceGroup, drawn: SliceGroup | None, recipe: Recipe) -> SlicePool:
    """One pool of both groups, with the recipe's shares."""
    if drawn is None or recipe.synthetic_share == 0:
        return SlicePool((real,))
    return SlicePool((replace(real, share=1 - recipe.synthetic_share), replace(drawn, share=recipe.synthetic_share)))


def build_group(cases: Sequence[LabelledCase], recipe: Recipe, is_drawn: bool = False) -> SliceGroup:
    """Preprocess cases of one origin."""
    images: list[list[NDArray[Any]]] = []
    labels, weights, scans = [], [], []
    for number, case in enumerate(cases):
        variants = _variants(case, recipe, number if is_drawn else None)
        kept = np.asarray(variants[0].brain_mask.any(axis=(1, 2)))
        label = _label(case, recipe, variants[0].grid, is_drawn)[kept]
        labels.append(label)
        scans.append(np.full(len(label), number))
        weights.append(np.where((label > 0).any(axis=(1, 2)), 1.0, recipe.empty_slice_weight))
        images = images or [[] for _ in variants]
        for index, ready in enumerate(variants):
            images[index].append(ready.images[kept].astype(np.float16 if is_drawn else np.float32))
    joined = np.concatenate(weights)
    return SliceGroup(
        share=1.0,
        images=tuple(np.concatenate(variant) for variant in images),
        labels=np.concatenate(labels),
        weights=joined / joined.sum(),
        scans=np.concatenate(scans),
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
    label = grid.mask_to_square(_target(case, recipe)).astype(np.int8)
    if recipe.target == "wmh":
        if recipe.ignored_rim_mm and not is_drawn:
            case = with_ignored_rims(case, recipe.ignored_rim_mm)
        if case.ignore is not None:
            label[grid.mask_to_square(case.ignore) & (label == 0)] = UNKNOWN
    return label


def _target(case: LabelledCase, recipe: Recipe) -> NDArray[np.bool_]:
    if recipe.target == "wmh":
        return case.wmh
    if case.ventricles is None:
        raise BadCase(f"{case.name}: expected ventricles.nii.gz to learn ventricles from, found none")
    return case.ventricles


def _dim_scalp(case: LabelledCase, factor: float) -> FlairVolume:
    """The case as a scanner with fat saturation would show it: everything outside the brain darker."""
    if factor == 1.0 or case.brain is None:
        return case.volume
    voxels = np.where(case.brain, case.volume.voxels, case.volume.voxels * np.float32(factor))
    return FlairVolume(voxels.astype(np.float32), case.volume.spacing_mm)


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """The batches of one epoch, a pure function of (seed, epoch, step), so that a resumed run sees the same ones."""

    def __init__(self, pool: SlicePool, recipe: Recipe, seed: int, epoch: int) -> None:
        super().__init__(workers=1)
        self._pool, self._recipe, self._seed, self._epoch = pool, recipe, seed, epoch
        self._order, self._steps = None, recipe.steps_per_epoch or 0
        if recipe.steps_per_epoch is None:
            self._order = _order(pool, seed, epoch)
            self._steps = -(-len(self._order) // recipe.batch_size)

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, step: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        generator = np.random.default_rng((self._seed, self._epoch, step))
        size = self._recipe.batch_size
        if self._order is None:
            chosen = [self._draw(generator) for _ in range(size)]
        else:
            chosen = [self._place(int(index)) for index in self._order[step * size : (step + 1) * size]]
        pairs = [self._slice(group, index, generator) for group, index in chosen]
        return np.stack([image for image, _ in pairs])[..., None], np.stack([label for _, label in pairs])[..., None]

    def _draw(self, generator: np.random.Generator) -> tuple[SliceGroup, int]:
        groups = self._pool.groups
        group = groups[int(generator.choice(len(groups), p=[group.share for group in groups]))]
        return group, int(generator.choice(len(group.weights), p=group.weights))

    def _place(self, index: int) -> tuple[SliceGroup, int]:
        for group in self._pool.groups:
            if index < len(group.labels):
                return group, index
            index -= len(group.labels)
        raise IndexError(index)

    def _slice(self, group: SliceGroup, index: int, generator: np.random.Generator) -> tuple[Any, Any]:
        variant = group.images[generator.integers(len(group.images))]
        image, label = variant[index].astype(np.float32), group.labels[index].astype(np.float32)
        window = WHOLE if self._recipe.crop is None else _window_on_head(len(image), self._recipe.crop, generator)
        if (settings := self._recipe.augmentation) is None:
            return image[window], label[window]
        is_alone = self._recipe.preprocessing.scale == "brain-alone"
        if settings.thickness_share:
            thicker = thicken(image, variant[group.beside(index, generator)], settings, generator)
            image = np.where(image <= LOWEST, image, thicker) if is_alone else thicker
        return (augment_brain if is_alone else augment)(image, label, settings, generator, window)


def _order(pool: SlicePool, seed: int, epoch: int) -> NDArray[np.int_]:
    """Places in the pool: every real slice once, and of the drawn ones, which are many, as many as their share asks."""
    generator = np.random.default_rng((seed, epoch))
    if len(pool.groups) == 1:
        return generator.permutation(len(pool))
    real, drawn = (len(group.labels) for group in pool.groups)
    share = pool.groups[1].share
    count = round(real * share / (1 - share))
    chosen = real + generator.choice(drawn, count, replace=count > drawn)
    return generator.permutation(np.concatenate([np.arange(real), chosen]))


def _window_on_head(size: int, side: int, generator: np.random.Generator) -> Window:
    """A random square that stays off the empty margins: heads fill the middle of the field of view."""
    slack = size - side
    top, left = (int(np.clip(generator.normal(slack / 2, slack / 4), 0, slack)) for _ in range(2))
    return slice(top, top + side), slice(left, left + side)
