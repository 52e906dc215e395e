"""`wmh-node models`, the real app in this process, on a real database and a real store."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from support.databases import sqlite_url
from support.drawn_cases import cases_drawn_by
from support.evaluations import made_up_evaluation
from support.models import tiny_bundle
from support.promoting import promote_after_first_look
from support.received import instance, series_uid
from typer.testing import CliRunner

from db.engine import open_database
from db.engine.migrate import upgrade
from db.inbox import Inbox
from db.models import ModelTable
from dicom_node.cli.main import build_app
from segmentation.bundle import load_bundle, reference_bundle

UNCHECKED = ("--force", "--reason", "checked elsewhere")


class Cli:
    """The command line of a node whose database does not exist yet.

    Attributes:
        settings: its environment.
        storage: its folder.
    """

    def __init__(self, storage: Path) -> None:
        self.storage = storage
        self.settings: dict[str, str | None] = {name: None for name in os.environ if name.startswith("WMH_NODE_")}
        self.settings |= {"WMH_NODE_STORAGE": str(storage), "WMH_NODE_RUNTIME": "openvino", "COLUMNS": "80"}

    def __call__(self, *arguments: object, code: int = 0) -> Result:
        """Run a command; fails on another exit code."""
        words = [str(argument) for argument in arguments]
        result = CliRunner().invoke(build_app(words[0]), words, env=self.settings)
        assert result.exit_code == code, f"exit {result.exit_code}\n{result.output}\n{result.exception!r}"
        return result


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Nothing was run yet."""
    return Cli(tmp_path / "storage")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle."""
    return tiny_bundle(tmp_path_factory.mktemp("good"), members=1)


@pytest.fixture(scope="module")
def wild(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that says anything."""
    return tiny_bundle(tmp_path_factory.mktemp("wild"), members=1, kind="random")


