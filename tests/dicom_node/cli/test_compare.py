"""`wmh-node compare`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from support.labelled_cases import write_cohort
from support.models import tiny_bundle
from support.node import clean_environment, run_cli, run_here
from support.result_cases import CASES, result_set_of, segmentation_of, series_of
from typer.testing import CliRunner

from dicom_node.cli.main import build_app
from dicom_node.results.result_set import part10_bytes
from training.evaluate.comparison.document import Comparison

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three cases of three patients."""
    return write_cohort(tmp_path_factory.mktemp("cases"), patients=3)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny bundle of two members."""
    return tiny_bundle(tmp_path_factory.mktemp("model"))


def test_a_folder_a_registered_name_and_baselines(cases: Path, model: Path, tmp_path: Path) -> None:
    """A bundle folder, a registered model by name and both baselines in one table: HTML, JSON, CSV, JSON on stdout."""
    other = tiny_bundle(tmp_path / "other", squeeze_excitation=False)
    environment = {
        **clean_environment(),
        "WMH_NODE_STORAGE": str(tmp_path / "storage"),
        "WMH_NODE_DATABASE_URL": f"sqlite:///{tmp_path / 'node.sqlite'}",
    }
    run_here("models", "add", other, environment=environment)
    baselines = ("--baseline", "threshold", "--baseline", "one-member")
    done = run_here(
        "compare", model, "tiny-bright", "--cases", cases, "--out", tmp_path / "out", *baselines, "--json",
        environment=environment,
    )  # fmt: skip
    said = json.loads(done.stdout)
    files = said.pop("files")
    comparison = Comparison.from_json((tmp_path / "out" / "comparison.json").read_text())
    assert said == json.loads(comparison.to_json())
    assert [contender.model.members for contender in comparison.contenders] == [2, 2, 1, 1]
    assert ["unet" in contender.model.architecture for contender in comparison.contenders] == [True, True, False, True]
    assert comparison.contenders[0].model.digest != comparison.contenders[1].model.digest
    assert [case.case for case in comparison.cases] == ["p0", "p1", "p2"]
    assert len(comparison.measure("dsc").pairs) == 6
    assert {Path(path).name for path in files.values()} == {"comparison.html", "comparison.json", "cases.csv"}
    page = Path(files["report"]).read_text(encoding="utf-8")
    assert f"{comparison.measure('dsc').summaries[0].mean:.3f}" in page
    with Path(files["cases"]).open(newline="", encoding="utf-8") as lines:
        assert len(list(csv.DictReader(lines))) == 4 * 3


def test_a_table_for_a_person(model: Path, tmp_path: Path) -> None:
    """Without --json and --out: a table and a sentence a pair, and no file anywhere; a case in DICOM counts."""
    folder = write_cohort(tmp_path / "data", patients=2)
    series = series_of(CASES[0], folder / "d0" / "flair")
    seg = result_set_of(series, segmentation_of(series)).seg
    (folder / "d0" / "wmh.dcm").write_bytes(part10_bytes(seg))
    before = sorted(tmp_path.rglob("*"))
    done = run_cli("compare", model, "--baseline", "threshold", "--cases", folder)
    assert "plain threshold" in done.stdout
    assert "0.722" in done.stdout  # the paper's SE-UNet, beside ours
    assert "n = 3 patients" in done.stdout
    assert sorted(tmp_path.rglob("*")) == before


def test_an_earlier_comparison_is_not_run_again(cases: Path, model: Path, tmp_path: Path) -> None:
    """Its models are rows beside the new one; other cases, or scored otherwise, is an error before any network runs."""
    run_here("compare", model, "--baseline", "threshold", "--cases", cases, "--out", tmp_path / "first")
    earlier = ("--earlier", tmp_path / "first" / "comparison.json")
    other = tiny_bundle(tmp_path / "other", squeeze_excitation=False)
    found = json.loads(run_here("compare", other, "--cases", cases, *earlier, "--json").stdout)
    assert ["se-unet" in contender["model"]["architecture"] for contender in found["contenders"]] == [
        False,
        True,
        False,
    ]
    assert found["contenders"][2]["label"] == "plain threshold"
    assert found["notes"][-1].startswith("B, C: scored on these cases on ")
    fewer = write_cohort(tmp_path / "fewer", patients=2)
    done = run_here("compare", other, "--cases", fewer, *earlier, code=None)
    assert (done.returncode in (1, 3), "(p2)" in done.stderr) == (True, True)
    done = run_here("compare", other, "--cases", cases, *earlier, "--unseen-members", code=None)
    assert done.returncode in (1, 3)
    done = run_here("compare", other, "--cases", cases, "--earlier", tmp_path / "none.json", code=None)
    assert (done.returncode in (1, 3), "No such file" in done.stderr) == (True, True)


def test_parts_and_then_the_comparison(cases: Path, model: Path, tmp_path: Path) -> None:
    """Each part scores its cases by every model and compares nothing; the command without --shard scores none again."""
    arguments = [
        "compare",
        str(model),
        "--baseline",
        "threshold",
        "--cases",
        str(cases),
        "--out",
        str(tmp_path / "out"),
    ]
    for part, count in (("1/2", 2), ("2/2", 1)):
        done = CliRunner().invoke(build_app("compare"), [*arguments, "--json", "--shard", part])
        assert (done.exit_code, json.loads(done.stdout)) == (0, {"shard": part, "cases": count})
    assert not (tmp_path / "out" / "comparison.json").exists()
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "scored").rglob("*.json")}
    assert CliRunner().invoke(build_app("compare"), arguments).exit_code == 0
    comparison = Comparison.from_json((tmp_path / "out" / "comparison.json").read_text())
    assert (len(comparison.cases), len(comparison.contenders), len(kept)) == (3, 2, 6)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_usage_errors_come_before_any_work(cases: Path, model: Path, tmp_path: Path) -> None:
    """One method alone, and a baseline that there is not: exit 2, and what was expected."""
    parts = run_here("compare", model, model, "--cases", cases, "--shard", "1/2", code=2)
    assert "--shard: expected --out" in parts.stderr
    assert "two models" in run_here("compare", model, "--cases", cases, code=2).stderr
    done = run_here("compare", model, "--baseline", "guess", "--cases", cases, code=2)
    assert "threshold or one-member" in done.stderr
    nowhere = tmp_path / "nowhere"  # neither cases nor models are looked at
    arguments = ("--cases", nowhere, "--unseen-members", "--baseline", "one-member")
    assert "compared with itself" in " ".join(run_here("compare", nowhere, *arguments, code=2).stderr.split())


def test_what_cannot_be_compared_is_an_error_in_words(cases: Path, model: Path, tmp_path: Path) -> None:
    """No cases, and a bundle that does not state which patients it knows where only unseen members may score."""
    (tmp_path / "empty").mkdir()
    done = run_here("compare", model, model, "--cases", tmp_path / "empty", code=None)
    assert done.returncode in (1, 3)
    assert "found none" in done.stderr
    done = run_here("compare", model, "--baseline", "threshold", "--cases", cases, "--unseen-members", code=None)
    assert done.returncode in (1, 3)
    assert "does not say which patients" in done.stderr
