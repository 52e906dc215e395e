"""Fenced blocks of the documentation."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.documents import Block, blocks

from dicom_node.node.settings import load_settings

ALLOWED = ("console run", "console example", "python run", "toml", "json", "lua", "text")
PAGES_THAT_RUN = sorted({block.page for block in blocks() if block.info.endswith(" run")})


def test_every_block_says_what_it_is() -> None:
    """No block of commands is left without a mark: it is run by a test, or it says that it is an example."""
    assert [f"{block}: {block.info!r}" for block in blocks() if block.info not in ALLOWED] == []
    unmarked = [str(block) for block in blocks() if block.info == "console run" and not block.commands]
    assert unmarked == []


@pytest.mark.parametrize("block", [block for block in blocks() if block.info == "toml"], ids=str)
def test_settings_in_the_pages_are_settings(block: Block, tmp_path: Path) -> None:
    """A settings file that a reader copies from a page is one that the node reads."""
    file = tmp_path / "node.toml"
    file.write_text(block.text)
    load_settings(file)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES_THAT_RUN, ids=lambda page: page.stem)
def test_commands_of_the_pages_run(page: Path, tmp_path: Path) -> None:
    """What a page marks to be run does so in an empty folder, one after the other, with the exit code that it names."""
    for block in blocks():
        if block.page != page:
            continue
        if block.info == "console run":
            for command in block.commands:
                done = _run([*command.words], tmp_path)
                assert done.returncode == command.exit_code, f"{block}: {command.words}\n{done.stdout}{done.stderr}"
        elif block.info == "python run":
            done = _run([sys.executable, "-c", block.text], tmp_path)
            assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"


def _run(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WMH_NODE_")}
    programs = Path(sys.executable).parent
    environment["PATH"] = f"{programs}{os.pathsep}{environment['PATH']}"
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False)
