"""Slices are made thicker with what lies beside them in their own scan."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.labelled_cases import labelled_case

from segmentation.networks.specification import NetworkSpecification
from segmentation.preprocessing.settings import PreprocessingSettings
from training.data.augmentation import AugmentationSettings, thicken
from training.data.batches import Batches
from training.data.presets import PAPER_2024
from training.data.recipe_settings import with_settings
from training.data.slices import build_pool
from training.errors import BadRecipe

SMALL = replace(
    PAPER_2024, network=NetworkSpecification(width=0.125), preprocessing=PreprocessingSettings(size=32), batch_size=4
)
STILL = AugmentationSettings(
    rotation_degrees=0, scale=0, anisotropy=0, shift_pixels=0, flip_probability=0, elastic_pixels=0, gamma=0,
    contrast=0, brightness=0, bias_field=0, noise=0, blur_probability=0, coarse_probability=0,
)  # fmt: skip


def test_a_neighbour_is_of_the_same_scan() -> None:
    """The first and the last slice of a scan take the one neighbour that they have, and never the next scan's."""
    pool = build_pool([labelled_case("a"), labelled_case("b", seed=1)], (), SMALL)
    (group,) = pool.groups
    assert group.scans.tolist() == [0, 0, 0, 1, 1, 1]
    found = [{group.beside(index, np.random.default_rng(seed)) for seed in range(20)} for index in range(6)]
    assert found == [{1}, {0, 2}, {1}, {4}, {3, 5}, {4}]


def test_signal_of_the_neighbour_is_in_the_slice_and_the_label_stays() -> None:
    """Between the two images, nearer to its own; about as often as asked for."""
    settings = replace(STILL, thickness_share=0.4, thickness_probability=0.5)
    own, other = np.zeros((8, 8), np.float32), np.ones((8, 8), np.float32)
    mixed = [float(thicken(own, other, settings, np.random.default_rng(seed)).mean()) for seed in range(200)]
    assert 0.3 < max(mixed) < 0.4
    assert 70 < sum(value > 0 for value in mixed) < 130
    pool = build_pool([labelled_case("a")], (), SMALL)
    plain, thicker = (
        Batches(pool, replace(SMALL, augmentation=settings_), seed=3, epoch=1)[0]
        for settings_ in (STILL, replace(settings, thickness_probability=1.0))
    )
    np.testing.assert_array_equal(plain[1], thicker[1])
    assert np.abs(plain[0] - thicker[0]).max() > 0.01


def test_a_share_that_would_belie_the_label_is_refused() -> None:
    """Half a neighbour or more, in words, before any epoch."""
    with pytest.raises(BadRecipe, match=r"below 0\.5, got 0\.5"):
        with_settings(replace(SMALL, augmentation=STILL), ("augmentation.thickness_share=0.5",))
