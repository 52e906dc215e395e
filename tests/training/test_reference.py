"""The commands that make and judge the reference bundle, on a cohort small enough for a test."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from typer.testing import CliRunner

from segmentation.bundle import load_bundle
from segmentation.networks.specification import NetworkSpecification
from segmentation.volume import FlairVolume
from training import reference
from training.cases import LabelledCase
from training.presets import FIRST_REFERENCE, PRESETS
from training.scores import leave_out_scores


@pytest.fixture
def tiny_preset(monkeypatch: pytest.MonkeyPatch) -> str:
    """One epoch of two steps of an eighth-width network."""
    tiny = replace(
        FIRST_REFERENCE,
        name="tiny",
        network=NetworkSpecification(width=0.125),
        epochs=2,
        steps_per_epoch=1,
        batch_size=2,
        crop=64,
        real_only_epochs=1,
        compute="float32",
    )
    monkeypatch.setitem(PRESETS, "tiny", tiny)
    return "tiny"


def _cohort(folder: Path, patients: int) -> Path:
    generator = np.random.default_rng(0)
    for index in range(patients):
        voxels = generator.gamma(9, 40, (32, 32, 3)).astype(np.float32)
        mask = np.zeros((32, 32, 3), np.uint8)
        mask[8 : 10 + index, 8:14, 1] = 1
        case = folder / f"case{index}"
        case.mkdir(parents=True)
        for name, data in (("flair", voxels), ("wmh", mask)):
            nibabel.save(nibabel.Nifti1Image(data, np.diag([-0.9, -0.9, 6.0, 1.0])), case / f"{name}.nii.gz")
    rows = "".join(f"case{index},,\n" for index in range(patients))
    (folder / "patients.csv").write_text(f"patient,site,split\n{rows}")
    return folder


def _run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(reference.app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_fit_bundle_and_leave_out_agree(tmp_path: Path, tiny_preset: str) -> None:
    """The DSC on the model card is the one that anyone gets from the written bundle and the data."""
    data = _cohort(tmp_path / "data", patients=6)
    patients = data / "patients.csv"
    common = ("--data", data, "--patients", patients)
    _run("fit", *common, "--out", tmp_path / "run", "--preset", tiny_preset)
    _run("bundle", *common, "--run", tmp_path / "run", "--out", tmp_path / "bundle", "--version", "0.0.1")
    printed = json.loads(_run("leave-out", *common, "--bundle", tmp_path / "bundle", "--json"))
    assert load_bundle(tmp_path / "bundle").members == 5
    assert len(printed["cases"]) == 6
    card = (tmp_path / "bundle" / "MODEL_CARD.md").read_text()
    assert "Research use only. Not a medical device." in card
    # float16 weights and another runtime: the third digit may move.
    mean = float(card.split("| **mean** | | **")[1].split("**")[0])
    assert printed["mean_dsc"] == pytest.approx(mean, abs=0.02)


def test_no_member_judges_a_patient_it_saw() -> None:
    """Each case is predicted by the one member that was trained without its patient."""
    volume = FlairVolume(np.random.default_rng(0).gamma(9, 40, (2, 32, 32)).astype(np.float32), (6.0, 0.9, 0.9))
    cases = [LabelledCase(name, name, volume, np.zeros((2, 32, 32), bool)) for name in "abcd"]
    held_out = [("c",), ("a", "d"), ("b",)]
    asked: list[int] = []

    def predict(member: int, images: np.ndarray) -> np.ndarray:
        asked.append(member)
        return np.zeros_like(images)

    scores = leave_out_scores(cases, held_out, predict, FIRST_REFERENCE.preprocessing)
    assert asked == [1, 2, 0, 1]
    assert [score.member for score in scores] == asked
    assert all(score.dsc == 1 for score in scores)  # nothing to find, nothing found
