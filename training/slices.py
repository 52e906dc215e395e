"""Cases as a pool of network-ready slices, and batches drawn from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from segmentation.preprocessing.case import preprocess
from segmentation.volume import FlairVolume
from training.augmentation import augment
from training.cases import LabelledCase
from training.presets import Recipe


@dataclass(frozen=True)
class SlicePool:
    """Slices ready for a network, with their labels.

    Attributes:
        images: one float32 (slice, row, column) array per scalp variant; all variants have the same slices.
        labels: float32 (slice, row, column), zeros and ones.
        weights: float64 (slice,), chance of being drawn, sum 1.
    """

    images: tuple[NDArray[np.float32], ...]
    labels: NDArray[np.float32]
    weights: NDArray[np.float64]


def build_pool(cases: Sequence[LabelledCase], phantoms: Sequence[LabelledCase], recipe: Recipe) -> SlicePool:
    """Preprocess every case once per scalp factor; slices without brain are left out."""
    images: list[list[NDArray[np.float32]]] = [[] for _ in recipe.scalp_factors]
    labels, weights = [], []
    for group, share in ((cases, 1 - recipe.phantom_share), (phantoms, recipe.phantom_share)):
        group_weights = []
        for case in group:
            variants = [preprocess(_dim_scalp(case, factor), recipe.preprocessing) for factor in recipe.scalp_factors]
            kept = np.asarray(variants[0].brain_mask.any(axis=(1, 2)))
            mask = variants[0].grid.mask_to_square(case.wmh)[kept]
            labels.append(mask.astype(np.float32))
            group_weights.append(np.where(mask.any(axis=(1, 2)), 1.0, recipe.empty_slice_weight))
            for index, ready in enumerate(variants):
                images[index].append(ready.images[kept])
        if group_weights:
            joined = np.concatenate(group_weights)
            weights.append(joined / joined.sum() * (share if phantoms else 1.0))
    return SlicePool(
        tuple(np.concatenate(variant) for variant in images), np.concatenate(labels), np.concatenate(weights)
    )


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
        count = len(pool.labels)
        self._steps = recipe.steps_per_epoch or -(-count // recipe.batch_size)
        order = np.random.default_rng((seed, epoch)).permutation(count)
        self._order = order if recipe.steps_per_epoch is None else None

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, step: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        generator = np.random.default_rng((self._seed, self._epoch, step))
        size = self._recipe.batch_size
        if self._order is None:
            chosen = generator.choice(len(self._pool.labels), size, p=self._pool.weights)
        else:
            chosen = self._order[step * size : (step + 1) * size]
        pairs = [self._slice(index, generator) for index in chosen]
        return np.stack([image for image, _ in pairs])[..., None], np.stack([label for _, label in pairs])[..., None]

    def _slice(self, index: int, generator: np.random.Generator) -> tuple[Any, Any]:
        variant = self._pool.images[generator.integers(len(self._pool.images))]
        image, label = variant[index], self._pool.labels[index]
        if self._recipe.augmentation is not None:
            image, label = augment(image, label, self._recipe.augmentation, generator)
        if self._recipe.crop is None:
            return image, label
        return _crop_around_head(image, label, self._recipe.crop, generator)


def _crop_around_head(image: Any, label: Any, side: int, generator: np.random.Generator) -> tuple[Any, Any]:
    """A random square that stays off the empty margins: heads fill the middle of the field of view."""
    slack = image.shape[0] - side
    top, left = (int(np.clip(generator.normal(slack / 2, slack / 4), 0, slack)) for _ in range(2))
    window = np.s_[top : top + side, left : left + side]
    return image[window], label[window]
