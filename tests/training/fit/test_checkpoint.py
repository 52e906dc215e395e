"""Checkpoints: after any end the last finished epoch is there, and what is wrong is said."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.labelled_cases import labelled_case
from support.small_disk import files_that_stay_small
from support.training_runs import tiny_recipe, without_graphs

from training.data.slices import SlicePool, build_pool
from training.errors import CheckpointLost, NotSaved
from training.fit.checkpoint import Checkpoint, EpochRecord
from training.fit.fit import Pools, fit_member

RECIPE = tiny_recipe(epochs=3, steps_per_epoch=1)


@pytest.fixture(scope="module", autouse=True)
def quick_steps() -> Iterator[None]:
    """See `without_graphs`."""
    with without_graphs():
        yield


@pytest.fixture(scope="module")
def pool() -> SlicePool:
    """Slices of two tiny cases."""
    return build_pool([labelled_case("a"), labelled_case("b", seed=1)], [], RECIPE)


def test_a_full_disk_leaves_the_last_good_checkpoint(tmp_path: Path, pool: SlicePool) -> None:
    """The error names it, and with space again the same call goes on from it."""
    folder = tmp_path / "member-0"
    fit_member(Pools(pool, pool), RECIPE, 1, folder, stop_after=1)
    good = Checkpoint(folder).weights(1)
    with (
        files_that_stay_small(os.getpid(), good.stat().st_size // 2),
        pytest.raises(
            NotSaved, match=r"member-0: epoch 2 could not be saved .*last good checkpoint is epoch-001.*Free"
        ),
    ):
        fit_member(Pools(pool, pool), RECIPE, 1, folder)
    assert Checkpoint(folder).finished_epochs() == 1
    assert sorted(path.name for path in folder.iterdir()) == ["epoch-001.weights.h5", "state.json"]
    assert fit_member(Pools(pool, pool), RECIPE, 1, folder, stop_after=2).name == "epoch-002.weights.h5"
    assert [record.epoch for record in Checkpoint(folder).history()] == [1, 2]


def test_what_a_kill_leaves_half_written_is_not_used(tmp_path: Path, pool: SlicePool) -> None:
    """Weights that state.json does not name yet, whole or half, change nothing; the next epoch clears them away."""
    fit_member(Pools(pool, pool), RECIPE, 1, tmp_path, stop_after=1)
    (tmp_path / "partial.weights.h5").write_bytes(b"half a file")
    (tmp_path / "epoch-002.weights.h5").write_bytes(b"renamed, but the state was not written")
    assert Checkpoint(tmp_path).finished_epochs() == 1
    fit_member(Pools(pool, pool), RECIPE, 1, tmp_path, stop_after=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-002.weights.h5", "state.json"]


def test_the_history_goes_on(tmp_path: Path, pool: SlicePool) -> None:
    """Each epoch's record is in state.json, once, also over a stop; a folder of an older version has none."""
    seen: list[EpochRecord] = []
    for stop in (1, 3):
        fit_member(Pools(pool, pool), RECIPE, 1, tmp_path, stop_after=stop, on_epoch=seen.append)
    assert [record.epoch for record in seen] == [1, 2, 3]
    assert Checkpoint(tmp_path).history() == tuple(seen)
    (tmp_path / "state.json").write_text(json.dumps({"epochs": 3}))
    assert Checkpoint(tmp_path).history() == ()
    assert fit_member(Pools(pool, pool), RECIPE, 1, tmp_path).name == "epoch-003.weights.h5"


def test_a_lost_checkpoint_is_reported(tmp_path: Path, pool: SlicePool) -> None:
    """Weights or a state that cannot be read are errors with a way out, never a fresh start unasked."""
    folder = tmp_path / "member-2"
    weights = fit_member(Pools(pool, pool), RECIPE, 1, folder, stop_after=1)
    content = weights.read_bytes()
    weights.write_bytes(content[: len(content) // 3])
    with pytest.raises(CheckpointLost, match=r"member-2: epoch-001.*cannot be read.*delete state"):
        fit_member(Pools(pool, pool), RECIPE, 1, folder)
    weights.unlink()
    with pytest.raises(CheckpointLost, match=r"member-2: epoch-001.weights.h5 is missing"):
        fit_member(Pools(pool, pool), RECIPE, 1, folder)
    (folder / "state.json").write_text("{")
    with pytest.raises(CheckpointLost, match=r"state.json cannot be read"):
        Checkpoint(folder).finished_epochs()
