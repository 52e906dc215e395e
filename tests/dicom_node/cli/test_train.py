"""`wmh-node train`: a run from folder to bundle, its resumption, and what is refused before an epoch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.labelled_cases import labelled_case, write_case, write_cohort
from support.training_runs import TINY
from typer.testing import CliRunner

from dicom_node.cli.main import build_app
from segmentation.bundle import load_bundle


def run(*arguments: str | Path, code: int = 0) -> str:
    """The command's stdout and stderr; it must end with `code`."""
    result = CliRunner().invoke(build_app("train"), ["train", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.stdout if code == 0 else result.output


def weights(run_folder: Path) -> dict[str, np.ndarray]:
    """The bundle's first member."""
    return dict(load_bundle(run_folder / "bundle").weights[0])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_its_resumption_and_its_bundle(tmp_path: Path) -> None:
    """Stopped and gone on with, a run ends with the same weights as an unbroken one of the same seed, in a bundle that
    tells its patients; another recipe, seed or data in the same folder is refused."""
    data, whole, parted = write_cohort(tmp_path / "data", 5), tmp_path / "whole", tmp_path / "parted"
    told = json.loads(run(data, "--out", whole, *TINY, "--json"))
    assert (told["finished"], told["cohort"]["patients"]["train"]) == (True, 3)
    assert told["members"][0]["epochs"] == 2
    assert told["members"][0]["validation_dsc"] is not None
    halfway = json.loads(run(data, "--out", parted, *TINY, "--stop-after", "1", "--json"))
    assert (halfway["finished"], halfway["bundle"]) == (False, None)
    assert json.loads(run(data, "--out", parted, *TINY, "--json"))["finished"]
    one, two = weights(whole), weights(parted)
    assert one.keys() == two.keys()
    for name, values in one.items():
        np.testing.assert_allclose(values, two[name], atol=1e-5, err_msg=name)
    bundle = load_bundle(whole / "bundle")
    assert bundle.identity.digest == told["bundle"]["digest"]
    assert bundle.manifest.training.patients is not None
    assert "Research use only" in (whole / "bundle" / "MODEL_CARD.md").read_text()
    assert list((whole / "logs" / "member-0").iterdir())
    for change in (("--seed", "7"), ("--set", "learning_rate=0.1"), ("--members", "2")):
        said = run(data, "--out", whole, *TINY, *change, code=1)
        assert "holds another training" in said
    assert "learning_rate: 0.001 -> 0.1" in run(data, "--out", whole, *TINY, "--set", "learning_rate=0.1", code=1)
    write_case(data, labelled_case("p0", lesion=9, seed=99))
    assert "cases.p0" in run(data, "--out", whole, *TINY, code=1)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ventricles_and_folds(tmp_path: Path) -> None:
    """A ventricle run makes a UNet, which a WMH run by folds puts into its bundle beside the leave-patients-out DSC;
    one that does not fit is refused before a scan is drawn; the members are calibrated on patients that they never
    saw, if the recipe says so, and none of their names is in a bundle that hides them."""
    data = write_cohort(tmp_path / "data", 3)
    said = json.loads(run(data, "--out", tmp_path / "v", *TINY, "--target", "ventricles", "--epochs", "1", "--json"))
    assert (said["finished"], said["bundle"]) == (True, None)
    empty_maps = tmp_path / "label-maps"
    (empty_maps / "heads").mkdir(parents=True)
    for change, words in (
        (("--seed", "3", "--ventricles", tmp_path / "v"), "keeps for the test"),
        (("--ventricles", tmp_path / "none"), "expected the --out folder"),
    ):
        # These label maps would be refused themselves, if scans were drawn first.
        drawn = ("--synthetic", empty_maps)
        assert words in run(data, "--out", tmp_path / "refused", *TINY, *change, *drawn, code=1)
    common = (*TINY, "--epochs", "1", "--members", "2", "--scheme", "folds", "--hide-patients")
    common = (*common, "--set", "is_calibrated=true")
    run(data, "--out", tmp_path / "w", *common, "--ventricles", tmp_path / "v")
    bundle = load_bundle(tmp_path / "w" / "bundle")
    assert bundle.ventricles is not None
    assert bundle.manifest.training.patients is None
    card = (tmp_path / "w" / "bundle" / "MODEL_CARD.md").read_text()
    assert "| 1 |" in card
    assert all(f"p{patient}" not in card for patient in range(3))
    assert "(95 % CI)" in card
    assert bundle.manifest.temperature is not None
    assert f"divided by {bundle.manifest.temperature:.2f}" in card


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--preset", "paper"), 2, "expected a preset"),
        (("--set", "network.widht=1"), 2, "no such field"),
        (("--scheme", "thirds"), 2, "subsets or folds"),
        (("--target", "tumour"), 2, "wmh or ventricles"),
        (("--backend", "torch"), 2, "--backend"),
        (("--only-members", "a"), 2, "--only-members"),
        (("--only-members", "9"), 2, "members 0 to 4"),
        (("--members", "0"), 2, "1 to 64"),
        (("--name", "My Model"), 2, "--name"),
        (("--version", "1"), 2, "--version"),
        (("--patients", "nowhere.csv"), 2, "--patients"),
        (("--scheme", "folds"), 3, "at least 5 patients"),
    ],
)
def test_usage_is_refused_before_an_epoch(tmp_path: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    """The exit code tells usage from input, and no member was begun."""
    said = run(write_cohort(tmp_path / "data", 3), "--out", tmp_path / "run", *arguments, code=code)
    assert words in said
    assert not list((tmp_path / "run").glob("member-*"))


def test_bad_input_ends_with_exit_code_3(tmp_path: Path) -> None:
    """A bad case is named, and so is a broken table; nothing is written."""
    data = write_cohort(tmp_path / "data", 3)
    (data / "p1" / "wmh.nii.gz").unlink()
    assert "p1: expected wmh.nii.gz" in run(data, "--out", tmp_path / "run", code=3)
    write_cohort(tmp_path / "data", 3)
    (data / "patients.csv").write_text("patient,site\np0,\n")
    assert "missing column split" in run(data, "--out", tmp_path / "run", code=3)
    assert not (tmp_path / "run").exists()
