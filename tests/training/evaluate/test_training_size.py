"""DSC by number of training patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.labelled_cases import labelled_case

from segmentation.networks.specification import NetworkSpecification
from segmentation.preprocessing.settings import PreprocessingSettings
from training.data.cases import LabelledCase
from training.data.presets import PAPER_2024
from training.errors import BadCohort, BadRecipe
from training.evaluate.training_size import Predict, train_on_growing_subsets, training_size_curve

SMALL = PreprocessingSettings(size=32)


def _cases(external: bool = False) -> list[LabelledCase]:
    splits = ("train",) * 6 + ("test",) * 3 + (("external",) * 2 if external else ())
    return [replace(labelled_case(f"c{i}", seed=i), split=split) for i, split in enumerate(splits)]


def test_subsets_grow_and_test_cases_stay() -> None:
    """Each subset holds the smaller ones, no test case is ever trained on, and more patients score better here."""
    seen: dict[int, set[str]] = {}

    def fit(subset: Sequence[LabelledCase], size: int) -> list[Predict]:
        seen[size] = {case.patient for case in subset}
        bright = 4.0 - 0.5 * size  # a network that needs less brightness the more it has seen
        return [lambda images: (images > bright).astype(np.float32)]

    found = training_size_curve(_cases(), (1, 3, 6), fit, SMALL, seed=1)
    assert [len(seen[size]) for size in (1, 3, 6)] == [1, 3, 6]
    assert seen[1] < seen[3] < seen[6] == {f"c{i}" for i in range(6)}
    assert [point.patients for point in found.points] == [1, 3, 6]
    assert all(point.n == 3 for point in found.points)
    assert found.points[-1].mean_dsc != found.points[0].mean_dsc
    assert "1 against 6" in found.test


def test_external_patients_are_scored_where_there_are_any() -> None:
    """As in the paper: the external sets, not the internal test part."""
    found = training_size_curve(_cases(external=True), (2,), lambda *_: [np.zeros_like], SMALL, seed=1)
    assert found.points[0].n == 2
    assert found.p is None
    assert "nothing to compare" in found.note


def test_sizes_that_cannot_be() -> None:
    """More patients than there are, none at all, or none to score on: an error before any epoch."""

    def never(_subset: Sequence[LabelledCase], _size: int) -> list[Predict]:
        raise AssertionError("trained")

    with pytest.raises(BadCohort, match="between 1 and the 6 training patients, got 2, 7"):
        training_size_curve(_cases(), (2, 7), never, SMALL, seed=1)
    with pytest.raises(BadCohort, match="external or test patients"):
        training_size_curve(_cases()[:6], (2,), never, SMALL, seed=1)


def test_a_recipe_is_really_trained(tmp_path: Path) -> None:
    """A recipe is trained for each size, states its progress, and leaves a run folder to go on from."""
    network = NetworkSpecification(width=0.125, size=32)
    tiny = replace(PAPER_2024, name="tiny", network=network, preprocessing=SMALL, epochs=1)
    heard: list[tuple[str, int, int]] = []
    found = train_on_growing_subsets(_cases(), (2,), tiny, 1, tmp_path, lambda *told: heard.append(told), members=1)
    assert heard[-1] == ("train 2", 1, 1)
    assert found.points[0].patients == 2
    assert (tmp_path / "2-patients" / "run.json").exists()
    assert (tmp_path / "slices").is_dir()
    assert not (tmp_path / "2-patients" / "slices").exists()


def test_a_recipe_for_ventricles_is_refused(tmp_path: Path) -> None:
    """The curve is about WMH."""
    with pytest.raises(BadRecipe, match="ventricles"):
        train_on_growing_subsets(_cases(), (2,), replace(PAPER_2024, target="ventricles"), 1, tmp_path, lambda *_: None)