def change_manifest(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what a bundle says of itself: whole again, and another model."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    change(manifest)
    (bundle / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.slow
def test_from_adding_to_rolling_back(cli: Cli, good: Path, wild: Path, tmp_path: Path) -> None:
    """Two models are added and listed; a worse one fails its checks with exit 1 and the reason, and is promoted by
    force; a rollback makes the first live again, another one the shipped model, which was in use before, and the audit
    has it all. What is used follows."""
    first, second, shipped = (load_bundle(folder).identity.digest for folder in (good, wild, reference_bundle()))
    cases = cases_drawn_by(good, tmp_path / "cases", count=1)
    cli.settings["WMH_NODE_DATABASE_URL"] = url = sqlite_url(tmp_path)

    evaluation = made_up_evaluation(count=12)
    evaluation = evaluation.model_copy(update={"model": evaluation.model.model_copy(update={"digest": first})})
    (tmp_path / "evaluation.json").write_text(evaluation.to_json())
    added = json.loads(cli("models", "add", good, "--evaluation", tmp_path / "evaluation.json", "--json").stdout)
    assert (added["digest"], added["is_new"], added["stored"]) == (first, True, "copied")
    assert "already" in cli("models", "add", good).stdout
    cli("models", "add", wild)

    checked = json.loads(cli("models", "check", "tiny-bright@0.0.1", "--cases", cases, "--margin", 1, "--json").stdout)
    assert (checked["model"], checked["gate"]["passed"]) == (first, True)
    with closing(open_database(url)) as database:
        kept = ModelTable(database).get(first)
    assert (kept.checks, kept.checked_against) == (checked["gate"], shipped)  # an upgrade ships another one
    cli("models", "check", "tiny-bright@0.0.1", code=1)

    refused = cli("models", "promote", "tiny-bright@0.0.1", code=1)
    assert "expected labelled cases to measure it on; got none: give --cases DIR" in refused.stderr
    assert json.loads(cli("models", "list", "--json").stdout)["live"] is None
    promoted = json.loads(
        cli("models", "promote", "tiny-bright@0.0.1", "--cases", cases, "--margin", 1, "--json").stdout
    )
    assert promoted["promoted"]
    assert {check["state"] for check in promoted["gate"]["checks"]} == {"passed"}
    assert "is live already" in cli("models", "promote", first[:8]).stdout

    refused = cli("models", "promote", second[:8], "--cases", cases, code=1)
    assert "DSC failed: expected a mean over 1 cases of at least" in refused.stderr
    assert "was not promoted" in refused.stderr
    assert "head-1" in refused.stdout
    listed = json.loads(cli("models", "list", "--json").stdout)
    assert listed["live"] == first
    assert [model["digest"] for model in listed["models"]] == [shipped, second, first]
    assert (listed["models"][2]["dsc_cases"], listed["models"][2]["dsc_cases_seen_in_training"]) == (12, None)

    forced = cli("models", "promote", second, "--cases", cases, "--force", "--reason", "only for a test", "--by", "bob")
    assert "is live now, although a check failed" in forced.stdout
    in_use = json.loads(cli("config", "show", "--json").stdout)["model_in_use"]
    assert (in_use["digest"], in_use["why"]) == (second, "live in the registry")
    shown = json.loads(cli("models", "show", "tiny-random", "--json").stdout)
    assert (shown["damage"], shown["manifest"]["name"], shown["live"]) == (None, "tiny-random", True)
    assert [(entry["who"], entry["forced"], entry["reason"]) for entry in shown["promotions"]] == [
        ("bob", True, "only for a test")
    ]

    cli.settings["WMH_NODE_MODEL"] = str(wild)
    rolled = cli("models", "rollback", "--by", "bob")
    assert f"({first[:12]}) is live again" in rolled.stdout
    assert "wins over the live model" in rolled.stderr
    audit = json.loads(cli("jobs", "audit", "--json").stdout)
    promotions = ["promote model", "promote model", "promote model", "add model"]  # the shipped one with the first
    made = ["check model", "check model", "add model", "add model"]
    assert [entry["action"] for entry in audit] == ["roll back model", *promotions, *made]
    assert "DSC failed" in audit[1]["detail"]
    assert "only for a test" in audit[1]["detail"]
    assert f"({shipped[:12]}) is live again" in cli("models", "rollback").stdout
    assert cli("models", "rollback", code=1).stderr


def test_for_a_reader(cli: Cli, good: Path) -> None:
    """`list` and `show` are tables for a reader, the first with one line a model; a bundle that was damaged in the
    store is shown as that, and is not promoted, not even by force, since no worker could begin a job with it; no
    rollback is advised, which would take a healthy live model away."""
    digest = load_bundle(good).identity.digest
    cli("models", "add", good)
    listed = cli("models", "list").stdout
    assert any("tiny-bright" in line and digest[:12] in line for line in listed.splitlines())
    assert "shipped reference" in listed
    shown = cli("models", "show", "tiny-bright").stdout
    assert "A test model. It knows nothing." in shown
    assert "never promoted" in shown
    member = cli.storage / "models" / digest / "member-1.npz"
    member.chmod(0o644)
    member.write_bytes(b"rotten")
    assert "is damaged" in cli("models", "show", "tiny-bright").stderr
    for force in ((), ("--force", "--reason", "in a hurry")):
        refused = cli("models", "promote", digest, *force, code=1)
        assert "loads failed: expected a whole bundle" in refused.stderr
        assert "--force does not promote a model that cannot be loaded" in refused.stderr
        assert "promotes it anyway" not in refused.stderr
        assert "rollback" not in refused.stderr
    assert json.loads(cli("models", "list", "--json").stdout)["live"] is None


def test_promoted_while_rolling_back(
    cli: Cli, good: Path, wild: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that somebody promotes while another person rolls back stays live: that person never saw it and gets
    exit 1, and nothing is rolled back."""
    cli.settings["WMH_NODE_DATABASE_URL"] = url = sqlite_url(tmp_path)
    for folder in (good, wild):
        cli("models", "add", folder)
        cli("models", "promote", load_bundle(folder).identity.digest, *UNCHECKED)
    shipped = load_bundle(reference_bundle()).identity.digest
    with monkeypatch.context() as patches:
        promote_after_first_look(patches, url, shipped)
        refused = cli("models", "rollback", code=1)
    assert "the live model has changed" in refused.stderr
    assert json.loads(cli("models", "list", "--json").stdout)["live"] == shipped


@pytest.mark.slow
def test_patients_in_a_table_elsewhere(cli: Cli, good: Path, tmp_path: Path) -> None:
    """The checks count scans of patients that a model was trained on by the table that --patients names, wherever it is
    kept; one that is not there is a mistake in the command."""
    known = Path(shutil.copytree(good, tmp_path / "known"))
    change_manifest(known, lambda manifest: manifest["training"].update(patients=["a man of Ulm"]))
    for folder in (good, known):
        cli("models", "add", folder)
    cli("models", "promote", load_bundle(good).identity.digest, *UNCHECKED)
    cases = cases_drawn_by(good, tmp_path / "cases", count=1)
    table = tmp_path / "elsewhere.csv"
    question = ("models", "promote", load_bundle(known).identity.digest, "--cases", cases, "--patients", table)
    assert "--patients: expected a CSV file" in cli(*question, code=2).stderr
    table.write_text("case,patient,site,split\nhead-1,a man of Ulm,,\n")
    verdict = json.loads(cli(*question, "--json").stdout)["gate"]
    assert "this model was trained on the patients of 1 of 1 cases" in verdict["checks"][-1]["came"]


def test_known_patients_are_marked(cli: Cli, good: Path, tmp_path: Path) -> None:
    """A mean DSC on patients that the model was trained on is marked in `list` and `show`."""
    made_up = made_up_evaluation(count=12)
    cases = tuple(case.model_copy(update={"seen_in_training": number < 5}) for number, case in enumerate(made_up.cases))
    model = made_up.model.model_copy(update={"digest": load_bundle(good).identity.digest})
    (tmp_path / "evaluation.json").write_text(made_up.model_copy(update={"cases": cases, "model": model}).to_json())
    added = json.loads(cli("models", "add", good, "--evaluation", tmp_path / "evaluation.json", "--json").stdout)
    assert added["dsc_cases_seen_in_training"] == 5
    for question in (("list",), ("show", "tiny-bright")):
        assert "(12 cases, 5 of its training patients: too good)" in cli("models", *question).stdout


def test_no_word_of_a_bundle_commands_the_terminal(cli: Cli, good: Path, tmp_path: Path) -> None:
    """Whatever a bundle's card, licence and recipe hold, no control character of them reaches a terminal."""
    evil = "\x1b]0;x\x07\x1b[2J\x9b2J"
    bundle = Path(shutil.copytree(good, tmp_path / "evil"))
    card = f"# Card{evil}\n\nFirst paragraph{evil}.\n".encode()
    (bundle / "MODEL_CARD.md").write_bytes(card)
    entry = {"sha256": hashlib.sha256(card).hexdigest(), "size_bytes": len(card)}

    def say_it(manifest: dict[str, Any]) -> None:
        manifest["files"]["MODEL_CARD.md"] = entry
        manifest["training"]["recipe"] = manifest["licence"] = f"words{evil}"
        manifest["training"]["software"] = {f"package{evil}": evil}

    change_manifest(bundle, say_it)
    digest = load_bundle(bundle).identity.digest
    answers = [cli("models", "add", bundle), cli("models", "list"), shown := cli("models", "show", digest)]
    (bundle / "manifest.json").write_text(json.dumps({"schema_version": 1, f"field{evil}": 1}))
    answers.append(cli("models", "add", bundle, code=1))
    for answer in answers:
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", answer.output)
    assert shown.stdout.count("\ufffd]0;x\ufffd\ufffd[2J\ufffd2J") == 6
    assert json.loads(cli("models", "show", digest, "--json").stdout)["manifest"]["licence"] == f"words{evil}"


def test_nothing_is_added_below_a_disk_that_is_not_mounted(cli: Cli, good: Path, tmp_path: Path) -> None:
    """Where the database knows files that STORAGE has not, no bundle is copied and no model registered: exit 2 with
    what to do."""
    cli.settings["WMH_NODE_DATABASE_URL"] = url = sqlite_url(tmp_path)
    upgrade(url)
    with closing(open_database(url)) as database:
        inbox = Inbox(database)
        association = inbox.open_association("SCANNER", "WMHNODE", "10.0.0.7", "receiver")
        inbox.record([instance(series_uid(), 1, association)])
    cli.storage.mkdir()
    assert "may not be mounted" in cli("models", "add", good, code=2).stderr
    assert list(cli.storage.iterdir()) == []
    assert json.loads(cli("models", "list", "--json").stdout)["models"] == []


def test_changed_bytes_are_refused(cli: Cli, good: Path, tmp_path: Path) -> None:
    """A bundle whose bytes were changed is refused with exit 1 and the file's name; nothing is registered."""
    changed = tiny_bundle(tmp_path / "changed", members=1)
    (changed / "MODEL_CARD.md").write_text("Approved for clinical use.\n")
    done = cli("models", "add", changed, code=1)
    assert "MODEL_CARD.md: expected" in done.stderr
    assert json.loads(cli("models", "list", "--json").stdout)["models"] == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("list",), 1, "wmh-node db upgrade"),
        (("promote", "nobody", "--force"), 2, "--force: expected --reason"),
        (("promote", "nobody", "--patients", "patients.csv"), 2, "--patients: expected --cases"),
    ],
)
def test_bad_questions(arguments: tuple[str, ...], code: int, words: str, cli: Cli) -> None:
    """What cannot be answered says what to do, with the exit code for it, and makes no database."""
    done = cli("models", *arguments, code=code)
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not cli.storage.exists()
