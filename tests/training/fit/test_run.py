"""A training of several stages: each goes on from the result of the one before, and a kill anywhere loses no stage."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.labelled_cases import labelled_case
from support.training_runs import without_graphs

from segmentation.networks.specification import NetworkSpecification
from segmentation.preprocessing.settings import PreprocessingSettings
from training.data.presets import PAPER_2024, PRESETS
from training.fit.plan import TrainingPlan, make_plan
from training.fit.progress import MemberProgress
from training.fit.run import PlanPart, train
from training.fit.run_folder import RunFolder
from training.fit.trained_network import load_network

FIRST = replace(
    PAPER_2024,
    name="tiny-first",
    network=NetworkSpecification(variant="text", width=0.125, size=32),
    preprocessing=PreprocessingSettings(size=32),
    epochs=2,
    steps_per_epoch=1,
)
SECOND = replace(FIRST, name="tiny-second", start_from="tiny-first", start_share=0.5, epochs=1)


@pytest.fixture(scope="module", autouse=True)
def quick_steps() -> Iterator[None]:
    """See `without_graphs`."""
    with without_graphs():
        yield


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_stages_go_on_from_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped within the first stage, gone on with, and bereft of its result, a run ends as an unbroken one."""
    monkeypatch.setitem(PRESETS, FIRST.name, FIRST)
    cases = [labelled_case(f"p{index}", lesion=4 + index, seed=index) for index in range(3)]
    plan = make_plan(cases, (), SECOND, members=1)
    epochs: list[int] = []

    def go_on(folder: RunFolder, stop_after: int | None = None) -> bool:
        def report(stand: MemberProgress) -> None:
            if not stand.part:  # within an epoch it says how far that is
                epochs.append(stand.epoch)

        return train(plan, folder, "tensorflow", PlanPart(stop_after=stop_after, validation_cases=0), report)

    whole, broken = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "broken")
    assert go_on(whole)
    assert epochs == [0, 1, 2, 3]
    assert not go_on(broken, stop_after=1)
    assert go_on(broken)
    assert epochs[4:] == [0, 1, 1, 2, 3]
    assert _result(plan, whole) == pytest.approx(_result(plan, broken), abs=1e-5)
    first = whole.member(0) / FIRST.name / FIRST.result_file
    last = whole.member(0) / "epoch-001.weights.h5"
    before, after = (np.concatenate([a.ravel() for a in _weights(plan, path)]) for path in (first, last))
    assert _result(plan, whole) == pytest.approx((before + after) / 2, abs=1e-6)
    (broken.member(0) / SECOND.result_file).unlink()
    assert go_on(broken)
    assert _result(plan, whole) == pytest.approx(_result(plan, broken), abs=1e-5)


def _weights(plan: TrainingPlan, file: Path) -> list[np.ndarray]:
    return list(load_network(plan.recipe, file).get_weights())


def _result(plan: TrainingPlan, folder: RunFolder) -> np.ndarray:
    file = folder.weights(plan, 0)
    assert file is not None
    return np.concatenate([array.ravel() for array in _weights(plan, file)])
