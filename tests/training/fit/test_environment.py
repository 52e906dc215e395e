"""What a training's process has set by the time that TensorFlow loads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.labelled_cases import write_cohort
from support.training_runs import environment

# Ends the process where TensorFlow would begin to load, and says what TensorFlow would have read.
_PROGRAM = """
import json, os, runpy, sys
def watch(event, arguments):
    if event == "import" and arguments[0] == "tensorflow":
        found = {name: value for name, value in os.environ.items() if name.startswith(("TF_", "OMP_"))}
        print(json.dumps(found), flush=True)
        os._exit(0)
sys.addaudithook(watch)
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""

WAYS = {
    "train": ("dicom_node.cli", "train", "DATA", "--out", "OUT", "--threads", "1", "--backend", "tensorflow"),
    "pretraining": ("training.fit.pretraining", "pretrain", "--scans", "DATA", "--out", "OUT", "--threads", "1"),
    "anatomy": ("training.bundle.anatomy.fit", "--scans", "DATA", "--out", "OUT", "--threads", "1"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("chosen", [None, "0"])
def test_tensorflow_of_a_training_loads_with_onednn(way: str, chosen: str | None, tmp_path: Path) -> None:
    """Each program that trains loads TensorFlow with oneDNN and the asked threads; what a person has set stays."""
    places = {"DATA": str(write_cohort(tmp_path / "data", 2)), "OUT": str(tmp_path / "run")}
    variables = environment(KERAS_BACKEND="tensorflow")
    variables.pop("TF_ENABLE_ONEDNN_OPTS", None)
    if chosen is not None:
        variables["TF_ENABLE_ONEDNN_OPTS"] = chosen
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *(places.get(word, word) for word in WAYS[way])],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["TF_ENABLE_ONEDNN_OPTS"] == (chosen or "1")
    assert said["OMP_NUM_THREADS"] == said["TF_NUM_INTRAOP_THREADS"] == "1"
