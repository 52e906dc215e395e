"""The commands that make and judge the reference bundle, on a cohort small enough for a test."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from typer.testing import CliRunner

from segmentation.bundle import load_bundle, reference_bundle
from segmentation.networks.specification import NetworkSpecification
from segmentation.volume import FlairVolume
from training.bundle import reference
from training.bundle.score_file import ScoreFile
from training.bundle.scores import judge, leave_out_scores
from training.bundle.trained_members import start_weights
from training.data.cases import LabelledCase, load_cases
from training.data.presets import FIRST_REFERENCE, PRESETS
from training.errors import BadCohort


@pytest.fixture
def tiny_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    """An eighth-width network for a step, another that goes on from it, and one for ventricles; two folds."""
    first = replace(
        FIRST_REFERENCE,
        name="tiny-first",
        network=NetworkSpecification(variant="text", width=0.125),
        epochs=1,
        steps_per_epoch=1,
        batch_size=2,
        crop=64,
        real_only_epochs=0,
        compute="float32",
    )
    second = replace(first, name="tiny", start_from="tiny-first", start_share=0.5)
    fluid = replace(
        first,
        name="tiny-ventricles",
        target="ventricles",
        is_mirrored=True,
        network=NetworkSpecification(squeeze_excitation=False, variant="text", width=0.125),
    )
    for recipe in (first, second, fluid):
        monkeypatch.setitem(PRESETS, recipe.name, recipe)
    monkeypatch.setattr(reference, "FOLDS", 2)


def _cohort(folder: Path, patients: int) -> Path:
    generator = np.random.default_rng(0)
    for index in range(patients):
        voxels = generator.gamma(9, 40, (32, 32, 3)).astype(np.float32)
        mask = np.zeros((32, 32, 3), np.uint8)
        mask[8 : 10 + index, 8:14, 1] = 1
        case = folder / f"case{index}"
        case.mkdir(parents=True)
        for name, data in (("flair", voxels), ("wmh", mask), ("ventricles", mask[::-1])):
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
def test_fit_bundle_and_leave_out_agree(tmp_path: Path, tiny_presets: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The DSC on the model card is the one that anyone gets from the written bundle and the data."""
    data = _cohort(tmp_path / "data", patients=3)
    common = ("--data", data, "--patients", data / "patients.csv")
    drawn = ("--drawn", _cohort(tmp_path / "drawn", patients=1))
    runs = {name: tmp_path / name for name in ("tiny-first", "tiny", "tiny-ventricles")}
    fit = ("fit", *common, "--members", "0,1")
    _run(*fit, "--out", runs["tiny-first"], "--preset", "tiny-first")
    _run(*fit, "--out", runs["tiny"], "--preset", "tiny", *drawn, "--start", runs["tiny-first"])
    _run(*fit, "--members", "0,1,2", "--out", runs["tiny-ventricles"], "--preset", "tiny-ventricles", *drawn)
    out = tmp_path / "bundle"
    chosen = ("--run", runs["tiny"])
    baseline = tmp_path / "paper.json"
    _run("scores", *common, "--run", runs["tiny-first"], "--out", baseline)
    chosen = (*chosen, "--ventricles", runs["tiny-ventricles"], "--baseline", baseline)
    _run("bundle", *common, *chosen, "--out", out, "--version", "0.0.1")
    bundle = load_bundle(out)
    held_out = bundle.manifest.training.held_out
    assert held_out is not None
    with monkeypatch.context() as patch:
        # Folds of other cases than were trained on would have members judge patients that they saw.
        patch.setattr(reference, "leave_patients_out", None)
        printed = json.loads(_run("leave-out", *common, "--bundle", out, "--json"))
    assert all(one["case"] in held_out[one["member"]] for one in printed["cases"])
    assert bundle.members == 2
    assert bundle.manifest.ventricles is not None
    assert len(printed["cases"]) == 3
    card = (out / "MODEL_CARD.md").read_text()
    assert "Research use only. Not a medical device." in card
    assert "Against the preset `tiny-first`" in card
    # float16 weights and another runtime: the third digit may move.
    mean = float(card.split("| **mean of the scans** | **")[1].split("*")[0])
    assert printed["mean_dsc"] == pytest.approx(mean, abs=0.02)
    # A training may go on from the bundle: its float16 weights, and the temperature in the last layer's two.
    later = replace(PRESETS["tiny"], name="later", start_from="tiny")
    starts = (start_weights(start, later, 1, held_out)[:-2] for start in (out, runs["tiny"]))
    for now, old in zip(*starts, strict=True):
        np.testing.assert_allclose(now, old, rtol=2e-3, atol=1e-6)
    with pytest.raises(BadCohort, match="expected a start of tiny-first, got tiny"):
        start_weights(out, PRESETS["tiny"], 1, held_out)
    with pytest.raises(BadCohort, match="expected a start trained with the same folds"):
        start_weights(out, later, 1, held_out[::-1])
    # Another ventricle network beside the same members: the WMH that the bundle marks stays the same to the bit.
    again = tmp_path / "again"
    _run("bundle", *common, "--members-of", out, *chosen[-4:], "--out", again, "--version", "0.0.2")
    for member in ("member-1.npz", "member-2.npz"):
        assert (again / member).read_bytes() == (out / member).read_bytes()
    assert load_bundle(again).manifest.training.held_out == held_out
    # Other members beside the same ventricle network: the scores of those that are like it come from a file.
    fluid = tmp_path / "ventricles.json"
    _run("scores", *common, "--run", runs["tiny-ventricles"], "--out", fluid)
    beside = ("--ventricles-of", out, "--ventricle-scores", fluid)
    third = tmp_path / "third"
    _run("bundle", *common, *chosen[:2], *beside, "--out", third, "--version", "0.0.3")
    assert (third / "ventricles.npz").read_bytes() == (out / "ventricles.npz").read_bytes()
    assert (found := load_bundle(third).ventricles) is not None and found.is_mirrored
    assert (third / "MODEL_CARD.md").read_text().replace("0.0.3", "0.0.1").splitlines()[:12] == card.splitlines()[:12]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_scores_of_members_trained_on_different_days(tmp_path: Path, tiny_presets: None) -> None:
    """Scores of members that are finished join those that the file holds; unfinished members are in no bundle."""
    data = _cohort(tmp_path / "data", patients=3)
    common = ("--data", data, "--patients", data / "patients.csv")
    for member in "01":
        run = tmp_path / f"day-{member}"
        _run("fit", *common, "--members", member, "--out", run, "--preset", "tiny-first")
        _run("scores", *common, "--run", run, "--out", tmp_path / "paper.json")
    scores = ScoreFile.from_json((tmp_path / "paper.json").read_bytes())
    assert [(score.case, score.member) for score in scores.scores] == [
        (case.name, judge(case, json.loads((run / "folds.json").read_text())["held_out"])) for case in load_cases(data)
    ]
    another = ("--ventricles", run, "--out", tmp_path / "bundle", "--version", "0.0.1")
    result = CliRunner().invoke(reference.app, list(map(str, ("bundle", *common, "--run", run, *another))))
    assert isinstance(result.exception, BadCohort)
    assert "run the same fit command again" in str(result.exception)


