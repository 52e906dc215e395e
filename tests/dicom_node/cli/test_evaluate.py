"""`wmh-node evaluate`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from support.labelled_cases import write_cohort, write_nifti
from support.models import tiny_bundle
from support.node import clean_environment, run_cli
from support.small_disk import files_that_stay_small
from typer.testing import CliRunner

from dicom_node.cli.main import build_app
from training.evaluate.write import read_evaluation

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny bundle for 32 x 32 slices."""
    return tiny_bundle(tmp_path_factory.mktemp("model"), size=32)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four cases with patients.csv; two external, one of them of another site."""
    folder = write_cohort(tmp_path / "data", patients=4)
    rows = ["patient,site,split,age", "p0,A,test,70", "p1,A,test,66", "p2,B,external,59", "p3,C,external,80"]
    (folder / "patients.csv").write_text("\n".join(rows))
    return folder


@pytest.mark.slow
def test_three_files_and_a_summary(data: Path, model: Path, tmp_path: Path) -> None:
    """report.html, evaluation.json and cases.csv are written, and stdout is one JSON document that scripts can read."""
    done = run_cli("evaluate", data, "--out", tmp_path / "out", "--bundle", model, "--json")
    summary = json.loads(done.stdout)
    evaluation = read_evaluation(tmp_path / "out")
    assert summary["group"] == evaluation.figure_group == "external"
    assert summary["cohort"]["cases"] == 4
    found = evaluation.statistic("dsc_mean")
    assert found is not None
    assert summary["statistics"]["dsc_mean"] == found.value
    assert len((tmp_path / "out" / "cases.csv").read_text().splitlines()) == 5
    report = (tmp_path / "out" / "report.html").read_text()
    assert "0.722" in report  # the paper's figure beside ours
    assert str(tmp_path) not in report + (tmp_path / "out" / "evaluation.json").read_text()


def test_one_split_at_a_terminal(data: Path, model: Path, tmp_path: Path) -> None:
    """--split keeps its patients; the table for people names the paper's figure."""
    arguments = ["evaluate", str(data), "--out", str(tmp_path / "out"), "--bundle", str(model), "--split", "test"]
    done = CliRunner().invoke(build_app("evaluate"), arguments)
    assert done.exit_code == 0, done.stderr
    assert read_evaluation(tmp_path / "out").cohort.splits == {"test": 2}
    assert "mean DSC" in done.stdout
    assert json.loads((tmp_path / "out" / "case-facts.json").read_text())["cases"]  # a second call reads no image
    assert "0.675" in done.stdout
    groups = {item.group: item for item in read_evaluation(tmp_path / "out").statistics if item.name == "dsc_mean"}
    assert groups["all"].paper is None  # the same cases as split:test, and not beside 0.722 too


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_sizes_and_the_model_run_on_the_same_threads(model: Path, tmp_path: Path) -> None:
    """TensorFlow cannot change its threads once it has run: the trainings of --sizes already take those of the setting,
    so that the model can be opened after them."""
    folder = write_cohort(tmp_path / "data", patients=4)
    rows = ["patient,site,split", "p0,,train", "p1,,train", "p2,,test", "p3,,test"]
    (folder / "patients.csv").write_text("\n".join(rows))
    tiny = ("--set", "network.width=0.125", "--set", "network.size=32", "--set", "epochs=1", "--members", "1")
    environment = {**clean_environment(), "WMH_NODE_THREADS": "1", "KERAS_BACKEND": "tensorflow"}
    run_cli(
        "evaluate", folder, "--out", tmp_path / "out", "--bundle", model, "--runtime", "tensorflow",
        "--sizes", "2", *tiny, environment=environment,
    )  # fmt: skip
    evaluation = read_evaluation(tmp_path / "out")
    assert evaluation.model.runtime == "tensorflow"
    assert [point.patients for point in evaluation.training_size.points] == [2]


def test_parts_and_then_the_report(data: Path, model: Path, tmp_path: Path) -> None:
    """Each part keeps its scores and makes no report; the command without --shard reports all cases."""
    arguments = ["evaluate", str(data), "--out", str(tmp_path / "out"), "--bundle", str(model), "--json"]
    for part in ("1/2", "2/2"):
        done = CliRunner().invoke(build_app("evaluate"), [*arguments, "--shard", part])
        assert (done.exit_code, json.loads(done.stdout)) == (0, {"shard": part, "cases": 2})
    assert not (tmp_path / "out" / "report.html").exists()
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "scored").iterdir()}
    assert CliRunner().invoke(build_app("evaluate"), arguments).exit_code == 0
    assert len(read_evaluation(tmp_path / "out").cases) == len(kept) == 4
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_a_full_disk_is_reported_before_a_case_is_scored(data: Path, tmp_path: Path) -> None:
    """Before even the model is looked for, so that no hour is lost."""
    arguments = ["evaluate", str(data), "--out", str(tmp_path / "out"), "--bundle", "nowhere"]
    with files_that_stay_small(os.getpid(), 2**20):
        done = CliRunner().invoke(build_app("evaluate"), arguments)
    assert (done.exit_code, "room for a report" in done.stderr) == (1, True)


def test_bad_input_is_exit_3_and_bad_usage_exit_2(data: Path, tmp_path: Path) -> None:
    """A mask on another grid names its case; an unknown split and broken sizes are usage; nothing is written."""
    out = tmp_path / "out"
    write_nifti(data / "p1" / "wmh.nii.gz", np.zeros((3, 16, 16), bool))
    for options, code, words in (
        (("--split", "some"), 2, "validation"),
        (("--sizes", "many"), 2, "100,200"),
        (("--shard", "3/2"), 2, "a part 1/N to N/N"),
        (("--shard", "1/2", "--sizes", "2"), 2, "every part would train"),
        (("--bundle", "nowhere"), 3, "p1"),  # the cases are read before the model is
    ):
        done = CliRunner().invoke(build_app("evaluate"), ["evaluate", str(data), "--out", str(out), *options])
        assert done.exit_code == code
        assert words in done.stderr
    assert not out.exists()
