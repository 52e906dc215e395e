"""Plain English in messages, logs, reports, help and pages: the hardest rules of CONTRIBUTING's "Words"."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from support.data import REPOSITORY
from support.documents import pages

from dicom_node.cli.main import build_app

PACKAGES = ("db", "dicom_node", "segmentation", "training")
# Words that many readers of English as a second language do not know, or that hide who does what.
FORBIDDEN = re.compile(r"\b(whom|nobody|told|likewise|anew)\b", re.IGNORECASE)
# "expected X, got Y": one form for all errors.
OTHER_FORM = re.compile(r"\bexpected\b.*[,;] came\b", re.DOTALL)


def _literals(source: str) -> Iterator[tuple[int, str]]:
    """(line, text) of every string of a module but its docstrings; of an f-string the text between its values."""
    tree = ast.parse(source)
    nodes = list(ast.walk(tree))
    # A string that stands alone is a docstring, also below an attribute.
    alone = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    joined = [node for node in nodes if isinstance(node, ast.JoinedStr)]
    parts = {id(part) for node in joined for part in node.values}
    for node in joined:
        yield node.lineno, "{}".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone | parts:
            yield node.lineno, node.value


def _modules() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((REPOSITORY / package).rglob("*.py"))]


def test_the_collector_sees_messages_and_no_docstrings() -> None:
    """A forbidden word is found in a message, also inside an f-string, and not in a docstring or a name."""
    source = '"""Nobody."""\ntold = 1\nraise E(f"{told} was told {told}: whom")\n'
    assert [text for _, text in _literals(source)] == [" was told {}: whom"]
    assert FORBIDDEN.search(" was told {}: whom")


def test_messages_use_plain_words() -> None:
    """No message, log line, report or page holds a word that the rules forbid."""
    found = [
        f"{path.relative_to(REPOSITORY)}:{line}: {text.strip()[:100]}"
        for path in _modules()
        for line, text in _literals(path.read_text("utf-8"))
        if FORBIDDEN.search(text)
    ]
    assert found == []


def test_templates_and_pages_use_plain_words() -> None:
    """Neither a template nor a page of the documentation holds a word that the rules forbid."""
    templates = [
        path
        for package in PACKAGES
        for ending in ("*.html", "*.j2")
        for path in sorted((REPOSITORY / package).rglob(ending))
    ]
    assert len(templates) > 10
    found = [
        f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()[:100]}"
        for path in (*templates, *pages())
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if FORBIDDEN.search(line)
    ]
    assert found == []


def test_errors_say_expected_and_got() -> None:
    """What was expected is followed by what was found in one form of words."""
    found = [
        f"{path.relative_to(REPOSITORY)}:{line}: {text.strip()[:100]}"
        for path in _modules()
        for line, text in _literals(path.read_text("utf-8"))
        if OTHER_FORM.search(text)
    ]
    assert found == []


def _helps(command: Any, path: str = "wmh-node") -> Iterator[tuple[str, str]]:
    """(command or option, help) of a command and all below it."""
    yield path, command.help or ""
    for parameter in command.params:
        yield f"{path} {parameter.name}", getattr(parameter, "help", "") or ""
    for name, below in getattr(command, "commands", {}).items():
        yield from _helps(below, f"{path} {name}")


@pytest.fixture(scope="module")
def helps() -> list[tuple[str, str]]:
    return list(_helps(typer.main.get_command(build_app())))


def test_help_uses_plain_words(helps: list[tuple[str, str]]) -> None:
    """Neither a command's help nor an option's holds a forbidden word, and no command goes without help."""
    assert len(helps) > 100
    assert [named for named, text in helps if FORBIDDEN.search(text)] == []
    assert [named for named, text in helps if not text and named.count(" ") == 1] == []
