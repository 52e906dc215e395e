"""Voxels of which a mask says nothing count in no loss, and stay what they are when a slice is moved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from segmentation.networks.specification import NetworkSpecification
from segmentation.preprocessing.masked import LOWEST
from segmentation.preprocessing.settings import PreprocessingSettings
from segmentation.volume import FlairVolume
from training.data.augmentation import AugmentationSettings, augment
from training.data.batches import Batches
from training.data.cases import LabelledCase
from training.data.ignored import UNKNOWN
from training.data.presets import REFERENCE_BRAIN, Recipe
from training.data.recipe_settings import check_recipe, with_settings
from training.data.slices import build_group, build_pool
from training.errors import BadRecipe, OtherRun
from training.fit.losses import LOSSES
from training.fit.plan import make_plan
from training.fit.pretraining import SPECIFICATION, build, export
from training.fit.start import read_start

SMALL = replace(
    REFERENCE_BRAIN,
    network=NetworkSpecification(width=0.125, size=64),
    preprocessing=PreprocessingSettings(size=64, scale="brain-alone"),
    crop=32,
    steps_per_epoch=2,
    epochs=1,
    compute="float32",
)


def _case() -> LabelledCase:
    """A brain with ventricles in the middle of a head, one lesion far from them."""
    voxels = np.random.default_rng(5).normal(400, 40, (3, 64, 64)).astype(np.float32)
    brain, ventricles, wmh = (np.zeros(voxels.shape, bool) for _ in range(3))
    brain[:, 8:56, 8:56] = True
    ventricles[:, 28:36, 28:36] = True
    wmh[:, 14:18, 14:18] = True
    voxels[~brain] = 5
    voxels[ventricles] = 100
    voxels[wmh] = 800
    return LabelledCase("a", "a", FlairVolume(voxels, (5.0, 1.0, 1.0)), wmh, brain, ventricles)


@pytest.mark.parametrize("name", LOSSES)
def test_unknown_voxels_count_in_no_loss(name: str) -> None:
    """Whatever the network says there, the loss is that of the other voxels alone."""
    from keras import ops

    generator = np.random.default_rng(1)
    labels = (generator.random((2, 8, 8, 1)) > 0.7).astype(np.float32)
    said = generator.uniform(0.05, 0.95, labels.shape).astype(np.float32)
    known = float(ops.convert_to_numpy(LOSSES[name](labels[:, :4], said[:, :4])))
    labels[:, 4:] = UNKNOWN
    for there in (0.01, 0.99):
        said[:, 4:] = there
        assert float(ops.convert_to_numpy(LOSSES[name](labels, said))) == pytest.approx(known, rel=1e-4)


def test_unknown_voxels_move_with_the_image() -> None:
    """A moved label has the same three values, about as many of each, and WMH wins where two meet."""
    label = np.zeros((64, 64), np.float32)
    label[20:40, 20:40] = UNKNOWN
    label[26:34, 26:34] = 1
    _, moved = augment(np.zeros((64, 64), np.float32), label, AugmentationSettings(), np.random.default_rng(3))
    assert set(np.unique(moved)) == {UNKNOWN, 0, 1}
    assert (moved == 1).sum() == pytest.approx(64, rel=0.4)
    assert (moved == UNKNOWN).sum() == pytest.approx(336, rel=0.4)


def test_the_recipe_shows_the_brain_alone_and_ignores_rims() -> None:
    """Three margins of the brain are shown; unmarked rims of the ventricles are unknown, nothing else is."""
    pool = build_pool([_case()], [], SMALL)
    (group,) = pool.groups
    labels, images = np.stack(list(group.labels)), [np.stack(list(stack)) for stack in group.images]
    assert len(images) == 3
    assert [int((image > LOWEST).sum()) for image in images] != [int((images[0] > LOWEST).sum())] * 3
    assert (labels[:, 25, 30] == UNKNOWN).all()
    assert (labels[:, 15, 15] == 1).all()
    assert (labels[:, 45, 50] == 0).all()
    images, labels = Batches(pool, SMALL, seed=1, epoch=0)[0]
    assert images.min() == LOWEST
    assert set(np.unique(labels)) <= {UNKNOWN, 0, 1}
    (plain,) = build_pool([_case()], [], replace(SMALL, ignored_rim_mm=0.0)).groups
    assert all((label != UNKNOWN).all() for label in plain.labels)


def test_only_what_is_as_bright_as_a_lesion_is_ignored() -> None:
    """By `ignored_rim_sd` a dim lining of a real scan is no WMH, and a dim mark of a drawn one counts neither way."""
    case = _case()
    case.volume.voxels[:, 26:28, 28:36] = 480  # a rim above the ventricles, less bright than the lesion
    bright, dim = replace(SMALL, ignored_rim_sd=0.3), replace(SMALL, ignored_rim_sd=2.0)

    def at_the_rim(recipe: Recipe, drawn: bool, marked: bool) -> set[int]:
        wmh = case.wmh.copy()
        wmh[:, 26:28, 28:36] = marked
        group = build_group([replace(case, wmh=wmh)], recipe, is_drawn=drawn)
        return {int(label) for stack in group.labels for label in np.unique(stack[26, 30:34])}

    assert (at_the_rim(bright, False, False), at_the_rim(dim, False, False)) == ({UNKNOWN}, {0})
    assert (at_the_rim(bright, True, True), at_the_rim(dim, True, True)) == ({1}, {UNKNOWN})
    assert at_the_rim(dim, False, True) == {1}


def test_settings_that_contradict_are_refused() -> None:
    """Margins of a brain that is not shown alone, a dimmed scalp that is not shown, impossible distances."""
    check_recipe(SMALL)
    for setting in (
        "preprocessing.scale=brain-level",
        "scalp_factors=1,0.5",
        "ignored_rim_mm=-1",
        "ignored_rim_sd=11",
        "brain_margins_mm=99",
    ):
        with pytest.raises(BadRecipe, match=r"brain_margins_mm|scalp_factors|ignored_rim"):
            with_settings(SMALL, [setting])


def test_members_begin_from_the_pretrained_network(tmp_path: Path) -> None:
    """Every member gets the exported weights and none has seen a patient; without them the training does not begin."""
    model = build()
    model.save_weights(tmp_path / "weights.weights.h5")
    (tmp_path / "state.json").write_text('{"steps": 7}')
    export(tmp_path, tmp_path / "pretrained.npz")
    start = read_start(tmp_path / "pretrained.npz")
    assert start.network == SPECIFICATION == REFERENCE_BRAIN.network
    for member in (0, 4):
        for now, there in zip(start.weights(member), model.get_weights(), strict=True):
            np.testing.assert_allclose(now, there, rtol=2e-3, atol=1e-3)
    cases = [replace(_case(), name=name, patient=name, volume=_shifted(index)) for index, name in enumerate("abcdef")]
    plan = make_plan(cases, (), REFERENCE_BRAIN, scheme="folds", start=start)
    assert plan.stages == (REFERENCE_BRAIN,)
    with pytest.raises(OtherRun, match=r"PRETRAINED\.npz"):
        make_plan(cases, (), REFERENCE_BRAIN, scheme="folds")
    with pytest.raises(OtherRun, match="an npz of the pretraining"):
        (tmp_path / "other.npz").write_bytes(b"nothing")
        read_start(tmp_path / "other.npz")


def _shifted(number: int) -> FlairVolume:
    volume = _case().volume
    return FlairVolume(volume.voxels + np.float32(number), volume.spacing_mm)
