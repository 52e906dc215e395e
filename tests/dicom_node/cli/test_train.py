"""`wmh-node train`: a run from folder to bundle, its resumption, and what is refused before an epoch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from support.labelled_cases import labelled_case, write_case, write_cohort
from support.training_runs import TINY, tiny_recipe, without_graphs
from typer.testing import CliRunner

from dicom_node.cli.main import build_app
from segmentation.bundle import VentricleNetwork, load_bundle
from segmentation.ensemble import open_ensemble
from training.bundle.scores import RunScores
from training.data.cases import load_cases
from training.errors import OtherRun
from training.evaluate.document import EvaluationSettings
from training.evaluate.run import EvaluationRequest, evaluate_cases
from training.fit.start import read_start


@pytest.fixture(scope="module")
def quick_steps() -> Iterator[None]:
    """See `without_graphs`."""
    with without_graphs():
        yield


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
@pytest.mark.usefixtures("quick_steps")
def test_a_run_its_resumption_and_its_bundle(tmp_path: Path) -> None:
    """Stopped and gone on with, a run ends with the same weights as an unbroken one of the same seed, in a bundle that
    states its patients; another recipe, seed or data in the same folder is refused."""
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


FOLDS = ("--scheme", "folds", "--members", "2", "--epochs", "1", "--threads", "1", "--set", "steps_per_epoch=1")
FOLDS = (*FOLDS, *TINY[:6], "--set", "batch_size=2", "--set", "crop=none", "--set", "compute=float32")
ABOUT = """limits = "- Drawn noise is no brain."
definition = "all"
[[data]]
name = "noise"
licence = "CC0"
source = "drawn"
"""


@dataclass(frozen=True)
class Runs:
    """Runs by two folds of three patients: ventricles, a WMH stage, and a second stage that began with its bundle."""

    data: Path
    ventricles: Path
    first: Path
    second: Path
    first_command: tuple[str | Path, ...]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, quick_steps: None) -> Runs:
    """All trained once."""
    folder = tmp_path_factory.mktemp("folds")
    data = write_cohort(folder / "data", 3)
    found = Runs(data, folder / "v", folder / "first", folder / "second", (data, "--out", folder / "first", *FOLDS))
    run(data, "--out", found.ventricles, *FOLDS, "--target", "ventricles")
    run(*found.first_command, "--preset", "first-reference")
    (folder / "about.toml").write_text(ABOUT)
    extras = ("--ventricles", found.ventricles, "--baseline", found.first / "scores.json")
    extras = (*extras, "--about", folder / "about.toml", "--scale", "brain-level")
    start = ("--preset", "second-reference", "--start", found.first / "bundle")
    run(data, "--out", found.second, *FOLDS, *start, *extras)
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_bundle_by_folds(runs: Runs) -> None:
    """The bundle of a second stage holds calibrated members and the ventricle network that saw every patient; its card
    holds the scores of its own folds, of networks like the ventricle network and of the baseline; and whoever
    evaluates the bundle with members that never saw the patient gets the same DSC."""
    from training.fit.trained_network import load_network  # Keras loads TensorFlow: not before a test needs it

    scores = RunScores.from_json((runs.second / "scores.json").read_bytes())
    bundle = load_bundle(runs.second / "bundle")
    held_out = bundle.manifest.training.held_out
    assert held_out is not None
    assert [score.case in held_out[score.member] for score in scores.cases] == [True] * 3
    assert bundle.manifest.temperature is not None
    assert bundle.preprocessing.scale == "brain-level"
    assert [source.name for source in bundle.manifest.training.data] == ["noise"]
    assert bundle.manifest.definition == "all"
    assert bundle.ventricles is not None
    whole = load_network(
        tiny_recipe(network=bundle.ventricles.networks.specification), _weights_file(runs.ventricles, 2)
    )
    np.testing.assert_allclose(next(iter(_arrays(bundle.ventricles))), whole.get_weights()[0], rtol=2e-3, atol=1e-6)
    card = (runs.second / "bundle" / "MODEL_CARD.md").read_text()
    for words in (
        f"divided by {bundle.manifest.temperature:.2f}",
        "| DSC | ventricle DSC | DSC of `first-reference` |",
        "Against the preset `first-reference` on the same folds",
        "The last stage went on from `bundle`",
        "Drawn noise is no brain",
    ):
        assert words in card
    request = EvaluationRequest.of(bundle, settings=EvaluationSettings(), unseen_members=True)
    evaluation = evaluate_cases(load_cases(runs.data), open_ensemble(bundle, "auto"), request=request)
    # float16 weights and another runtime.
    assert [case.dsc for case in evaluation.cases] == pytest.approx([score.dsc for score in scores.cases], abs=0.05)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_start_fits_or_is_refused(runs: Runs, tmp_path: Path) -> None:
    """A run and its bundle are the same start but for float16; another preset, other folds, patients that a member
    knows, and what is no training at all are refused before anything is written."""
    of_run, of_bundle = read_start(runs.first), read_start(runs.first / "bundle")
    assert of_run.seen == of_bundle.seen
    for array, other in zip(of_run.weights(1), of_bundle.weights(1), strict=True):
        np.testing.assert_allclose(array, other, rtol=2e-3, atol=1e-6)
    refused = (runs.data, "--out", tmp_path / "refused", *FOLDS, "--preset")
    for arguments, words in (
        (("reference", "--start", runs.first), "expected a training by second-reference"),
        (("first-reference", "--start", runs.first), "begins with random weights"),
        (("second-reference", "--start", runs.first, "--seed", "1"), "that are now held out"),
        (("second-reference", "--start", runs.first, "--members", "3"), "that are now held out"),
        (("second-reference", "--start", tmp_path), "expected the --out folder of a training, a bundle"),
        (("second-reference", "--start", runs.first, "--set", "network.width=0.25"), "members of the network"),
    ):
        assert words in run(*refused, *arguments, code=1)
    assert not (tmp_path / "refused").exists()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_bundle_without_names(runs: Runs) -> None:
    """The same command on a finished run makes its bundle again; one that hides patients names none of them, and no
    training can begin with it, since the patients that its members saw are unknown."""
    run(*runs.first_command, "--preset", "first-reference", "--hide-patients")
    bundle = runs.first / "bundle"
    assert load_bundle(bundle).manifest.training.patients is None
    card = (bundle / "MODEL_CARD.md").read_text()
    assert "| 1 |" in card
    assert "(95 % CI)" in card
    assert all(f"p{patient}" not in card for patient in range(3))
    with pytest.raises(OtherRun, match="states which patients each member saw"):
        read_start(bundle)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_parts_of_a_bundle_are_checked_before_a_scan_is_drawn(runs: Runs, tmp_path: Path) -> None:
    """Ventricles trained on the test patients, a folder that is no training, scores of other patients, an anatomy
    network without scores and a broken description: refused before minutes of drawing."""
    empty_maps = tmp_path / "label-maps"
    (empty_maps / "heads").mkdir(parents=True)
    other = RunScores.from_json((runs.first / "scores.json").read_bytes())
    strangers = tuple(score.model_copy(update={"case": f"x{score.case}"}) for score in other.cases)
    (tmp_path / "scores.json").write_text(other.model_copy(update={"cases": strangers}).to_json())
    (tmp_path / "about.toml").write_text("data = 1")
    for change, code, words in (
        ((*TINY, "--seed", "3", "--ventricles", runs.ventricles), 1, "keeps for the test"),
        ((*FOLDS, "--ventricles", tmp_path), 1, "expected the --out folder"),
        ((*FOLDS, "--ventricles", runs.first), 1, "got one of wmh"),
        ((*FOLDS, "--baseline", tmp_path / "scores.json"), 1, "got those of 0"),
        ((*FOLDS, "--anatomy", tmp_path), 1, "expected a folder with weights.weights.h5"),
        ((*FOLDS, "--about", tmp_path / "about.toml"), 2, "expected TOML"),
        ((*FOLDS, "--target", "ventricles", "--ventricles", runs.ventricles), 1, "needs --target wmh"),
    ):
        # These label maps would be refused themselves, if scans were drawn first.
        drawn = ("--set", "synthetic_share=0.5", "--synthetic", empty_maps)
        assert words in run(runs.data, "--out", tmp_path / "refused", *change, *drawn, code=code)


def _weights_file(run_folder: Path, member: int) -> Path:
    return run_folder / f"member-{member}" / "epoch-001.weights.h5"


def _arrays(part: VentricleNetwork) -> list[np.ndarray]:
    return [np.asarray(array, np.float32) for array in part.networks.weights[0].values()]


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
    """The exit code separates usage from input, and no member was begun."""
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
