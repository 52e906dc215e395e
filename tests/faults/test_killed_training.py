"""kill -9 in the middle of a training."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.labelled_cases import write_cohort
from support.training_runs import TINY, command, environment, tiny_recipe

from segmentation.networks.unet import build_network


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_training_loses_one_epoch_at_most(tmp_path: Path) -> None:
    """Killed while it trains, the same command goes on behind the last finished epoch to the weights of an unbroken
    run of the same seed."""
    data = write_cohort(tmp_path / "data", 3)
    # Ventricles: a run without a bundle, which would cost more than the training.
    common = (*TINY, "--epochs", "20", "--validation-cases", "0", "--target", "ventricles")

    def arguments(run: Path) -> list[str]:
        return command("dicom_node.cli", "train", data, "--out", run, *common)

    killed = subprocess.Popen(arguments(tmp_path / "killed"), env=environment(), stderr=subprocess.DEVNULL)
    state = tmp_path / "killed" / "member-0" / "state.json"
    while not state.exists():
        assert killed.poll() is None
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    finished = int(json.loads(state.read_text())["epochs"])
    assert 1 <= finished < 20
    again = subprocess.run(
        arguments(tmp_path / "killed"), env=environment(), capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stderr
    assert f"member 0 is at epoch {finished}/20" in again.stderr
    assert f"member 0 finished epoch {finished + 1}/20" in again.stderr
    assert f"member 0 finished epoch {finished}/20" not in again.stderr
    whole = subprocess.run(
        arguments(tmp_path / "whole"), env=environment(), capture_output=True, text=True, check=False
    )
    assert whole.returncode == 0, whole.stderr
    for array, two in zip(_weights(tmp_path / "killed"), _weights(tmp_path / "whole"), strict=True):
        np.testing.assert_array_equal(array, two)


def _weights(run: Path) -> list[np.ndarray]:
    network = build_network(replace(tiny_recipe().network, squeeze_excitation=False))
    network.load_weights(run / "member-0" / "epoch-020.weights.h5")
    return network.get_weights()
