"""Cases, folds, batches and fits: patients stay apart, and a killed run loses nothing."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.training_runs import without_graphs

from segmentation.networks.specification import NetworkSpecification
from segmentation.networks.unet import build_network
from segmentation.preprocessing.settings import PreprocessingSettings
from segmentation.volume import FlairVolume
from training.data.augmentation import WHOLE, AugmentationSettings, augment
from training.data.batches import Batches
from training.data.cases import LabelledCase
from training.data.folds import leave_patients_out
from training.data.presets import FIRST_REFERENCE, PAPER_2024, Recipe
from training.data.slices import build_pool
from training.dice import dice
from training.errors import BadCase, BadCohort, BadRecipe
from training.fit.fit import Pools, fit_member
from training.fit.trained_network import load_network


@pytest.fixture(scope="module")
def quick_steps() -> Iterator[None]:
    """See `without_graphs`."""
    with without_graphs():
        yield


def _case(name: str, patient: str | None = None, lesion: int = 4, seed: int = 0) -> LabelledCase:
    voxels = np.random.default_rng(seed).gamma(9, 40, (3, 32, 32)).astype(np.float32)
    wmh = np.zeros((3, 32, 32), bool)
    wmh[1, 10 : 10 + lesion, 10:14] = True
    voxels[wmh] *= 3
    return LabelledCase(name, patient or name, FlairVolume(voxels, (5.0, 1.0, 1.0)), wmh, voxels > 100)


def _small(recipe: Recipe = FIRST_REFERENCE) -> Recipe:
    return replace(
        recipe,
        network=NetworkSpecification(width=0.125, size=32),
        preprocessing=PreprocessingSettings(size=32),
        epochs=3,
        steps_per_epoch=2,
        crop=16,
        real_only_epochs=1,
        compute="float32",
    )


def test_no_patient_is_on_two_sides() -> None:
    """Every patient is held out exactly once, with all scans of that patient."""
    cases = [_case(f"case{i}", patient=f"p{i // 2}", lesion=1 + i) for i in range(12)]
    folds = leave_patients_out(cases, 3, seed=1)
    assert sorted(patient for fold in folds for patient in fold) == sorted({case.patient for case in cases})


def test_too_few_patients_for_the_folds() -> None:
    """Fewer patients than folds is an error before any epoch."""
    with pytest.raises(BadCohort, match="at least 5 patients"):
        leave_patients_out([_case("a"), _case("b")], 5, seed=1)


def test_augmentation_moves_image_and_label_together() -> None:
    """The label of a bright square follows the square."""
    image = np.full((64, 64), -1.0, np.float32)
    label = np.zeros((64, 64), np.float32)
    image[20:34, 26:40], label[20:34, 26:40] = 3.0, 1.0
    settings = AugmentationSettings(noise=0, blur_probability=0, bias_field=0, gamma=0, contrast=0, brightness=0)
    for seed in range(5):
        moved, moved_label = augment(image, label, settings, np.random.default_rng(seed))
        assert dice(moved > 1, moved_label > 0) > 0.9


def test_a_window_of_the_augmented_slice() -> None:
    """Only a window is computed where only a window is wanted: it moves as the whole slice does."""
    image = np.random.default_rng(0).random((64, 64)).astype(np.float32)
    label = (image > 0.8).astype(np.float32)
    settings = AugmentationSettings(noise=0, blur_probability=0, coarse_probability=0, bias_field=0, gamma=0)
    window = (slice(7, 47), slice(20, 60))
    whole, part = (augment(image, label, settings, np.random.default_rng(3), array) for array in (WHOLE, window))
    np.testing.assert_array_equal(part[1], whole[1][window])
    np.testing.assert_allclose(part[0], whole[0][window], atol=1e-5)


def test_batches_are_a_function_of_seed_epoch_and_step() -> None:
    """A resumed run sees exactly the batches that the killed one would have seen."""
    recipe = _small()
    pool = build_pool([_case("a"), _case("b", seed=1)], [_case("p", seed=2)], recipe)
    one, two = Batches(pool, recipe, 7, 2)[1], Batches(pool, recipe, 7, 2)[1]
    other = Batches(pool, recipe, 7, 3)[1]
    assert np.array_equal(one[0], two[0])
    assert not np.array_equal(one[0], other[0])


def test_paper_preset_shows_every_slice_once() -> None:
    """The paper's epoch is every slice exactly once, without augmentation."""
    recipe = replace(_small(PAPER_2024), steps_per_epoch=None, crop=None, batch_size=2)
    pool = build_pool([_case("a"), _case("b", seed=1)], [], recipe)
    batches = Batches(pool, recipe, 7, 0)
    seen = np.concatenate([batches[step][0][..., 0] for step in range(len(batches))])
    assert len(seen) == len(pool) == 6
    assert sorted(x.sum() for x in seen) == sorted(x.sum() for x in pool.groups[0].images[0])


