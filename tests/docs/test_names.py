"""Names in the documentation: commands, options, make targets, settings, files."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer.main
from support.data import REPOSITORY
from support.documents import blocks, pages

from dicom_node.cli.main import build_app
from dicom_node.node.settings import Settings

_SPAN = re.compile(r"(?<!`)`(wmh-node [^`\n]+)`")
_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)\s#]+)")
_DOCS_PATH = re.compile(r"\bdocs/[\w./-]*\w")
# Names of our variables that are no settings.
OTHER_VARIABLES = {
    "WMH_NODE_CONFIG",
    "WMH_NODE_TEST_DATA",
    "WMH_NODE_",
    "WMH_NODE_SECRET_WEB",
    "WMH_NODE_SECRET_MAIL",
    "WMH_NODE_SECRET_OIDC",
    "WMH_NODE_SECRET_WEBHOOK",
    "WMH_NODE_SECRET_OBJECT_STORE",
}


def _named_commands() -> set[tuple[str, str]]:
    """(page, command) of every `wmh-node ...` in a block or an inline code."""
    found = set()
    for page in pages():
        found |= {(page.name, span.replace("\\|", "|")) for span in _SPAN.findall(page.read_text("utf-8"))}
    for block in blocks():
        found |= {
            (block.page.name, shlex.join(command.words))
            for command in block.commands
            if Path(command.words[0]).name == "wmh-node"
        }
    return found


@pytest.fixture(scope="module")
def program() -> Any:
    return typer.main.get_command(build_app())


def _missing(program: Any, words: list[str]) -> list[str]:
    """Words of a command line that the program does not know: groups, commands, and options."""
    command, path, missing = program, "wmh-node", []
    for word in words:
        if word.startswith("-"):
            options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
            if (name := word.split("=")[0]) not in options | {"--help"}:
                missing.append(f"{path} {name}")
        elif hasattr(command, "commands"):
            path += f" {word}"
            if word not in command.commands:
                return [*missing, path]
            command = command.commands[word]
    return missing


def test_commands_and_options_in_the_pages_exist(program: Any) -> None:
    """A reader never types a command or an option that is gone."""
    found = _named_commands()
    assert len(found) > 30
    wrong = {}
    for page, line in found:
        for name_ in re.split(r" \| ", line):  # `wmh-node models add | list`: each of the group
            words = [word for word in re.sub(r"[\[\],]|\.\.\.", " ", name_).split() if word]
            if words and words[0].endswith("wmh-node") and (missing := _missing(program, words[1:])):
                wrong[f"{page}: {line}"] = missing
    assert wrong == {}


def test_make_targets_in_the_pages_exist() -> None:
    """`make TARGET` in a page is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z][a-z-]*):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    named = {
        target for page in pages() for target in re.findall(r"(?:`|\$ )make ([a-z][a-z-]*)", page.read_text("utf-8"))
    }
    assert {"demo", "test", "docs"} <= named
    assert named - targets == set()


def test_every_setting_is_on_the_page_and_no_other() -> None:
    """docs/administrator/settings.md has each setting, and none that is gone; other pages name only what there is."""
    page = (REPOSITORY / "docs" / "administrator" / "settings.md").read_text("utf-8")
    listed = {
        name
        for row in re.findall(r"^\| (`[A-Z].*?) \|", page, re.MULTILINE)
        for name in re.findall(r"`([A-Z_]+)`", row)
    }
    settings = {name.upper() for name in Settings.model_fields}
    assert listed == settings
    variables = {name for page in pages() for name in re.findall(r"\bWMH_NODE_[A-Z_]*", page.read_text("utf-8"))}
    assert variables - {f"WMH_NODE_{name}" for name in settings} - OTHER_VARIABLES == set()


def test_links_of_the_repositorys_own_pages_lead_somewhere() -> None:
    """Links of README, CONTRIBUTING and CHANGELOG, which the site's build does not see, are files of the repository."""
    own = [page for page in pages() if page.parent == REPOSITORY]
    links = [(page.name, link) for page in own for link in _LINK.findall(page.read_text("utf-8"))]
    assert len(links) > 10
    assert [pair for pair in links if not (REPOSITORY / pair[1]).exists()] == []


def test_files_of_docs_that_the_code_names_exist() -> None:
    """A comment or docstring that sends a reader to docs/ names a file that is there (`docs/adr/0010` for short)."""
    listed = subprocess.run(
        ["git", "ls-files", "*.py", "*.md", "Makefile"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    wrong = []
    for name in listed.stdout.splitlines():
        path = REPOSITORY / name
        for named in _DOCS_PATH.findall(path.read_text("utf-8")) if path.exists() else ():
            if "_build" not in named and not any(REPOSITORY.glob(f"{named}*")):
                wrong.append(f"{name}: {named}")
    assert wrong == []


def test_nothing_refers_to_documents_outside_the_repository() -> None:
    """No page and no module sends a reader to a document that only its authors had."""
    outside = re.compile(r"design\.md|reading\.md|house\.md|(?<![/(])operate\.md|peers\.md|stack\.md")
    listed = subprocess.run(
        ["git", "ls-files", "*.py", "*.md", "*.toml", "Makefile"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    )  # fmt: skip
    names = [REPOSITORY / name for name in listed.stdout.splitlines()]
    own = Path(__file__).resolve()
    assert [path.name for path in names if path.exists() and path != own and outside.search(path.read_text())] == []


def test_readme_is_one_page() -> None:
    """README stays under 120 lines."""
    assert len((REPOSITORY / "README.md").read_text("utf-8").splitlines()) < 120


def test_every_decision_has_status_date_and_alternatives() -> None:
    """A reader of a record sees at once whether it holds, since when, and what else was weighed."""
    records = sorted((REPOSITORY / "docs" / "adr").glob("0*.md"))
    assert len(records) > 12
    marks = (r"^\*Status: .*Date: \d{4}-\d\d-\d\d", r"^## Context", r"^## Decision", r"^## Alternatives")
    assert [
        (record.name, mark)
        for record in records
        for mark in marks
        if not re.search(mark, record.read_text(), re.MULTILINE)
    ] == []
