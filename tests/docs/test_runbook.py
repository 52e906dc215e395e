"""Each entry of the runbook is tried by tests that are there."""

from __future__ import annotations

import re

from support.data import REPOSITORY

_PAGE = REPOSITORY / "docs" / "administrator" / "runbook.md"


def test_every_entry_names_tests_that_exist() -> None:
    """No entry of the runbook is without a test that tries its steps, and each named file has tests."""
    entries = re.split(r"^## ", _PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]
    assert len(entries) >= 8
    for entry in entries:
        title = entry.splitlines()[0]
        tried = re.search(r"^\*Tried by (.*)\.\*$", entry, re.MULTILINE)
        assert tried is not None, title
        files = re.findall(r"`([^`]+)`", tried[1])
        assert files, title
        for file in files:
            assert "def test_" in (REPOSITORY / file).read_text("utf-8"), (title, file)