def test_synthetic_share() -> None:
    """Synthetic slices are drawn as often as the recipe says, never without real scans beside them."""
    recipe = replace(_small(), synthetic_share=0.25, steps_per_epoch=40, crop=None, augmentation=None)
    dark = [_case("a")]
    bright = [_case("p", seed=2), _case("q", seed=3)]
    pool = build_pool(dark, bright, recipe)
    known = {float(image.astype(np.float32).sum()) for image in pool.groups[1].images[0]}
    batches = Batches(pool, recipe, 7, 0)
    drawn = [float(image.sum()) in known for step in range(40) for image in batches[step][0][..., 0]]
    assert 0.15 < np.mean(drawn) < 0.35
    assert len(pool.real_only()) == 3


def test_synthetic_share_of_an_epoch_over_every_slice() -> None:
    """Every real slice once, and as many of the drawn ones as the share asks, another choice each epoch."""
    recipe = replace(_small(PAPER_2024), synthetic_share=0.4, steps_per_epoch=None, crop=None, batch_size=2)
    bright = [_case(name, seed=seed) for seed, name in enumerate("pqrstu", start=2)]
    pool = build_pool([_case("a")], bright, recipe)
    real = sorted(float(image.sum()) for image in pool.groups[0].images[0])
    drawn = set()
    for epoch in range(4):
        batches = Batches(pool, recipe, 7, epoch)
        shown = [float(image.sum()) for step in range(len(batches)) for image in batches[step][0][..., 0]]
        assert sorted(entry for entry in shown if entry in real) == real
        assert len(shown) == 3 + 2
        drawn |= set(shown) - set(real)
    assert len(drawn) > 2


def test_an_epoch_says_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within an epoch each step is heard of, with a loss between 0 and 1: 1 - Dice."""
    monkeypatch.setattr("training.fit.fit._SECONDS_BETWEEN", 0.0)
    recipe = replace(_small(PAPER_2024), epochs=1)
    pool = build_pool([_case("a")], [], recipe)
    heard: list[tuple[int, int, float]] = []
    fit_member(Pools(pool, pool), recipe, 1, tmp_path, on_step=lambda *told: heard.append(told))
    steps = len(Batches(pool, recipe, 1, 0))
    assert [(done, total) for done, total, _ in heard] == [(step + 1, steps) for step in range(steps)]
    assert all(0 < loss < 1 for _, _, loss in heard)


def test_ventricles_are_learnt_from_their_own_mask() -> None:
    """With the target `ventricles` the labels are the ventricles; a case without that mask is named."""
    recipe = replace(_small(), target="ventricles")
    case = replace(_case("a"), ventricles=np.ones((3, 32, 32), bool))
    assert all(label.all() for label in build_pool([case], [], recipe).groups[0].labels)
    with pytest.raises(BadCase, match=r"b: expected ventricles\.nii\.gz"):
        build_pool([_case("b")], [], recipe)


@pytest.mark.usefixtures("quick_steps")
def test_a_killed_fit_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    """Stopped after an epoch and started again, a fit ends with the weights of an unbroken one."""
    recipe = _small()
    pool = build_pool([_case("a"), _case("b", seed=1)], [], recipe)
    whole = fit_member(Pools(pool, pool), recipe, 5, tmp_path / "whole")
    for epochs in (1, 3):
        broken = fit_member(Pools(pool, pool), recipe, 5, tmp_path / "broken", stop_after=epochs)
    weights = []
    for path in (whole, broken):
        model = build_network(recipe.network)
        model.load_weights(path)
        weights.append(model.get_weights())
    for array, two in zip(*weights, strict=True):
        np.testing.assert_allclose(array, two, atol=1e-5)


@pytest.mark.usefixtures("quick_steps")
def test_a_fit_ends_part_of_the_way_back_to_its_start(tmp_path: Path) -> None:
    """The result lies between start and last epoch, is made again where a kill prevented it, and needs its start."""
    recipe = replace(_small(), start_from="first-reference", start_share=0.25, epochs=1, real_only_epochs=0)
    pool = build_pool([_case("a")], [], recipe)
    start = build_network(recipe.network).get_weights()
    with pytest.raises(BadRecipe, match="expected one"):
        fit_member(Pools(pool, pool), recipe, 5, tmp_path / "none")
    result = fit_member(Pools(pool, pool), recipe, 5, tmp_path / "member", initial=start)
    last = load_network(recipe, tmp_path / "member" / "epoch-001.weights.h5").get_weights()
    averaged = load_network(recipe, result).get_weights()
    assert any(not np.allclose(a, b) for a, b in zip(start, last, strict=True))
    for now, own, old in zip(averaged, last, start, strict=True):
        np.testing.assert_allclose(now, 0.75 * own + 0.25 * old, atol=1e-6)
    result.unlink()
    assert fit_member(Pools(pool, pool), recipe, 5, tmp_path / "member", initial=start) == result
    for array, two in zip(load_network(recipe, result).get_weights(), averaged, strict=True):
        np.testing.assert_array_equal(array, two)


def test_dice_rule_for_empty_masks() -> None:
    """Two empty masks agree completely, one empty mask not at all."""
    empty, full = np.zeros(4, bool), np.ones(4, bool)
    assert dice(empty, empty) == 1
    assert dice(empty, full) == 0
    assert dice(full, full) == 1
