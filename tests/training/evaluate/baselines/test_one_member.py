"""One member of a bundle alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.models import tiny_model

from segmentation.bundle import ModelBundle
from segmentation.ensemble import open_ensemble
from training.evaluate.baselines.one_member import with_members
from training.evaluate.seen import TrainingPatients


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    """Two members that differ."""
    return tiny_model(tmp_path_factory.mktemp("model"), kind="random")


def test_a_member_says_alone_what_it_says_among_others(bundle: ModelBundle) -> None:
    """The second member's probabilities are those of the whole ensemble's second row, in one network's time."""
    size = bundle.specification.size
    images = np.random.default_rng(0).normal(size=(2, size, size)).astype(np.float32)
    whole = open_ensemble(bundle, "openvino").predict(images)
    alone = open_ensemble(with_members(bundle, (1,)), "openvino").predict(images)
    assert alone.shape == (1, *whole.shape[1:])
    # Another graph may take other kernels; a swapped member would be off by far more.
    assert np.abs(alone[0] - whole[1]).max() < 0.02 < np.abs(whole[0] - whole[1]).max()


def test_its_digest_is_its_own(bundle: ModelBundle) -> None:
    """No result of one member passes for the ensemble's; the bundle itself stays as it was."""
    first, second = with_members(bundle, (0,)), with_members(bundle, (1,))
    assert len({bundle.identity.digest, first.identity.digest, second.identity.digest}) == 3
    assert with_members(bundle, (0,)).identity == first.identity
    assert (bundle.members, first.members) == (2, 1)
    assert "golden.npz" in bundle.manifest.files
    assert "golden.npz" not in first.manifest.files


def test_it_knows_which_patients_it_never_saw(bundle: ModelBundle) -> None:
    """The patients held out are those of that member, not of the first in the list."""
    training = bundle.manifest.training.model_copy(update={"patients": ("a", "b"), "held_out": (("a",), ("b",))})
    told = replace(bundle, manifest=bundle.manifest.model_copy(update={"training": training}))
    known = TrainingPatients.of(with_members(told, (1,)))
    assert known.members_that_never_saw("b", 1) == (0,)
    assert known.members_that_never_saw("a", 1) == ()


@pytest.mark.parametrize("members", [(), (2,), (-1,)])
def test_a_member_that_is_not_there_is_refused(bundle: ModelBundle, members: tuple[int, ...], tmp_path: Path) -> None:
    """None at all, or beyond the last."""
    with pytest.raises(ValueError, match="members between 0 and 1"):
        with_members(bundle, members)
