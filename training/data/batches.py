"""Batches drawn from a pool of slices, as Keras wants them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from segmentation.preprocessing.masked import LOWEST
from training.data.augmentation import WHOLE, Window, augment, augment_brain, thicken
from training.data.presets import Recipe
from training.data.slices import SliceGroup, SlicePool


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
