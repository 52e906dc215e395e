"""`wmh-node models`, the real app in this process, on a real database and a real store."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import Result
from support.drawn_cases import cases_drawn_by
from support.evaluations import made_up_evaluation
from support.models import tiny_bundle
from typer.testing import CliRunner

from dicom_node.cli.main import build_app
from segmentation.bundle import load_bundle, reference_bundle


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


def test_from_adding_to_rolling_back(cli: Cli, good: Path, wild: Path, tmp_path: Path) -> None:
    """Two models are added and listed; a worse one fails the gate with exit 1 and the words for it, and is promoted by
    force; a rollback makes the first live again, another one the shipped model, which was in use before, and the audit
    has it all. What is used follows."""
    first, second, shipped = (load_bundle(folder).identity.digest for folder in (good, wild, reference_bundle()))
    cases = cases_drawn_by(good, tmp_path / "cases", count=1)

    evaluation = made_up_evaluation(count=12)
    evaluation = evaluation.model_copy(update={"model": evaluation.model.model_copy(update={"digest": first})})
    (tmp_path / "evaluation.json").write_text(evaluation.to_json())
    added = json.loads(cli("models", "add", good, "--evaluation", tmp_path / "evaluation.json", "--json").stdout)
    assert (added["digest"], added["is_new"], added["stored"]) == (first, True, "copied")
    assert "already" in cli("models", "add", good).stdout
    cli("models", "add", wild)

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
    assert listed["models"][2]["dsc_cases"] == 12

    forced = cli("models", "promote", second, "--cases", cases, "--force", "--reason", "only for a test", "--by", "bob")
    assert "is live now, although the gate failed" in forced.stdout
    in_use = json.loads(cli("config", "show", "--json").stdout)["model_in_use"]
    assert (in_use["digest"], in_use["why"]) == (second, "live in the registry")
    shown = json.loads(cli("models", "show", "tiny-random", "--json").stdout)
    assert (shown["damage"], shown["manifest"]["name"], shown["live"]) == (None, "tiny-random", True)
    assert [(one["who"], one["forced"], one["reason"]) for one in shown["promotions"]] == [
        ("bob", True, "only for a test")
    ]

    cli.settings["WMH_NODE_MODEL"] = str(wild)
    rolled = cli("models", "rollback", "--by", "bob")
    assert f"({first[:12]}) is live again" in rolled.stdout
    assert "pins" in rolled.stderr
    audit = json.loads(cli("jobs", "audit", "--json").stdout)
    promotions = ["promote model", "promote model", "promote model", "add model"]  # the shipped one with the first
    assert [one["action"] for one in audit] == ["roll back model", *promotions, *["add model"] * 2]
    assert "DSC failed" in audit[1]["detail"]
    assert "only for a test" in audit[1]["detail"]
    assert f"({shipped[:12]}) is live again" in cli("models", "rollback").stdout
    assert cli("models", "rollback", code=1).stderr


def test_for_a_reader(cli: Cli, good: Path) -> None:
    """`list` and `show` are tables for a reader, the first with one line a model; a bundle that was damaged in the
    store is shown as that, and is not promoted."""
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
    refused = cli("models", "promote", digest, code=1)
    assert "loads failed: expected a whole bundle" in refused.stderr


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
    ],
)
def test_bad_questions(arguments: tuple[str, ...], code: int, words: str, cli: Cli) -> None:
    """What cannot be answered says what to do, with the exit code for it, and makes no database."""
    done = cli("models", *arguments, code=code)
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not cli.storage.exists()