def test_members_come_from_a_run_or_from_a_bundle(tmp_path: Path) -> None:
    """Which members are meant is never guessed."""
    arguments = ["--data", _cohort(tmp_path, 1), "--patients", tmp_path / "patients.csv", "--ventricles", tmp_path]
    arguments += ["--run", tmp_path, "--members-of", tmp_path, "--out", tmp_path / "bundle", "--version", "0.0.1"]
    result = CliRunner().invoke(reference.app, ["bundle", *map(str, arguments)])
    assert result.exit_code == 2
    assert "--members-of" in result.output


def test_the_ventricles_scores_are_never_missing(tmp_path: Path) -> None:
    """A bundle's ventricle network comes with the scores of networks like it, or not at all."""
    arguments = ["--data", _cohort(tmp_path, 1), "--patients", tmp_path / "patients.csv", "--members-of"]
    arguments += [
        reference_bundle(),
        "--ventricles-of",
        reference_bundle(),
        "--out",
        tmp_path / "bundle",
        "--version",
        "1",
    ]
    result = CliRunner().invoke(reference.app, ["bundle", *map(str, arguments)])
    assert result.exit_code == 2
    assert "--ventricle-scores" in result.output


def test_a_preset_that_goes_on_from_another_asks_for_it(tmp_path: Path) -> None:
    """Without the run that it goes on from, nothing is trained."""
    arguments = ["fit", "--data", str(tmp_path), "--out", str(tmp_path / "run"), "--preset", "reference"]
    result = CliRunner().invoke(reference.app, arguments)
    assert result.exit_code == 2
    assert "second-reference" in result.output


def test_a_folder_of_another_training_is_refused(tmp_path: Path, tiny_presets: None) -> None:
    """What another preset left in the folder is never gone on with."""
    data, run = _cohort(tmp_path / "data", 3), tmp_path / "run"
    run.mkdir()
    (run / "folds.json").write_text('{"preset": "another"}')
    arguments = ["fit", "--data", str(data), "--patients", str(data / "patients.csv"), "--out", str(run)]
    arguments += ["--preset", "tiny-first"]
    result = CliRunner().invoke(reference.app, arguments)
    assert (result.exit_code, "another ->" in result.output) == (2, True)
    assert list(run.iterdir()) == [run / "folds.json"]


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
    with pytest.raises(BadCohort, match="b: expected a patient that one of the 2 members never saw"):
        leave_out_scores(cases, held_out[:2], predict, FIRST_REFERENCE.preprocessing)
